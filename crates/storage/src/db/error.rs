//! Errors of SQLite files, by what a caller can do about them.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::deadline::Cancelled;
use crate::files::{FileError, is_disk_full, is_passing};

const SHORT_READ: i32 = rusqlite::ffi::SQLITE_IOERR_SHORT_READ;

thread_local! {
    /// True if SQLite has found damage in this thread since the last check. Work on a database returns errors of other
    /// types, or swallows them, so damage is recorded here when it is met.
    static CORRUPTION: Cell<bool> = const { Cell::new(false) };
}

/// Returns `true` if damage was found in this thread since the last call.
pub(super) fn takes_corruption() -> bool {
    CORRUPTION.take()
}

/// Reasons why a SQLite file can't be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DbError {
    /// A newer version of this program wrote the file. It was not changed.
    #[error("`{}` has schema version {found}, but this program knows only up to {known}: use a newer version", path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its `PRAGMA user_version`.
        found: i64,
        /// The newest version that this program can migrate to.
        known: i64,
    },
    /// The file is damaged, or isn't a SQLite database.
    #[error("{} is corrupt or not a database: {source}", named(path))]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// SQLite's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file was removed or replaced while it was open. The file at its path lacks the latest writes.
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
    /// Every connection is in use, or another program holds the file's lock. A retry may succeed.
    #[error("{} is busy: {detail}", named(path))]
    Busy {
        /// The file.
        path: PathBuf,
        /// The connection or lock that was waited for.
        detail: String,
    },
    /// A migration failed and was rolled back; the file is as it was.
    #[error("{} could not be migrated: {source}", named(path))]
    Migration {
        /// The file.
        path: PathBuf,
        /// The migration's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A statement was interrupted, and its changes were rolled back.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// A file could not be created, linked or synced.
    #[error(transparent)]
    File(#[from] FileError),
    /// Any other error of SQLite: a bug in this program, or a failing disk.
    #[error("{}{source}", prefix(path))]
    Sqlite {
        /// The file; empty if it isn't known.
        path: PathBuf,
        /// SQLite's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl DbError {
    /// Returns `true` if the disk is full.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Full { .. } => true,
            Self::File(error) => error.is_disk_full(),
            _ => false,
        }
    }

    /// Returns `true` if a retry a little later may succeed.
    pub fn is_busy(&self) -> bool {
        match self {
            Self::Busy { .. } => true,
            Self::File(error) => error.is_busy(),
            _ => false,
        }
    }

    /// Adds the file's path to an error.
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
        let kind = Kind::of(&error);
        Self::of_kind(kind, error.to_string(), Box::new(error))
    }
}

impl From<refinery_core::Error> for DbError {
    /// Distinguishes a migration that failed by an error of SQLite from one that is wrong itself.
    fn from(error: refinery_core::Error) -> Self {
        let mut kind = Kind::Other;
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref() {
                kind = Kind::of(error);
            }
            cause = error.source();
        }
        match kind {
            Kind::Other => Self::Migration { path: PathBuf::new(), source: Box::new(error) },
            kind => Self::of_kind(kind, error.to_string(), Box::new(error)),
        }
    }
}

/// The kind of an error of SQLite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Interrupted,
    Full,
    Corrupt,
    Busy,
    Other,
}

impl Kind {
    /// Must be called right after the error occurs: SQLite says only that a system call failed, and its `errno` is lost
    /// when the next call fails.
    fn of(error: &rusqlite::Error) -> Self {
        let system = std::io::Error::last_os_error();
        match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => Self::Interrupted,
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            // Another file refers to bytes beyond the end of this one, which was truncated.
            Some(ErrorCode::SystemIoFailure)
                if error.sqlite_extended_error_code() == Some(SHORT_READ) =>
            {
                Self::Corrupt
            }
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) if is_disk_full(&system) => {
                Self::Full
            }
            Some(ErrorCode::CannotOpen) if is_passing(&system) || is_short_of_descriptors() => {
                Self::Busy
            }
            _ => Self::Other,
        }
    }
}

impl DbError {
    fn of_kind(
        kind: Kind,
        detail: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    ) -> Self {
        let path = PathBuf::new();
        match kind {
            Kind::Interrupted => Cancelled.into(),
            Kind::Full => Self::Full { path },
            Kind::Corrupt => {
                CORRUPTION.set(true);
                Self::Corrupt { path, source }
            }
            Kind::Busy => Self::Busy { path, detail },
            Kind::Other => Self::Sqlite { path, source },
        }
    }
}

/// The file in a message; its path is unknown if the error occurred within a unit of work.
fn named(path: &Path) -> String {
    if path.as_os_str().is_empty() {
        "the database".to_owned()
    } else {
        format!("`{}`", path.display())
    }
}

/// The prefix with the file's path; empty if the path is unknown.
fn prefix(path: &Path) -> String {
    if path.as_os_str().is_empty() { String::new() } else { format!("`{}`: ", path.display()) }
}

/// SQLite doesn't say why it can't open a file. Opening another file tells whether descriptors have run out.
fn is_short_of_descriptors() -> bool {
    std::fs::File::open("/").is_err_and(|error| is_passing(&error))
}
