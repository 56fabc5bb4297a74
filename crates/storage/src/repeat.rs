//! Changes that are asked for once more. A change may be done though its client wasn't told: the disk was full
//! when it was to be made visible, the process died, or the answer got lost on its way.

use std::collections::VecDeque;
use std::sync::PoisonError;

use crate::author::Author;
use crate::error::Error;
use crate::repo::FileChange;
use crate::revision::Revision;
use crate::unit::Unit;
use crate::wiki::Wiki;

/// So many of the newest commits are looked at: a repeat comes soon.
const NEWEST: usize = 32;
/// So many commits are remembered that may not have been answered.
const UNANSWERED: usize = 1024;

/// A commit that did what is asked for once more.
pub(crate) struct Repeated {
    pub(crate) revision: Revision,
    pub(crate) parent: Option<Revision>,
    pub(crate) changes: Vec<FileChange>,
}

/// Commits that are durable, and whose clients may not have been told.
#[derive(Debug, Default)]
pub(crate) struct Unanswered(VecDeque<Revision>);

impl Unanswered {
    fn add(&mut self, commit: Revision) {
        if self.0.len() == UNANSWERED {
            self.0.pop_front();
        }
        self.0.push_back(commit);
    }

    fn remove(&mut self, commit: Revision) {
        self.0.retain(|other| *other != commit);
    }
}

impl Wiki {
    /// Notes that a commit is durable.
    pub(crate) fn is_durable(&self, commit: Revision) {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner).add(commit);
    }

    /// Notes that a commit is visible, so that whoever made it is told.
    pub(crate) fn is_visible(&self, commit: Revision) {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner).remove(commit);
    }

    /// Whether the client that made the commit may not have been told.
    pub(crate) fn may_be_unanswered(&self, commit: Revision) -> bool {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner).0.contains(&commit)
    }
}

impl Unit<'_> {
    /// The newest of the last commits that `author` made and that changes what `is_it` looks for.
    pub(crate) fn made_before(
        &self,
        author: &Author,
        is_it: impl Fn(&[FileChange]) -> bool,
    ) -> Result<Option<Repeated>, Error> {
        let mut next = self.head;
        for _ in 0..NEWEST {
            let Some(revision) = next else { break };
            let commit = self.view.commit(revision)?;
            let parent = commit.parents.first().copied();
            if commit.author == *author && commit.parents.len() < 2 {
                let changes = self.view.changes(parent, revision)?;
                if is_it(&changes) {
                    return Ok(Some(Repeated { revision, parent, changes }));
                }
            }
            next = parent;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
