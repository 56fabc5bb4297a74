//! Reads and writes OtterWiki's own database file as a whole.

use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row, params};

use super::tables::{Draft, TableRow, Tables, Unread, User};
use crate::db::DbError;
use crate::error::Error;
use crate::files::write_new;

/// The known tables and their columns. The cache can be rebuilt, so its rows aren't read.
pub(super) const KNOWN: [(&str, &str); 4] = [
    ("preferences", "name value"),
    ("drafts", "id pagepath revision author_email content cursor_line cursor_ch datetime base"),
    (
        "user",
        "id name email password_hash first_seen last_seen is_approved is_admin email_confirmed
         allow_read allow_write allow_upload",
    ),
    ("cache", "key value datetime"),
];

/// The tables whose rows are all read.
pub(crate) const SOURCES: [&str; 3] = ["preferences", "drafts", "user"];

/// The tables as OtterWiki 2.26.1 creates them.
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
    /// Writes the rows into a new database with OtterWiki's schema.
    ///
    /// # Errors
    /// The file exists, or can't be written; two users have the same address.
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

/// Reads the known tables that exist, and lists everything else. `None`: there is no table of preferences. `counted`
/// returns the number of rows in an unknown table; `admit` may refuse a row.
pub(super) fn read_tables<E: From<DbError>>(
    connection: &Connection,
    counted: impl Fn(&str) -> Result<u64, E>,
    mut admit: impl FnMut(&TableRow) -> Result<(), E>,
) -> Result<Option<Tables>, E> {
    let mut tables = Tables::default();
    let names = table_names(connection)?;
    if !names.iter().any(|name| name == "preferences") {
        return Ok(None);
    }
    for name in names {
        match KNOWN.iter().find(|(known, _)| *known == name) {
            Some((_, columns)) => note_unknown_columns(connection, &name, columns, &mut tables)
                .map_err(DbError::from)?,
            None => {
                let rows = counted(&name)?;
                tables.unread.push(Unread::Table { name: name.clone(), rows });
            }
        }
        if SOURCES.contains(&name.as_str()) {
            let unread = each_row(connection, &name, |row| {
                admit(&row)?;
                tables.add(row);
                Ok::<_, E>(())
            })?;
            tables.unread.extend(unread);
        }
    }
    Ok(Some(tables))
}

/// Counts the rows of one of the wiki's own tables.
pub(super) fn count_all(connection: &Connection, table: &str) -> Result<u64, DbError> {
    let sql = format!("select count(*) from {}", quoted(table));
    Ok(connection.query_row(&sql, [], |row| row.get::<_, i64>(0))?.unsigned_abs())
}

/// Returns the names of all tables.
pub(super) fn table_names(connection: &Connection) -> Result<Vec<String>, DbError> {
    let sql = "select name from sqlite_schema where type = 'table' and name not like 'sqlite\\_%' escape '\\' order by name";
    Ok(connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
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

/// Quotes a name for SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Passes each row of a table to `take`, in the order of insertion. Returns the unreadable rows, which are skipped.
pub(crate) fn each_row<E: From<DbError>>(
    connection: &Connection,
    table: &str,
    mut take: impl FnMut(TableRow) -> Result<(), E>,
) -> Result<Vec<Unread>, E> {
    // `not indexed` gives the order of row ids. `order by rowid` could mean a column of this name, and without either
    // SQLite may read an index instead.
    let sql = format!("select * from {} not indexed", quoted(table));
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

/// Returns a column as text: `Some(None)` if it is null or missing, `None` if it isn't text.
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

/// Inserts accounts, without their passwords.
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

/// Inserts a draft; into the wiki's own table with the version it is based on.
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
