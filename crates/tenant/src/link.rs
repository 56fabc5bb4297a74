//! Links: the connections of wikis to remote git repositories, as the catalog stores them.
//!
//! The catalog treats the enumerations in a link's settings and state as texts; the runner of the links defines them.

use std::time::Duration;

use data_encoding::HEXLOWER;
use time::OffsetDateTime;

use crate::{Secret, TenantId, random};

/// The settings of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSettings {
    /// The URL of the remote, without any secret.
    pub url: String,
    /// The branch there, or [`UNNAMED`](Self::UNNAMED).
    pub branch: String,
    /// The remote directory that holds the wiki; `None` is the root.
    pub subdirectory: Option<String>,
    /// A filter for the wiki's files; `None` is all of them.
    pub filter: Option<String>,
    /// The direction: `both`, `push`, `pull` or `off`.
    pub mode: String,
    /// The side that keeps the page in a conflict.
    pub winner: String,
    /// The action on meeting a remote with an unrelated history.
    pub first_run: String,
    /// The action after the remote's history was rewritten.
    pub on_rewrite: String,
    /// The polling interval; whole seconds.
    pub interval: Duration,
    /// The minimal time between a look at the remote and another one caused by a reader; whole seconds.
    pub cooldown: Duration,
    /// `true` if the link must not use the network.
    pub offline: bool,
}

impl LinkSettings {
    /// The branch until the first run has found out which one the remote's HEAD names.
    pub const UNNAMED: &str = "";
    /// The branch that is made in an empty remote, if none was named.
    pub const NEW_BRANCH: &str = "main";

    /// True once it is known which branch it is.
    pub fn is_branch_named(&self) -> bool {
        self.branch != Self::UNNAMED
    }
}

/// How a link gets in. What is secret of it is sealed where it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkCredential {
    /// The kind: `token`, `token_file`, `deploy_key` or `key_file`.
    pub kind: String,
    /// The public key to register with the remote.
    pub public_key: Option<String>,
    /// The complete credential, in the caller's own format.
    pub secret: Secret,
}

/// The state of a link's synchronisation, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkProgress {
    /// The complete state, as JSON.
    pub state: String,
    /// The state in one word.
    pub word: String,
    /// The reason of the state.
    pub reason: Option<String>,
    /// The time of the next step, in milliseconds since 1970.
    pub next_at: Option<i64>,
}

/// A link: the connection of a wiki to a remote git repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// 16 hexadecimal digits.
    pub id: String,
    /// The id of the wiki.
    pub wiki: TenantId,
    /// The settings.
    pub settings: LinkSettings,
    /// The kind of the credential; `none` without one.
    pub credential: String,
    /// The public key to register with the remote, if a key was made for the link.
    pub public_key: Option<String>,
    /// The confirmed host keys, in OpenSSH's format.
    pub known_hosts: String,
    /// The state of the synchronisation.
    pub progress: LinkProgress,
    /// The time of creation, to the second.
    pub created: OffsetDateTime,
}

/// The values of a new link.
#[derive(Clone, Debug)]
pub struct NewLink {
    /// The id of the wiki.
    pub wiki: TenantId,
    /// The settings.
    pub settings: LinkSettings,
    /// The credential; `None` for a remote that needs none.
    pub credential: Option<LinkCredential>,
    /// The known host keys, in OpenSSH's format.
    pub known_hosts: String,
    /// The initial state.
    pub progress: LinkProgress,
}

/// A change of a link. Fields that are `None` stay as they are.
#[derive(Clone, Debug, Default)]
pub struct LinkUpdate {
    /// The new settings.
    pub settings: Option<LinkSettings>,
    /// The new credential; `Some(None)` removes it.
    pub credential: Option<Option<LinkCredential>>,
    /// The new host keys, in OpenSSH's format.
    pub known_hosts: Option<String>,
    /// The new state.
    pub progress: Option<LinkProgress>,
}

/// A new state of a link and the notices about it, stored in one transaction.
#[derive(Clone, Debug)]
pub struct LinkStep {
    /// The link's id.
    pub link: String,
    /// The new state.
    pub progress: LinkProgress,
    /// The notices to send.
    pub notices: Vec<NewNotice>,
}

/// A new notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNotice {
    /// The kind, in one word.
    pub kind: String,
    /// A key against duplicates: a second notice with the same key is dropped.
    pub once: Option<String>,
    /// Details. Must not contain secrets.
    pub detail: serde_json::Value,
}

/// A notice in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The immutable id; later notices have greater ones.
    pub id: i64,
    /// The link's id. The link may have been removed.
    pub link: String,
    /// The id of the wiki.
    pub wiki: TenantId,
    /// The kind, in one word.
    pub kind: String,
    /// Details.
    pub detail: serde_json::Value,
    /// The time of the event, to the second.
    pub created: OffsetDateTime,
}

impl Link {
    /// The id as a number, as in the tables of wiki.db.
    pub fn number(&self) -> i64 {
        number(&self.id)
    }
}

/// A random id that is also a positive number.
pub(crate) fn random_id() -> String {
    let [first, rest @ ..] = random::bytes::<8>();
    let mut bytes = [0; 8];
    bytes[0] = first & 0x7f;
    bytes[1..].copy_from_slice(&rest);
    HEXLOWER.encode(&bytes)
}

pub(crate) fn number(id: &str) -> i64 {
    i64::from_str_radix(id, 16).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_random_and_a_positive_number() {
        for _ in 0..100 {
            let (one, other) = (random_id(), random_id());
            assert_eq!(one.len(), 16);
            assert!(number(&one) > 0 && number(&one) != number(&other));
            assert_eq!(format!("{:016x}", number(&one)), one);
        }
    }
}
