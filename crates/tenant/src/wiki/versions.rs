//! Versions of a wiki's pages: comparing, attributing lines, and undoing changes.

use wikigrove_storage as storage;
use wikigrove_storage::{Author, Blame, Diff, Revision, Undone};

use super::Wiki;
use crate::live::Use;
use crate::{Action, Error};

/// Options of an undo.
#[derive(Clone, Debug, Default)]
pub struct UndoOptions {
    /// The commit message; generated if there is none.
    pub message: Option<String>,
    /// The author of the commit; the caller if there is none.
    pub author: Option<Author>,
    /// `true` to report the changes without making them.
    pub dry_run: bool,
}

/// The signature of the storage methods that undo changes.
type Undo = fn(&storage::Wiki, &storage::Undo<'_>) -> Result<Undone, storage::Error>;

impl Wiki {
    /// Compares two versions of a page, found under the names it had; see [`diff`](storage::Wiki::diff) for the
    /// defaults.
    ///
    /// # Errors
    /// The page existed in neither version; a revision isn't part of the history.
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

    /// Attributes each line of a page, at present or as of a commit, to the commit that added it. May take long; ends
    /// soon after the future is dropped.
    ///
    /// # Errors
    /// The page doesn't exist; `at` isn't part of the history.
    pub async fn blame(&self, path: &str, at: Option<Revision>) -> Result<Blame, Error> {
        self.allow(Action::Read).await?;
        let path = self.existing(path)?;
        self.run_heavy(Use::Read, move |wiki| wiki.blame(&path, at)).await
    }

    /// Undoes one commit by a new one: the state before the commit is merged with all later changes.
    ///
    /// # Errors
    /// The caller may not write; the commit isn't part of the history, or is a merge; a later change in the same place,
    /// which is a [conflict](Error::conflict).
    pub async fn revert(&self, revision: Revision, options: UndoOptions) -> Result<Undone, Error> {
        self.undo(Action::Write, storage::Wiki::revert, revision, options).await
    }

    /// Restores the state of the whole wiki as of a commit, in a new commit. Only admins may: an editor could do the
    /// same page by page, but would see the lost changes of others.
    ///
    /// # Errors
    /// The caller isn't an admin of the wiki; the commit isn't part of the history.
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
