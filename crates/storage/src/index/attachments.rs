//! The rows of attachments.

use rusqlite::{Connection, Row, Transaction, params};

use super::key::{BaseName, Key};
use crate::attachments::AttachmentSummary;
use crate::author::Author;
use crate::db::DbError;
use crate::page::from_seconds;
use crate::revision::{Etag, Revision};

/// The row of an attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AttachmentRow {
    /// The path of the file.
    pub(crate) path: String,
    pub(crate) etag: Etag,
    pub(crate) size: u64,
    pub(crate) revision: Revision,
    pub(crate) author: Author,
    pub(crate) modified: time::OffsetDateTime,
}

/// Splits a path into directory and name. At the root the directory is empty.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Adds or replaces an attachment.
pub(super) fn put(
    transaction: &Transaction<'_>,
    attachment: &AttachmentRow,
) -> Result<(), DbError> {
    let (page, name) = split(&attachment.path);
    transaction
        .prepare_cached(
            "insert into attachment (page, name, key, etag, size, revision, author_name, author_email, modified,
                                     base)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             on conflict (page, name) do update set base = excluded.base, etag = excluded.etag, size = excluded.size,
             revision = excluded.revision, author_name = excluded.author_name,
             author_email = excluded.author_email, modified = excluded.modified",
        )?
        .execute(params![
            page,
            name,
            Key::of(&attachment.path).number,
            attachment.etag.as_bytes(),
            attachment.size as i64,
            attachment.revision.as_bytes(),
            attachment.author.name(),
            attachment.author.email(),
            attachment.modified.unix_timestamp(),
            BaseName::of(name).number(),
        ])?;
    Ok(())
}

/// Removes an attachment.
pub(super) fn remove(transaction: &Transaction<'_>, path: &str) -> Result<(), DbError> {
    let (page, name) = split(path);
    transaction
        .prepare_cached("delete from attachment where page = ?1 and name = ?2")?
        .execute([page, name])?;
    Ok(())
}

/// Up to `limit` attachments of a page whose names come after `after`, in byte order.
pub(crate) fn list(
    connection: &Connection,
    page: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<AttachmentSummary>, DbError> {
    let mut select = connection.prepare_cached(
        "select page, name, etag, size, revision, author_name, author_email, modified from attachment
         where page = ?1 and name > ?2 order by name limit ?3",
    )?;
    let rows = select.query_map(params![page, after.unwrap_or(""), limit as i64], row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn row(row: &Row<'_>) -> rusqlite::Result<AttachmentSummary> {
    let (page, name): (String, String) = (row.get(0)?, row.get(1)?);
    Ok(AttachmentSummary {
        path: if page.is_empty() { name.clone() } else { format!("{page}/{name}") },
        page,
        name,
        etag: Etag::from_bytes(row.get(2)?),
        size: row.get::<_, i64>(3)?.unsigned_abs(),
        revision: Revision::from_bytes(row.get(4)?),
        author: Author::recorded(row.get(5)?, row.get(6)?),
        modified: from_seconds(row.get(7)?),
    })
}
