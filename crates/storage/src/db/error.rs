//! What can go wrong with a SQLite file, in the terms a caller can act on.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::deadline::Cancelled;
use crate::files::{FileError, is_passing};

thread_local! {
    /// Whether SQLite has found damage in this thread since this was last asked. Work on a database returns
    /// errors of its own kind, or none; so what was met on the way is noted here.
    static CORRUPTION: Cell<bool> = const { Cell::new(false) };
}

/// Whether damage was found in this thread since the last call.
pub(super) fn takes_corruption() -> bool {
    CORRUPTION.take()
}

/// Why a SQLite file could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DbError {
    /// The file was written by a newer version of this program. It was not touched.
    #[error("`{}` has schema version {found}, but this program knows only up to {known}: use a newer version", path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its `PRAGMA user_version`.
        found: i64,
        /// The newest version this program can migrate to.
        known: i64,
    },
    /// The file is damaged, or isn't a SQLite database.
    #[error("{} is corrupt or not a database: {source}", named(path))]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another file has its name, or none has. What was written since isn't in that.
    #[error("{} was removed or replaced while it was open", named(path))]
    Replaced {
        /// The file.
        path: PathBuf,
    },
    /// The disk is full. Nothing was changed.
    #[error("the disk that holds {} is full", named(path))]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// Every connection is in use, or another program holds the file's lock. Worth a retry.
    #[error("{} is busy: {detail}", named(path))]
    Busy {
        /// The file.
        path: PathBuf,
        /// Who or what was waited for.
        detail: String,
    },
    /// A migration failed and was rolled back; the file is as it was.
    #[error("{} could not be migrated: {source}", named(path))]
    Migration {
        /// The file.
        path: PathBuf,
        /// What the migration said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A statement was interrupted, and what it had changed rolled back.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// A file could not be created, linked or synced.
    #[error(transparent)]
    File(#[from] FileError),
    /// Anything else SQLite reports: a bug of ours, or a failing disk.
    #[error("{}{source}", prefix(path))]
    Sqlite {
        /// The file; empty when it isn't known.
        path: PathBuf,
        /// What SQLite said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl DbError {
    /// Whether the disk is full.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Full { .. } => true,
            Self::File(error) => error.is_disk_full(),
            _ => false,
        }
    }

    /// Whether trying again a little later may help.
    pub fn is_busy(&self) -> bool {
        match self {
            Self::Busy { .. } => true,
            Self::File(error) => error.is_busy(),
            _ => false,
        }
    }

    /// Names the file in an error that came up without it.
    pub(crate) fn of(mut self, file: &Path) -> Self {
        match &mut self {
            Self::TooNew { path, .. }
            | Self::Corrupt { path, .. }
            | Self::Replaced { path }
            | Self::Full { path }
            | Self::Busy { path, .. }
            | Self::Migration { path, .. }
            | Self::Sqlite { path, .. } => file.clone_into(path),
            Self::Cancelled(_) | Self::File(_) => {}
        }
        self
    }

    pub(super) fn exhausted(path: &Path, error: r2d2::Error) -> Self {
        Self::Busy { path: path.to_owned(), detail: format!("no connection became free ({error})") }
    }
}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        let path = PathBuf::new();
        match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => Cancelled.into(),
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                CORRUPTION.set(true);
                Self::Corrupt { path, source: Box::new(error) }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::Busy { path, detail: error.to_string() }
            }
            Some(ErrorCode::CannotOpen) if is_short_of_descriptors() => {
                Self::Busy { path, detail: "no descriptors are left".to_owned() }
            }
            _ => Self::Sqlite { path, source: Box::new(error) },
        }
    }
}

/// The file in a message. An error that came up within a piece of work doesn't know it.
fn named(path: &Path) -> String {
    if path.as_os_str().is_empty() {
        "the database".to_owned()
    } else {
        format!("`{}`", path.display())
    }
}

/// The file before a message that needs none.
fn prefix(path: &Path) -> String {
    if path.as_os_str().is_empty() { String::new() } else { format!("`{}`: ", path.display()) }
}

/// SQLite doesn't say why it can't open a file. Whether anything can be opened says it.
fn is_short_of_descriptors() -> bool {
    std::fs::File::open("/").is_err_and(|error| is_passing(&error))
}
