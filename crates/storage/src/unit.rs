//! The unit of work: the one way to change a wiki, be it the repository or wiki.db.
//!
//! A unit is filled in under the writer lock and published once, by [`Wiki::write`](crate::Wiki).
//! Whatever belongs together (the commit, its index rows, a draft that it replaces) is one
//! transaction, whose commit is the moment the change becomes durable.

use std::sync::Arc;

use rusqlite::Transaction;

use crate::author::Author;
use crate::db::DbError;
use crate::error::Error;
use crate::message::Message;
use crate::page_path::ExistingPath;
use crate::preferences::Preferences;
use crate::repo::{Edit, Entry, Repo, View, blob_id};
use crate::revision::{Etag, Revision};

/// Content up to this size passes through the redo row. Larger blobs are synced by themselves
/// first: twice the bytes would cost more than one more fsync.
pub(crate) const INLINE_BYTES: usize = 256 * 1024;

/// The most text that one change makes besides what was sent with it, in bytes: rewritten links, merged
/// lines. All of it is in memory until the change is published.
const MAX_MADE: usize = 64 << 20;

/// Texts that a change makes, counted.
#[derive(Debug, Default)]
pub(crate) struct MadeTexts(usize);

impl MadeTexts {
    /// Counts a text.
    ///
    /// # Errors
    /// All of them are too large.
    pub(crate) fn add(&mut self, bytes: usize) -> Result<(), Error> {
        self.0 += bytes;
        if self.0 <= MAX_MADE {
            return Ok(());
        }
        let detail = format!("it would write more than {MAX_MADE} bytes of text anew");
        Err(Error::ChangeTooLarge { detail })
    }
}

pub(crate) type Statement<'a> = Box<dyn FnOnce(&Transaction<'_>) -> Result<(), DbError> + 'a>;

/// Changes being gathered, on top of one state of the wiki.
pub(crate) struct Unit<'a> {
    pub(crate) view: View,
    /// The state the changes apply to.
    pub(crate) head: Option<Revision>,
    /// How the wiki wants to be changed.
    pub(crate) preferences: Arc<Preferences>,
    pub(crate) edits: Vec<Edit>,
    /// Files that go on under another path: the old one and the new one.
    pub(crate) moves: Vec<(String, String)>,
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

impl<'a> Unit<'a> {
    pub(crate) fn new(
        repo: &'a Repo,
        head: Option<Revision>,
        preferences: Arc<Preferences>,
    ) -> Self {
        Self {
            view: repo.view(),
            head,
            preferences,
            edits: Vec::new(),
            moves: Vec::new(),
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
        let etag = blob_id(content)?;
        self.edits.push(Edit {
            path: path.file().into_bytes(),
            new: Some(Entry { mode, id: etag }),
            content: Some(content.to_vec()),
        });
        Ok(etag)
    }

    /// Removes a page.
    pub(crate) fn remove(&mut self, path: &ExistingPath) {
        self.edits.push(Edit { path: path.file().into_bytes(), new: None, content: None });
    }

    /// Writes a file that isn't a page. Content that isn't given is in the repository, and durable.
    pub(crate) fn put_file(&mut self, path: &str, new: Entry, content: Option<Vec<u8>>) {
        self.edits.push(Edit { path: path.as_bytes().to_vec(), new: Some(new), content });
    }

    /// Removes a file that isn't a page.
    pub(crate) fn remove_file(&mut self, path: &str) {
        self.edits.push(Edit { path: path.as_bytes().to_vec(), new: None, content: None });
    }

    /// Says who makes the commit and why; without this the edits are not published. Refuses what
    /// the wiki's preferences refuse, whoever asks.
    pub(crate) fn sign(&mut self, author: &Author, message: Message<'_>) -> Result<(), Error> {
        let message = message.text(&self.preferences)?;
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
