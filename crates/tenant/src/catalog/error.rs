//! What can go wrong with the platform's database.

use wikigrove_storage::FileError;
use wikigrove_storage::db::DbError;

use crate::{Domain, InvalidSubject, Slug, State, TenantId};

/// Why the catalog refused or failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CatalogError {
    /// Another wiki has, or is about to have or give up, this name.
    #[error("the slug `{0}` is taken")]
    SlugTaken(Slug),
    /// There is no such wiki, or no more.
    #[error("there is no wiki with the id {0}")]
    UnknownWiki(TenantId),
    /// Another wiki owns this domain.
    #[error("the domain `{0}` belongs to another wiki")]
    DomainTaken(Domain),
    /// There is no such link, or no more.
    #[error("there is no such link")]
    UnknownLink,
    /// The wiki tells as many as it may.
    #[error("a wiki has at most {most} channels")]
    TooManyChannels {
        /// How many it may tell.
        most: u32,
    },
    /// The wiki's life doesn't go that way.
    #[error("a wiki that is {from} can't become {to}")]
    Transition {
        /// What it is.
        from: State,
        /// What it should have become.
        to: State,
    },
    /// The text can't be a user's subject.
    #[error(transparent)]
    InvalidSubject(#[from] InvalidSubject),
    /// There is a user with this subject.
    #[error("there is a user with this subject")]
    UserExists,
    /// There is no user with this subject.
    #[error("there is no such user")]
    UnknownUser,
    /// The user is suspended.
    #[error("the user is suspended: {reason}")]
    SuspendedUser {
        /// Why.
        reason: String,
    },
    /// The wiki would have no owner left.
    #[error("a wiki keeps its last owner")]
    LastOwner,
    /// The wiki has no invitation with this secret.
    #[error("there is no such invitation")]
    UnknownInvitation,
    /// The invitation was good, once.
    #[error("the invitation is over")]
    SpentInvitation {
        /// Whether nobody accepted it in time.
        expired: bool,
    },
    /// The file is missing, empty or another one's, in a data directory that has wikis. Nothing was changed.
    #[error("{0}")]
    Lost(String),
    /// The file could not be read or written.
    #[error(transparent)]
    Db(#[from] DbError),
}

#[cfg(test)]
impl CatalogError {
    /// Whether the wiki doesn't exist.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::UnknownWiki(_))
    }

    /// Whether what was asked for contradicts what is there.
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
