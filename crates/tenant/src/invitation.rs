//! Memberships offered to whoever shows a secret: a subject is known only after a first login.

use time::{Duration, OffsetDateTime};

use crate::{Role, TenantId};

/// How long an invitation holds if nothing is said about it.
pub(crate) const VALID_FOR: Duration = Duration::days(7);

/// An invitation as it is listed. Its secret isn't known to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Names the invitation without giving it away: 16 hexadecimal digits.
    pub id: String,
    /// Where to.
    pub wiki: TenantId,
    /// What whoever accepts it becomes there.
    pub role: Role,
    /// To whom it was sent, for showing. It isn't compared with anything.
    pub email: Option<String>,
    /// When it was made, to the second.
    pub created: OffsetDateTime,
    /// From when on it is refused.
    pub expires: OffsetDateTime,
    /// Whether somebody accepted it. It is good for one.
    pub accepted: Option<Acceptance>,
}

/// That an invitation was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// When, to the second.
    pub at: OffsetDateTime,
    /// The subject of who did.
    pub by: String,
}

/// What to invite somebody to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewInvitation {
    /// What whoever accepts it becomes.
    pub role: Role,
    /// To whom it is sent, for showing.
    pub email: Option<String>,
    /// From when on it is refused; in seven days if nothing is said. Fractions of a second are dropped.
    pub expires: Option<OffsetDateTime>,
}
