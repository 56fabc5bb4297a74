//! The name of a wiki in URLs, host names and on disk.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::shown::shown;

/// The maximal length of a DNS label, because a slug may be one.
const LONGEST: usize = 63;

/// Names with another meaning: on the hosts and paths of the platform, on file systems that a data directory may be
/// moved to, or for programs that trust a host because of its first label.
#[rustfmt::skip] // One name a line would be a page of names.
const RESERVED: &[&str] = &[
    // Devices, which Windows opens in any directory.
    "aux", "con", "nul", "prn",
    "com0", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9",
    "lpt0", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
    // Paths and hosts of the platform, now or plausibly later.
    "account", "accounts", "admin", "api", "assets", "auth", "git", "health", "hooks", "invitations",
    "login", "logout", "metrics", "oauth", "openapi", "platform", "robot", "robots", "root", "static",
    "status", "system", "tls-check", "w", "well-known", "wikigrove", "wikis", "www",
    // The directory found on a fresh disk.
    "lost-found",
    // Labels that mail, proxy and certificate programs look up by themselves.
    "autoconfig", "autodiscover", "ftp", "isatap", "localhost", "mail", "mta-sts", "smtp", "wpad",
];

/// A wiki's name: 1 to 63 of `a-z`, `0-9` and `-`.
///
/// A slug doesn't start or end with `-`, doesn't look like punycode, and isn't reserved. So it is a DNS label, a URL
/// segment and a file name at once, and never needs escaping. A wiki's slug can change; its
/// [`TenantId`](crate::TenantId) can't. Cheap to clone.
///
/// # Example
/// ```
/// use wikigrove_tenant::Slug;
///
/// let slug: Slug = "garden".parse()?;
/// assert_eq!(slug.as_str(), "garden");
/// assert_eq!("../etc".parse::<Slug>().unwrap_err().code(), "invalid_slug");
/// assert_eq!("admin".parse::<Slug>().unwrap_err().code(), "reserved_slug");
/// # Ok::<(), wikigrove_tenant::SlugError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slug(Arc<str>);

impl Slug {
    /// The slug as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of an existing wiki. The name may have become reserved since, and one such wiki must not make the list
    /// of all wikis unreadable.
    pub(crate) fn stored(text: &str) -> Result<Self, SlugError> {
        match broken_rule(text) {
            Some(why) => Err(SlugError::Invalid { shown: shown(text), why }),
            None => Ok(Self(text.into())),
        }
    }
}

/// The reason why a text isn't a valid name for a wiki.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SlugError {
    /// The text breaks a rule of form.
    #[error("`{shown}` is not a valid slug: {why}")]
    Invalid {
        /// The text, escaped and cut to 64 characters.
        shown: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// The text is well-formed, but reserved.
    #[error("the slug `{slug}` is reserved")]
    Reserved {
        /// The reserved name.
        slug: &'static str,
    },
}

impl SlugError {
    /// The stable name of this error in API answers.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "invalid_slug",
            Self::Reserved { .. } => "reserved_slug",
        }
    }
}

/// The rule of form that `text` breaks, if any.
fn broken_rule(text: &str) -> Option<&'static str> {
    let bytes = text.as_bytes();
    let allowed = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    if bytes.is_empty() {
        Some("it is empty")
    } else if bytes.len() > LONGEST {
        Some("it is longer than 63 bytes")
    } else if !bytes.iter().all(allowed) {
        Some("only a-z, 0-9 and - are allowed")
    } else if bytes.starts_with(b"-") || bytes.ends_with(b"-") {
        Some("it starts or ends with -")
    } else if bytes.get(2..4) == Some(b"--") {
        // Such labels are internationalised names (RFC 5891, 4.2.3.1), displayed as a different text.
        Some("its third and fourth characters are --")
    } else {
        None
    }
}

impl TryFrom<&str> for Slug {
    type Error = SlugError;

    fn try_from(text: &str) -> Result<Self, SlugError> {
        let slug = Self::stored(text)?;
        match RESERVED.iter().find(|reserved| **reserved == text) {
            Some(slug) => Err(SlugError::Reserved { slug }),
            None => Ok(slug),
        }
    }
}

impl TryFrom<String> for Slug {
    type Error = SlugError;

    fn try_from(text: String) -> Result<Self, SlugError> {
        Self::try_from(text.as_str())
    }
}

impl FromStr for Slug {
    type Err = SlugError;

    fn from_str(text: &str) -> Result<Self, SlugError> {
        Self::try_from(text)
    }
}

impl From<Slug> for String {
    fn from(slug: Slug) -> Self {
        slug.0.as_ref().to_owned()
    }
}

impl AsRef<str> for Slug {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slug({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    fn code(text: &str) -> &'static str {
        Slug::try_from(text).map_or_else(|error| error.code(), |_| "ok")
    }

    #[test]
    fn ordinary_names_are_accepted() {
        for text in [
            "garden",
            "kitchen",
            "a",
            "b",
            "0",
            "welcome",
            "a-b",
            "a--b",
            "never-created-slug",
            "con-1",
        ] {
            assert_eq!(code(text), "ok", "{text}");
        }
        assert_eq!(code(&"a".repeat(63)), "ok");
    }

    #[test]
    fn malformed_names_are_invalid() {
        let refused = [
            "../etc",
            ".",
            "",
            "/etc",
            "a/b",
            "%2e%2e",
            "..%5c..%5crobot.db",
            "a\0b",
            "a\nb",
            "-rf",
            "a-",
            "--upload-pack=x",
            "Wiki",
            "ｗiki",
            "\u{212a}elvin",
            "\u{430}dmin",
            "wiki.",
            "wiki.db",
            "lost+found",
            "${HOME}",
            "xn--a",
            "ab--c",
            "a b",
            "a_b",
            "-",
        ];
        for text in refused {
            assert_eq!(code(text), "invalid_slug", "{text:?}");
        }
        assert_eq!(code(&"a".repeat(64)), "invalid_slug");
    }

    #[test]
    fn reserved_names_are_told_apart() {
        for text in ["con", "nul", "lpt9", "admin", "api", "robot", "w", "tls-check"] {
            assert_eq!(code(text), "reserved_slug", "{text}");
        }
    }

    #[test]
    fn every_reserved_name_could_otherwise_be_a_slug() {
        for text in RESERVED {
            Slug::stored(text).unwrap();
        }
    }

    #[test]
    fn the_message_is_short_and_on_one_line() {
        let message =
            Slug::try_from(format!("a\n{}", "x".repeat(100_000))).unwrap_err().to_string();
        assert!(
            message.len() < 150 && message.starts_with("`a\\nx") && !message.contains('\n'),
            "{message}"
        );
    }

    #[test]
    fn json_is_checked_too() {
        let slug: Slug = serde_json::from_str("\"garden\"").unwrap();
        assert_eq!(serde_json::to_string(&slug).unwrap(), "\"garden\"");
        serde_json::from_str::<Slug>("\"../etc\"").unwrap_err();
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_reads_back_and_is_one_path_component(text in "[a-z0-9.-]{0,8}|\\PC{0,4}") {
            if let Ok(slug) = Slug::try_from(text.as_str()) {
                prop_assert_eq!(slug.to_string(), text.as_str());
                let components: Vec<_> = Path::new(slug.as_str()).components().collect();
                prop_assert_eq!(components, vec![Component::Normal(text.as_ref())]);
            }
        }
    }
}
