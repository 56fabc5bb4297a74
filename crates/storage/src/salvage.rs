//! What can still be read of a corrupt wiki.db.

use std::fmt;
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Transaction, params_from_iter};

use crate::db::DbError;

/// The tables git can't give back, redo rows first: they hold acknowledged saves.
const TABLES: [(&str, &str); 4] = [
    ("redo", "seq, ref, old, new, commit_data, path, mode, blob_id, content"),
    ("preferences", "name, value"),
    ("drafts", "id, pagepath, revision, author_email, content, cursor_line, cursor_ch, datetime"),
    (
        "user",
        "id, name, email, password_hash, first_seen, last_seen, is_approved, is_admin, email_confirmed,
         allow_read, allow_write, allow_upload",
    ),
];

/// Rows read from a damaged file, table by table.
pub(crate) struct Salvage {
    tables: Vec<Table>,
}

struct Table {
    name: &'static str,
    columns: &'static str,
    rows: Vec<Vec<Value>>,
    /// Whether the whole table could be read.
    complete: bool,
}

impl Salvage {
    /// Reads what can be read.
    pub(crate) fn read(path: &Path) -> Self {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE);
        let tables = TABLES.iter().map(|(name, columns)| {
            let mut table = Table { name, columns, rows: Vec::new(), complete: false };
            if let Ok(connection) = &connection {
                table.complete = read_rows(connection, &mut table).is_ok();
            }
            table
        });
        Self { tables: tables.collect() }
    }

    /// Puts the rows into a new file.
    pub(crate) fn write(&self, transaction: &Transaction<'_>) -> Result<(), DbError> {
        for table in &self.tables {
            let places = vec!["?"; table.columns.split(',').count()].join(", ");
            let sql = format!(
                "insert or ignore into {} ({}) values ({places})",
                table.name, table.columns
            );
            let mut insert = transaction.prepare(&sql)?;
            for row in &table.rows {
                // A row that was damaged itself must not keep the others out.
                if let Err(error) = insert.execute(params_from_iter(row)) {
                    tracing::error!(table = table.name, %error, "a salvaged row can't be kept");
                }
            }
        }
        Ok(())
    }
}

fn read_rows(connection: &Connection, table: &mut Table) -> rusqlite::Result<()> {
    let mut select =
        connection.prepare(&format!("select {} from {}", table.columns, table.name))?;
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
