//! platform.db as a file that may be missing, emptied, or next to another file's log.
//!
//! SQLite takes a log (`-wal`) for the file's own because of its name alone, and an empty file for a new database.
//! Either would silently replace the list of all wikis, so both are checked before SQLite opens the file.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction};
use wikigrove_storage::FileError;
use wikigrove_storage::db::{Database, DbError, PoolUse, Scheduler, Schema, Sizing, open_own};

use super::CatalogError;

/// The end of each refusal's message.
const RESTORE: &str = "Put platform.db back from a backup, with the platform.db-wal of that same backup or \
                       with none, or move everything out of the data directory to begin anew";

/// platform.db. The file counts the transactions that changed it.
#[derive(Debug)]
pub(super) struct CatalogFile(Database);

impl CatalogFile {
    /// Opens the file, or creates it if the data directory `dir` has no wikis yet.
    pub(super) fn open(
        dir: &Path,
        file: &Path,
        schema: &Schema,
        scheduler: &Scheduler,
        sizing: Sizing,
    ) -> Result<Self, CatalogError> {
        let log = log_of(file);
        if is_empty(file)? {
            let wiki = first_wiki(dir)?.map(|wiki| format!("`{}` is a wiki", wiki.display()));
            let logged = (!is_empty(&log)?).then(|| format!("`{}` isn't", log.display()));
            if let Some(why) = wiki.or(logged) {
                let what = format!("`{}` is missing or empty, but {why}", file.display());
                return Err(CatalogError::Lost(format!("{what}. {RESTORE}")));
            }
        } else if !is_empty(&log)? && !belongs(file, &log)? {
            let what = format!("`{}` is the log of another file or of another", log.display());
            let what = format!("{what} state of `{}`", file.display());
            return Err(CatalogError::Lost(format!("{what}. {RESTORE}")));
        }
        let name = |connection: &Connection| {
            // All platforms of a process are created from one template, so each needs an id of its own.
            let sql = "update catalog set id = lower(hex(randomblob(16)))";
            connection.execute(sql, []).map(drop)
        };
        let opened = Database::open_or_create(file, schema, scheduler, sizing, name);
        let opened = Self(opened.map_err(|error| match error {
            DbError::Corrupt { .. } => CatalogError::Lost(format!("{error}. {RESTORE}")),
            error => error.into(),
        })?);
        if opened.has_no_wikis()?
            && let Some(wiki) = first_wiki(dir)?
        {
            let what = format!("`{}` knows no wiki, but `{}`", file.display(), wiki.display());
            return Err(CatalogError::Lost(format!("{what} is one. {RESTORE}")));
        }
        Ok(opened)
    }

    /// Like [`Database::read`].
    pub(super) fn read<T, E: From<DbError>>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.0.read(work)
    }

    /// Like [`Database::write`].
    pub(super) fn write<T, E: From<DbError>>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.0.write(|transaction| {
            let before = transaction.total_changes();
            let done = work(transaction)?;
            if transaction.total_changes() != before {
                count(transaction).map_err(DbError::from)?;
            }
            Ok(done)
        })
    }

    /// Usage of the connection pool.
    pub(super) fn pool_use(&self) -> PoolUse {
        self.0.pool_use()
    }

    fn has_no_wikis(&self) -> Result<bool, CatalogError> {
        self.read(|connection| {
            let sql = "select not exists (select 1 from wikis)";
            Ok(connection.query_row(sql, [], |row| row.get(0))?)
        })
    }
}

fn count(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.prepare_cached("update catalog set writes = writes + 1")?.execute([]).map(drop)
}

/// The path of a file's log in SQLite.
fn log_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// Returns `true` if the file doesn't exist or is empty.
fn is_empty(path: &Path) -> Result<bool, FileError> {
    match std::fs::metadata(path) {
        Ok(found) => Ok(found.len() == 0),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(source) => Err(FileError { action: "look at", path: path.to_owned(), source }),
    }
}

/// A wiki in the data directory or in its trash. Called only if the catalog is empty, because reading a directory with
/// a hundred thousand wikis takes long.
fn first_wiki(dir: &Path) -> Result<Option<PathBuf>, FileError> {
    for place in ["wikis", "trash"] {
        let place = dir.join(place);
        let failed = |source| FileError { action: "read", path: place.clone(), source };
        let entries = match std::fs::read_dir(&place) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(source) => return Err(failed(source)),
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            // A leading dot marks a wiki whose creation was interrupted: the lost row may be its row, but no client was
            // told that it exists.
            let is_made = !entry.file_name().as_encoded_bytes().starts_with(b".");
            if is_made && entry.path().join("repo").is_dir() {
                return Ok(Some(entry.path()));
            }
        }
    }
    Ok(None)
}

/// The catalog's id, and the number of transactions that changed the catalog.
#[derive(Debug, PartialEq, Eq)]
struct State {
    id: String,
    writes: i64,
}

impl State {
    /// Reads the state. `None`: an older version of this program wrote the file.
    fn read(connection: &Connection) -> rusqlite::Result<Option<Self>> {
        let sql = "select 1 from sqlite_schema where name = 'catalog'";
        if connection.query_row(sql, [], |_| Ok(())).optional()?.is_none() {
            return Ok(None);
        }
        let state = |row: &rusqlite::Row<'_>| Ok(Self { id: row.get(0)?, writes: row.get(1)? });
        connection.query_row("select id, writes from catalog", [], state).optional()
    }
}

/// Returns `true` if the log belongs to this state of this file: the file has the same id with and without the log, and
/// at most as many more changes with it as the log has transactions. (The file may contain some of these already.)
fn belongs(file: &Path, log: &Path) -> Result<bool, CatalogError> {
    // After a power cut during a write, the file may be readable only with its log.
    let Ok(Some(alone)) = alone(file) else { return Ok(true) };
    let together = match together(file) {
        Ok(together) => together,
        Err(error) => match DbError::from(error) {
            DbError::Corrupt { .. } => return Ok(false),
            error => return Err(error.into()),
        },
    };
    let transactions = transactions(log)?;
    Ok(together.is_some_and(|State { id, writes }| {
        id == alone.id && (writes - transactions..=writes).contains(&alone.writes)
    }))
}

/// The state of the file without its log.
fn alone(file: &Path) -> rusqlite::Result<Option<State>> {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    // See <https://www.sqlite.org/uri.html#the_uri_path>.
    let path = absolute.to_string_lossy().replace('%', "%25").replace('?', "%3f");
    let uri = format!("file://{}?immutable=1", path.replace('#', "%23"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    State::read(&Connection::open_with_flags(uri, flags)?)
}

/// The state of the file with its log, which isn't written back into the file.
fn together(file: &Path) -> rusqlite::Result<Option<State>> {
    let connection = open_own(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    State::read(&connection)
}

/// Number of transactions in a log: at least the complete ones, which SQLite applies. The format is that of
/// <https://www.sqlite.org/fileformat2.html#walformat>.
fn transactions(log: &Path) -> Result<i64, FileError> {
    let failed = |source| FileError { action: "read", path: log.to_owned(), source };
    let mut file = std::io::BufReader::new(std::fs::File::open(log).map_err(failed)?);
    let (mut header, mut frame) = ([0; 32], [0; 24]);
    let mut count = 0;
    if file.read_exact(&mut header).is_err() {
        return Ok(count);
    }
    let page = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
    while file.read_exact(&mut frame).is_ok() {
        // The rest is left over from the previous log.
        if frame[8..16] != header[16..24] {
            break;
        }
        // The size of the database after the transaction, nonzero only in the last frame of a transaction.
        count += i64::from(frame[4..8] != [0; 4]);
        file.seek_relative(page.into()).map_err(failed)?;
    }
    Ok(count)
}

#[cfg(test)]
mod tests;
