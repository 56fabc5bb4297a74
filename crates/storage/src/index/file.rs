//! The index rows of the present state of one file.

use rusqlite::Transaction;

use super::attachments::{self, AttachmentRow};
use super::links::{self, LinkRows};
use super::{pages, search};
use crate::author::Author;
use crate::db::DbError;
use crate::links::{LinkStyle, MarkdownSource, distinct_links};
use crate::page::{PageSummary, from_seconds, title};
use crate::page_path::ExistingPath;
use crate::repo::{Entry, RepoError};
use crate::revision::{Etag, Revision};

/// Maximum number of stored links of a page; as many are resolved when the page is shown.
pub(super) const MAX_LINKS: usize = 10_000;
/// Maximum number of bytes of a page that are indexed for search and links: a longer page isn't rendered.
pub(super) const MAX_BODY: usize = 1 << 20;

/// Limits for pages with the same text: the first ones by path are indexed, up to this total number of bytes
/// and this number of pages. A repository of a thousand bytes may name one text a hundred thousand times.
const SAME_TEXT: u64 = 256 << 10;
const SAME_PAGES: u64 = 4096;

/// Maximum number of pages with the same text of `bytes` bytes whose text and links are indexed.
pub(super) fn searched_names(bytes: u64) -> u64 {
    (SAME_TEXT / bytes.max(1)).clamp(1, SAME_PAGES)
}

/// A file's state in a commit, computed before the transaction that stores it.
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
        /// `None` if enough other pages with this text are indexed.
        searched: Option<Searched>,
    },
    Attachment {
        etag: Etag,
        size: u64,
    },
}

/// The searchable parts of a page.
struct Searched {
    /// The words of its indexed text.
    words: String,
    links: Vec<LinkRows>,
}

impl Searched {
    fn of(page: &ExistingPath, content: &[u8], style: LinkStyle) -> Self {
        let text = beginning(content);
        let source = MarkdownSource::of(&text);
        let links =
            distinct_links(page, &source, style).take(MAX_LINKS).map(LinkRows::of).collect();
        Self { words: search::prepared(&text), links }
    }
}

/// The author and time of a file's last change.
pub(super) struct Signature<'a> {
    pub(super) revision: Revision,
    pub(super) author: &'a Author,
    /// Seconds since 1970, UTC.
    pub(super) time: i64,
}

impl FileState {
    /// Reads a file; a symbolic link or a submodule counts as deleted. `None` for a name that isn't UTF-8,
    /// which no client can request. A page's text is indexed if `is_searched`.
    pub(super) fn of(
        path: &[u8],
        entry: Option<Entry>,
        style: LinkStyle,
        is_searched: bool,
        content: impl FnOnce(Etag) -> Result<Vec<u8>, RepoError>,
        size: impl FnOnce(Etag) -> Result<u64, RepoError>,
    ) -> Result<Option<Self>, RepoError> {
        let Ok(path) = std::str::from_utf8(path) else { return Ok(None) };
        let now = match (entry.filter(|entry| entry.is_file()), ExistingPath::of_file(path)) {
            (None, _) => Now::Gone,
            (Some(entry), Some(page)) => {
                let content = content(entry.id)?;
                Now::Page {
                    searched: is_searched.then(|| Searched::of(&page, &content, style)),
                    title: title(&page, &content, style),
                    etag: entry.id,
                    size: content.len() as u64,
                    path: page,
                }
            }
            (Some(entry), None) => Now::Attachment { etag: entry.id, size: size(entry.id)? },
        };
        Ok(Some(Self { path: path.to_owned(), now }))
    }

    /// Approximate memory use in bytes.
    pub(super) fn size(&self) -> usize {
        match &self.now {
            Now::Page { searched: Some(Searched { words, links }), .. } => {
                words.len() + 150 * links.len()
            }
            _ => self.path.len(),
        }
    }

    /// Writes the rows of the file.
    pub(super) fn apply(
        &self,
        transaction: &Transaction<'_>,
        by: &Signature<'_>,
    ) -> Result<(), DbError> {
        match &self.now {
            Now::Gone => remove(transaction, &self.path),
            Now::Page { path, etag, title, size, searched } => {
                let page = PageSummary {
                    path: path.as_str().to_owned(),
                    title: title.clone(),
                    etag: *etag,
                    revision: by.revision,
                    size: *size,
                    author: by.author.clone(),
                    modified: from_seconds(by.time),
                };
                let id = pages::put(transaction, &page, searched.is_some())?;
                let (words, rows) = match searched {
                    Some(Searched { words, links }) => (words.as_str(), links.as_slice()),
                    None => ("", &[][..]),
                };
                search::put(transaction, id, path.as_str(), title, words)?;
                links::put(transaction, id, rows)
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

impl FileState {
    /// Rewrites the searchable rows of an unchanged page.
    pub(super) fn apply_again(&self, transaction: &Transaction<'_>) -> Result<(), DbError> {
        let Some(page) = ExistingPath::of_file(&self.path) else { return Ok(()) };
        let Some(row) = pages::get(transaction, page.as_str())? else { return Ok(()) };
        let time = row.modified.unix_timestamp();
        self.apply(transaction, &Signature { revision: row.revision, author: &row.author, time })
    }
}

/// The indexed beginning of a page. A character that is cut in two is left out.
pub(super) fn beginning(content: &[u8]) -> String {
    match content.get(..MAX_BODY) {
        None => String::from_utf8_lossy(content).into_owned(),
        Some(part) => String::from_utf8_lossy(part).trim_end_matches('\u{fffd}').to_owned(),
    }
}

/// Removes the rows of a file.
pub(super) fn remove(transaction: &Transaction<'_>, file: &str) -> Result<(), DbError> {
    let Some(page) = ExistingPath::of_file(file) else {
        return attachments::remove(transaction, file);
    };
    let Some(id) = pages::remove(transaction, page.as_str())? else { return Ok(()) };
    search::remove(transaction, id)?;
    links::remove(transaction, id)
}
