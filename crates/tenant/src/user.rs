//! Users of the platform.

use std::fmt;

use time::OffsetDateTime;

/// A user who has logged in or was named as a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The stable identifier from the identity provider. See [`check_subject`](crate::check_subject).
    pub subject: String,
    /// The name, for display only: it identifies no user.
    pub name: Option<String>,
    /// The e-mail address, for display and as the author of commits.
    pub email: Option<String>,
    /// The time when the platform first heard of the user, to the second.
    pub created: OffsetDateTime,
    /// The suspension, if the user is suspended.
    pub suspended: Option<Suspension>,
}

/// A suspension of a user: the user has no rights in any wiki, and the user's tokens are refused.
#[derive(Clone, PartialEq, Eq)]
pub struct Suspension {
    /// The beginning, to the second.
    pub since: OffsetDateTime,
    /// The reason, for the user.
    pub reason: String,
}

impl fmt::Debug for Suspension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Suspension({:?} since {})", self.reason, self.since)
    }
}

/// A user created before their first login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewUser {
    /// The subject.
    pub subject: String,
    /// The name, for display.
    pub name: Option<String>,
    /// The e-mail address, for display and as the author of commits.
    pub email: Option<String>,
}

/// Changes to a user; fields that are `None` stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserUpdate {
    /// The new name; `Some(None)` removes it.
    pub name: Option<Option<String>>,
    /// The new address; `Some(None)` removes it.
    pub email: Option<Option<String>>,
    /// The reason of a new suspension; `Some(None)` ends the present one. A user who is already suspended keeps the
    /// beginning of the suspension and gets the new reason.
    pub suspended: Option<Option<String>>,
}
