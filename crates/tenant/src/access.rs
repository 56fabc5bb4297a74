//! Who may do what in a wiki: one pure function, [`decide`], and the words it uses.

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

/// What somebody is in a wiki. Each role may do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Reads.
    Reader,
    /// Changes pages.
    Editor,
    /// Changes settings.
    Admin,
    /// Whom the wiki belongs to.
    Owner,
}
crate::words::words!(
    Role { Reader = "reader", Editor = "editor", Admin = "admin", Owner = "owner" },
    "a role is reader, editor, admin or owner"
);

/// What those may do in a wiki who aren't its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// Nothing, and they aren't told that it exists.
    Private,
    /// Read.
    PublicRead,
    /// Read and change pages.
    PublicWrite,
}
crate::words::words!(
    Visibility { Private = "private", PublicRead = "public_read", PublicWrite = "public_write" },
    "a visibility is private, public_read or public_write"
);

impl Visibility {
    /// The role that everybody has, if any.
    pub fn everyone(self) -> Option<Role> {
        match self {
            Self::Private => None,
            Self::PublicRead => Some(Role::Reader),
            Self::PublicWrite => Some(Role::Editor),
        }
    }
}

/// What a caller wants to do in a wiki.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Look at pages, history, attachments.
    Read,
    /// Change pages and attachments.
    Write,
    /// Look at the wiki's settings. An adopted wiki keeps passwords there.
    Inspect,
    /// Change the wiki's settings.
    Administer,
}
crate::words::words!(
    Action { Read = "read", Write = "write", Inspect = "inspect", Administer = "administer" },
    "an action is read, write, inspect or administer"
);

impl Action {
    /// Whether it changes anything.
    fn changes(self) -> bool {
        matches!(self, Self::Write | Self::Administer)
    }

    /// The least role that may do it.
    pub fn needs(self) -> Role {
        match self {
            Self::Read => Role::Reader,
            Self::Write => Role::Editor,
            Self::Inspect | Self::Administer => Role::Admin,
        }
    }
}

/// A caller's effective role, and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// Why the caller has it.
    pub source: Source,
}

/// Where a role comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// The wiki's visibility: everybody has it.
    Visibility,
    /// The wiki's list of members.
    Member,
    /// A token made for this wiki.
    Token,
    /// The application around us said so ([`Caller::with_role`]).
    Application,
    /// The caller runs the platform.
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

/// What the platform knows of a caller in one wiki.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// The caller's role in the wiki's list of members. It counts only for callers who have a
    /// [`Caller::member_subject`] to look up.
    pub role: Option<Role>,
    /// Whether the user that the caller is may do nothing at present.
    pub suspended: Option<Arc<Suspension>>,
}

impl From<Option<Role>> for Membership {
    /// Of a user who isn't suspended.
    fn from(role: Option<Role>) -> Self {
        Self { role, suspended: None }
    }
}

/// The answer to "may they?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allowed(Grant),
    /// No, and the answer must be the one for a wiki that doesn't exist.
    Hidden,
    /// No: they may see the wiki, but their role is too small.
    Denied {
        /// What they are there.
        has: Role,
        /// What they would have to be.
        needs: Role,
    },
    /// Not now: their role would do, but the wiki can't be changed at present.
    ReadOnly,
    /// Not now, for nobody.
    Suspended {
        /// Why, in words for the wiki's readers.
        reason: String,
    },
    /// No: the user is suspended, here and everywhere.
    UserSuspended {
        /// Why, in words for the user.
        reason: String,
    },
}

/// Decides whether `caller` may do `action` in `wiki`, where it is what `known` says.
///
/// Nothing is looked up, so the same question always has the same answer. A suspended user is told
/// so only where there would be something to see: what is hidden stays hidden.
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
    // Whoever runs the platform must be able to mend what is stopped.
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

/// The greatest role that `caller` has in `wiki`, from wherever it comes, and no greater than what
/// the caller is [limited to](Caller::limited_to). Suspensions aren't looked at.
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
        // A user's token is worth what the user is now, at most.
        Standing::Token { role, .. } if caller.is_user() => {
            member.map(|member| Grant { role: role.min(member), source: Source::Token })
        }
        Standing::Token { role, .. } => Some(Grant { role, source: Source::Token }),
        Standing::Given(role) => Some(Grant { role, source: Source::Application }),
        Standing::Operator => Some(Grant { role: Role::Owner, source: Source::Operator }),
    };
    let everyone =
        wiki.visibility.everyone().map(|role| Grant { role, source: Source::Visibility });
    // Nobody has less than a caller without any credential: that would only be an inconvenience.
    // Of two equal roles the caller's own is named, because it would stay if visibility changed.
    match (own, everyone) {
        (Some(own), Some(everyone)) if everyone.role > own.role => Some(everyone),
        (Some(own), _) => Some(own),
        (None, everyone) => everyone,
    }
}
