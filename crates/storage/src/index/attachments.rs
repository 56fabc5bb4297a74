//! The rows of files that are no pages.

use rusqlite::{Transaction, params};

use crate::author::Author;
use crate::db::DbError;
use crate::page_path::fold;
use crate::revision::{Etag, Revision};

/// What the index knows of an attachment.
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

/// The directory and the name. At the root the directory is empty.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Adds or replaces an attachment; returns whether it is new.
pub(super) fn put(
    transaction: &Transaction<'_>,
    attachment: &AttachmentRow,
) -> Result<bool, DbError> {
    let is_new = !remove(transaction, &attachment.path)?;
    let (page, name) = split(&attachment.path);
    transaction
        .prepare_cached(
            "insert into attachment (page, name, key, etag, size, revision, author_name, author_email, modified)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            page,
            name,
            fold(&attachment.path),
            attachment.etag.as_bytes(),
            attachment.size as i64,
            attachment.revision.as_bytes(),
            attachment.author.name(),
            attachment.author.email(),
            attachment.modified.unix_timestamp(),
        ])?;
    Ok(is_new)
}

/// Removes an attachment; returns whether there was one.
pub(super) fn remove(transaction: &Transaction<'_>, path: &str) -> Result<bool, DbError> {
    let (page, name) = split(path);
    let removed = transaction
        .prepare_cached("delete from attachment where page = ?1 and name = ?2")?
        .execute([page, name])?;
    Ok(removed > 0)
}
