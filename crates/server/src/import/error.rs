//! Why an import fails.

use std::path::PathBuf;

use wikigrove_tenant::storage::fsck::Finding;
use wikigrove_tenant::{Error, Slug, storage};

use crate::archive::ArchiveError;

/// Why a source can't be imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// There is nothing at this path.
    #[error("`{}` can't be read: {source}", path.display())]
    Unreadable {
        /// The path as given.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What is there is none of the things that are understood.
    #[error("`{}` is neither a git repository nor a git bundle, nor the data of an OtterWiki, nor an exported wiki", path.display())]
    Unknown {
        /// The path.
        path: PathBuf,
    },
    /// A part of the source may lead to what isn't part of it.
    #[error("`{}` can't be imported: {why}", path.display())]
    Foreign {
        /// The part.
        path: PathBuf,
        /// What is wrong with it, and what helps.
        why: String,
    },
    /// The source has no branch to take.
    #[error("`{}` has no branch that a wiki could be made of", path.display())]
    NoBranch {
        /// The path.
        path: PathBuf,
    },
    /// An object of the history is broken, or would do harm.
    #[error("the history can't be imported: {finding}; nothing was changed")]
    Refused {
        /// The object, and what is wrong with it.
        finding: Finding,
    },
    /// Commits name parents that the source doesn't have.
    #[error(
        "the history is cut off, its beginning is missing; `git fetch --unshallow` helps where it was cloned \
         with --depth, and a bundle has to be made of the whole branch"
    )]
    CutOff,
    /// git fetched without a complaint, and the branch isn't there.
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
        /// What is wrong with it.
        source: storage::Error,
    },
    /// An exported wiki is damaged, or not one that this program knows.
    #[error("`{}` can't be imported: {source}", path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ArchiveError,
    },
    /// The wiki has changes of its own, or the source has another history.
    #[error(
        "`{slug}` has changes that the source doesn't have, so it can't simply follow it; nothing was changed"
    )]
    Diverged {
        /// The wiki.
        slug: Slug,
    },
    /// There is a wiki, or at least a directory, of this name.
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
        /// What git said last.
        detail: String,
    },
    /// The wiki could not be created or changed.
    #[error(transparent)]
    Platform(#[from] Error),
    /// A wiki that was made to see how it would go could not be.
    #[error(transparent)]
    Storage(#[from] storage::Error),
}

impl ImportError {
    /// The same, where a wiki's directory is being filled.
    pub(super) fn boxed(self) -> storage::Error {
        storage::Error::Repository(Box::new(self))
    }
}
