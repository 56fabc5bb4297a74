//! What can still be read of a corrupt wiki.db.

use std::fmt;
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Transaction, params_from_iter};

use crate::db::DbError;

/// The tables git can't give back, redo rows first: they hold acknowledged saves. The columns are
/// those of now and then, from the newest schema to the oldest.
const TABLES: [(&str, &[&str]); 7] = [
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;
    use crate::{Error, ExistingPath};

    /// A file as an earlier version left it, or the software that the format comes from.
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
            database.write(|transaction| Ok::<_, Error>(salvage.write(transaction)?)).unwrap();
            let draft = scratch.wiki().draft("ann", &ExistingPath::new("home").unwrap()).unwrap();
            assert_eq!(draft.content, "x");
            assert_eq!(draft.summary.base.map(|base| base.to_string()).as_deref(), base);
        }
    }
}
