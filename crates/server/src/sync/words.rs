//! Small closed sets of values that are one word each in JSON, in SQL and on the command line.

/// A word outside the allowed set; the message lists the allowed words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("one of {0} is needed")]
pub struct UnknownWord(pub(super) String);

/// Gives an enum of plain variants one word per variant: `ALL`, `as_str`, `Display`, `FromStr`, serde. An enum that
/// isn't public states its visibility before its name.
macro_rules! words {
    ($type:ident { $($words:tt)+ }) => {
        crate::sync::words::words!(pub $type { $($words)+ });
    };
    ($visible:vis $type:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $type {
            /// Every value, in order.
            $visible const ALL: &[Self] = &[$(Self::$variant),+];

            /// The value's word, as in JSON and on the command line.
            $visible const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $type {
            type Err = crate::sync::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let known = Self::ALL.iter().find(|value| value.as_str() == text);
                known.copied().ok_or_else(|| crate::sync::UnknownWord([$($word),+].join(", ")))
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(super) use words;
