//! A document that is read as if its value were built, without building it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// The kind of a value. Reading it fails where reading a [`serde_json::Value`] fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Skimmed {
    /// `true` for a mapping, and for nothing, which stands for an empty one.
    pub(super) is_mapping: bool,
}

const NOTHING: Skimmed = Skimmed { is_mapping: true };
const OTHER: Skimmed = Skimmed { is_mapping: false };

impl<'de> Deserialize<'de> for Skimmed {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        value.deserialize_any(Skim)
    }
}

struct Skim;

impl<'de> Visitor<'de> for Skim {
    type Value = Skimmed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Skimmed, E> {
        Ok(OTHER)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Skimmed, E> {
        Ok(OTHER)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Skimmed, E> {
        Ok(OTHER)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Skimmed, E> {
        Ok(OTHER)
    }

    fn visit_str<E>(self, _: &str) -> Result<Skimmed, E> {
        Ok(OTHER)
    }

    fn visit_unit<E>(self) -> Result<Skimmed, E> {
        Ok(NOTHING)
    }

    fn visit_none<E>(self) -> Result<Skimmed, E> {
        Ok(NOTHING)
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<Skimmed, D::Error> {
        Skimmed::deserialize(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Skimmed, A::Error> {
        while items.next_element::<Skimmed>()?.is_some() {}
        Ok(OTHER)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Skimmed, A::Error> {
        while entries.next_entry::<String, Skimmed>()?.is_some() {}
        Ok(Skimmed { is_mapping: true })
    }
}
