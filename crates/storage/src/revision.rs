//! The identifiers that clients use: of a commit, and of a page's content.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An invalid object id: not 40 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an object id: 40 lower-case hexadecimal digits are needed")]
pub struct InvalidId;

macro_rules! object_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 20]);

        impl $name {
            /// Makes an id from the 20 bytes of a SHA-1 object id.
            pub const fn from_bytes(bytes: [u8; 20]) -> Self {
                Self(bytes)
            }

            /// The 20 bytes of the object id.
            pub fn as_bytes(&self) -> &[u8; 20] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; 40];
                f.write_str(write_hex(&self.0, &mut text))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            /// Accepts only a full id: never an abbreviation, a branch or `HEAD`.
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse_hex(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut text = [0; 40];
                serializer.serialize_str(write_hex(&self.0, &mut text))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

object_id! {
    /// A commit of a wiki: the state of all its pages at one time.
    Revision
}

object_id! {
    /// The version of one page: the blob id of its content. Equal texts have equal etags.
    Etag
}

fn write_hex<'a>(bytes: &[u8; 20], text: &'a mut [u8; 40]) -> &'a str {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    std::str::from_utf8(text).expect("hexadecimal digits are ASCII")
}

fn parse_hex(text: &str) -> Result<[u8; 20], InvalidId> {
    let digits = text.as_bytes();
    if digits.len() != 40 || !digits.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(InvalidId);
    }
    let value = |digit: u8| if digit <= b'9' { digit - b'0' } else { digit - b'a' + 10 };
    let mut bytes = [0; 20];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0]) << 4 | value(pair[1]);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ids_round_trip_as_text(bytes: [u8; 20]) {
            let revision = Revision::from_bytes(bytes);
            prop_assert_eq!(revision.to_string().parse::<Revision>(), Ok(revision));
        }
    }

    #[test]
    fn only_the_full_lower_case_id_is_accepted() {
        let full = "354518a8c9025f40be6f730452c1bfe71a12dc22";
        assert_eq!(full.parse::<Revision>().unwrap().to_string(), full);
        for text in
            ["HEAD", "deadbeef", "", &full.to_uppercase(), &format!("{full}0"), "main", "--all"]
        {
            text.parse::<Revision>().unwrap_err();
            text.parse::<Etag>().unwrap_err();
        }
    }
}
