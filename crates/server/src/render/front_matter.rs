//! The data that a page begins with, as JSON.

use serde_json::{Map, Value};
use wikigrove_tenant::storage::{FrontMatter, FrontMatterSyntax};

use super::limits::{FRONT_MATTER, FRONT_MATTER_DEPTH, FRONT_MATTER_VALUES};

/// Reads the front matter of `text`, or says why it can't be.
pub(super) fn read(text: &str, front_matter: &FrontMatter) -> Result<Value, String> {
    let data = &text[front_matter.data.clone()];
    if data.len() > FRONT_MATTER {
        return Err(format!("it is larger than {FRONT_MATTER} bytes"));
    }
    if data.trim().is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let value = match front_matter.syntax {
        FrontMatterSyntax::Yaml => yaml(data)?,
        FrontMatterSyntax::Toml => {
            let table: toml::Table = toml::from_str(data).map_err(|e| e.message().to_owned())?;
            json(toml::Value::Table(table))
        }
    };
    if value.is_object() { Ok(value) } else { Err("it isn't a mapping".to_owned()) }
}

fn yaml(data: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_events: 3 * FRONT_MATTER_VALUES,
            max_nodes: FRONT_MATTER_VALUES,
            max_depth: FRONT_MATTER_DEPTH,
            flow_nesting_limit: FRONT_MATTER_DEPTH,
            max_aliases: 100,
            max_anchors: 100,
        },
    };
    serde_saphyr::from_str_with_options(data, options).map_err(|error| error.to_string())
}

fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(truth) => truth.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(json).collect(),
        toml::Value::Table(table) => {
            table.into_iter().map(|(key, value)| (key, json(value))).collect()
        }
    }
}
