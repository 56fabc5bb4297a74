//! Parses JSON text into a value, refusing ambiguous and oversized input.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use wikigrove_tenant::problem::Problem;

use super::invalid;

/// Maximum number of values in a body, including keys. A value takes up to 16 times the size of its
/// text, so a limit on bytes alone would let a small request use much memory.
const MAX_VALUES: u32 = 100_000;

/// Parses exactly one JSON value. serde_json limits the nesting to 128 levels.
pub(super) fn value(text: &str) -> Result<Value, Problem> {
    let found = Found { duplicate: Cell::new(false), left: Cell::new(MAX_VALUES) };
    let mut json = serde_json::Deserializer::from_str(text);
    let mut track = serde_path_to_error::Track::new();
    let read =
        Checked(&found).deserialize(serde_path_to_error::Deserializer::new(&mut json, &mut track));
    let value = read.map_err(|error| {
        let path = track.path();
        match () {
            () if found.duplicate.get() => invalid::duplicate(&path),
            () if is_out_of_range(&error) => invalid::number(&path),
            () => invalid::syntax(&error.to_string()),
        }
    })?;
    json.end().map_err(|_| invalid::syntax("something follows the JSON value"))?;
    Ok(value)
}

/// Returns `true` for numbers such as `1e999`, which are well-formed but invalid values. serde_json
/// reports both as syntax errors, which differ only in their message.
fn is_out_of_range(error: &serde_json::Error) -> bool {
    error.to_string().starts_with("number out of range")
}

/// State of parsing that serde's errors can't carry.
struct Found {
    duplicate: Cell<bool>,
    left: Cell<u32>,
}

impl Found {
    fn count<E: serde::de::Error>(&self) -> Result<(), E> {
        let left = self
            .left
            .get()
            .checked_sub(1)
            .ok_or_else(|| E::custom("the body holds too many values"))?;
        self.left.set(left);
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Checked<'a>(&'a Found);

impl<'de> DeserializeSeed<'de> for Checked<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        self.0.count()?;
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Checked<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key_seed(NewKey(self.0, &map))? {
            let value = entries.next_value_seed(self)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// Reads a key that `map` doesn't have yet, so that the path of an error ends in the key.
struct NewKey<'a>(&'a Found, &'a Map<String, Value>);

impl<'de> DeserializeSeed<'de> for NewKey<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<String, D::Error> {
        self.0.count()?;
        json.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for NewKey<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<String, E> {
        if self.1.contains_key(key) {
            self.0.duplicate.set(true);
            return Err(E::custom("duplicate key"));
        }
        Ok(key.to_owned())
    }
}
