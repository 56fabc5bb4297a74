//! Bearer tokens: what programs show instead of a user.

use std::fmt;

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::{Author, Role, TenantId, random};

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenRole {
    /// Everything on the whole platform.
    Operator,
    /// One role in one wiki, nothing elsewhere.
    Wiki {
        /// Where.
        wiki: TenantId,
        /// What the bearer is there.
        role: Role,
    },
}

impl TokenRole {
    /// The wiki it is limited to; `None` is the platform.
    pub fn wiki(&self) -> Option<TenantId> {
        match self {
            Self::Operator => None,
            Self::Wiki { wiki, .. } => Some(*wiki),
        }
    }

    /// The role as one word: `operator`, or the role in the wiki.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Wiki { role, .. } => role.as_str(),
        }
    }
}

/// A token as it is listed. Its secret isn't known to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Names the token without giving it away: 16 hexadecimal digits.
    pub id: String,
    /// What its maker calls it.
    pub name: String,
    /// What it is good for.
    pub role: TokenRole,
    /// Whether its bearer may name somebody else as the author of a change.
    pub act_as: bool,
    /// When it was made, to the second.
    pub created: OffsetDateTime,
    /// From when on it is refused.
    pub expires: Option<OffsetDateTime>,
    /// Whose it is; `None` is nobody's. It is worth no more than that user is, at any moment.
    pub subject: Option<String>,
    /// Whom its bearer's commits name, if it is somebody's.
    pub author: Option<Author>,
    /// When it was last shown to us, to the minute.
    pub used: Option<OffsetDateTime>,
}

impl Token {
    /// The subject its bearer has in logs and idempotency keys: the user's, or else `token:` and the
    /// token's id.
    pub fn principal(&self) -> String {
        self.subject.clone().unwrap_or_else(|| format!("token:{}", self.id))
    }
}

/// What a new token is good for, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// What its maker calls it.
    pub name: String,
    /// What it is good for.
    pub role: TokenRole,
    /// Whether its bearer may name somebody else as the author of a change.
    pub act_as: bool,
    /// From when on it is refused; fractions of a second are dropped.
    pub expires: Option<OffsetDateTime>,
    /// Whose it is. A token for the whole platform is nobody's.
    pub subject: Option<String>,
}

/// A text that isn't for logs: what whoever holds a token shows, which is told once, when the token
/// is made, or a password kept for a wiki. It is wiped from memory when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text that is a secret from now on.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// `wg_` and 256 random bits in base64url. The prefix lets scanners find leaked ones.
    pub(crate) fn random() -> Self {
        Self::with_prefix("wg_")
    }

    /// As [`random`](Self::random), and begins with this, which tells what it is for.
    pub(crate) fn with_prefix(prefix: &str) -> Self {
        let random = Zeroizing::new(BASE64URL_NOPAD.encode(&random::bytes::<32>()));
        Self::new(format!("{prefix}{}", *random))
    }

    /// `whsec_` and 256 random bits in base64, as [Standard Webhooks](https://www.standardwebhooks.com)
    /// wants keys written. Hosts that sign with a text take the whole of it as that text.
    pub fn for_webhooks() -> Self {
        let random = Zeroizing::new(BASE64.encode(&*Zeroizing::new(random::bytes::<32>())));
        Self::new(format!("whsec_{}", *random))
    }

    /// The text itself: not for logs.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// An identifier for a new token or invitation. Random, because a counter would tell one wiki how many
/// the others have.
pub(crate) fn random_id() -> String {
    HEXLOWER.encode(&random::bytes::<8>())
}

/// What is stored in a secret's place. Secrets are random, so a plain hash can't be guessed back.
pub(crate) fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_long_random_and_not_printed() {
        let secret = Secret::random();
        assert_eq!(secret.expose().len(), 46);
        assert!(secret.expose().starts_with("wg_"));
        assert_ne!(secret, Secret::random());
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }

    #[test]
    fn an_id_is_short_and_random() {
        assert_eq!(random_id().len(), 16);
        assert_ne!(random_id(), random_id());
    }
}
