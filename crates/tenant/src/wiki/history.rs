//! What happened in a wiki, and where words stand.

use wikigrove_storage::{
    Commit, History, HistoryPosition, IndexProgress, Log, Most, Revision, SearchResult,
};

use super::Wiki;
use crate::changes::Moves;
use crate::live::Use;
use crate::{Action, Error};

impl Wiki {
    /// The newest revision; `None` while nothing was ever saved.
    ///
    /// # Errors
    /// The wiki can't be read.
    pub async fn head(&self) -> Result<Option<Revision>, Error> {
        self.allow(Action::Read).await?;
        self.run(|wiki| wiki.head()).await
    }

    /// The commits that `known` has not, oldest first; all of them from `None`.
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

    /// Whether a commit is part of the history: the head, or something that it is built on.
    ///
    /// # Errors
    /// The wiki can't be read.
    pub async fn contains(&self, revision: Revision) -> Result<bool, Error> {
        self.allow(Action::Read).await?;
        self.run(move |wiki| wiki.contains(revision)).await
    }

    /// Tells from now on when to look at this wiki again. It says nothing about the wiki, so nobody's
    /// rights are asked.
    pub fn moves(&self) -> Moves {
        Moves(self.0.live.moves())
    }

    /// Up to `most` commits that changed a page, newest first; renames are followed.
    ///
    /// # Errors
    /// There never was such a page.
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

    /// Pages below `prefix` that hold all words of the query, best first, without the first `skip`;
    /// see [`Wiki::search`](wikigrove_storage::Wiki::search) for what a query may say.
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

    /// How far the index is, while it is being built: until then histories, the log and searches have
    /// only what it has.
    ///
    /// # Errors
    /// The caller may not read.
    pub async fn index_progress(&self) -> Result<Option<IndexProgress>, Error> {
        self.allow(Action::Read).await?;
        self.with(|wiki| Ok(wiki.index_progress()))
    }
}
