//! Blocking reads of a wiki.

use std::sync::Arc;

use wikigrove_storage as storage;
use wikigrove_storage::{Commit, ExistingPath, Revision};

use super::Wiki;
use crate::{Action, Error};

/// A wiki's pages and history for code that may block. The caller's rights are checked here, too.
#[derive(Clone, Debug)]
pub struct Storage(pub(super) Wiki);

impl Storage {
    /// The newest revision; `None` before the first save.
    ///
    /// # Errors
    /// The caller may not read (any more); the branch is damaged.
    pub fn head(&self) -> Result<Option<Revision>, Error> {
        self.with(storage::Wiki::head)
    }

    /// The present version of a page.
    ///
    /// # Errors
    /// The caller may not read (any more); the page doesn't exist.
    pub fn read(&self, path: &ExistingPath) -> Result<Arc<storage::Page>, Error> {
        self.with(|wiki| wiki.read(path))
    }

    /// A page as of the commit `at`.
    ///
    /// # Errors
    /// The caller may not read (any more); `at` isn't part of this wiki's history, or had no such page.
    pub fn read_at(&self, path: &ExistingPath, at: Revision) -> Result<storage::Page, Error> {
        self.with(|wiki| wiki.read_at(path, at))
    }

    /// The commits that aren't ancestors of `known`, oldest first; `None` gives all commits.
    ///
    /// # Errors
    /// The caller may not read (any more); `known` isn't part of the history (any more).
    pub fn changes_since(&self, known: Option<Revision>) -> Result<Vec<Commit>, Error> {
        self.with(|wiki| wiki.changes_since(known))
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&storage::Wiki) -> Result<T, storage::Error>,
    ) -> Result<T, Error> {
        self.0.allow_blocking(Action::Read)?;
        self.0.with(work)
    }
}
