//! The table `preferences`: names and texts, uninterpreted.

use std::collections::BTreeMap;

use rusqlite::{Connection, Transaction, params};

use super::{InvalidPreference, InvalidPreferences};
use crate::db::DbError;

/// Maximum length of a text, in bytes.
pub(super) const MAX_VALUE: usize = 64 * 1024;
/// Maximum length of a name, in bytes.
const MAX_NAME: usize = 256;

/// Rows: upper-case names such as `HOME_PAGE`, and their texts.
pub type RawPreferences = BTreeMap<String, String>;

/// Returns all rows that have a text.
pub(crate) fn all(connection: &Connection) -> Result<RawPreferences, DbError> {
    let mut select =
        connection.prepare_cached("select name, value from preferences where value is not null")?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Sets the rows that have a text and removes those that have none; others stay.
pub(super) fn change(
    transaction: &Transaction<'_>,
    rows: &BTreeMap<String, Option<String>>,
) -> Result<(), DbError> {
    for (name, text) in rows {
        match text {
            Some(text) => set(transaction, name, text)?,
            None => {
                transaction
                    .prepare_cached("delete from preferences where name = ?1")?
                    .execute([name])?;
            }
        }
    }
    Ok(())
}

/// Sets one row.
pub(crate) fn set(connection: &Connection, name: &str, text: &str) -> rusqlite::Result<()> {
    let sql = "insert into preferences (name, value) values (?1, ?2)
               on conflict (name) do update set value = excluded.value";
    connection.prepare_cached(sql)?.execute(params![name, text]).map(drop)
}

/// Checks the initial preferences of a new wiki by the rules for later changes.
///
/// # Errors
/// A name or text can't be stored.
pub fn check_preferences(rows: &RawPreferences) -> Result<(), InvalidPreferences> {
    let wrong: Vec<_> = rows
        .iter()
        .filter_map(|(name, text)| check(name, text).map(|why| (name, why)))
        .map(|(name, why)| InvalidPreference::new(name, "invalid_value", why))
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(InvalidPreferences(wrong)) }
}

/// Returns the problem with a row; `None` if it is valid.
fn check(name: &str, text: &str) -> Option<&'static str> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Some("must have a name of 1 to 256 bytes");
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')) {
        return Some("may have only letters, digits, `_`, `-` and `.` in its name");
    }
    (text.len() > MAX_VALUE).then_some("has a value of more than 64 KiB")
}
