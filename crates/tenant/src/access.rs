//! Who may do what in a wiki: one pure function, [`decide`], and the words it uses.

mod caller;
#[cfg(test)]
mod tests;

use crate::{State, Tenant};

pub use caller::Caller;
use caller::Standing;

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

impl Action {
    /// Every action.
    pub const ALL: &[Self] = &[Self::Read, Self::Write, Self::Inspect, Self::Administer];

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
}

/// Decides whether `caller` may do `action` in `wiki`.
///
/// `member` is the caller's role in the wiki's list of members. It counts only for callers who
/// have a [`Caller::member_subject`] to look up.
pub fn decide(wiki: &Tenant, caller: &Caller, member: Option<Role>, action: Action) -> Decision {
    let Some(grant) = effective(wiki, caller, member) else {
        return Decision::Hidden;
    };
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

/// The greatest role that `caller` has in `wiki`, from wherever it comes.
pub fn effective(wiki: &Tenant, caller: &Caller, member: Option<Role>) -> Option<Grant> {
    let own = match caller.standing() {
        Standing::Anonymous => None,
        Standing::User => member.map(|role| Grant { role, source: Source::Member }),
        Standing::Token { wiki: id, role } => {
            (id == wiki.id).then_some(Grant { role, source: Source::Token })
        }
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
