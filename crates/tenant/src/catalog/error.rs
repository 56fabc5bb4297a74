//! The errors of the catalog.

use wikigrove_storage::FileError;
use wikigrove_storage::db::DbError;

use crate::{Domain, InvalidSubject, Slug, State, TenantId};

/// The reason why the catalog refused a call or failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CatalogError {
    /// Another wiki has this name, or is being created or deleted under it.
    #[error("the slug `{0}` is taken")]
    SlugTaken(Slug),
    /// The wiki doesn't exist, or was deleted.
    #[error("there is no wiki with the id {0}")]
    UnknownWiki(TenantId),
    /// Another wiki owns this domain.
    #[error("the domain `{0}` belongs to another wiki")]
    DomainTaken(Domain),
    /// The link doesn't exist.
    #[error("there is no such link")]
    UnknownLink,
    /// The wiki has the maximum number of channels already.
    #[error("a wiki has at most {most} channels")]
    TooManyChannels {
        /// The maximum.
        most: u32,
    },
    /// A forbidden state transition of the wiki.
    #[error("a wiki that is {from} can't become {to}")]
    Transition {
        /// The present state.
        from: State,
        /// The refused state.
        to: State,
    },
    /// The text isn't a valid subject of a user.
    #[error(transparent)]
    InvalidSubject(#[from] InvalidSubject),
    /// A user with this subject exists already.
    #[error("there is a user with this subject")]
    UserExists,
    /// No user has this subject.
    #[error("there is no such user")]
    UnknownUser,
    /// The user is suspended.
    #[error("the user is suspended: {reason}")]
    SuspendedUser {
        /// The reason.
        reason: String,
    },
    /// The wiki would have no owner left.
    #[error("a wiki keeps its last owner")]
    LastOwner,
    /// The wiki has no invitation with this secret.
    #[error("there is no such invitation")]
    UnknownInvitation,
    /// The invitation was used or has expired.
    #[error("the invitation is over")]
    SpentInvitation {
        /// `true` if it expired before it was accepted.
        expired: bool,
    },
    /// The data directory has wikis, but the file is missing, empty or from another platform. Nothing was changed.
    #[error("{0}")]
    Lost(String),
    /// The file could not be read or written.
    #[error(transparent)]
    Db(#[from] DbError),
}

#[cfg(test)]
impl CatalogError {
    /// Returns `true` if the wiki doesn't exist.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::UnknownWiki(_))
    }

    /// Returns `true` if the call contradicts the stored state.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::SlugTaken(_) | Self::DomainTaken(_) | Self::Transition { .. })
    }
}

impl From<FileError> for CatalogError {
    fn from(error: FileError) -> Self {
        Self::Db(error.into())
    }
}

impl From<rusqlite::Error> for CatalogError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}
