//! Copies the readable rows of a corrupt wiki.db.

use std::fmt;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params_from_iter};

use crate::db::open_own;

/// The tables that can't be rebuilt from git; redo rows first, since they hold acknowledged saves. For each table, its
/// columns in the newest schema and in older ones, newest first.
const TABLES: [(&str, &[&str]); 8] = [
    ("redo", &["seq, ref, old, new, commit_data, path, mode, blob_id, content"]),
    ("preferences", &["name, value"]),
    (
        "drafts",
        &[
            "id, pagepath, revision, author_email, content, cursor_line, cursor_ch, datetime, base",
            "id, pagepath, revision, author_email, content, cursor_line, cursor_ch, datetime",
        ],
    ),
    (
        "user",
        &["id, name, email, password_hash, first_seen, last_seen, is_approved, is_admin, email_confirmed,
           allow_read, allow_write, allow_upload"],
    ),
    ("sync_job", &["link, seq, target, created"]),
    (
        "sync_conflict",
        &["id, link, path, conflict_path, kind, base, ours, theirs, revision, created, closed"],
    ),
    (
        "sync_map",
        &["link, seq, local, remote, directory, prefix, told", "link, seq, local, remote"],
    ),
    (
        "idempotency",
        &["seq, principal, method, route, key, share, request, status, body, made, created"],
    ),
];

/// Rows read from a damaged file, by table.
pub(crate) struct Salvage {
    tables: Vec<Table>,
    /// The newest commit known to survive a power cut, in case the branch is damaged as well.
    durable: Option<[u8; 20]>,
}

struct Table {
    name: &'static str,
    columns: &'static str,
    rows: Vec<Vec<Value>>,
    /// True if the whole table could be read.
    complete: bool,
}

impl Salvage {
    /// Reads all readable rows.
    pub(crate) fn read(path: &Path) -> Self {
        let connection = open_own(path, OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(|connection| {
            // Leave the file and its log unchanged, so that the salvage can be repeated.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            connection.execute_batch("pragma wal_autocheckpoint = 0")?;
            Ok(connection)
        });
        let tables = TABLES.iter().map(|(name, schemas)| {
            let has = |columns: &&&str| {
                let select = format!("select {columns} from {name}");
                connection.as_ref().is_ok_and(|connection| connection.prepare(&select).is_ok())
            };
            let columns = schemas.iter().find(has).unwrap_or(&schemas[0]);
            let mut table = Table { name, columns, rows: Vec::new(), complete: false };
            if let Ok(connection) = &connection {
                table.complete = read_rows(connection, &mut table).is_ok();
            }
            table
        });
        let tables = tables.collect();
        let durable = connection.as_ref().ok().and_then(|connection| {
            connection.query_row("select durable from wiki", [], |row| row.get(0)).ok().flatten()
        });
        Self { tables, durable }
    }

    /// Writes the rows into a new file, replacing its initial rows.
    pub(crate) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let transaction = connection.unchecked_transaction()?;
        for table in &self.tables {
            let places = vec!["?"; table.columns.split(',').count()].join(", ");
            let sql = format!(
                "insert or replace into {} ({}) values ({places})",
                table.name, table.columns
            );
            let mut insert = transaction.prepare(&sql)?;
            for row in &table.rows {
                // A damaged row must not keep out the others.
                if let Err(error) = insert.execute(params_from_iter(row)) {
                    tracing::error!(table = table.name, %error, "a salvaged row can't be kept");
                }
            }
        }
        transaction.execute("update wiki set durable = ?1", [self.durable])?;
        transaction.commit()
    }
}

/// Reads the rows before the damage from the start, and those after it from the end.
fn read_rows(connection: &Connection, table: &mut Table) -> rusqlite::Result<()> {
    let select = format!("select {} from {}", table.columns, table.name);
    let read = read_more(connection, &select, table);
    if read.is_err() {
        let backwards = |key: &str| format!("{select} order by {key}");
        // The key in whose order the table is stored.
        let keys = ["rowid desc", "link desc, seq desc"].map(backwards);
        if let Some(select) = keys.iter().find(|select| connection.prepare(select).is_ok()) {
            let _ = read_more(connection, select, table);
        }
    }
    read
}

fn read_more(connection: &Connection, select: &str, table: &mut Table) -> rusqlite::Result<()> {
    let mut select = connection.prepare(select)?;
    let columns = select.column_count();
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        table.rows.push((0..columns).map(|at| row.get(at)).collect::<Result<_, _>>()?);
    }
    Ok(())
}

impl fmt::Display for Salvage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, table) in self.tables.iter().enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            let end = if table.complete { "" } else { " and then no more" };
            write!(f, "{separator}{} rows of {}{end}", table.rows.len(), table.name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;
    use crate::{DbError, ExistingPath};

    /// A file of an earlier version, or of OtterWiki.
    #[test]
    fn drafts_are_carried_over_from_files_of_either_schema() {
        let etag = "354518a8c9025f40be6f730452c1bfe71a12dc22";
        for (column, base) in [("", None), (", base text", Some(etag))] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("old.db");
            let old = Connection::open(&path).unwrap();
            old.execute_batch(&format!(
                "create table drafts (id integer primary key, pagepath text, revision text,
                     author_email text, content text, cursor_line integer, cursor_ch integer,
                     datetime text{column});
                 insert into drafts (pagepath, author_email, content) values ('home', 'ann', 'x');"
            ))
            .unwrap();
            if base.is_some() {
                old.execute("update drafts set base = ?1", [base]).unwrap();
            }
            drop(old);
            let salvage = Salvage::read(&path);
            assert!(salvage.to_string().contains("1 rows of drafts,"), "{salvage}");
            let scratch = Scratch::new();
            let database = scratch.wiki().database().unwrap();
            database.read(|c| salvage.write(c).map_err(DbError::from)).unwrap();
            let draft = scratch.wiki().draft("ann", &ExistingPath::new("home").unwrap()).unwrap();
            assert_eq!(draft.content, "x");
            assert_eq!(draft.summary.base.map(|base| base.to_string()).as_deref(), base);
        }
    }
}
