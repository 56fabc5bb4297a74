//! Host names: the domains of wikis, and the hosts that requests name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::shown::shown;

/// A host name in its canonical spelling: lower-case ASCII, no port, no trailing dot.
///
/// International names are in their ASCII form (`xn--…`). IP addresses are refused.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Domain(String);

impl Domain {
    /// The domain as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The error for a text that isn't a host name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{shown}` is not a domain: {why}")]
pub struct InvalidDomain {
    shown: String,
    why: &'static str,
}

impl FromStr for Domain {
    type Err = InvalidDomain;

    /// Parses a host name of any case, with or without the trailing dot.
    fn from_str(text: &str) -> Result<Self, InvalidDomain> {
        let name = text.strip_suffix('.').unwrap_or(text);
        match broken_rule(name) {
            Some(why) => Err(InvalidDomain { shown: shown(text), why }),
            None => Ok(Self(name.to_ascii_lowercase())),
        }
    }
}

fn broken_rule(name: &str) -> Option<&'static str> {
    let label_fits = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if name.len() > 253 {
        Some("it is longer than 253 bytes")
    } else if !name.split('.').all(label_fits) {
        Some("its parts are 1 to 63 of a-z, 0-9 and -, not starting or ending with -")
    } else if name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()))
    {
        Some("it ends in a number, as addresses do")
    } else {
        None
    }
}

impl TryFrom<String> for Domain {
    type Error = InvalidDomain;

    fn try_from(text: String) -> Result<Self, InvalidDomain> {
        text.parse()
    }
}

impl From<Domain> for String {
    fn from(domain: Domain) -> Self {
        domain.0
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Domain({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn there_is_one_spelling() {
        for text in ["wiki.example.org", "Wiki.Example.ORG", "wiki.example.org."] {
            assert_eq!(text.parse::<Domain>().unwrap().as_str(), "wiki.example.org");
        }
    }

    #[test]
    fn other_things_are_refused() {
        let long = format!("{}.org", "a.".repeat(130));
        let refused = [
            "",
            ".",
            "a..b",
            "a.org..",
            "wiki.example.org:80",
            "a@b.org",
            "127.0.0.1",
            "[::1]",
            "-a.org",
            "a-.org",
            "a_b.org",
            "münchen.example",
            "a b.org",
            "a/b",
            "a.org\n",
            &long,
        ];
        for text in refused {
            text.parse::<Domain>().unwrap_err();
        }
    }

    proptest! {
        #[test]
        fn reading_twice_changes_nothing(text in "[a-zA-Z0-9.-]{0,12}") {
            if let Ok(domain) = text.parse::<Domain>() {
                prop_assert_eq!(domain.as_str().parse(), Ok(domain.clone()));
            }
        }
    }
}
