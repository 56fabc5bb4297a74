//! What ties a wiki to a git repository elsewhere, as the catalog keeps it.
//!
//! The words of a link's settings and state are those of whoever runs the links; here they are texts.

use std::time::Duration;

use data_encoding::HEXLOWER;
use time::OffsetDateTime;

use crate::{Secret, TenantId, random};

/// What a link is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSettings {
    /// Where the remote is. Without any secret.
    pub url: String,
    /// The branch there.
    pub branch: String,
    /// The directory there that the wiki is; `None` is all of it.
    pub subdirectory: Option<String>,
    /// What of the wiki goes there; `None` is all of it.
    pub filter: Option<String>,
    /// In which direction: `both`, `push`, `pull` or `off`.
    pub mode: String,
    /// Who keeps the page in a conflict.
    pub winner: String,
    /// What to do on meeting a remote with a history of its own.
    pub first_run: String,
    /// What to do when the remote's history was replaced.
    pub on_rewrite: String,
    /// How often it looks by itself; whole seconds.
    pub interval: Duration,
    /// For how long after one look a reader doesn't cause another; whole seconds.
    pub cooldown: Duration,
    /// Whether it is to leave the network alone.
    pub offline: bool,
}

/// How a link gets in. What is secret of it is sealed where it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkCredential {
    /// What it is, in one word: `token`, `token_file`, `deploy_key` or `key_file`.
    pub kind: String,
    /// The half of a key that the remote is given.
    pub public_key: Option<String>,
    /// All of it, in the form of whoever made it.
    pub secret: Secret,
}

/// What a link is doing, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkProgress {
    /// All of it, as JSON.
    pub state: String,
    /// The state in one word.
    pub word: String,
    /// Why it is that.
    pub reason: Option<String>,
    /// When to look at it again, in milliseconds since 1970.
    pub next_at: Option<i64>,
}

/// A link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// 16 hexadecimal digits.
    pub id: String,
    /// The wiki.
    pub wiki: TenantId,
    /// What it is set to.
    pub settings: LinkSettings,
    /// The kind of its credential, in one word; `none` without one.
    pub credential: String,
    /// The half of its key that the remote is given, if it has a key that was made for it.
    pub public_key: Option<String>,
    /// The host keys that were confirmed, as OpenSSH writes them.
    pub known_hosts: String,
    /// What it is doing.
    pub progress: LinkProgress,
    /// When it was made, to the second.
    pub created: OffsetDateTime,
}

/// A link to be made.
#[derive(Clone, Debug)]
pub struct NewLink {
    /// The wiki.
    pub wiki: TenantId,
    /// What it is set to.
    pub settings: LinkSettings,
    /// How it gets in; `None` is without showing anything.
    pub credential: Option<LinkCredential>,
    /// The host keys that are known, as OpenSSH writes them.
    pub known_hosts: String,
    /// What it begins with.
    pub progress: LinkProgress,
}

/// A change of a link. What is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct LinkUpdate {
    /// What it is set to from now on.
    pub settings: Option<LinkSettings>,
    /// How it gets in from now on; `Some(None)` is without showing anything.
    pub credential: Option<Option<LinkCredential>>,
    /// The host keys that hold from now on.
    pub known_hosts: Option<String>,
    /// What is known of it from now on.
    pub progress: Option<LinkProgress>,
}

/// What has become of a link, and what people are to be told of it: stored together, or not at all.
#[derive(Clone, Debug)]
pub struct LinkStep {
    /// The link's id.
    pub link: String,
    /// What it is doing now.
    pub progress: LinkProgress,
    /// What to tell.
    pub notices: Vec<NewNotice>,
}

/// Something that people are to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNotice {
    /// What kind of thing, in one word.
    pub kind: String,
    /// Of a thing that may be told twice by mistake, what makes it the same: the second is left out.
    pub once: Option<String>,
    /// More about it. Never a secret.
    pub detail: serde_json::Value,
}

/// Something that people have yet to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Counts up, and names it for good.
    pub id: i64,
    /// The link's id. The link may be gone.
    pub link: String,
    /// The wiki.
    pub wiki: TenantId,
    /// What kind of thing, in one word.
    pub kind: String,
    /// More about it.
    pub detail: serde_json::Value,
    /// When it happened, to the second.
    pub created: OffsetDateTime,
}

impl Link {
    /// The id as a number, as the wiki's own tables have it.
    pub fn number(&self) -> i64 {
        number(&self.id)
    }
}

/// An id that is also a positive number.
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
