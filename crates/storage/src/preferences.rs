//! Settings of one wiki: names and values, as text.

use std::collections::BTreeMap;

use rusqlite::{Connection, Transaction, params};

use crate::db::DbError;
use crate::error::Error;

/// The longest value, in bytes.
const MAX_VALUE: usize = 64 * 1024;
/// The longest name, in bytes.
const MAX_NAME: usize = 256;

/// Names and values.
pub type Preferences = BTreeMap<String, String>;

/// Changes to some preferences: a new value, or `None` to remove it.
pub type PreferenceChanges = BTreeMap<String, Option<String>>;

/// All preferences. A row without a value counts as absent.
pub(crate) fn all(connection: &Connection) -> Result<Preferences, DbError> {
    let mut select =
        connection.prepare_cached("select name, value from preferences where value is not null")?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Makes the changes; other rows stay.
pub(crate) fn change(
    transaction: &Transaction<'_>,
    changes: &PreferenceChanges,
) -> Result<(), DbError> {
    for (name, value) in changes {
        match value {
            Some(value) => set(transaction, name, value)?,
            None => {
                transaction
                    .prepare_cached("delete from preferences where name = ?1")?
                    .execute([name])?;
            }
        }
    }
    Ok(())
}

/// Sets one preference.
pub(crate) fn set(connection: &Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    let sql = "insert into preferences (name, value) values (?1, ?2)
               on conflict (name) do update set value = excluded.value";
    connection.prepare_cached(sql)?.execute(params![name, value]).map(drop)
}

/// Refuses names and values that don't belong into a settings table.
pub(crate) fn check(changes: &PreferenceChanges) -> Result<(), Error> {
    changes.iter().try_for_each(|(name, value)| check_one(name, value.as_deref()))
}

/// Refuses preferences that a wiki couldn't be given later either, before it is born with them.
///
/// # Errors
/// A name or value can't be stored.
pub fn check_preferences(preferences: &Preferences) -> Result<(), Error> {
    preferences.iter().try_for_each(|(name, value)| check_one(name, Some(value)))
}

fn check_one(name: &str, value: Option<&str>) -> Result<(), Error> {
    let invalid = |why| Error::InvalidPreference { name: name.chars().take(64).collect(), why };
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(invalid("must have a name of 1 to 256 bytes"));
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')) {
        return Err(invalid("may have only letters, digits, `_`, `-` and `.` in its name"));
    }
    if value.is_some_and(|value| value.len() > MAX_VALUE) {
        return Err(invalid("has a value of more than 64 KiB"));
    }
    Ok(())
}
