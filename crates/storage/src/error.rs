//! Errors of wiki operations, by what a caller can do about them.

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

/// Reasons for a failed operation. Use the methods (`is_not_found`, `conflict`, …) rather than matching.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The path can't name a page or an attachment.
    #[error(transparent)]
    InvalidPath(#[from] InvalidPath),
    /// An attachment is missing, exists already, is stale or too large.
    #[error(transparent)]
    Attachment(#[from] AttachmentError),
    /// git can't record the author.
    #[error(transparent)]
    InvalidAuthor(#[from] InvalidAuthor),
    /// The commit message is too long or contains a NUL character.
    #[error("the message {why}")]
    InvalidMessage {
        /// The problem.
        why: &'static str,
    },
    /// The wiki's preferences require a commit message, and there is none.
    #[error("this wiki takes no change without a message that says why")]
    MessageRequired,
    /// Unknown preferences, or invalid values.
    #[error(transparent)]
    InvalidPreferences(#[from] InvalidPreferences),
    /// There is no such page.
    #[error("there is no page `{path}`")]
    NotFound {
        /// The page path as requested.
        path: String,
    },
    /// There is no draft of this page.
    #[error("you have no draft of `{path}`")]
    NoDraft {
        /// The page path as requested.
        path: String,
    },
    /// The owner of a new draft has the maximum number already.
    #[error("you have {limit} drafts in this wiki, and more aren't kept: save or remove some")]
    TooManyDrafts {
        /// The maximum number.
        limit: i64,
    },
    /// There is no such revision, or it isn't part of this wiki's history.
    #[error("there is no revision {revision} in this wiki's history")]
    UnknownRevision {
        /// The revision as requested.
        revision: Revision,
    },
    /// The page to be created exists, with other content.
    #[error("the page `{path}` exists already")]
    Exists {
        /// The page path.
        path: String,
        /// Its present version.
        etag: Etag,
    },
    /// Another page or directory has a name that differs only in case or composition, or a file is in the place of a
    /// needed directory.
    #[error("`{path}` collides with `{existing}`, which exists already")]
    Collision {
        /// The page path.
        path: String,
        /// The file or directory in the way.
        existing: String,
    },
    /// The version that a change is based on was never this page's content.
    #[error("the page `{path}` never had the version {base}")]
    UnknownBase {
        /// The page path.
        path: String,
        /// The version in the request.
        base: Etag,
        /// The page's present version; `None` if there is no such page.
        current: Option<Etag>,
    },
    /// The page changed meanwhile and the caller didn't allow a merge.
    #[error("the page `{path}` changed meanwhile")]
    Stale {
        /// The page path.
        path: String,
        /// The page's present version.
        current: Option<Etag>,
    },
    /// The page changed meanwhile in the same place.
    #[error("the page `{}` changed meanwhile in the same place", .0.path)]
    Conflict(Box<Conflict>),
    /// A commit can't be undone: a later commit changed the same places.
    #[error("what it changed was changed since in the same place: {}", paths.join(", "))]
    RevertConflict {
        /// The first page or attachment concerned.
        first: Box<Conflict>,
        /// All of them.
        paths: Vec<String>,
    },
    /// A merge can't be undone: it is undefined which of its sides to keep.
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
        /// Bytes of the content.
        size: u64,
        /// Maximum bytes.
        limit: u64,
    },
    /// The page's texts are too large to be compared line by line.
    #[error("{detail}")]
    TooLargeToCompare {
        /// The limit that was exceeded.
        detail: String,
    },
    /// The page isn't UTF-8 text; read its bytes instead.
    #[error("the page `{path}` is not UTF-8 text")]
    NotText {
        /// The page path.
        path: String,
    },
    /// The fetched history can't be synchronised with.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// The push was refused.
    #[error(transparent)]
    PushRefused(#[from] PushRefusal),
    /// The wiki would exceed its quota.
    #[error("the wiki would have {would_be} {what}; its quota is {limit}")]
    QuotaExceeded {
        /// `pages`, `bytes`, `disk_bytes`, `draft_bytes` or `draft_bytes_of_all`.
        what: &'static str,
        /// The maximum.
        limit: u64,
        /// The value after the change.
        would_be: u64,
    },
    /// The change exceeds a limit for single changes.
    #[error("the change is too large: {detail}")]
    ChangeTooLarge {
        /// The size of the change and the limit.
        detail: String,
    },
    /// The disk is full. Acknowledged changes are safe, and reads still work.
    #[error("the disk is full")]
    DiskFull,
    /// A resource was in use for too long. A retry may succeed.
    #[error("busy: {detail}")]
    Busy {
        /// The resource.
        detail: String,
    },
    /// The deadline passed, or the operation was cancelled. Nothing was changed.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// The wiki was closed while the handle was in use.
    #[error("the wiki was closed")]
    Closed,
    /// The directory belongs to another wiki.
    #[error("`{}` belongs to the wiki {found}, not to {expected}", path.display())]
    WrongWiki {
        /// The database with the identifier.
        path: PathBuf,
        /// The expected identifier.
        expected: String,
        /// The identifier found.
        found: String,
    },
    /// The wiki's files are damaged. The message names the file and the damage.
    #[error("{detail}")]
    Damaged {
        /// The damage, and a remedy.
        detail: String,
    },
    /// An error of wiki.db.
    #[error(transparent)]
    Database(DbError),
    /// An error of a file or directory.
    #[error(transparent)]
    File(FileError),
    /// An error of the repository.
    #[error("{0}")]
    Repository(Box<dyn std::error::Error + Send + Sync>),
}

/// An edit that conflicts with a change saved meanwhile, with everything needed to resolve it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The page path.
    pub path: String,
    /// The text that the edit was based on.
    pub base: Option<String>,
    /// The present text; `None` if the page was deleted.
    pub ours: Option<String>,
    /// The text of the request; `None` for a deletion.
    pub theirs: Option<String>,
    /// The present version, which the resolution must be based on.
    pub current: Option<Etag>,
    /// The conflicting places. Empty if one side deleted the page.
    pub hunks: Vec<Hunk>,
    /// The page's new path, if it was moved.
    pub moved_to: Option<String>,
}

impl Error {
    /// Returns `true` if the page, draft or revision doesn't exist.
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

    /// Returns the conflict; `None` for other errors.
    pub fn conflict(&self) -> Option<&Conflict> {
        match self {
            Self::Conflict(conflict) | Self::RevertConflict { first: conflict, .. } => {
                Some(conflict)
            }
            _ => None,
        }
    }

    /// Returns `true` if the disk is full.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::DiskFull)
    }

    /// Returns `true` if a retry a little later may succeed.
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
    /// Converts the error of a push: a change that is too large becomes a refused push.
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
