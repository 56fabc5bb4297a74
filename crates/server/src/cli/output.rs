//! Output of commands.

use std::io::Write as _;

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

use super::Failure;

/// Prints to standard output.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    Ok(out.write_all(text.as_bytes()).and_then(|()| out.flush())?)
}

pub(super) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header);
    table
}

/// Prints a response: one line per field, or as JSON.
pub(super) fn shown(value: &Value, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return shown_json(value);
    }
    let mut text = String::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        if !value.is_null() {
            text.push_str(&format!("{:<18}{}\n", name.replace('_', " "), cell(value)));
        }
    }
    print(&text)
}

pub(super) fn shown_json(value: &Value) -> Result<(), Failure> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// A value as text, without control characters that terminals act on.
pub(super) fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    text.chars().filter(|c| !c.is_control() || *c == '\n').collect()
}
