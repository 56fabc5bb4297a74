//! Access control for wikis: the pure function [`decide`] and its types.

mod caller;
mod permissions;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::{State, Suspension, Tenant};

pub use caller::Caller;
use caller::{Ceiling, Standing};
pub(crate) use caller::{STAND_IN, author_of};
pub use permissions::{Permission, Permissions};

/// The role of a caller in a wiki. Each role includes the rights of the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// May read.
    Reader,
    /// May also change pages.
    Editor,
    /// May also change settings.
    Admin,
    /// Owns the wiki.
    Owner,
}
crate::words::words!(
    Role { Reader = "reader", Editor = "editor", Admin = "admin", Owner = "owner" },
    "a role is reader, editor, admin or owner"
);

/// The access that callers have without being members of the wiki.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// No access. For non-members the wiki doesn't exist.
    Private,
    /// Non-members may read.
    PublicRead,
    /// Non-members may read and change pages.
    PublicWrite,
}
crate::words::words!(
    Visibility { Private = "private", PublicRead = "public_read", PublicWrite = "public_write" },
    "a visibility is private, public_read or public_write"
);

impl Visibility {
    /// The role that every caller has, if any.
    pub fn everyone(self) -> Option<Role> {
        match self {
            Self::Private => None,
            Self::PublicRead => Some(Role::Reader),
            Self::PublicWrite => Some(Role::Editor),
        }
    }
}

/// An action in a wiki that a caller needs permission for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Read pages, history and attachments.
    Read,
    /// Change pages and attachments.
    Write,
    /// Read the wiki's settings. An adopted wiki keeps passwords there.
    Inspect,
    /// Change the wiki's settings.
    Administer,
}
crate::words::words!(
    Action { Read = "read", Write = "write", Inspect = "inspect", Administer = "administer" },
    "an action is read, write, inspect or administer"
);

impl Action {
    /// Returns `true` if the action changes the wiki.
    fn changes(self) -> bool {
        matches!(self, Self::Write | Self::Administer)
    }

    /// The smallest role that permits the action.
    pub fn needs(self) -> Role {
        match self {
            Self::Read => Role::Reader,
            Self::Write => Role::Editor,
            Self::Inspect | Self::Administer => Role::Admin,
        }
    }
}

/// A caller's effective role and its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// The source of the role.
    pub source: Source,
}

/// The source of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// The wiki's visibility, which gives every caller this role.
    Visibility,
    /// The wiki's list of members.
    Member,
    /// A token for this wiki.
    Token,
    /// The embedding application ([`Caller::with_role`]).
    Application,
    /// The caller is the platform's operator.
    Operator,
}
crate::words::words!(
    Source {
        Visibility = "visibility",
        Member = "member",
        Token = "token",
        Application = "application",
        Operator = "operator",
    },
    "a source is visibility, member, token, application or operator"
);

/// A caller's role and suspension, as the catalog has them for one wiki.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// The caller's role in the wiki's list of members. Ignored for callers without a [`Caller::member_subject`].
    pub role: Option<Role>,
    /// The suspension of the caller's user, if the user is suspended.
    pub suspended: Option<Arc<Suspension>>,
}

impl From<Option<Role>> for Membership {
    /// The membership of a user who isn't suspended.
    fn from(role: Option<Role>) -> Self {
        Self { role, suspended: None }
    }
}

/// The result of [`decide`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The action is permitted.
    Allowed(Grant),
    /// Refused, with the same answer as for a wiki that doesn't exist.
    Hidden,
    /// Refused: the caller may see the wiki, but its role is too small.
    Denied {
        /// The caller's role.
        has: Role,
        /// The role that the action needs.
        needs: Role,
    },
    /// Refused: the role suffices, but the wiki is read-only at present.
    ReadOnly,
    /// Refused: the wiki is suspended for all callers.
    Suspended {
        /// The reason, for the wiki's readers.
        reason: String,
    },
    /// Refused: the user is suspended in all wikis.
    UserSuspended {
        /// The reason, for the user.
        reason: String,
    },
}

/// Decides whether `caller`, with the membership `known`, may do `action` in `wiki`.
///
/// The function is pure: equal arguments give equal decisions. A suspended user learns of the suspension only in wikis
/// that the user may see; hidden wikis stay hidden.
pub fn decide(wiki: &Tenant, caller: &Caller, known: &Membership, action: Action) -> Decision {
    let Some(grant) = effective(wiki, caller, known.role) else {
        return Decision::Hidden;
    };
    if matches!(wiki.state, State::Creating | State::Deleting | State::Deleted) {
        return Decision::Hidden;
    }
    if let Some(suspension) = &known.suspended {
        return Decision::UserSuspended { reason: suspension.reason.clone() };
    }
    // The operator must be able to repair a suspended or read-only wiki.
    let settings = matches!(action, Action::Inspect | Action::Administer);
    let mending = grant.source == Source::Operator && settings;
    match &wiki.state {
        State::Creating | State::Deleting | State::Deleted => Decision::Hidden,
        State::Suspended { reason } if !mending => Decision::Suspended { reason: reason.clone() },
        _ if grant.role < action.needs() => {
            Decision::Denied { has: grant.role, needs: action.needs() }
        }
        State::ReadOnly if action.changes() && !mending => Decision::ReadOnly,
        State::Active | State::ReadOnly | State::Suspended { .. } => Decision::Allowed(grant),
    }
}

/// The greatest role that `caller` has in `wiki` from any source, capped at the caller's [limit](Caller::limited_to).
/// Suspensions are ignored.
pub fn effective(wiki: &Tenant, caller: &Caller, member: Option<Role>) -> Option<Grant> {
    let grant = granted(wiki, caller, member)?;
    match caller.ceiling() {
        Ceiling::None => Some(grant),
        Ceiling::At(role) => Some(Grant { role: grant.role.min(role), ..grant }),
        Ceiling::Nothing => None,
    }
}

fn granted(wiki: &Tenant, caller: &Caller, member: Option<Role>) -> Option<Grant> {
    let own = match caller.standing() {
        Standing::Anonymous => None,
        Standing::User => member.map(|role| Grant { role, source: Source::Member }),
        Standing::Token { wiki: id, .. } if id != wiki.id => None,
        // A user's token gives at most the role that the user has now.
        Standing::Token { role, .. } if caller.is_user() => {
            member.map(|member| Grant { role: role.min(member), source: Source::Token })
        }
        Standing::Token { role, .. } => Some(Grant { role, source: Source::Token }),
        Standing::Given(role) => Some(Grant { role, source: Source::Application }),
        Standing::Operator => Some(Grant { role: Role::Owner, source: Source::Operator }),
    };
    let everyone =
        wiki.visibility.everyone().map(|role| Grant { role, source: Source::Visibility });
    // Every caller has at least the rights of an anonymous one: less would only be an inconvenience. Of two equal roles
    // the caller's own is named, because a change of visibility doesn't take it away.
    match (own, everyone) {
        (Some(own), Some(everyone)) if everyone.role > own.role => Some(everyone),
        (Some(own), _) => Some(own),
        (None, everyone) => everyone,
    }
}
