//! Synchronises a wiki with remote git repositories.
//!
//! This module has no network code. The caller fetches into a scratch repository outside the wiki; the functions here
//! compare it with the wiki, merge it and take it over, and keep a queue of the commits that each remote still lacks.
//! There is no work tree, no ref is ever forced, and neither readers nor writers are blocked.

mod compare;
mod conflicts;
mod follow;
mod integrate;
mod jobs;
mod mapping;
mod project_in;
mod project_out;
mod refs;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::PoisonError;

use serde::Serialize;

use crate::revision::Revision;
use crate::wiki::Wiki;

pub use compare::{Comparison, PartComparison, Relation};
pub(crate) use conflicts::NewConflicts;
pub use conflicts::{Resolve, SyncConflict};
pub(crate) use follow::{Left, left_by_changes, left_by_edits};
pub use integrate::{Integrate, Integrated, Preview};
pub use jobs::Queue;
pub(crate) use jobs::add as add_jobs;
pub use mapping::Mapping;
pub use project_out::Outgoing;

/// The platform's number of a link: the connection of this wiki with one remote repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct LinkId(pub i64);

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Reasons why a fetched history can't be synchronised with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The fetched history is cut off: a shallow clone.
    #[error("the repository is shallow: fetch its whole history")]
    Shallow,
    /// The commit isn't in the fetched repository.
    #[error("there is no commit {revision} among what was fetched")]
    Missing {
        /// The commit as the caller named it.
        revision: Revision,
    },
    /// The directory that the link covers is a file, a symbolic link or a submodule in the remote's tree.
    #[error("`{path}` is no directory in the repository")]
    NoDirectory {
        /// The directory, or the parent of it that isn't a directory.
        path: String,
    },
    /// The fetched tip must be integrated before commits can be made on top of it.
    #[error("what was fetched has to be taken over first")]
    NotIntegrated,
    /// No open conflict has this number.
    #[error("there is no open conflict {id}")]
    NoConflict {
        /// The number that the caller asked for.
        id: i64,
    },
}

impl Wiki {
    /// Sets the links whose queues get every commit from now on. The platform calls this after opening the wiki and
    /// whenever a link is enabled or disabled, because the wiki doesn't store its links.
    pub fn set_links(&self, links: Vec<LinkId>) {
        *self.links().write().unwrap_or_else(PoisonError::into_inner) = links;
    }
}
