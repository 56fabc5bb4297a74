//! Bearer tokens: credentials for programs.

use std::fmt;

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::{Author, Role, TenantId, random};

/// The rights that a token gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenRole {
    /// The operator's rights on the whole platform.
    Operator,
    /// One role in one wiki, and no rights elsewhere.
    Wiki {
        /// The wiki's id.
        wiki: TenantId,
        /// The bearer's role.
        role: Role,
    },
}

impl TokenRole {
    /// The wiki that the token is limited to; `None` for an operator's token.
    pub fn wiki(&self) -> Option<TenantId> {
        match self {
            Self::Operator => None,
            Self::Wiki { wiki, .. } => Some(*wiki),
        }
    }

    /// The role in one word: `operator`, or the role in the wiki.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Wiki { role, .. } => role.as_str(),
        }
    }
}

/// A token as it is listed, without its secret, which isn't stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The public id: 16 hexadecimal digits.
    pub id: String,
    /// The name given by the token's creator.
    pub name: String,
    /// The rights that the token gives.
    pub role: TokenRole,
    /// `true` if the bearer may name another author for a change.
    pub act_as: bool,
    /// The time of creation, to the second.
    pub created: OffsetDateTime,
    /// The time from which on it is refused.
    pub expires: Option<OffsetDateTime>,
    /// The user that the token belongs to, if any. The token gives at most the rights that the user has at the moment
    /// of use.
    pub subject: Option<String>,
    /// The author of the bearer's commits, if the token belongs to a user.
    pub author: Option<Author>,
    /// The time of the last use, to the minute.
    pub used: Option<OffsetDateTime>,
}

impl Token {
    /// The bearer's subject in logs and idempotency keys: the user's, or else `token:` and the token's id.
    pub fn principal(&self) -> String {
        self.subject.clone().unwrap_or_else(|| format!("token:{}", self.id))
    }
}

/// The values of a new token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// The name given by the token's creator.
    pub name: String,
    /// The rights that the token gives.
    pub role: TokenRole,
    /// `true` if the bearer may name another author for a change.
    pub act_as: bool,
    /// The time from which on it is refused. Fractions of a second are dropped.
    pub expires: Option<OffsetDateTime>,
    /// The user that the token belongs to. An operator's token belongs to no user.
    pub subject: Option<String>,
}

/// A text that must not be logged: the secret of a token, which is returned once, when the token is created, or a
/// password kept for a wiki. Wiped from memory on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// `wg_` and 256 random bits in base64url. The prefix lets scanners find leaked secrets.
    pub(crate) fn random() -> Self {
        Self::with_prefix("wg_")
    }

    /// Like [`random`](Self::random), with a prefix that tells the purpose of the secret.
    pub(crate) fn with_prefix(prefix: &str) -> Self {
        let random = Zeroizing::new(BASE64URL_NOPAD.encode(&random::bytes::<32>()));
        Self::new(format!("{prefix}{}", *random))
    }

    /// `whsec_` and 256 random bits in base64, the format of keys in [Standard
    /// Webhooks](https://www.standardwebhooks.com). Hosts that sign with a text take the whole string, prefix included,
    /// as that text.
    pub fn for_webhooks() -> Self {
        let random = Zeroizing::new(BASE64.encode(&*Zeroizing::new(random::bytes::<32>())));
        Self::new(format!("whsec_{}", *random))
    }

    /// The text itself, which must not be logged.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// An id for a new token or invitation. Random, because a counter would reveal to one wiki the number of tokens and
/// invitations of all others.
pub(crate) fn random_id() -> String {
    HEXLOWER.encode(&random::bytes::<8>())
}

/// The hash stored in place of a secret. Secrets are random, so a plain hash can't be reversed by guessing.
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
