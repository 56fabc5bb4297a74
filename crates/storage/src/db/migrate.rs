//! Schema migrations: refinery embeds and checks the migrations, `PRAGMA user_version` tells which of them a file has,
//! and both change in one transaction.
//!
//! refinery alone keeps the version only in its own table, runs each migration and its record in two transactions, and
//! reads the version before it takes the lock; a crash or a second opener in between leaves a file that can't be opened
//! any more. Running it *inside* a transaction that already holds the write lock closes all three gaps.

use std::path::Path;
use std::sync::OnceLock;

use refinery_core::traits::sync::{Migrate, Query, Transaction as RefineryTransaction};
use refinery_core::{Migration, Runner};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{DbError, FLAGS};
use crate::files::{self, At as _};

/// The migrations of one kind of file, in order.
pub struct Schema {
    migrations: Vec<Migration>,
    /// An empty file with the newest schema: copying it is an order of magnitude faster than migrating.
    template: OnceLock<Vec<u8>>,
}

impl Schema {
    /// Takes the migrations embedded by [`refinery::embed_migrations`], numbered 1 to N.
    pub fn new(migrations: Vec<Migration>) -> Self {
        Self { migrations, template: OnceLock::new() }
    }

    /// The newest version, as written to `PRAGMA user_version`.
    pub fn latest(&self) -> i64 {
        self.migrations.iter().map(|m| i64::from(m.version())).max().unwrap_or(0)
    }

    /// Returns the bytes of an empty, fully migrated file in WAL mode. The first call makes the file in the directory
    /// of the database to be created, since another directory may be full or missing.
    pub(super) fn template(&self, beside: &Path) -> Result<&[u8], DbError> {
        if let Some(bytes) = self.template.get() {
            return Ok(bytes);
        }
        let path = files::temporary_beside(beside);
        let made = self.migrate_new(&path).map_err(|error| error.of(&path));
        for suffix in ["", "-wal", "-shm"] {
            let mut left = path.clone().into_os_string();
            left.push(suffix);
            // Leftovers are removed by the general cleanup.
            let _ = std::fs::remove_file(left);
        }
        let bytes = made?;
        Ok(self.template.get_or_init(|| bytes))
    }

    fn migrate_new(&self, path: &Path) -> Result<Vec<u8>, DbError> {
        let mut connection =
            Connection::open_with_flags(path, FLAGS | rusqlite::OpenFlags::SQLITE_OPEN_CREATE)?;
        connection.execute_batch("pragma journal_mode = wal; pragma synchronous = off;")?;
        ensure(&mut connection, self)?;
        connection.close().map_err(|(_, error)| error)?;
        Ok(std::fs::read(path).at("read", path)?)
    }
}

/// Migrates to the newest version; returns `false` if the file has it already.
///
/// The connection must have `foreign_keys` off: SQLite ignores the pragma inside a transaction, and a migration that
/// rebuilds a table would cascade its deletes.
pub(super) fn ensure(connection: &mut Connection, schema: &Schema) -> Result<bool, DbError> {
    let latest = schema.latest();
    if is_current(connection, latest)? {
        return Ok(false);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another connection may have migrated the file while this one waited for the lock.
    if is_current(&transaction, latest)? {
        return Ok(false);
    }
    Runner::new(&schema.migrations).set_grouped(true).run(&mut InTransaction(&transaction))?;
    check_foreign_keys(&transaction)?;
    transaction.pragma_update(None, "user_version", latest)?;
    transaction.commit()?;
    Ok(true)
}

fn is_current(connection: &Connection, known: i64) -> Result<bool, DbError> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(DbError::TooNew { path: Default::default(), found, known });
    }
    Ok(found == known)
}

fn check_foreign_keys(transaction: &Transaction<'_>) -> Result<(), DbError> {
    let mut statement = transaction.prepare("pragma foreign_key_check")?;
    match statement.query([])?.next()? {
        None => Ok(()),
        Some(row) => {
            let table: String = row.get(0)?;
            Err(DbError::Migration {
                path: Default::default(),
                source: format!("rows of table `{table}` would refer to nothing").into(),
            })
        }
    }
}

/// An adapter that has refinery execute within the open transaction.
struct InTransaction<'a>(&'a Transaction<'a>);

impl RefineryTransaction for InTransaction<'_> {
    type Error = rusqlite::Error;

    fn execute<'a, T: Iterator<Item = &'a str>>(
        &mut self,
        queries: T,
    ) -> Result<usize, Self::Error> {
        let mut count = 0;
        for query in queries {
            self.0.execute_batch(query)?;
            count += 1;
        }
        Ok(count)
    }
}

impl Query<Vec<Migration>> for InTransaction<'_> {
    fn query(&mut self, query: &str) -> Result<Vec<Migration>, Self::Error> {
        let mut statement = self.0.prepare(query)?;
        let rows = statement.query_map([], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?, row.get::<_, String>(3)?))
        })?;
        rows.map(|row| {
            let (version, name, applied, checksum) = row?;
            let applied =
                OffsetDateTime::parse(&applied, &Rfc3339).map_err(|e| unreadable(2, e))?;
            let checksum = checksum.parse().map_err(|e| unreadable(3, e))?;
            Ok(Migration::applied(version, name, applied, checksum))
        })
        .collect()
    }
}

impl Migrate for InTransaction<'_> {}

fn unreadable(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}
