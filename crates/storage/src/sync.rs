//! Synchronising a wiki with git repositories elsewhere.
//!
//! Nothing here speaks to another machine. What was fetched lies in a scratch repository outside the
//! wiki; here it is compared with the wiki, merged and taken over, and what the other end hasn't yet
//! is kept in a queue. There is no work tree, nothing is ever forced, and no reader or writer waits.

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

/// The number that the platform gave a link of this wiki with a repository elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct LinkId(pub i64);

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why something that was fetched can't be synchronised with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// What was fetched ends where the other end's history doesn't.
    #[error("the repository is shallow: fetch its whole history")]
    Shallow,
    /// The commit isn't among what was fetched.
    #[error("there is no commit {revision} among what was fetched")]
    Missing {
        /// The commit as it was named.
        revision: Revision,
    },
    /// The directory that a link covers is a file, a link or a submodule there.
    #[error("`{path}` is no directory in the repository")]
    NoDirectory {
        /// The directory, or the one on the way to it that isn't one.
        path: String,
    },
    /// Commits can be made only on top of what the wiki has taken over.
    #[error("what was fetched has to be taken over first")]
    NotIntegrated,
    /// There is no open conflict with this number.
    #[error("there is no open conflict {id}")]
    NoConflict {
        /// The number that was asked for.
        id: i64,
    },
}

impl Wiki {
    /// Says which links are to get what is saved from now on. To be called after opening the wiki and
    /// whenever links are enabled or disabled: the wiki itself doesn't know them.
    pub fn set_links(&self, links: Vec<LinkId>) {
        *self.links().write().unwrap_or_else(PoisonError::into_inner) = links;
    }
}
