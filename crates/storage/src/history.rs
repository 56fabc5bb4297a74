//! The log of the wiki, and the history of one page or attachment.

use crate::changes::Commit;
use crate::error::Error;
use crate::index::{self, Position};
use crate::most::Most;
use crate::page_path::ExistingPath;
use crate::revision::Revision;
use crate::spelling::stored_page;
use crate::wiki::Wiki;

/// A position in the history of a file, to continue from; made by [`Wiki::history`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryPosition {
    /// The path of the file at that point: histories follow renames.
    pub path: String,
    /// The last commit that was returned for that path, if any.
    pub after: Option<Revision>,
    /// The commit that moved the file away from that path.
    pub left: Option<Revision>,
}

/// A part of a file's history, and the position of the next part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Commits, newest first, each with its change of this file.
    pub commits: Vec<Commit>,
    /// The position to continue from; `None` at the end.
    pub next: Option<HistoryPosition>,
}

/// A part of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// Commits, each once and with all its changes.
    pub commits: Vec<Commit>,
    /// True if there are more commits after these.
    pub more: bool,
}

impl Wiki {
    /// Up to `most` commits older than `after`, newest first: children before their parents, and every commit once.
    /// While the index is being built (see [`index_progress`](Self::index_progress)), only indexed commits.
    ///
    /// # Errors
    /// `after` isn't part of the history (any more); wiki.db can't be read.
    pub fn log(&self, after: Option<Revision>, most: Most) -> Result<Log, Error> {
        let log = self.indexed_or_not(|connection| index::newest(connection, after, most))?;
        log.map_or_else(|| unknown(after), Ok)
    }

    /// A commit of the history, with its changes. `None` if it isn't part of the history, or not indexed yet.
    ///
    /// # Errors
    /// wiki.db can't be read.
    pub fn commit(&self, revision: Revision) -> Result<Option<Commit>, Error> {
        self.indexed_or_not(|connection| index::one(connection, revision))
    }

    /// Up to `most` commits newer than `known`, oldest first: parents before their children, and every
    /// commit once. `None` if `known` isn't part of the history (any more).
    ///
    /// # Errors
    /// wiki.db can't be read.
    pub fn log_since(&self, known: Option<Revision>, most: Most) -> Result<Option<Log>, Error> {
        if self.head()?.is_none() {
            return Ok(known.is_none().then(Log::default));
        }
        self.indexed_or_not(|connection| index::since(connection, known, most))
    }

    /// Returns `true` if a commit is part of the history: the head or one of its ancestors.
    ///
    /// # Errors
    /// The repository can't be read.
    pub fn contains(&self, revision: Revision) -> Result<bool, Error> {
        match self.reachable(revision) {
            Ok(_) => Ok(true),
            Err(Error::UnknownRevision { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Up to `most` commits that changed a page, newest first; renames are followed. A deleted page keeps its
    /// history. `None` is the first position.
    ///
    /// # Errors
    /// The page never existed; wiki.db can't be read.
    pub fn history(
        &self,
        path: &ExistingPath,
        from: Option<HistoryPosition>,
        most: Most,
    ) -> Result<History, Error> {
        if from.is_some() {
            return self.history_of_file(&path.file(), from, most);
        }
        // Checked first: the index may become complete during the query.
        let is_whole = self.head()?.is_none() || self.fresh_index()?.is_some();
        for spelling in self.known_spellings(path)? {
            let history = self.history_of_file(&spelling.file(), None, most)?;
            if !history.commits.is_empty() {
                return Ok(history);
            }
        }
        let not_found = || Error::NotFound { path: path.as_str().to_owned() };
        let head = self.head()?.ok_or_else(not_found)?;
        // An incomplete index doesn't prove that the page never existed.
        match is_whole && self.find(head, path).is_err() {
            true => Err(not_found()),
            false => Ok(History { commits: Vec::new(), next: None }),
        }
    }

    /// The spellings under which the index may know a page, the present one first.
    pub(crate) fn known_spellings(&self, path: &ExistingPath) -> Result<Vec<ExistingPath>, Error> {
        let mut spellings = Vec::new();
        if let Some(head) = self.head()?
            && let Some((stored, _)) = stored_page(&self.repo().view(), head, path)?
        {
            spellings.push(stored);
        }
        spellings.extend(
            path.spellings().filter(|spelt| spellings.first() != Some(spelt)).collect::<Vec<_>>(),
        );
        Ok(spellings)
    }

    fn history_of_file(
        &self,
        file: &str,
        from: Option<HistoryPosition>,
        most: Most,
    ) -> Result<History, Error> {
        let start = || HistoryPosition { path: file.to_owned(), after: None, left: None };
        let HistoryPosition { path, after, left } = from.unwrap_or_else(start);
        let from = Position { path, before: after, left };
        let found = self.indexed_or_not(|connection| index::of_file(connection, from, most))?;
        let (commits, next) = found.map_or_else(|| unknown(after), Ok)?;
        let next = next.map(|Position { path, before, left }| HistoryPosition {
            path,
            after: before,
            left,
        });
        Ok(History { commits, next })
    }

    /// Queries the index, after a catch-up if only a few commits are missing.
    fn indexed_or_not<T: Default>(
        &self,
        ask: impl FnOnce(&rusqlite::Connection) -> Result<T, crate::db::DbError>,
    ) -> Result<T, Error> {
        self.check_open()?;
        if self.head()?.is_none() {
            return Ok(T::default());
        }
        let database = self.database()?;
        self.catch_up_a_little(database)?;
        database.read(|connection| Ok(ask(connection)?))
    }
}

/// The result for an unknown position: empty at the start, an error after an unknown commit.
fn unknown<T: Default>(after: Option<Revision>) -> Result<T, Error> {
    match after {
        None => Ok(T::default()),
        Some(revision) => Err(Error::UnknownRevision { revision }),
    }
}
