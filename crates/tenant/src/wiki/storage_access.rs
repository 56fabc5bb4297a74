//! What code that may block reads of a wiki.

use std::sync::Arc;

use wikigrove_storage as storage;
use wikigrove_storage::{Commit, ExistingPath, Revision};

use super::Wiki;
use crate::{Action, Error};

/// A wiki's pages and history, to be read by code that may block. The caller's rights hold here too.
#[derive(Clone, Debug)]
pub struct Storage(pub(super) Wiki);

impl Storage {
    /// The newest revision; `None` while nothing was ever saved.
    ///
    /// # Errors
    /// The caller may not read (any more); the branch is damaged.
    pub fn head(&self) -> Result<Option<Revision>, Error> {
        self.with(storage::Wiki::head)
    }

    /// A page as it is now.
    ///
    /// # Errors
    /// The caller may not read (any more); there is no such page.
    pub fn read(&self, path: &ExistingPath) -> Result<Arc<storage::Page>, Error> {
        self.with(|wiki| wiki.read(path))
    }

    /// A page as it was in the commit `at`.
    ///
    /// # Errors
    /// The caller may not read (any more); `at` isn't part of this wiki's history, or had no such
    /// page.
    pub fn read_at(&self, path: &ExistingPath, at: Revision) -> Result<storage::Page, Error> {
        self.with(|wiki| wiki.read_at(path, at))
    }

    /// The commits that `known` has not, oldest first; all of them from `None`.
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
