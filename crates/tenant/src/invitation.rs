//! Invitations: memberships offered to the bearer of a secret. They exist because a user's subject is known only after
//! a first login.

use time::{Duration, OffsetDateTime};

use crate::{Role, TenantId};

/// The default validity of an invitation.
pub(crate) const VALID_FOR: Duration = Duration::days(7);

/// An invitation as it is listed, without its secret, which isn't stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// The public id: 16 hexadecimal digits.
    pub id: String,
    /// The id of the wiki.
    pub wiki: TenantId,
    /// The role that the invitation gives.
    pub role: Role,
    /// The address that it was sent to, for display only. It isn't compared with anything.
    pub email: Option<String>,
    /// The time of creation, to the second.
    pub created: OffsetDateTime,
    /// The time from which on it is refused.
    pub expires: OffsetDateTime,
    /// Its acceptance, if it was accepted. An invitation can be accepted once.
    pub accepted: Option<Acceptance>,
}

/// The acceptance of an invitation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// The time, to the second.
    pub at: OffsetDateTime,
    /// The subject of the user who accepted it.
    pub by: String,
}

/// The settings of a new invitation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewInvitation {
    /// The role that the invitation gives.
    pub role: Role,
    /// The address that it is sent to, for display only.
    pub email: Option<String>,
    /// The time from which on it is refused; `None` is in seven days. Fractions of a second are dropped.
    pub expires: Option<OffsetDateTime>,
}
