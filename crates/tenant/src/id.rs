//! The immutable identity of a wiki.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::random;

/// A wiki's immutable identity: 128 random bits, shown as 32 lower-case hexadecimal digits.
///
/// The id is made when the wiki is created, also written into the wiki's own files, and never used again, not even when
/// a new wiki takes the [`Slug`](crate::Slug) of a deleted one. So it is the key of caches, locks and open files.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId([u8; 16]);

impl TenantId {
    /// Makes a new random id.
    ///
    /// # Panics
    /// The operating system has no randomness to give.
    pub fn random() -> Self {
        Self(random::bytes())
    }
}

/// The error for a text that isn't 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a wiki's id is 32 lower-case hexadecimal digits")]
pub struct InvalidTenantId;

impl FromStr for TenantId {
    type Err = InvalidTenantId;

    fn from_str(text: &str) -> Result<Self, InvalidTenantId> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| InvalidTenantId)?;
        bytes.try_into().map(Self).map_err(|_| InvalidTenantId)
    }
}

impl TryFrom<String> for TenantId {
    type Error = InvalidTenantId;

    fn try_from(text: String) -> Result<Self, InvalidTenantId> {
        text.parse()
    }
}

impl From<TenantId> for String {
    fn from(id: TenantId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TenantId({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_are_never_the_same() {
        assert_ne!(TenantId::random(), TenantId::random());
    }

    #[test]
    fn only_32_lower_case_digits_are_read() {
        for text in ["", "00", &"0".repeat(31), &"0".repeat(34), &"A".repeat(32), &"g".repeat(32)] {
            assert_eq!(text.parse::<TenantId>(), Err(InvalidTenantId), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_and_json_read_back(bytes: [u8; 16]) {
            let id = TenantId(bytes);
            prop_assert_eq!(id.to_string().len(), 32);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            let json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(serde_json::from_str::<TenantId>(&json).unwrap(), id);
        }
    }
}
