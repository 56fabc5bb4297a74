//! A wiki as the platform sees it.

use std::fmt;

use time::OffsetDateTime;

use crate::access::Visibility;
use crate::{Quota, RawPreferences, Slug, TenantId};

/// What the platform knows about one wiki: the values of its row, at the time it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its identity, which never changes.
    pub id: TenantId,
    /// Its present name; of a deleted wiki, its last one.
    pub slug: Slug,
    /// What people call it.
    pub title: String,
    /// The first of its members with [`Role::Owner`](crate::Role::Owner), by subject.
    pub owner: Option<String>,
    /// What those may do who aren't members.
    pub visibility: Visibility,
    /// Where it is in its life.
    pub state: State,
    /// The settings given when it was created, written into its own files when they are born and
    /// not looked at again.
    pub preferences: RawPreferences,
    /// When it was created, to the second.
    pub created: OffsetDateTime,
    /// How much it may hold.
    pub quota: Quota,
}

/// Where a wiki is in its life.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Its row exists, its files maybe not yet. Nobody can enter it.
    Creating,
    /// In use.
    Active,
    /// It can be read, but not changed.
    ReadOnly,
    /// Nobody can enter it until it is active again.
    Suspended {
        /// Why, in words for its readers.
        reason: String,
    },
    /// Its files are being removed. Nobody can enter it.
    Deleting,
    /// It is gone; only the row remembers it.
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

    /// Why the wiki is suspended, if it is.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Suspended { reason } => Some(reason),
            _ => None,
        }
    }

    /// Whether the wiki exists for its users: active, read-only or suspended.
    pub fn is_settled(&self) -> bool {
        matches!(self, Self::Active | Self::ReadOnly | Self::Suspended { .. })
    }

    /// Whether a wiki in this state may be put into `next`. Staying as it is always may.
    pub fn may_become(&self, next: &Self) -> bool {
        match next {
            Self::Creating => *self == Self::Creating,
            Self::Active => *self == Self::Creating || self.is_settled(),
            Self::ReadOnly | Self::Suspended { .. } => self.is_settled(),
            Self::Deleting => *self == Self::Deleting || self.is_settled(),
            Self::Deleted => matches!(self, Self::Deleting | Self::Deleted),
        }
    }

    /// Puts together what [`as_str`](Self::as_str) and [`reason`](Self::reason) took apart.
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

/// What a new wiki starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTenant {
    /// Its name; no other wiki may have it.
    pub slug: Slug,
    /// What people call it.
    pub title: String,
    /// The subject of its first member, with [`Role::Owner`](crate::Role::Owner).
    pub owner: Option<String>,
    /// What those may do who aren't members.
    pub visibility: Visibility,
    /// Settings to start with, as rows of wiki.db: an upper-case name and a text each. Make them with
    /// [`preference_rows`](crate::storage::preference_rows), or take them from another wiki.
    pub preferences: RawPreferences,
    /// How much it may hold.
    pub quota: Quota,
}

impl NewTenant {
    /// A private wiki that nobody owns, titled like its slug.
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

/// What to change about a wiki; `None` leaves a value as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantUpdate {
    /// The new title.
    pub title: Option<String>,
    /// The new visibility.
    pub visibility: Option<Visibility>,
    /// The new state: active, read-only or suspended.
    pub state: Option<State>,
    /// How many bytes it may hold from now on, `Some(None)` as many as there is room for. What it
    /// holds already stays.
    pub max_bytes: Option<Option<u64>>,
    /// How many pages, likewise.
    pub max_pages: Option<Option<u64>>,
    /// How many bytes of the disk it may take, with its history, its index and its drafts. `Some(None)` is
    /// what the platform gives: see [`Settings::disk_limit`](crate::Settings).
    pub max_disk_bytes: Option<Option<u64>>,
}

/// Somebody's place in a wiki.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Member {
    /// Who: the stable identifier that the identity provider gave.
    pub subject: String,
    /// What they are there.
    pub role: crate::Role,
    /// What they are called.
    pub name: Option<String>,
    /// Their e-mail address.
    pub email: Option<String>,
    /// Whether they may do nothing at present, here and everywhere.
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
