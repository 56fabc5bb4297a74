//! What can go wrong with a SQLite file, in the terms a caller can act on.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::deadline::Cancelled;
use crate::files::{FileError, is_disk_full, is_passing};

/// SQLite's `IOERR_SHORT_READ`.
const SHORT_READ: i32 = rusqlite::ffi::SQLITE_IOERR_SHORT_READ;

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
        let kind = Kind::of(&error);
        Self::of_kind(kind, error.to_string(), Box::new(error))
    }
}

impl From<refinery_core::Error> for DbError {
    /// A migration that failed because of what SQLite met, or because of itself.
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

/// What an error of SQLite means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Interrupted,
    Full,
    Corrupt,
    Busy,
    Other,
}

impl Kind {
    /// To be asked right after the error came up: that a call of the system failed is all that SQLite says, and
    /// why is only known until the next one fails.
    fn of(error: &rusqlite::Error) -> Self {
        let system = std::io::Error::last_os_error();
        match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => Self::Interrupted,
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            // A file that ends before another one says it does.
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
