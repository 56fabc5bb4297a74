//! Why an operation on a wiki failed, in the terms a caller can act on.

use std::path::PathBuf;

use crate::attachments::AttachmentError;
use crate::author::InvalidAuthor;
use crate::db::DbError;
use crate::deadline::Cancelled;
use crate::files::FileError;
use crate::merge::Hunk;
use crate::page_path::InvalidPath;
use crate::preferences::InvalidPreferences;
use crate::receive::PushRefusal;
use crate::repo::RepoError;
use crate::revision::{Etag, Revision};
use crate::sync::SyncError;

/// Why an operation on a wiki failed. Ask it (`is_not_found`, `conflict`, …) rather than matching.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The path can't name a page or an attachment.
    #[error(transparent)]
    InvalidPath(#[from] InvalidPath),
    /// An attachment is missing, in the way, out of date or too large.
    #[error(transparent)]
    Attachment(#[from] AttachmentError),
    /// The author can't be recorded by git.
    #[error(transparent)]
    InvalidAuthor(#[from] InvalidAuthor),
    /// The commit message is too long or holds a NUL character.
    #[error("the message {why}")]
    InvalidMessage {
        /// What is wrong with it.
        why: &'static str,
    },
    /// The wiki's preferences ask for a commit message, and there is none.
    #[error("this wiki takes no change without a message that says why")]
    MessageRequired,
    /// Preferences that can't be set, or not to that.
    #[error(transparent)]
    InvalidPreferences(#[from] InvalidPreferences),
    /// There is no such page.
    #[error("there is no page `{path}`")]
    NotFound {
        /// The page path as asked for.
        path: String,
    },
    /// There is no draft of this page.
    #[error("you have no draft of `{path}`")]
    NoDraft {
        /// The page path as asked for.
        path: String,
    },
    /// The owner of a new draft has as many as one may have.
    #[error("you have {limit} drafts in this wiki, and more aren't kept: save or remove some")]
    TooManyDrafts {
        /// How many one may have.
        limit: i64,
    },
    /// There is no such revision, or it isn't part of this wiki's history.
    #[error("there is no revision {revision} in this wiki's history")]
    UnknownRevision {
        /// The revision as asked for.
        revision: Revision,
    },
    /// The page to be created exists, with other content.
    #[error("the page `{path}` exists already")]
    Exists {
        /// The page path.
        path: String,
        /// Its version now.
        etag: Etag,
    },
    /// Another page or directory has a name that differs only in case or composition, or a file
    /// stands where a directory would be needed.
    #[error("`{path}` collides with `{existing}`, which exists already")]
    Collision {
        /// The page path.
        path: String,
        /// The file or directory in the way.
        existing: String,
    },
    /// The version a change was based on was never this page's content.
    #[error("the page `{path}` never had the version {base}")]
    UnknownBase {
        /// The page path.
        path: String,
        /// The version that was named.
        base: Etag,
        /// The page's version now; `None` when there is no such page.
        current: Option<Etag>,
    },
    /// The page changed meanwhile and the caller asked not to merge.
    #[error("the page `{path}` changed meanwhile")]
    Stale {
        /// The page path.
        path: String,
        /// The page's version now.
        current: Option<Etag>,
    },
    /// The page changed meanwhile, in the same place.
    #[error("the page `{}` changed meanwhile in the same place", .0.path)]
    Conflict(Box<Conflict>),
    /// A commit can't be undone: what it changed was changed again.
    #[error("what it changed was changed since in the same place: {}", paths.join(", "))]
    RevertConflict {
        /// The first page or attachment concerned.
        first: Box<Conflict>,
        /// All of them.
        paths: Vec<String>,
    },
    /// A merge can't be undone: it isn't said which of its sides shall be kept.
    #[error("{revision} is a merge; undo the commits that it brought one by one")]
    RevertsMerge {
        /// The merge.
        revision: Revision,
    },
    /// The content is larger than the wiki allows.
    #[error("the page `{path}` would have {size} bytes; {limit} are allowed")]
    TooLarge {
        /// The page path.
        path: String,
        /// Bytes that were sent.
        size: u64,
        /// Bytes that are allowed.
        limit: u64,
    },
    /// Its texts are too large to be compared line by line.
    #[error("{detail}")]
    TooLargeToCompare {
        /// Which limit was met.
        detail: String,
    },
    /// The page isn't UTF-8 text; read its bytes instead.
    #[error("the page `{path}` is not UTF-8 text")]
    NotText {
        /// The page path.
        path: String,
    },
    /// What was fetched from elsewhere can't be synchronised with.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// What was pushed can't be taken.
    #[error(transparent)]
    PushRefused(#[from] PushRefusal),
    /// The wiki would hold more than it may.
    #[error("the wiki would have {would_be} {what}; its quota is {limit}")]
    QuotaExceeded {
        /// `pages` or `bytes`.
        what: &'static str,
        /// How many it may have.
        limit: u64,
        /// How many it would have.
        would_be: u64,
    },
    /// A change would make more of the wiki than one change may.
    #[error("the change is too large: {detail}")]
    ChangeTooLarge {
        /// What there would be, and how much of it there may be.
        detail: String,
    },
    /// The disk is full. What was acknowledged is safe, and reading goes on.
    #[error("the disk is full")]
    DiskFull,
    /// Something is in use for too long. Worth a retry.
    #[error("busy: {detail}")]
    Busy {
        /// What was waited for.
        detail: String,
    },
    /// Its deadline passed, or its result wasn't needed any more. Nothing was changed.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// The wiki was closed while the handle was held.
    #[error("the wiki was closed")]
    Closed,
    /// The directory belongs to another wiki.
    #[error("`{}` belongs to the wiki {found}, not to {expected}", path.display())]
    WrongWiki {
        /// The database that says so.
        path: PathBuf,
        /// The identifier expected.
        expected: String,
        /// The identifier found.
        found: String,
    },
    /// The wiki's files can't be used as they are. The message says which and why.
    #[error("{detail}")]
    Damaged {
        /// What is wrong, and what to do.
        detail: String,
    },
    /// The wiki.db failed.
    #[error(transparent)]
    Database(DbError),
    /// A file or directory failed.
    #[error(transparent)]
    File(FileError),
    /// The repository failed.
    #[error("{0}")]
    Repository(Box<dyn std::error::Error + Send + Sync>),
}

/// An edit that overlaps with what was saved meanwhile: everything needed to resolve it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The page path.
    pub path: String,
    /// The text the edit was based on.
    pub base: Option<String>,
    /// The text stored now; `None` when the page was deleted.
    pub ours: Option<String>,
    /// The text that was sent; `None` when a deletion was.
    pub theirs: Option<String>,
    /// The version stored now, to base the resolution on.
    pub current: Option<Etag>,
    /// The places where the texts disagree. Empty when one side deleted the page.
    pub hunks: Vec<Hunk>,
    /// Where the page went, if it was moved.
    pub moved_to: Option<String>,
}

impl Error {
    /// Whether the page, draft or revision doesn't exist.
    pub fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::NotFound { .. }
                | Self::NoDraft { .. }
                | Self::UnknownRevision { .. }
                | Self::Sync(SyncError::NoConflict { .. })
                | Self::Attachment(AttachmentError::NotFound { .. })
        )
    }

    /// The conflict, if that is what it is.
    pub fn conflict(&self) -> Option<&Conflict> {
        match self {
            Self::Conflict(conflict) | Self::RevertConflict { first: conflict, .. } => {
                Some(conflict)
            }
            _ => None,
        }
    }

    /// Whether the disk is full.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::DiskFull)
    }

    /// Whether trying again a little later may help.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }
}

impl From<DbError> for Error {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Cancelled(cancelled) => cancelled.into(),
            _ if error.is_disk_full() => Self::DiskFull,
            _ if error.is_busy() => Self::Busy { detail: error.to_string() },
            DbError::Corrupt { .. } | DbError::Replaced { .. } => {
                Self::Busy { detail: format!("{error}; whatever is asked next mends it") }
            }
            _ => Self::Database(error),
        }
    }
}

impl From<FileError> for Error {
    fn from(error: FileError) -> Self {
        match error {
            _ if error.is_disk_full() => Self::DiskFull,
            _ if error.is_busy() => Self::Busy { detail: error.to_string() },
            _ => Self::File(error),
        }
    }
}

impl Error {
    /// The same of a push: it is refused.
    pub(crate) fn of_push(self) -> Self {
        match self {
            Self::ChangeTooLarge { detail } => PushRefusal::too_large(detail).into(),
            error => error,
        }
    }
}

impl From<RepoError> for Error {
    fn from(error: RepoError) -> Self {
        match error {
            _ if error.is_disk_full() => Self::DiskFull,
            RepoError::File(error) => error.into(),
            RepoError::Cancelled(cancelled) => cancelled.into(),
            RepoError::TooManyPaths => Self::ChangeTooLarge { detail: error.to_string() },
            RepoError::Locked | RepoError::Busy(_) => Self::Busy { detail: error.to_string() },
            RepoError::Unusable { .. }
            | RepoError::DamagedRef { .. }
            | RepoError::DamagedObject { .. } => Self::Damaged { detail: error.to_string() },
            RepoError::TooManyLines { .. } => Self::TooLargeToCompare { detail: error.to_string() },
            RepoError::Moved | RepoError::DiskFull | RepoError::Git(_) => {
                Self::Repository(Box::new(error))
            }
        }
    }
}
