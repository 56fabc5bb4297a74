//! Versions of a wiki's pages: compared, asked for who wrote what, and brought back.

use wikigrove_storage as storage;
use wikigrove_storage::{Author, Blame, Diff, Revision, Undone};

use super::Wiki;
use crate::live::Use;
use crate::{Action, Error};

/// How something is to be undone.
#[derive(Clone, Debug, Default)]
pub struct UndoOptions {
    /// The commit message; a sentence is made up when there is none.
    pub message: Option<String>,
    /// Who is named as the author; the caller when nobody is.
    pub author: Option<Author>,
    /// Whether only to say what would be done.
    pub dry_run: bool,
}

/// What storage undoes in one of its ways.
type Undo = fn(&storage::Wiki, &storage::Undo<'_>) -> Result<Undone, storage::Error>;

impl Wiki {
    /// Compares two states of a page, found under the names it had; see
    /// [`diff`](storage::Wiki::diff) for what is compared by default.
    ///
    /// # Errors
    /// There was no such page in either state; a revision isn't part of the history.
    pub async fn diff(
        &self,
        path: &str,
        from: Option<Revision>,
        to: Option<Revision>,
    ) -> Result<Diff, Error> {
        self.allow(Action::Read).await?;
        let path = self.existing(path)?;
        self.run_heavy(Use::Read, move |wiki| wiki.diff(&path, from, to)).await
    }

    /// Says which commit brought each line of a page, as it is now or was at a commit. That may take
    /// long; it ends soon after the future is dropped.
    ///
    /// # Errors
    /// There is no such page; `at` isn't part of the history.
    pub async fn blame(&self, path: &str, at: Option<Revision>) -> Result<Blame, Error> {
        self.allow(Action::Read).await?;
        let path = self.existing(path)?;
        self.run_heavy(Use::Read, move |wiki| wiki.blame(&path, at)).await
    }

    /// Undoes one commit by a new one: what it changed becomes what it was before, merged with what
    /// changed since.
    ///
    /// # Errors
    /// The caller may not write; the commit isn't part of the history, or is a merge; something
    /// changed since in the same place, which is a [conflict](Error::conflict).
    pub async fn revert(&self, revision: Revision, options: UndoOptions) -> Result<Undone, Error> {
        self.undo(Action::Write, storage::Wiki::revert, revision, options).await
    }

    /// Brings the whole wiki back to a commit by a new one. This takes the right to administer:
    /// whoever may write could do it page by page, and would see what others lose by it.
    ///
    /// # Errors
    /// The caller doesn't administer the wiki; the commit isn't part of the history.
    pub async fn restore(&self, revision: Revision, options: UndoOptions) -> Result<Undone, Error> {
        self.undo(Action::Administer, storage::Wiki::restore, revision, options).await
    }

    async fn undo(
        &self,
        action: Action,
        undo: Undo,
        revision: Revision,
        options: UndoOptions,
    ) -> Result<Undone, Error> {
        self.allow(action).await?;
        let this = self.clone();
        self.run_heavy(Use::Write, move |wiki| {
            let UndoOptions { message, author, dry_run } = &options;
            let author = author.as_ref().unwrap_or(this.caller().author());
            let asked =
                storage::Undo { revision, author, message: message.as_deref(), dry_run: *dry_run };
            let undone = undo(wiki, &asked)?;
            if let Some(revision) = undone.revision {
                let paths = undone.changes.iter().map(|change| change.path.clone()).collect();
                this.announce_all(revision, paths, author);
            }
            Ok(undone)
        })
        .await
    }
}
