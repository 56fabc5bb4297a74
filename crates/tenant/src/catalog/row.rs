//! Conversion of columns to values.

use std::error::Error;
use std::str::FromStr;

use rusqlite::Row;
use rusqlite::types::Type;
use time::OffsetDateTime;

/// A value stored as text.
pub(super) fn parsed<T>(row: &Row<'_>, column: &str) -> rusqlite::Result<T>
where
    T: FromStr<Err: Error + Send + Sync + 'static>,
{
    let text: String = row.get(column)?;
    text.parse().map_err(|error| unreadable(row, column, error))
}

/// A value stored as text, or null.
pub(super) fn optional_parsed<T>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>>
where
    T: FromStr<Err: Error + Send + Sync + 'static>,
{
    let text: Option<String> = row.get(column)?;
    text.map(|text| text.parse().map_err(|error| unreadable(row, column, error))).transpose()
}

/// A time stored as seconds since 1970.
pub(super) fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<OffsetDateTime> {
    optional_time(row, column)?.ok_or_else(|| unreadable(row, column, "there is no time"))
}

/// A time stored as seconds since 1970, or null.
pub(super) fn optional_time(
    row: &Row<'_>,
    column: &str,
) -> rusqlite::Result<Option<OffsetDateTime>> {
    let seconds: Option<i64> = row.get(column)?;
    let time = seconds.map(OffsetDateTime::from_unix_timestamp).transpose();
    time.map_err(|error| unreadable(row, column, error))
}

/// The error for a column with a value that this program never writes.
pub(super) fn unreadable(
    row: &Row<'_>,
    column: &str,
    error: impl Into<Box<dyn Error + Send + Sync>>,
) -> rusqlite::Error {
    let index = row.as_ref().column_index(column).unwrap_or_default();
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, error.into())
}
