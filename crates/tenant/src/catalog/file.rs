//! platform.db as a file that may be missing, emptied, or lie beside the log of another one.
//!
//! SQLite takes a log (`-wal`) for the file's own by its name alone, and an empty file for a new database.
//! Either would replace the list of all wikis without a word, so both are looked at before SQLite is.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction};
use wikigrove_storage::FileError;
use wikigrove_storage::db::{Database, DbError, PoolUse, Scheduler, Schema, Sizing, open_own};

use super::CatalogError;

/// Ends each refusal.
const RESTORE: &str = "Put platform.db back from a backup, with the platform.db-wal of that same backup or \
                       with none, or move everything out of the data directory to begin anew";

/// platform.db. Each transaction that changes something is counted in the file.
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
            // The template is the same for all platforms of a process.
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

    /// As [`Database::read`].
    pub(super) fn read<T, E: From<DbError>>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.0.read(work)
    }

    /// As [`Database::write`].
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

    /// How much of its pool is in use.
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

/// The name that SQLite gives a file's log.
fn log_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// Whether there is no such file, or nothing in it.
fn is_empty(path: &Path) -> Result<bool, FileError> {
    match std::fs::metadata(path) {
        Ok(found) => Ok(found.len() == 0),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(source) => Err(FileError { action: "look at", path: path.to_owned(), source }),
    }
}

/// A wiki in the data directory, or one in its trash. Only an empty catalog asks: a directory with a
/// hundred thousand wikis takes long to read.
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
            // A name with a dot is a wiki that was being made: its row may be the one that got lost, but
            // nobody was ever told of it.
            let is_made = !entry.file_name().as_encoded_bytes().starts_with(b".");
            if is_made && entry.path().join("repo").is_dir() {
                return Ok(Some(entry.path()));
            }
        }
    }
    Ok(None)
}

/// Which catalog it is, and how many transactions changed it.
#[derive(Debug, PartialEq, Eq)]
struct State {
    id: String,
    writes: i64,
}

impl State {
    /// `None`: an older version of this program wrote the file.
    fn read(connection: &Connection) -> rusqlite::Result<Option<Self>> {
        let sql = "select 1 from sqlite_schema where name = 'catalog'";
        if connection.query_row(sql, [], |_| Ok(())).optional()?.is_none() {
            return Ok(None);
        }
        let state = |row: &rusqlite::Row<'_>| Ok(Self { id: row.get(0)?, writes: row.get(1)? });
        connection.query_row("select id, writes from catalog", [], state).optional()
    }
}

/// Whether the log holds what happened to this file, and nothing else: with it, the file has the same id, and
/// was changed at most as often more as the log has transactions. Of these the file may have some already.
fn belongs(file: &Path, log: &Path) -> Result<bool, CatalogError> {
    // A file that was being written when the power went may be readable only with its log.
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

/// The state that the file has without its log.
fn alone(file: &Path) -> rusqlite::Result<Option<State>> {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    // See <https://www.sqlite.org/uri.html#the_uri_path>.
    let path = absolute.to_string_lossy().replace('%', "%25").replace('?', "%3f");
    let uri = format!("file://{}?immutable=1", path.replace('#', "%23"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    State::read(&Connection::open_with_flags(uri, flags)?)
}

/// The state that the file has with its log, which stays beside it and isn't written to it.
fn together(file: &Path) -> rusqlite::Result<Option<State>> {
    let connection = open_own(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    State::read(&connection)
}

/// How many transactions a log has: at least those that SQLite finds whole.
/// The format is that of <https://www.sqlite.org/fileformat2.html#walformat>.
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
        // What follows the frames of this log is left over from the one before.
        if frame[8..16] != header[16..24] {
            break;
        }
        // The size of the database after it, which only the last frame of a transaction has.
        count += i64::from(frame[4..8] != [0; 4]);
        file.seek_relative(page.into()).map_err(failed)?;
    }
    Ok(count)
}

#[cfg(test)]
mod tests;
