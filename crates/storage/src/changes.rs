//! Commits as a wiki shows them: who changed which pages, when and why.

use std::collections::BTreeSet;

use serde::{Serialize, Serializer};
use time::OffsetDateTime;

use crate::author::Author;
use crate::error::Error;
use crate::page::from_seconds;
use crate::page_path::ExistingPath;
use crate::revision::Revision;
use crate::wiki::Wiki;

/// One commit and what it changes: against its parent, or, for a merge, against all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Commit {
    /// The commit.
    pub revision: Revision,
    /// Who made it.
    pub author: Author,
    /// When, in UTC, to the second.
    #[serde(with = "time::serde::rfc3339")]
    pub date: OffsetDateTime,
    /// Why.
    pub message: String,
    /// The pages and attachments that it changes, by path: the first [`MAX_CHANGES`].
    pub changes: Vec<PathChange>,
    /// Whether it changes more than those.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// The most changes that a commit shows. One that was pushed may change every file there is.
pub const MAX_CHANGES: usize = 500;

/// The first of many things by their order: no more than an answer shows are kept on the way.
pub(crate) struct First<T> {
    kept: BTreeSet<T>,
    /// Whether there are more.
    truncated: bool,
}

impl<T: Ord> First<T> {
    /// The first [`MAX_CHANGES`] of all.
    pub(crate) fn of(all: impl IntoIterator<Item = T>) -> (Vec<T>, bool) {
        let mut first = Self { kept: BTreeSet::new(), truncated: false };
        for one in all {
            first.kept.insert(one);
            if first.kept.len() > MAX_CHANGES {
                first.kept.pop_last();
                first.truncated = true;
            }
        }
        (first.kept.into_iter().collect(), first.truncated)
    }
}

/// What a commit does to one page or attachment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PathChange {
    /// The page path, or the path of the attachment's file.
    pub path: String,
    /// Whether it is a page, or an attachment.
    #[serde(rename = "type")]
    pub of: FileType,
    /// How it is changed.
    pub kind: ChangeKind,
    /// Where it was before, if it was renamed; or what it was copied from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_path: Option<String>,
    /// Where it went, if it was moved away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_path: Option<String>,
}

/// The two types of files in a wiki.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileType {
    /// A page: a file that ends in `.md`.
    Page,
    /// Any other file.
    Attachment,
}

/// How a file is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// It wasn't there before.
    Added,
    /// Its content (or its mode) changes.
    Modified,
    /// It is gone.
    Deleted,
    /// It comes from another path, perhaps with changes.
    Renamed,
    /// It is new, and what another page was before the same commit changed that.
    Copied,
    /// It went to another path. Only the history of the path it left says this.
    Moved,
}

impl ChangeKind {
    /// `added`, `modified`, `deleted`, `renamed`, `copied` or `moved`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Modified => "modified",
            Self::Deleted => "deleted",
            Self::Renamed => "renamed",
            Self::Copied => "copied",
            Self::Moved => "moved",
        }
    }
}

impl Serialize for ChangeKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl PathChange {
    /// `other` is where a file was that is renamed, or went that is moved.
    pub(crate) fn of_file(file: &str, kind: ChangeKind, other: Option<&str>) -> Self {
        let (path, of) = shown(file);
        let other = other.map(|other| shown(other).0);
        let (old_path, new_path) = match kind {
            ChangeKind::Moved => (None, other),
            _ => (other, None),
        };
        Self { path, of, kind, old_path, new_path }
    }
}

/// A file's path as users know it: pages without `.md`.
fn shown(file: &str) -> (String, FileType) {
    match ExistingPath::of_file(file) {
        Some(page) => (page.as_str().to_owned(), FileType::Page),
        None => (file.to_owned(), FileType::Attachment),
    }
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
        let view = self.repo().view();
        let describe = |revision| {
            let commit = self.repo().commit(revision)?;
            let changes = crate::index::changes_of(&view, revision, &commit.parents)?;
            let mut shown = changes.iter().filter_map(crate::index::Change::shown);
            Ok(Commit {
                revision,
                author: commit.author,
                date: from_seconds(commit.time),
                message: commit.message,
                changes: shown.by_ref().take(MAX_CHANGES).collect(),
                truncated: shown.next().is_some(),
            })
        };
        self.repo().commits_since(known, head)?.into_iter().map(describe).collect()
    }
}
