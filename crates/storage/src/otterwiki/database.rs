//! OtterWiki's own database file, read and written as a whole.

use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row, params};

use super::tables::{Draft, TableRow, Tables, Unread, User};
use crate::db::DbError;
use crate::error::Error;
use crate::files::{At as _, write_new};

/// The tables and columns that are known. The cache can be made again and is passed over.
const KNOWN: [(&str, &str); 4] = [
    ("preferences", "name value"),
    ("drafts", "id pagepath revision author_email content cursor_line cursor_ch datetime base"),
    (
        "user",
        "id name email password_hash first_seen last_seen is_approved is_admin email_confirmed
         allow_read allow_write allow_upload",
    ),
    ("cache", "key value datetime"),
];

/// The tables of which every row is taken.
pub(crate) const SOURCES: [&str; 3] = ["preferences", "drafts", "user"];

/// The tables as OtterWiki 2.26.1 makes them.
const SCHEMA: &str = "
create table preferences (name varchar(256) not null, value text, primary key (name));
create table drafts (
    id integer not null, pagepath varchar(2048), revision varchar(64), author_email varchar(256),
    content text, cursor_line integer, cursor_ch integer, datetime datetime, primary key (id)
);
create index ix_drafts_pagepath on drafts (pagepath);
create table user (
    id integer not null, name varchar(128), email varchar(128), password_hash varchar(512),
    first_seen datetime, last_seen datetime, is_approved boolean, is_admin boolean,
    email_confirmed boolean, allow_read boolean, allow_write boolean, allow_upload boolean,
    primary key (id)
);
create unique index ix_user_email on user (email);
create table cache (\"key\" varchar(64) not null, value text, datetime datetime, primary key (\"key\"));
create index ix_cache_key on cache (\"key\");
";

impl Tables {
    /// Reads a database of OtterWiki, or one with the same tables. The file is left as it is, even
    /// its log: a copy is read.
    ///
    /// # Errors
    /// The file can't be read, isn't a database, or has no table of preferences.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let scratch = tempfile::tempdir().at("create a directory in", &std::env::temp_dir())?;
        let copy = scratch.path().join("copy.db");
        std::fs::copy(path, &copy).at("copy", path)?;
        for suffix in ["-wal", "-journal"] {
            let log = beside(path, suffix);
            if log.is_file() {
                std::fs::copy(&log, beside(&copy, suffix)).at("copy", &log)?;
            }
        }
        let connection = Connection::open_with_flags(&copy, OpenFlags::SQLITE_OPEN_READ_WRITE)
            .map_err(DbError::from)?;
        // What the file defines beyond tables is a stranger's.
        connection.execute_batch("pragma trusted_schema = off").map_err(DbError::from)?;
        read_tables(&connection)?.ok_or_else(|| Error::Damaged {
            detail: format!("`{}` has no table of preferences", path.display()),
        })
    }

    /// Writes the rows into a new database as OtterWiki would have it.
    ///
    /// # Errors
    /// The file exists, or can't be written; two users have one address.
    pub fn write_new(&self, path: &Path) -> Result<(), Error> {
        write_new(path, b"")?;
        let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
            .map_err(DbError::from)?;
        let written = (|| -> rusqlite::Result<()> {
            let transaction = connection.transaction()?;
            transaction.execute_batch(SCHEMA)?;
            insert_preferences(&transaction, &self.preferences)?;
            insert_users(&transaction, &self.users)?;
            for draft in &self.drafts {
                insert_draft(&transaction, draft, false)?;
            }
            transaction.commit()
        })();
        Ok(written.map_err(DbError::from)?)
    }
}

fn beside(path: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Reads the known tables, those of them that are there, and says what else there is. `None`: there
/// is no table of preferences.
pub(super) fn read_tables(connection: &Connection) -> Result<Option<Tables>, DbError> {
    let mut tables = Tables::default();
    let names = table_names(connection)?;
    if !names.iter().any(|name| name == "preferences") {
        return Ok(None);
    }
    for name in names {
        match KNOWN.iter().find(|(known, _)| *known == name) {
            Some((_, columns)) => note_unknown_columns(connection, &name, columns, &mut tables)?,
            None => {
                let sql = format!("select count(*) from {}", quoted(&name));
                let rows = connection.query_row(&sql, [], |row| row.get::<_, i64>(0))?;
                tables.unread.push(Unread::Table { name: name.clone(), rows: rows.unsigned_abs() });
            }
        }
        if SOURCES.contains(&name.as_str()) {
            let unread = each_row(connection, &name, |row| {
                tables.add(row);
                Ok::<_, DbError>(())
            })?;
            tables.unread.extend(unread);
        }
    }
    Ok(Some(tables))
}

fn table_names(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "select name from sqlite_schema where type = 'table' and name not like 'sqlite\\_%' escape '\\' order by name";
    connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

fn note_unknown_columns(
    connection: &Connection,
    table: &str,
    known: &str,
    tables: &mut Tables,
) -> rusqlite::Result<()> {
    let statement = connection.prepare(&format!("select * from {}", quoted(table)))?;
    let names: Vec<String> =
        statement.column_names().iter().map(|name| (*name).to_owned()).collect();
    for name in
        names.into_iter().filter(|name| !known.split_whitespace().any(|known| known == name))
    {
        let sql = format!("select 1 from {} where {} is not null", quoted(table), quoted(&name));
        if connection.prepare(&sql)?.exists([])? {
            tables.unread.push(Unread::Column { table: table.to_owned(), name });
        }
    }
    Ok(())
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Hands each row of a table over, in the order in which they were written; returns those that can't
/// be taken, which keep no other out.
pub(crate) fn each_row<E: From<DbError>>(
    connection: &Connection,
    table: &str,
    mut take: impl FnMut(TableRow) -> Result<(), E>,
) -> Result<Vec<Unread>, E> {
    let sql = format!("select * from {} order by rowid", quoted(table));
    let mut statement = connection.prepare(&sql).map_err(DbError::from)?;
    let mut rows = statement.query([]).map_err(DbError::from)?;
    let mut unread = Vec::new();
    let mut number = 0;
    while let Some(row) = rows.next().map_err(DbError::from)? {
        number += 1;
        match table_row(table, row) {
            Some(row) => take(row)?,
            None => unread.push(Unread::Row { table: table.to_owned(), number }),
        }
    }
    Ok(unread)
}

fn table_row(table: &str, row: &Row<'_>) -> Option<TableRow> {
    Some(match table {
        "preferences" => TableRow::Preference(text(row, "name").flatten()?, text(row, "value")?),
        "drafts" => TableRow::Draft(draft(row)?),
        "user" => TableRow::User(user(row)?),
        _ => return None,
    })
}

fn draft(row: &Row<'_>) -> Option<Draft> {
    Some(Draft {
        page: text(row, "pagepath").flatten()?,
        revision: text(row, "revision")?,
        author: text(row, "author_email")?,
        content: text(row, "content")?,
        cursor_line: number(row, "cursor_line"),
        cursor_ch: number(row, "cursor_ch"),
        datetime: text(row, "datetime")?,
        base: text(row, "base").flatten().and_then(|base| base.parse().ok()),
    })
}

fn user(row: &Row<'_>) -> Option<User> {
    let flag = |name| number(row, name).is_some_and(|flag| flag != 0);
    Some(User {
        name: text(row, "name")?,
        email: text(row, "email")?,
        seen: [text(row, "first_seen")?, text(row, "last_seen")?],
        is_approved: flag("is_approved"),
        is_admin: flag("is_admin"),
        email_confirmed: flag("email_confirmed"),
        allow_read: flag("allow_read"),
        allow_write: flag("allow_write"),
        allow_upload: flag("allow_upload"),
    })
}

/// A column as text: `Some(None)` when it is null or the table has no such column, `None` when it
/// holds what isn't text.
fn text(row: &Row<'_>, column: &str) -> Option<Option<String>> {
    match row.get_ref(column).unwrap_or(ValueRef::Null) {
        ValueRef::Null => Some(None),
        ValueRef::Text(bytes) => Some(Some(String::from_utf8(bytes.to_vec()).ok()?)),
        ValueRef::Integer(number) => Some(Some(number.to_string())),
        ValueRef::Real(number) => Some(Some(number.to_string())),
        ValueRef::Blob(_) => None,
    }
}

fn number(row: &Row<'_>, column: &str) -> Option<i64> {
    row.get(column).unwrap_or_default()
}

pub(super) fn insert_preferences(
    connection: &Connection,
    preferences: &[(String, Option<String>)],
) -> rusqlite::Result<()> {
    let sql = "insert into preferences (name, value) values (?1, ?2)
               on conflict (name) do update set value = excluded.value";
    let mut insert = connection.prepare_cached(sql)?;
    preferences.iter().try_for_each(|(name, value)| insert.execute(params![name, value]).map(drop))
}

/// Accounts without their passwords.
pub(super) fn insert_users(connection: &Connection, users: &[User]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "insert into user (name, email, first_seen, last_seen, is_approved, is_admin,
             email_confirmed, allow_read, allow_write, allow_upload)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    for user in users {
        insert.execute(params![
            user.name,
            user.email,
            user.seen[0],
            user.seen[1],
            user.is_approved,
            user.is_admin,
            user.email_confirmed,
            user.allow_read,
            user.allow_write,
            user.allow_upload,
        ])?;
    }
    Ok(())
}

/// Adds a draft, to our own table with what it is based on.
pub(super) fn insert_draft(
    connection: &Connection,
    draft: &Draft,
    ours: bool,
) -> rusqlite::Result<()> {
    let columns = "pagepath, revision, author_email, content, cursor_line, cursor_ch, datetime";
    let sql = if ours {
        format!("insert into drafts ({columns}, base) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")
    } else {
        format!("insert into drafts ({columns}) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
    };
    let base = draft.base.map(|base| base.to_string());
    let mut values: Vec<&dyn rusqlite::ToSql> = vec![
        &draft.page,
        &draft.revision,
        &draft.author,
        &draft.content,
        &draft.cursor_line,
        &draft.cursor_ch,
        &draft.datetime,
    ];
    if ours {
        values.push(&base);
    }
    connection.prepare_cached(&sql)?.execute(&values[..]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Tables {
        Tables {
            preferences: vec![("SITE_NAME".into(), Some("A".into())), ("SERVER_NAME".into(), None)],
            drafts: vec![Draft { page: "New Idea".into(), ..Draft::default() }],
            users: vec![User {
                email: Some("a@example.org".into()),
                is_admin: true,
                ..User::default()
            }],
            unread: Vec::new(),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db.sqlite");
        some().write_new(&path).unwrap();
        assert_eq!(Tables::read(&path).unwrap(), some());
        some().write_new(&path).unwrap_err();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_not_known_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db.sqlite");
        some().write_new(&path).unwrap();
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(
                "create table plugin (a); insert into plugin values (1), (2);
                 alter table drafts add column colour; update drafts set colour = 'red';
                 alter table user add column empty;
                 insert into preferences values ('ODD', x'00ff');",
            )
            .unwrap();
        drop(connection);
        let tables = Tables::read(&path).unwrap();
        assert_eq!(tables.preferences, some().preferences);
        assert_eq!(
            tables.unread,
            [
                Unread::Column { table: "drafts".into(), name: "colour".into() },
                Unread::Table { name: "plugin".into(), rows: 2 },
                Unread::Row { table: "preferences".into(), number: 3 },
            ]
        );
    }

    #[test]
    fn a_file_that_is_no_such_database_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db.sqlite");
        std::fs::write(&path, "not a database").unwrap();
        Tables::read(&path).unwrap_err();
        std::fs::remove_file(&path).unwrap();
        Connection::open(&path).unwrap().execute_batch("create table a (b)").unwrap();
        let error = Tables::read(&path).unwrap_err().to_string();
        assert!(error.contains("no table of preferences"), "{error}");
    }
}
