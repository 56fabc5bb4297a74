//! What can go wrong with a repository.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use crate::deadline::Cancelled;
use crate::files::{FileError, is_disk_full, is_passing, is_unavailable};

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a repository could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RepoError {
    #[error("`{}` can't be used as a wiki's repository: {source}", dir.display())]
    Unusable { dir: PathBuf, source: Source },
    #[error("the branch `{name}` is damaged: {source}")]
    DamagedRef { name: String, source: Source },
    #[error("git object {id} is damaged or missing: {source}")]
    DamagedObject { id: String, source: Source },
    /// Somebody else moved the branch since it was read.
    #[error("the branch moved meanwhile")]
    Moved,
    #[error("the disk is full")]
    DiskFull,
    #[error("the repository is locked by another program")]
    Locked,
    /// Something is short for now; the repository may be as good as ever.
    #[error("the repository can't be read or written at present: {0}")]
    Busy(Source),
    #[error(transparent)]
    File(#[from] FileError),
    /// The deadline of the work passed, or its result isn't needed any more.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// A text that was to be compared has too many lines for that.
    #[error("a version of it has more than {limit} lines, too many to be compared")]
    TooManyLines { limit: usize },
    /// Trees share what is below them: a few of them make paths without end.
    #[error("there are too many files to be listed, or their paths are too long")]
    TooManyPaths,
    #[error("git: {0}")]
    Git(Source),
}

impl RepoError {
    pub(super) fn unusable(dir: &Path, error: gix::Error) -> Self {
        Self::reading(error, |source| Self::Unusable { dir: dir.to_owned(), source })
    }

    /// A ref or object that could not be read: `damaged` unless the system is to blame.
    pub(super) fn reading(error: gix::Error, damaged: impl FnOnce(Source) -> Self) -> Self {
        if Self::blames_the_system(&error) { error.into() } else { damaged(chain(&error).into()) }
    }

    /// Whether the error says nothing about what is in a file, because it couldn't be looked at.
    pub(super) fn blames_the_system(error: &gix::Error) -> bool {
        system_errors(error).any(is_unavailable)
    }

    /// An object that could not be read.
    pub(super) fn reading_object(id: &gix::oid, error: impl Into<gix::Error>) -> Self {
        Self::reading(error.into(), |source| Self::DamagedObject { id: id.to_string(), source })
    }

    /// What a git program that failed said: whether something was short, or what it found.
    pub(crate) fn of_git(status: ExitStatus, said: &str) -> Self {
        let says = |words: &[&str]| words.iter().any(|words| said.contains(words));
        if says(&["No space left on device", "Disk quota exceeded", "File too large"]) {
            return Self::DiskFull;
        }
        let last = said.lines().last().unwrap_or("").escape_debug();
        let failed = format!("git ended with {status}: {last}").into();
        let is_passing = status.code().is_none()
            || says(&[
                "Cannot allocate memory",
                "out of memory",
                "Out of memory",
                "Too many open files",
            ]);
        if is_passing { Self::Busy(failed) } else { Self::Git(failed) }
    }

    pub(super) fn object(id: &gix::oid, error: impl std::fmt::Display) -> Self {
        Self::DamagedObject { id: id.to_string(), source: error.to_string().into() }
    }

    pub(crate) fn is_disk_full(&self) -> bool {
        match self {
            Self::DiskFull => true,
            Self::File(error) => error.is_disk_full(),
            _ => false,
        }
    }
}

impl From<gix::Error> for RepoError {
    fn from(error: gix::Error) -> Self {
        if system_errors(&error).any(is_disk_full) {
            Self::DiskFull
        } else if system_errors(&error).any(is_passing) {
            Self::Busy(chain(&error).into())
        } else if error.is_conflict() {
            Self::Moved
        } else if error.is_retryable() {
            Self::Locked
        } else {
            Self::Git(chain(&error).into())
        }
    }
}

fn system_errors(error: &gix::Error) -> impl Iterator<Item = &std::io::Error> {
    error.iter_errors().filter_map(|cause| cause.downcast_ref())
}

/// gix says what it tried at the top and why it failed further down.
fn chain(error: &gix::Error) -> String {
    let mut lines: Vec<String> = Vec::new();
    for cause in error.iter_errors() {
        let line = cause.to_string();
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.join(": ")
}
