//! People, as the platform knows them.

use std::fmt;

use time::OffsetDateTime;

/// Somebody who was here, or was named as a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Who: the stable identifier that the identity provider gave. See
    /// [`check_subject`](crate::check_subject).
    pub subject: String,
    /// For showing, never for recognising somebody.
    pub name: Option<String>,
    /// For showing, and for the author of commits.
    pub email: Option<String>,
    /// When the platform first heard of them, to the second.
    pub created: OffsetDateTime,
    /// Whether they may do nothing at all at present.
    pub suspended: Option<Suspension>,
}

/// A time in which a user may do nothing, in no wiki, and none of their tokens counts.
#[derive(Clone, PartialEq, Eq)]
pub struct Suspension {
    /// Since when, to the second.
    pub since: OffsetDateTime,
    /// Why, in words for the user.
    pub reason: String,
}

impl fmt::Debug for Suspension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Suspension({:?} since {})", self.reason, self.since)
    }
}

/// A user to be made before their first login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewUser {
    /// Who.
    pub subject: String,
    /// For showing.
    pub name: Option<String>,
    /// For showing, and for the author of commits.
    pub email: Option<String>,
}

/// What to change about a user; `None` leaves a value as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserUpdate {
    /// The new name, or none.
    pub name: Option<Option<String>>,
    /// The new address, or none.
    pub email: Option<Option<String>>,
    /// The reason of a suspension that begins; `Some(None)` ends one. Who is suspended already stays
    /// so since then, with the new reason.
    pub suspended: Option<Option<String>>,
}
