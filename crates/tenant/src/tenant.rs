//! The catalog's data about a wiki.

use std::fmt;

use time::OffsetDateTime;

use crate::access::Visibility;
use crate::{Quota, RawPreferences, Slug, TenantId};

/// A wiki's row in the catalog, as of the time it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// The immutable id.
    pub id: TenantId,
    /// The present name; of a deleted wiki, its last one.
    pub slug: Slug,
    /// The title for people.
    pub title: String,
    /// The subject of the first member with [`Role::Owner`](crate::Role::Owner).
    pub owner: Option<String>,
    /// The access of non-members.
    pub visibility: Visibility,
    /// The state in the wiki's life cycle.
    pub state: State,
    /// The settings given at creation. They are written into the wiki's own files when these are created, and ignored
    /// afterwards.
    pub preferences: RawPreferences,
    /// When it was created, to the second.
    pub created: OffsetDateTime,
    /// The quota of pages and bytes.
    pub quota: Quota,
}

/// A state in a wiki's life cycle.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// The row exists, the files maybe not yet. No caller is admitted.
    Creating,
    /// In normal use.
    Active,
    /// The wiki can be read, but not changed.
    ReadOnly,
    /// No caller may read or write until the wiki is active again.
    Suspended {
        /// The reason, for the wiki's readers.
        reason: String,
    },
    /// The files are being removed. No caller is admitted.
    Deleting,
    /// The files are removed; only the row remains.
    Deleted,
}

impl State {
    /// The state as one word, without the reason.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Active => "active",
            Self::ReadOnly => "read_only",
            Self::Suspended { .. } => "suspended",
            Self::Deleting => "deleting",
            Self::Deleted => "deleted",
        }
    }

    /// The reason of a suspension, if the wiki is suspended.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Suspended { reason } => Some(reason),
            _ => None,
        }
    }

    /// Returns `true` if the wiki exists for its users: active, read-only or suspended.
    pub fn is_settled(&self) -> bool {
        matches!(self, Self::Active | Self::ReadOnly | Self::Suspended { .. })
    }

    /// Returns `true` if the state may change to `next`. An unchanged state is always permitted.
    pub fn may_become(&self, next: &Self) -> bool {
        match next {
            Self::Creating => *self == Self::Creating,
            Self::Active => *self == Self::Creating || self.is_settled(),
            Self::ReadOnly | Self::Suspended { .. } => self.is_settled(),
            Self::Deleting => *self == Self::Deleting || self.is_settled(),
            Self::Deleted => matches!(self, Self::Deleting | Self::Deleted),
        }
    }

    /// Combines the results of [`as_str`](Self::as_str) and [`reason`](Self::reason).
    pub(crate) fn from_parts(word: &str, reason: Option<String>) -> Option<Self> {
        Some(match word {
            "creating" => Self::Creating,
            "active" => Self::Active,
            "read_only" => Self::ReadOnly,
            "suspended" => Self::Suspended { reason: reason? },
            "deleting" => Self::Deleting,
            "deleted" => Self::Deleted,
            _ => return None,
        })
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The initial values of a new wiki.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTenant {
    /// The name, which must not be taken.
    pub slug: Slug,
    /// The title for people.
    pub title: String,
    /// The subject of the first member, who gets [`Role::Owner`](crate::Role::Owner).
    pub owner: Option<String>,
    /// The access of non-members.
    pub visibility: Visibility,
    /// Initial settings as rows of wiki.db: an upper-case name and a text each. Make them with
    /// [`preference_rows`](crate::storage::preference_rows), or copy them from another wiki.
    pub preferences: RawPreferences,
    /// The quota of pages and bytes.
    pub quota: Quota,
}

impl NewTenant {
    /// A private wiki without an owner, titled like its slug.
    pub fn new(slug: Slug) -> Self {
        Self {
            title: slug.to_string(),
            slug,
            owner: None,
            visibility: Visibility::Private,
            preferences: RawPreferences::new(),
            quota: Quota::default(),
        }
    }
}

/// Changes to a wiki; fields that are `None` stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantUpdate {
    /// The new title.
    pub title: Option<String>,
    /// The new visibility.
    pub visibility: Option<Visibility>,
    /// The new state: active, read-only or suspended.
    pub state: Option<State>,
    /// The new maximal size of the content in bytes; `Some(None)` is unlimited. Existing content stays.
    pub max_bytes: Option<Option<u64>>,
    /// The new maximal number of pages, likewise.
    pub max_pages: Option<Option<u64>>,
    /// The new maximal size on disk in bytes, including history, index and drafts. `Some(None)` is the platform's
    /// default: see [`Settings::disk_limit`](crate::Settings).
    pub max_disk_bytes: Option<Option<u64>>,
}

/// A member of a wiki.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Member {
    /// The stable identifier from the identity provider.
    pub subject: String,
    /// The role in the wiki.
    pub role: crate::Role,
    /// The user's name.
    pub name: Option<String>,
    /// The user's e-mail address.
    pub email: Option<String>,
    /// `true` if the user is suspended in all wikis.
    pub suspended: bool,
}

/// One of every state, for table tests.
#[cfg(test)]
pub(crate) fn all_states() -> [State; 6] {
    let suspended = State::Suspended { reason: "unpaid".to_owned() };
    [State::Creating, State::Active, State::ReadOnly, suspended, State::Deleting, State::Deleted]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_survives_being_taken_apart() {
        for state in all_states() {
            let again = State::from_parts(state.as_str(), state.reason().map(str::to_owned));
            assert_eq!(again, Some(state));
        }
        assert_eq!(State::from_parts("suspended", None), None);
        assert_eq!(State::from_parts("lost", None), None);
    }

    #[test]
    fn life_goes_one_way() {
        let lines: Vec<String> = all_states()
            .iter()
            .map(|from| {
                let next: Vec<_> =
                    all_states().into_iter().filter(|to| from.may_become(to)).collect();
                format!("{from}: {}", next.iter().map(State::as_str).collect::<Vec<_>>().join(" "))
            })
            .collect();
        assert_eq!(
            lines,
            [
                "creating: creating active",
                "active: active read_only suspended deleting",
                "read_only: active read_only suspended deleting",
                "suspended: active read_only suspended deleting",
                "deleting: deleting deleted",
                "deleted: deleted",
            ]
        );
    }
}
