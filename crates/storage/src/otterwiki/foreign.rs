//! Reads an untrusted database file.
//!
//! Such a file is more than data. Its tables may be computed, by expressions or by modules of SQLite; its pages may
//! refer to each other so that a small file has any number of rows; the journal beside it may name a file that SQLite
//! then deletes. So the file is opened with these features disabled, and the amount of data read is limited.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use super::database::{KNOWN, quoted, read_tables, table_names};
use super::tables::{Room, TableRow, Tables};
use crate::db::DbError;
use crate::deadline::{self, Deadline};
use crate::error::Error;
use crate::files::At as _;

/// Maximum time for reading a file. A table of a million rows is read in two seconds.
const LONGEST: Duration = Duration::from_secs(30);
/// Maximum size of a value or a row, in bytes. A page has at most 5 MB, and so has a draft.
const VALUE: i32 = 16 << 20;
/// Maximum number of rows per table. An OtterWiki has a user for each person, and a draft for each page that is being
/// edited.
const ROWS: [(&str, u64); 3] =
    [("preferences", Room::PREFERENCES as u64), ("drafts", 100_000), ("user", 100_000)];
/// Maximum bytes of all rows together.
const BYTES: usize = 64 << 20;
/// Maximum number of tables in a file, and of columns in a table.
const TABLES: usize = 200;
const COLUMNS: i32 = 100;
/// Maximum number of rows that are counted in an unknown table.
const COUNTED: u64 = 1_000_000;
/// Number of steps of SQLite's virtual machine between two checks of the deadline.
const STEPS: i32 = 10_000;
/// The last bytes of a journal that names another file.
const NAMES_ANOTHER: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];

impl Tables {
    /// Reads an untrusted database of OtterWiki, or one with the same tables. `path` is a copy that may be changed,
    /// with its log files beside it.
    ///
    /// # Errors
    /// The file can't be read, isn't a database, has no table of preferences, or contains more than an OtterWiki
    /// database ever does.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let outer = deadline::current().unwrap_or_else(Deadline::unlimited);
        let inner = outer.part(Some(LONGEST));
        let read = inner.enter(|| read(path));
        if read.is_err() && inner.is_over() && !outer.is_over() {
            return Err(not_one(&format!("reading it takes more than {LONGEST:?}")));
        }
        read
    }
}

fn read(path: &Path) -> Result<Tables, Error> {
    check_journal(path)?;
    let connection = open(path).map_err(|error| DbError::from(error).of(path))?;
    check_schema(&connection)?;
    let mut room = Room::of(BYTES);
    let counted = |table: &str| Ok(count(&connection, table, COUNTED)?);
    let admit = |row: &TableRow| room.take(row).map_err(|why| not_one(&why));
    let tables = read_tables(&connection, counted, admit)?;
    tables.ok_or_else(|| not_one("it has no table of preferences"))
}

fn not_one(why: &str) -> Error {
    Error::Damaged { detail: format!("it is no database of OtterWiki: {why}") }
}

/// Refuses a journal that belongs to a transaction over several files: after rolling back, SQLite deletes the file that
/// the journal names, and that may be any file.
fn check_journal(path: &Path) -> Result<(), Error> {
    let mut journal = path.as_os_str().to_owned();
    journal.push("-journal");
    let journal = PathBuf::from(journal);
    let mut file = match File::open(&journal) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).at("open", &journal)?,
    };
    let mut end = [0; NAMES_ANOTHER.len()];
    let length = file.metadata().at("read", &journal)?.len();
    if length < end.len() as u64 {
        return Ok(());
    }
    file.seek(SeekFrom::End(-(end.len() as i64))).at("read", &journal)?;
    file.read_exact(&mut end).at("read", &journal)?;
    if end == NAMES_ANOTHER {
        return Err(not_one("its journal names another file"));
    }
    Ok(())
}

/// Opens a file so that no code of its schema is run.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    for (setting, is_on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
    ] {
        connection.set_db_config(setting, is_on)?;
    }
    for (limit, most) in [
        (Limit::SQLITE_LIMIT_LENGTH, VALUE),
        (Limit::SQLITE_LIMIT_COLUMN, COLUMNS),
        (Limit::SQLITE_LIMIT_EXPR_DEPTH, 50),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    ] {
        connection.set_limit(limit, most)?;
    }
    connection.progress_handler(STEPS, Some(deadline::is_over))?;
    connection.execute_batch("pragma cell_size_check = on; pragma mmap_size = 0;")?;
    Ok(connection)
}

/// Checks that the tables to be read are ordinary ones with stored columns, and not too many.
fn check_schema(connection: &Connection) -> Result<(), Error> {
    // This check comes first, and reads only the schema table: a virtual table's module runs as soon as the table is
    // described.
    let sql = "select count(*) from sqlite_schema where sql like '%virtual%table%'";
    let computed: i64 = connection.query_row(sql, [], |row| row.get(0)).map_err(DbError::from)?;
    if computed > 0 {
        return Err(not_one("it has a virtual table"));
    }
    let names = table_names(connection)?;
    if names.len() > TABLES {
        return Err(not_one(&format!("it has more than {TABLES} tables")));
    }
    for name in names.iter().filter(|name| KNOWN.iter().any(|(known, _)| known == name)) {
        if !is_ordinary(connection, name)? {
            return Err(not_one(&format!("its table `{name}` is computed")));
        }
        let most = ROWS.iter().find(|(table, _)| table == name).map_or(COUNTED, |(_, most)| *most);
        if count(connection, name, most + 1)? > most {
            return Err(not_one(&format!("its table `{name}` has more than {most} rows")));
        }
    }
    Ok(())
}

/// Returns `true` if a table has stored rows with ids, and all its columns are stored in them.
fn is_ordinary(connection: &Connection, table: &str) -> Result<bool, DbError> {
    let kind = "select type = 'table' and not wr from pragma_table_list(?1) where schema = 'main'";
    let is_table: bool = connection.query_row(kind, [table], |row| row.get(0))?;
    let computed = "select count(*) from pragma_table_xinfo(?1) where hidden <> 0";
    let computed: i64 = connection.query_row(computed, [table], |row| row.get(0))?;
    Ok(is_table && computed == 0)
}

/// Counts the rows of a table, up to `most`.
fn count(connection: &Connection, table: &str, most: u64) -> Result<u64, DbError> {
    let table = quoted(table);
    // A subquery makes SQLite count row by row, which can be interrupted: a plain count is a single step.
    let sql = format!("select count(*) from (select 1 from {table} not indexed limit {most})");
    Ok(connection.query_row(&sql, [], |row| row.get::<_, i64>(0))?.unsigned_abs())
}

#[cfg(test)]
mod tests;
