//! The history of a wiki, and the search.

use wikigrove_storage::{
    Commit, History, HistoryPosition, IndexProgress, Log, Most, Revision, SearchResult,
};

use super::Wiki;
use crate::changes::Moves;
use crate::live::Use;
use crate::{Action, Error};

impl Wiki {
    /// The newest revision; `None` before the first save.
    ///
    /// # Errors
    /// The wiki can't be read.
    pub async fn head(&self) -> Result<Option<Revision>, Error> {
        self.allow(Action::Read).await?;
        self.run(|wiki| wiki.head()).await
    }

    /// The commits that aren't ancestors of `known`, oldest first; `None` gives all commits.
    ///
    /// # Errors
    /// `known` isn't part of the history (any more).
    pub async fn changes_since(&self, known: Option<Revision>) -> Result<Vec<Commit>, Error> {
        self.allow(Action::Read).await?;
        self.run_heavy(Use::Read, move |wiki| wiki.changes_since(known)).await
    }

    /// Up to `most` commits older than `after`, newest first, each once.
    ///
    /// # Errors
    /// The wiki can't be read.
    pub async fn log(&self, after: Option<Revision>, most: Most) -> Result<Log, Error> {
        self.allow(Action::Read).await?;
        self.run(move |wiki| wiki.log(after, most)).await
    }

    /// A commit of the history, with its changes. `None` if it isn't part of it, or not indexed yet.
    ///
    /// # Errors
    /// The wiki can't be read.
    pub async fn commit(&self, revision: Revision) -> Result<Option<Commit>, Error> {
        self.allow(Action::Read).await?;
        self.run(move |wiki| wiki.commit(revision)).await
    }

    /// Up to `most` commits newer than `known`, oldest first, each once. `None` if `known` isn't part
    /// of the history (any more).
    ///
    /// # Errors
    /// The wiki can't be read.
    pub async fn log_since(
        &self,
        known: Option<Revision>,
        most: Most,
    ) -> Result<Option<Log>, Error> {
        self.allow(Action::Read).await?;
        self.run(move |wiki| wiki.log_since(known, most)).await
    }

    /// Returns `true` if a commit is part of the history: the head, or one of its ancestors.
    ///
    /// # Errors
    /// The wiki can't be read.
    pub async fn contains(&self, revision: Revision) -> Result<bool, Error> {
        self.allow(Action::Read).await?;
        self.run(move |wiki| wiki.contains(revision)).await
    }

    /// A signal to check this wiki for news, from now on. It reveals nothing about the wiki, so the caller's rights
    /// aren't checked.
    pub fn moves(&self) -> Moves {
        Moves(self.0.live.moves())
    }

    /// Up to `most` commits that changed a page, newest first; renames are followed.
    ///
    /// # Errors
    /// The page never existed.
    pub async fn history(
        &self,
        path: &str,
        from: Option<HistoryPosition>,
        most: Most,
    ) -> Result<History, Error> {
        self.allow(Action::Read).await?;
        let path = self.existing(path)?;
        self.run(move |wiki| wiki.history(&path, from, most)).await
    }

    /// Pages below `prefix` that contain all words of the query, best first, without the first `skip`; see
    /// [`Wiki::search`](wikigrove_storage::Wiki::search) for the syntax of queries.
    ///
    /// # Errors
    /// The wiki can't be read.
    pub async fn search(
        &self,
        query: &str,
        prefix: &str,
        skip: usize,
        limit: usize,
    ) -> Result<Vec<SearchResult>, Error> {
        self.allow(Action::Read).await?;
        let (query, prefix) = (query.to_owned(), prefix.to_owned());
        self.run_heavy(Use::Read, move |wiki| wiki.search(&query, &prefix, skip, limit)).await
    }

    /// The progress of the index while it is being built. Until it is complete, histories, the log and searches contain
    /// only the indexed commits.
    ///
    /// # Errors
    /// The caller may not read.
    pub async fn index_progress(&self) -> Result<Option<IndexProgress>, Error> {
        self.allow(Action::Read).await?;
        self.run(|wiki| wiki.index_progress()).await
    }
}
