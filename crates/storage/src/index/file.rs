//! What the index says about the present state of one file.

use rusqlite::Transaction;

use super::attachments::{self, AttachmentRow};
use super::{links, pages, search};
use crate::author::Author;
use crate::db::DbError;
use crate::links::{Link, LinkStyle, links as links_of};
use crate::page::{PageSummary, from_seconds, title};
use crate::page_path::ExistingPath;
use crate::repo::{Entry, RepoError};
use crate::revision::{Etag, Revision};

/// The most links of a page that are kept: as many as are resolved when it is shown.
const MAX_LINKS: usize = 10_000;
/// How much of a page is searched, in bytes.
const MAX_BODY: usize = 1 << 20;

/// A file as a commit leaves it, worked out before the transaction that writes it down.
pub(super) struct FileState {
    /// The path of the file, not of the page.
    path: String,
    now: Now,
}

enum Now {
    Gone,
    Page {
        path: ExistingPath,
        etag: Etag,
        title: String,
        size: u64,
        text: String,
        links: Vec<Link>,
    },
    Attachment {
        etag: Etag,
        size: u64,
    },
}

/// Who left a file in its present state, and when.
pub(super) struct Signature<'a> {
    pub(super) revision: Revision,
    pub(super) author: &'a Author,
    /// Seconds since 1970, UTC.
    pub(super) time: i64,
}

impl FileState {
    /// Looks at a file; a link or a submodule is none. `None` for a name that isn't UTF-8: nobody can
    /// ask for it.
    pub(super) fn of(
        path: &[u8],
        entry: Option<Entry>,
        style: LinkStyle,
        content: impl FnOnce(Etag) -> Result<Vec<u8>, RepoError>,
        size: impl FnOnce(Etag) -> Result<u64, RepoError>,
    ) -> Result<Option<Self>, RepoError> {
        let Ok(path) = std::str::from_utf8(path) else { return Ok(None) };
        let now = match (entry.filter(|entry| entry.is_file()), ExistingPath::of_file(path)) {
            (None, _) => Now::Gone,
            (Some(entry), Some(page)) => {
                let content = content(entry.id)?;
                let text = String::from_utf8_lossy(&content).into_owned();
                Now::Page {
                    links: links_of(&page, &text, style).into_iter().take(MAX_LINKS).collect(),
                    title: title(&page, &content),
                    etag: entry.id,
                    size: content.len() as u64,
                    text,
                    path: page,
                }
            }
            (Some(entry), None) => Now::Attachment { etag: entry.id, size: size(entry.id)? },
        };
        Ok(Some(Self { path: path.to_owned(), now }))
    }

    /// Writes it down.
    pub(super) fn apply(
        &self,
        transaction: &Transaction<'_>,
        by: &Signature<'_>,
    ) -> Result<(), DbError> {
        match &self.now {
            Now::Gone => remove(transaction, &self.path),
            Now::Page { path, etag, title, size, text, links } => {
                let page = PageSummary {
                    path: path.as_str().to_owned(),
                    title: title.clone(),
                    etag: *etag,
                    revision: by.revision,
                    size: *size,
                    author: by.author.clone(),
                    modified: from_seconds(by.time),
                };
                let id = pages::put(transaction, &page)?;
                let body = &text[..text.floor_char_boundary(MAX_BODY)];
                search::put(transaction, id, path.as_str(), title, body)?;
                links::put(transaction, id, links)
            }
            Now::Attachment { etag, size } => {
                let attachment = AttachmentRow {
                    path: self.path.clone(),
                    etag: *etag,
                    size: *size,
                    revision: by.revision,
                    author: by.author.clone(),
                    modified: from_seconds(by.time),
                };
                attachments::put(transaction, &attachment)
            }
        }
    }
}

/// Forgets a file.
pub(super) fn remove(transaction: &Transaction<'_>, file: &str) -> Result<(), DbError> {
    let Some(page) = ExistingPath::of_file(file) else {
        return attachments::remove(transaction, file);
    };
    let Some(id) = pages::remove(transaction, page.as_str())? else { return Ok(()) };
    search::remove(transaction, id)?;
    links::remove(transaction, id)
}
