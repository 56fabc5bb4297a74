//! What the index says about the present state of one file.

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

/// The most links of a page that are kept: as many as are resolved when it is shown.
pub(super) const MAX_LINKS: usize = 10_000;
/// How much of a page is searched, and looked at for links, in bytes: a longer one isn't rendered.
pub(super) const MAX_BODY: usize = 1 << 20;

/// Texts that several pages have are searched for as many of them as make this many bytes, in the order of
/// their paths, and at most for so many pages. A repository of a thousand bytes may name one text a hundred
/// thousand times.
const SAME_TEXT: u64 = 256 << 10;
const SAME_PAGES: u64 = 4096;

/// How many pages with the same text of so many bytes are searched for it and have their links kept.
pub(super) fn searched_names(bytes: u64) -> u64 {
    (SAME_TEXT / bytes.max(1)).clamp(1, SAME_PAGES)
}

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
        /// `None`: enough other pages with this text are searched for it.
        searched: Option<Searched>,
    },
    Attachment {
        etag: Etag,
        size: u64,
    },
}

/// What is searched of a page.
struct Searched {
    /// The words of its text, as far as it is searched.
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

/// Who left a file in its present state, and when.
pub(super) struct Signature<'a> {
    pub(super) revision: Revision,
    pub(super) author: &'a Author,
    /// Seconds since 1970, UTC.
    pub(super) time: i64,
}

impl FileState {
    /// Looks at a file; a link or a submodule is none. `None` for a name that isn't UTF-8: nobody can
    /// ask for it. A page is searched if `is_searched`.
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

    /// About how much memory it takes, in bytes.
    pub(super) fn size(&self) -> usize {
        match &self.now {
            Now::Page { searched: Some(Searched { words, links }), .. } => {
                words.len() + 150 * links.len()
            }
            _ => self.path.len(),
        }
    }

    /// Writes it down.
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
    /// Writes down anew what is searched of a page that didn't change.
    pub(super) fn apply_again(&self, transaction: &Transaction<'_>) -> Result<(), DbError> {
        let Some(page) = ExistingPath::of_file(&self.path) else { return Ok(()) };
        let Some(row) = pages::get(transaction, page.as_str())? else { return Ok(()) };
        let time = row.modified.unix_timestamp();
        self.apply(transaction, &Signature { revision: row.revision, author: &row.author, time })
    }
}

/// The part of a page that is searched. A character that is cut in two is left out.
pub(super) fn beginning(content: &[u8]) -> String {
    match content.get(..MAX_BODY) {
        None => String::from_utf8_lossy(content).into_owned(),
        Some(part) => String::from_utf8_lossy(part).trim_end_matches('\u{fffd}').to_owned(),
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
