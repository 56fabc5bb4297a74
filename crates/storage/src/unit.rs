//! The unit of work: the only way to change a wiki, in its repository or in wiki.db.
//!
//! A unit is filled under the writer lock and published once, by [`Wiki::write`](crate::Wiki). All changes that belong
//! together (the commit, its index rows, a draft that it replaces) are one transaction, whose commit is the moment the
//! change becomes durable.

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

/// Maximum size of content in a redo row. Larger blobs are synced separately before: writing their bytes twice would
/// cost more than one more fsync.
pub(crate) const INLINE_BYTES: usize = 256 * 1024;

/// Maximum bytes of text that one change generates besides the request's own: rewritten links, merged lines. All of it
/// is in memory until the change is published.
const MAX_MADE: usize = 64 << 20;

/// The size of the texts that a change generates.
#[derive(Debug, Default)]
pub(crate) struct MadeTexts(usize);

impl MadeTexts {
    /// Counts a text.
    ///
    /// # Errors
    /// The limit is exceeded.
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

/// Changes on top of one state of the wiki.
pub(crate) struct Unit<'a> {
    pub(crate) view: View,
    /// The state that the changes apply to.
    pub(crate) head: Option<Revision>,
    /// The wiki's preferences.
    pub(crate) preferences: Arc<Preferences>,
    pub(crate) edits: Vec<Edit>,
    /// Renamed files: the old path and the new one.
    pub(crate) moves: Vec<(String, String)>,
    pub(crate) signed: Option<Signed>,
    pub(crate) statements: Vec<Statement<'a>>,
}

/// Author, message and time of the commit.
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

    /// Returns the present entry at a path.
    pub(crate) fn entry(&self, file: &str) -> Result<Option<Entry>, Error> {
        match self.head {
            Some(head) => Ok(self.view.entry(head, file)?),
            None => Ok(None),
        }
    }

    /// Returns the names in a directory; none if there is no such directory.
    pub(crate) fn names(&self, dir: &str) -> Result<Vec<(String, Entry)>, Error> {
        match self.head {
            Some(head) => Ok(self.view.directory(head, dir)?.unwrap_or_default()),
            None => Ok(Vec::new()),
        }
    }

    /// Writes a page. The caller passes the mode of its present file.
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

    /// Writes a file that isn't a page. `content` is `None` if the repository has it, durably.
    pub(crate) fn put_file(&mut self, path: &str, new: Entry, content: Option<Vec<u8>>) {
        self.edits.push(Edit { path: path.as_bytes().to_vec(), new: Some(new), content });
    }

    /// Removes a file that isn't a page.
    pub(crate) fn remove_file(&mut self, path: &str) {
        self.edits.push(Edit { path: path.as_bytes().to_vec(), new: None, content: None });
    }

    /// Sets the commit's author and message; without them the edits are not published. Enforces the wiki's preferences
    /// for messages.
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
