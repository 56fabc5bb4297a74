//! Front matter: the block of data at the beginning of a page.

use std::ops::Range;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

mod skimmed;

use skimmed::Skimmed;

/// The largest front matter that is read, in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// Maximum number of values in front matter, and maximum depth of nesting.
const MAX_VALUES: usize = 10_000;
const MAX_DEPTH: usize = 32;
/// The most bytes of text in the values of YAML, where an alias repeats the text that it stands for.
const MAX_TEXT: usize = 256 * 1024;

/// The syntax of front matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrontMatterSyntax {
    /// Between lines of `---`.
    Yaml,
    /// Between lines of `+++`.
    Toml,
}

/// A page's front matter.
#[derive(Clone, Debug, PartialEq)]
pub struct FrontMatter {
    /// The syntax of the data.
    pub syntax: FrontMatterSyntax,
    /// The range of the data in bytes, without the delimiter lines.
    pub data: Range<usize>,
    /// The byte offset of the page's body.
    pub end: usize,
    /// The data, which is an object, or the reason why it can't be parsed.
    pub value: Result<Value, String>,
}

impl FrontMatter {
    /// Finds the front matter of `text`: a first line of `---` or `+++`, a line that isn't blank, and all text up
    /// to the same line again (or `...` for YAML), if it is a mapping.
    ///
    /// With a blank second line, or if the block isn't a mapping, the first line is a thematic break, as authors of
    /// Markdown mean it. An invalid block that begins with a key counts as a broken mapping. The Markdown parser
    /// could find such blocks by itself, but would also find them in the middle of a page.
    pub fn find(text: &str) -> Option<Self> {
        let (syntax, data, end) = block(text)?;
        let source = &text[data.clone()];
        let value = match syntax {
            _ if source.len() > MAX_BYTES => Err(format!("it is larger than {MAX_BYTES} bytes")),
            FrontMatterSyntax::Yaml => yaml(source).map(Option::unwrap_or_default),
            FrontMatterSyntax::Toml => toml(source),
        };
        let value = match value {
            Ok(Value::Null) => Ok(Value::Object(Map::new())),
            value => value,
        };
        let is_mapping = match &value {
            Ok(value) => value.is_object(),
            Err(_) => begins_with_key(syntax, source),
        };
        is_mapping.then_some(Self { syntax, data, end, value })
    }

    /// The page's title in the front matter.
    pub(crate) fn title(&self) -> Option<String> {
        let title = match self.value.as_ref().ok()?.get("title")? {
            Value::String(title) => title.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let words: Vec<&str> = title.split_whitespace().collect();
        (!words.is_empty()).then(|| words.join(" "))
    }
}

/// The byte at which the text of a page begins: behind its front matter, or behind a byte order mark.
/// It builds no value.
pub(crate) fn body_start(text: &str) -> usize {
    let mark = text.len() - text.trim_start_matches('\u{feff}').len();
    let Some((syntax, data, end)) = block(text) else { return mark };
    if is_mapping(syntax, &text[data]) { end } else { mark }
}

/// Returns `true` if a block is front matter, as [`FrontMatter::find`] decides it.
fn is_mapping(syntax: FrontMatterSyntax, source: &str) -> bool {
    // A TOML document is a table, and begins with a key or with the name of a table.
    if syntax == FrontMatterSyntax::Toml || source.len() > MAX_BYTES {
        return begins_with_key(syntax, source);
    }
    match yaml(source) {
        Ok(None | Some(Skimmed { is_mapping: true })) => true,
        Ok(Some(_)) => false,
        Err(_) => begins_with_key(syntax, source),
    }
}

/// Finds a block at the beginning of `text`: its syntax, the range of its data, and its end.
fn block(text: &str) -> Option<(FrontMatterSyntax, Range<usize>, usize)> {
    let mut lines = text.split_inclusive('\n');
    let first = lines.next()?;
    let (syntax, closing): (_, &[&str]) = match first.trim_start_matches('\u{feff}').trim_end() {
        "---" => (FrontMatterSyntax::Yaml, &["---", "..."]),
        "+++" => (FrontMatterSyntax::Toml, &["+++"]),
        _ => return None,
    };
    let start = first.len();
    let mut at = start;
    for line in lines {
        if at == start && line.trim().is_empty() {
            return None;
        }
        if closing.contains(&line.trim_end()) {
            return Some((syntax, start..at, at + line.len()));
        }
        at += line.len();
    }
    None
}

/// Returns `true` if the first line that isn't a comment assigns a value to a key.
fn begins_with_key(syntax: FrontMatterSyntax, data: &str) -> bool {
    let mut lines = data.lines().map(str::trim);
    let Some(first) = lines.find(|line| !line.is_empty() && !line.starts_with('#')) else {
        return true;
    };
    match syntax {
        FrontMatterSyntax::Toml => first.starts_with('[') || first.contains('='),
        FrontMatterSyntax::Yaml => {
            let value = first.split_once(':').filter(|(key, _)| !key.starts_with(['-', '[', '{']));
            value.is_some_and(|(_, value)| value.is_empty() || value.starts_with([' ', '\t']))
        }
    }
}

/// The YAML of a block, as a value or skimmed; `None` if there is nothing.
fn yaml<T: DeserializeOwned>(data: &str) -> Result<Option<T>, String> {
    if data.trim().is_empty() {
        return Ok(None);
    }
    // The value of an alias counts again in all of these.
    let options = serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_events: 3 * MAX_VALUES,
            max_nodes: MAX_VALUES,
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_aliases: 100,
            max_anchors: 100,
            max_total_scalar_bytes: MAX_TEXT,
            max_recorded_anchor_bytes: MAX_TEXT,
            max_recorded_anchor_events: 3 * MAX_VALUES,
        },
    };
    serde_saphyr::from_str_with_options(data, options).map(Some).map_err(|error| error.to_string())
}

fn toml(data: &str) -> Result<Value, String> {
    if may_have_values(data) > MAX_VALUES {
        return Err(format!("it has more than {MAX_VALUES} values"));
    }
    let table: toml::Table = toml::from_str(data).map_err(|error| error.message().to_owned())?;
    Ok(json(toml::Value::Table(table)))
}

/// How many values TOML has at most: each stands behind one of these characters. It is counted before anything
/// is parsed, because the parsed form takes a hundred times as much memory.
fn may_have_values(data: &str) -> usize {
    let lines = data.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines.flat_map(str::bytes).filter(|byte| b"=[{,".contains(byte)).count()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Option<(&str, &str)> {
        let found = FrontMatter::find(text)?;
        Some((&text[found.data], &text[found.end..]))
    }

    #[test]
    fn a_block_at_the_beginning_is_found() {
        assert_eq!(parts("---\na: 1\n---\n# Text\n"), Some(("a: 1\n", "# Text\n")));
        assert_eq!(parts("+++\r\na = 1\r\n+++\r\nText"), Some(("a = 1\r\n", "Text")));
        assert_eq!(parts("\u{feff}--- \na: 1\n..."), Some(("a: 1\n", "")));
        assert_eq!(parts("---\n---\n"), Some(("", "")));
        assert_eq!(parts("---\n# only a comment\n---\n"), Some(("# only a comment\n", "")));
        let toml = FrontMatter::find("+++\na = 1\n+++").unwrap();
        assert_eq!(toml.syntax, FrontMatterSyntax::Toml);
    }

    #[test]
    fn rules_and_unended_blocks_are_text() {
        for text in ["", "---", "---\na: 1\n", "---\n\ntext\n\n---\n", "text\n---\na: 1\n---\n"] {
            assert_eq!(parts(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_block_that_is_no_mapping_is_text() {
        for data in
            ["Foo", "- a\n- b", "Foo\nbar: baz", "[a, b]", "\"a\"", "12", "https://a.example", "[a"]
        {
            assert_eq!(parts(&format!("---\n{data}\n---\nBar\n")), None, "{data:?}");
        }
        assert_eq!(parts("+++\nFoo\n+++\nBar\n"), None);
    }

    #[test]
    fn a_mapping_that_is_broken_is_no_text() {
        for text in ["---\na: [\n---\n", "---\n# x\na: *b\n---\n", "+++\na = [\n+++\n"] {
            assert!(FrontMatter::find(text).unwrap().value.is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_title_is_one_line_of_text() {
        let title = |data| FrontMatter::find(&format!("---\n{data}\n---\n")).unwrap().title();
        assert_eq!(title("title: \" Real \\n one \""), Some("Real one".to_owned()));
        assert_eq!(title("title: 2024"), Some("2024".to_owned()));
        for none in ["title:", "title: [a]", "title: ''", "Titel: x", "title: [", "title: true"] {
            assert_eq!(title(none), None, "{none}");
        }
    }

    fn error_of(text: &str) -> Option<String> {
        FrontMatter::find(text).unwrap().value.err()
    }

    #[test]
    fn aliases_do_not_make_much_text_of_a_little() {
        let list = |alias: &str, times| format!("[{}]", vec![alias; times].join(","));
        let bomb = format!(
            "a: &a \"{}\"\nb: &b {}\nc: &c {}\nd: {}\n",
            "\\a".repeat(6500),
            list("*a", 33),
            list("*b", 16),
            list("*c", 17)
        );
        assert!(error_of(&format!("---\n{bomb}---\n")).is_some());
        let plain = format!("a: &a {}\nb: {}\n", "x".repeat(10_000), list("*a", 90));
        assert!(error_of(&format!("---\n{plain}---\n")).is_some());
        let honest = "a: &a {b: c}\nd: [*a, *a]\n";
        assert_eq!(error_of(&format!("---\n{honest}---\n")), None);
    }

    #[test]
    fn toml_has_as_many_values_as_yaml() {
        for many in ["{},", "[],", "0,", "{a=1},"] {
            let text = format!("+++\na = [{}]\n+++\nText", many.repeat(60_000 / many.len()));
            assert!(error_of(&text).unwrap().contains("values"), "{many}");
        }
        let commented = format!("+++\n{}a = 1\n+++\n", "# ======\n".repeat(3000));
        assert_eq!(error_of(&commented), None);
    }

    #[test]
    fn the_body_begins_where_the_front_matter_ends_without_building_it() {
        for data in [
            "a: 1",
            "",
            "# c",
            "Foo",
            "- a",
            "Foo\nbar: baz",
            "[a, b]",
            "{a: b}",
            "{a: [}",
            "\"a: b\"",
            "a: [",
            "a: *b",
            "1: 2",
            "? a",
            "[a: b]",
            "null",
            "~",
            "a: 1\na: 2",
            "a:\n  - b\n  - c: !x d",
            "- a: *b",
        ] {
            for (mark, data) in [("---", data), ("+++", data), ("+++", &data.replace(':', " ="))] {
                let text = format!("{mark}\n{data}\n{mark}\nBody");
                let end = FrontMatter::find(&text).map_or(0, |front_matter| front_matter.end);
                assert_eq!(body_start(&text), end, "{text:?}");
            }
        }
    }
}
