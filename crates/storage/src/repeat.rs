//! Repeated requests. A change may be done although its client got no answer: the disk was full when the change was to
//! become visible, the process died, or the answer was lost.

use std::collections::VecDeque;
use std::sync::PoisonError;

use crate::author::Author;
use crate::error::Error;
use crate::repo::FileChange;
use crate::revision::Revision;
use crate::unit::Unit;
use crate::wiki::Wiki;

/// Number of the newest commits that are searched: a retry comes soon.
const NEWEST: usize = 32;
/// Maximum number of unanswered commits that are remembered.
const UNANSWERED: usize = 1024;

/// An earlier commit that did what a repeated request asks for.
pub(crate) struct Repeated {
    pub(crate) revision: Revision,
    pub(crate) parent: Option<Revision>,
    pub(crate) changes: Vec<FileChange>,
}

/// Durable commits whose clients may not have got an answer.
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
    /// Records that a commit is durable.
    pub(crate) fn is_durable(&self, commit: Revision) {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner).add(commit);
    }

    /// Records that a commit is visible, so that its client gets an answer.
    pub(crate) fn is_visible(&self, commit: Revision) {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner).remove(commit);
    }

    /// Returns `true` if the client that made the commit may not have got an answer.
    pub(crate) fn may_be_unanswered(&self, commit: Revision) -> bool {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner).0.contains(&commit)
    }
}

impl Unit<'_> {
    /// Finds the newest of the last commits by `author` whose changes satisfy `is_it`.
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
