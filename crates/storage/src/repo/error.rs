//! Errors of a repository.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use crate::deadline::Cancelled;
use crate::files::{FileError, is_disk_full, is_passing, is_unavailable};

type Source = Box<dyn std::error::Error + Send + Sync>;

/// The reason why a repository could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RepoError {
    #[error("`{}` can't be used as a wiki's repository: {source}", dir.display())]
    Unusable { dir: PathBuf, source: Source },
    #[error("the branch `{name}` is damaged: {source}")]
    DamagedRef { name: String, source: Source },
    #[error("git object {id} is damaged or missing: {source}")]
    DamagedObject { id: String, source: Source },
    /// The branch moved since it was read.
    #[error("the branch moved meanwhile")]
    Moved,
    #[error("the disk is full")]
    DiskFull,
    #[error("the repository is locked by another program")]
    Locked,
    /// A passing failure, such as too little memory; the repository may be intact.
    #[error("the repository can't be read or written at present: {0}")]
    Busy(Source),
    #[error(transparent)]
    File(#[from] FileError),
    /// The deadline of the work passed, or the work was cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// A text has too many lines to be compared.
    #[error("a version of it has more than {limit} lines, too many to be compared")]
    TooManyLines { limit: usize },
    /// The commit has too many paths: a few trees that share subtrees can make any number of them.
    #[error("there are too many files to be listed, or their paths are too long")]
    TooManyPaths,
    #[error("git: {0}")]
    Git(Source),
}

impl RepoError {
    pub(super) fn unusable(dir: &Path, error: gix::Error) -> Self {
        Self::reading(error, |source| Self::Unusable { dir: dir.to_owned(), source })
    }

    /// Maps a failed read of a ref or object: `damaged`, unless the error comes from the operating system.
    pub(super) fn reading(error: gix::Error, damaged: impl FnOnce(Source) -> Self) -> Self {
        if Self::blames_the_system(&error) { error.into() } else { damaged(chain(&error).into()) }
    }

    /// Returns `true` if the error comes from the operating system and says nothing about the content of
    /// the file.
    pub(super) fn blames_the_system(error: &gix::Error) -> bool {
        system_errors(error).any(is_unavailable)
    }

    /// The error for an object that could not be read.
    pub(super) fn reading_object(id: &gix::oid, error: impl Into<gix::Error>) -> Self {
        Self::reading(error.into(), |source| Self::DamagedObject { id: id.to_string(), source })
    }

    /// Maps the failure of a git program: a full disk, a passing failure, or an error that git found.
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

/// The whole chain of an error: gix reports the attempted operation at the top and the cause further down.
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
