//! Commits as users see them: author, time, message and changed pages.

use std::collections::BTreeSet;

use serde::{Serialize, Serializer};
use time::OffsetDateTime;

use crate::author::Author;
use crate::error::Error;
use crate::page::from_seconds;
use crate::page_path::ExistingPath;
use crate::revision::Revision;
use crate::wiki::Wiki;

/// A commit with its changes: against its parent, or, for a merge, against all parents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Commit {
    /// The commit.
    pub revision: Revision,
    /// Its author.
    pub author: Author,
    /// Its time, in UTC, to the second.
    #[serde(with = "time::serde::rfc3339")]
    pub date: OffsetDateTime,
    /// Its message.
    pub message: String,
    /// The changed pages and attachments, by path: the first [`MAX_CHANGES`].
    pub changes: Vec<PathChange>,
    /// True if there are more changes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// Maximum number of changes shown per commit. A pushed commit may change every file.
pub const MAX_CHANGES: usize = 500;

/// Collects the smallest of many items, holding no more of them than an answer shows.
pub(crate) struct First<T> {
    kept: BTreeSet<T>,
    /// True if there are more.
    truncated: bool,
}

impl<T: Ord> First<T> {
    /// Returns the first [`MAX_CHANGES`] items in order, and whether there are more.
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

/// A commit's change to one page or attachment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PathChange {
    /// The page path, or the path of the attachment's file.
    pub path: String,
    /// The type of the file.
    #[serde(rename = "type")]
    pub of: FileType,
    /// The kind of change.
    pub kind: ChangeKind,
    /// The previous path of a renamed file, or the origin of a copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_path: Option<String>,
    /// The new path of a file that was moved away.
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

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// The file is new.
    Added,
    /// Its content or mode changed.
    Modified,
    /// It was deleted.
    Deleted,
    /// It was moved here from another path, perhaps with changes.
    Renamed,
    /// It is new, and equals the previous version of another page that the same commit changed.
    Copied,
    /// It was moved to another path. Used only in the history of its old path.
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
    /// `other` is the old path of a renamed file, or the new path of a moved one.
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

/// Returns a file's path as users see it: pages without `.md`.
fn shown(file: &str) -> (String, FileType) {
    match ExistingPath::of_file(file) {
        Some(page) => (page.as_str().to_owned(), FileType::Page),
        None => (file.to_owned(), FileType::Attachment),
    }
}

impl Wiki {
    /// Returns the commits of the branch that aren't in the history of `known`, oldest first; all commits for `None`.
    ///
    /// # Errors
    /// `known` isn't part of the history any more: start again from `None`.
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
