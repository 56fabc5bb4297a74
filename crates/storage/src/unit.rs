//! The unit of work: the one way to change a wiki, be it the repository or wiki.db.
//!
//! A unit is filled in under the writer lock and published once, by [`Wiki::write`](crate::Wiki).
//! Whatever belongs together (the commit, its index rows, a draft that it replaces) is one
//! transaction, whose commit is the moment the change becomes durable.

use rusqlite::Transaction;

use crate::author::Author;
use crate::db::DbError;
use crate::error::Error;
use crate::index;
use crate::page::{PageSummary, from_seconds, title};
use crate::page_path::ExistingPath;
use crate::repo::{Edit, Entry, Repo, View, blob_id};
use crate::revision::{Etag, Revision};

/// Content up to this size passes through the redo row. Larger blobs are synced by themselves
/// first: twice the bytes would cost more than one more fsync.
pub(crate) const INLINE_BYTES: usize = 256 * 1024;
/// The longest commit message, in bytes.
const MAX_MESSAGE: usize = 16 * 1024;

type Statement<'a> = Box<dyn FnOnce(&Transaction<'_>) -> Result<(), DbError> + 'a>;

/// Changes being gathered, on top of one state of the wiki.
pub(crate) struct Unit<'a> {
    repo: &'a Repo,
    pub(crate) view: View,
    /// The state the changes apply to.
    pub(crate) head: Option<Revision>,
    pub(crate) edits: Vec<Edit>,
    pub(crate) pages: Vec<PageChange>,
    pub(crate) signed: Option<Signed>,
    pub(crate) statements: Vec<Statement<'a>>,
}

/// Who makes the commit, when and why.
pub(crate) struct Signed {
    pub(crate) author: Author,
    pub(crate) message: String,
    /// Seconds since 1970, UTC.
    pub(crate) time: i64,
}

/// What the commit means for the page index.
pub(crate) enum PageChange {
    Put { path: String, title: String, etag: Etag, size: u64 },
    Remove { path: String },
}

impl<'a> Unit<'a> {
    pub(crate) fn new(repo: &'a Repo, head: Option<Revision>) -> Self {
        Self {
            repo,
            view: repo.view(),
            head,
            edits: Vec::new(),
            pages: Vec::new(),
            signed: None,
            statements: Vec::new(),
        }
    }

    /// What stands at a path now.
    pub(crate) fn entry(&self, file: &str) -> Result<Option<Entry>, Error> {
        match self.head {
            Some(head) => Ok(self.view.entry(head, file)?),
            None => Ok(None),
        }
    }

    /// The names in a directory; none if there is no such directory.
    pub(crate) fn names(&self, dir: &str) -> Result<Vec<(String, Entry)>, Error> {
        match self.head {
            Some(head) => Ok(self.view.directory(head, dir)?.unwrap_or_default()),
            None => Ok(Vec::new()),
        }
    }

    /// Writes a page. Its file keeps its mode.
    pub(crate) fn put(
        &mut self,
        path: &ExistingPath,
        content: &[u8],
        mode: u16,
    ) -> Result<Etag, Error> {
        let inline = content.len() <= INLINE_BYTES;
        let etag =
            if inline { blob_id(content)? } else { self.repo.write_durable_blob(content)? };
        self.edits.push(Edit {
            path: path.file().into_bytes(),
            new: Some(Entry { mode, id: etag }),
            content: inline.then(|| content.to_vec()),
        });
        self.pages.push(PageChange::Put {
            path: path.as_str().to_owned(),
            title: title(path, content),
            etag,
            size: content.len() as u64,
        });
        Ok(etag)
    }

    /// Removes a page.
    pub(crate) fn remove(&mut self, path: &ExistingPath) {
        self.edits.push(Edit { path: path.file().into_bytes(), new: None, content: None });
        self.pages.push(PageChange::Remove { path: path.as_str().to_owned() });
    }

    /// Writes a file that isn't a page. Content that isn't given is in the repository, and durable.
    pub(crate) fn put_file(&mut self, path: &str, new: Entry, content: Option<Vec<u8>>) {
        self.edits.push(Edit { path: path.as_bytes().to_vec(), new: Some(new), content });
    }

    /// Removes a file that isn't a page.
    pub(crate) fn remove_file(&mut self, path: &str) {
        self.edits.push(Edit { path: path.as_bytes().to_vec(), new: None, content: None });
    }

    /// Says who makes the commit; without this the edits are not published.
    pub(crate) fn sign(&mut self, author: &Author, message: String) -> Result<(), Error> {
        if message.len() > MAX_MESSAGE {
            return Err(Error::InvalidMessage { why: "is longer than 16 KiB" });
        }
        if message.contains('\0') {
            return Err(Error::InvalidMessage { why: "holds a NUL character" });
        }
        let time = time::OffsetDateTime::now_utc().unix_timestamp();
        self.signed = Some(Signed { author: author.clone(), message, time });
        Ok(())
    }

    /// Adds a change of wiki.db to the transaction.
    pub(crate) fn also(
        &mut self,
        statement: impl FnOnce(&Transaction<'_>) -> Result<(), DbError> + 'a,
    ) {
        self.statements.push(Box::new(statement));
    }
}

/// Brings the index along, in the transaction of the commit `new` made on top of `old`.
pub(crate) fn index_pages(
    transaction: &Transaction<'_>,
    pages: &[PageChange],
    signed: &Signed,
    old: Option<Revision>,
    new: Revision,
) -> Result<(), DbError> {
    for page in pages {
        match page {
            PageChange::Remove { path } => index::remove(transaction, path)?,
            PageChange::Put { path, title, etag, size } => {
                let page = PageSummary {
                    path: path.clone(),
                    title: title.clone(),
                    etag: *etag,
                    revision: new,
                    size: *size,
                    author: signed.author.clone(),
                    modified: from_seconds(signed.time),
                };
                index::put(transaction, &page)?;
            }
        }
    }
    // If the index was behind it stays so, and catching up passes over this commit too.
    if index::indexed(transaction)? == old {
        index::set_indexed(transaction, Some(new))?;
    }
    Ok(())
}
