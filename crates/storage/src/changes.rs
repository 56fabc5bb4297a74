//! What happened since a revision.

use time::OffsetDateTime;

use crate::author::Author;
use crate::error::Error;
use crate::page::from_seconds;
use crate::page_path::ExistingPath;
use crate::revision::Revision;
use crate::wiki::Wiki;

/// One commit and the pages it changed against its first parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The commit.
    pub revision: Revision,
    /// Who made it.
    pub author: Author,
    /// When, in UTC.
    pub time: OffsetDateTime,
    /// Why.
    pub message: String,
    /// Paths of the pages that were written, removed or added.
    pub pages: Vec<String>,
}

impl Wiki {
    /// The commits that the branch has and `known` has not, oldest first; all of them from `None`.
    ///
    /// # Errors
    /// `known` isn't part of the history any more: begin again from `None`.
    pub fn changes_since(&self, known: Option<Revision>) -> Result<Vec<Commit>, Error> {
        let Some(head) = self.head()? else { return Ok(Vec::new()) };
        if let Some(known) = known
            && (!self.repo().is_commit(known)? || !self.repo().is_ancestor(known, head)?)
        {
            return Err(Error::UnknownRevision { revision: known });
        }
        let commits = self.repo().commits_since(known, head)?;
        commits.into_iter().map(|revision| self.describe(revision)).collect()
    }

    fn describe(&self, revision: Revision) -> Result<Commit, Error> {
        let commit = self.repo().commit(revision)?;
        let changes = self.repo().changes(commit.parents.first().copied(), revision)?;
        let page = |file: &[u8]| {
            Some(ExistingPath::of_file(std::str::from_utf8(file).ok()?)?.as_str().to_owned())
        };
        Ok(Commit {
            revision,
            author: commit.author,
            time: from_seconds(commit.time),
            message: commit.message,
            pages: changes.iter().filter_map(|change| page(&change.path)).collect(),
        })
    }
}
