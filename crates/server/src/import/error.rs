//! Errors of imports.

use std::path::PathBuf;

use wikigrove_tenant::storage::fsck::Finding;
use wikigrove_tenant::{Error, Slug, storage};

use crate::archive::ArchiveError;

/// An error of an import.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The path doesn't exist or can't be read.
    #[error("`{}` can't be read: {source}", path.display())]
    Unreadable {
        /// The path as given.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The path is none of the known kinds of sources.
    #[error("`{}` is neither a git repository nor a git bundle, nor the data of an OtterWiki, nor an exported wiki", path.display())]
    Unknown {
        /// The path.
        path: PathBuf,
    },
    /// A part of the source may lead outside of it.
    #[error("`{}` can't be imported: {why}", path.display())]
    Foreign {
        /// The part.
        path: PathBuf,
        /// The problem, and advice.
        why: String,
    },
    /// The source has no branch to take.
    #[error("`{}` has no branch that a wiki could be made of", path.display())]
    NoBranch {
        /// The path.
        path: PathBuf,
    },
    /// An object of the history is damaged or dangerous.
    #[error("the history can't be imported: {finding}; nothing was changed")]
    Refused {
        /// The object and its problem.
        finding: Finding,
    },
    /// Commits name parents that the source doesn't have.
    #[error(
        "the history is cut off, its beginning is missing; `git fetch --unshallow` helps where it was cloned \
         with --depth, and a bundle has to be made of the whole branch"
    )]
    CutOff,
    /// git reported success, but didn't fetch the branch.
    #[error("`{branch}` didn't arrive: its history is cut off (shallow) or damaged")]
    NotArrived {
        /// The branch.
        branch: String,
    },
    /// A part of the source is damaged.
    #[error("`{}` can't be read: {source}", path.display())]
    Source {
        /// The part.
        path: PathBuf,
        /// The storage error.
        source: storage::Error,
    },
    /// An exported wiki is damaged, or has an unknown version.
    #[error("`{}` can't be imported: {source}", path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// The problem of the file.
        source: ArchiveError,
    },
    /// The wiki has commits that the source doesn't have, or the source's history was replaced.
    #[error(
        "`{slug}` has changes that the source doesn't have, so it can't simply follow it; nothing was changed"
    )]
    Diverged {
        /// The wiki.
        slug: Slug,
    },
    /// A wiki or directory of this name exists.
    #[error("the slug `{slug}` is taken")]
    Taken {
        /// The name.
        slug: Slug,
    },
    /// The git program is missing or failed.
    #[error("git {command} failed: {detail}")]
    Git {
        /// The subcommand.
        command: &'static str,
        /// The end of git's output.
        detail: String,
    },
    /// The wiki could not be created or changed.
    #[error(transparent)]
    Platform(#[from] Error),
    /// The temporary wiki of a dry run could not be created.
    #[error(transparent)]
    Storage(#[from] storage::Error),
}

impl ImportError {
    /// The same error as a storage error, for code that fills a wiki's directory.
    pub(super) fn boxed(self) -> storage::Error {
        storage::Error::Repository(Box::new(self))
    }
}
