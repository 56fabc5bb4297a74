//! `settings.cfg`: a Python file, of which only assignments of plain values are understood. It is
//! read as data and never executed.

/// A plain value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(String),
    Bool(bool),
    None,
}

impl Value {
    /// The value of a row of preferences.
    pub(super) fn into_row(self) -> Option<String> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(text),
            Self::Bool(true) => Some("True".to_owned()),
            Self::Bool(false) => Some("False".to_owned()),
            Self::None => None,
        }
    }
}

/// A line that isn't understood. Its content isn't reported, because it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unknown {
    /// The line number, counted from one.
    pub(super) line: usize,
    /// The setting's name, if it is clear.
    pub(super) name: Option<String>,
}

/// Parses the settings in the order of the file; the last assignment of a name counts.
pub(super) fn parse(text: &str) -> (Vec<(String, Value)>, Vec<Unknown>) {
    let (mut settings, mut unknown): (Vec<(String, Value)>, _) = (Vec::new(), Vec::new());
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    while !rest.is_empty() {
        let line = 1 + text[..text.len() - rest.len()].matches('\n').count();
        match statement(rest) {
            Ok((found, after)) => {
                if let Some((name, value)) = found {
                    settings.retain(|(other, _)| *other != name);
                    settings.push((name, value));
                }
                rest = after;
            }
            Err(name) => {
                unknown.push(Unknown { line, name });
                rest = rest.split_once('\n').map_or("", |(_, after)| after);
            }
        }
    }
    (settings, unknown)
}

type Assignment = (String, Value);

/// Parses one line, or several for a multi-line string; returns the assignment and the rest of the
/// text.
fn statement(text: &str) -> Result<(Option<Assignment>, &str), Option<String>> {
    if text.starts_with([' ', '\t']) && !is_blank(text) {
        // An indented line belongs to another statement.
        return Err(None);
    }
    if let Some(after) = end_of_line(text) {
        return Ok((None, after));
    }
    // A string that isn't assigned is a comment.
    if let Some((_, after)) = string(text) {
        return end_of_line(after).map(|after| (None, after)).ok_or(None);
    }
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, after) = text.split_at(end);
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let name = is_name.then(|| name.to_owned()).ok_or(None)?;
    let parsed = assigned(after).and_then(|(value, after)| Some((value, end_of_line(after)?)));
    let (value, after) = parsed.ok_or_else(|| Some(name.clone()))?;
    // Names in other styles are variables of the file, not settings.
    let is_setting = name.chars().any(char::is_uppercase) && !name.chars().any(char::is_lowercase);
    Ok((is_setting.then_some((name, value)), after))
}

fn is_blank(text: &str) -> bool {
    end_of_line(text).is_some()
}

/// The text after the current line; `None` if the line has more than a comment left.
fn end_of_line(text: &str) -> Option<&str> {
    let text = text.trim_start_matches([' ', '\t', '\r', '\u{c}']);
    let text =
        if text.starts_with('#') { &text[text.find('\n').unwrap_or(text.len())..] } else { text };
    if text.is_empty() { Some(text) } else { text.strip_prefix('\n') }
}

fn assigned(text: &str) -> Option<(Value, &str)> {
    let text = text.trim_start_matches([' ', '\t']).strip_prefix('=')?;
    let text = text.trim_start_matches([' ', '\t']);
    if let Some((mut value, mut after)) = string(text) {
        // Adjacent strings are concatenated.
        while let Some((more, rest)) = string(after.trim_start_matches([' ', '\t'])) {
            value += &more;
            after = rest;
        }
        return Some((Value::Text(value), after));
    }
    let end = text.find(|c: char| c.is_whitespace() || c == '#').unwrap_or(text.len());
    let (word, after) = text.split_at(end);
    let value = match word {
        "True" => Value::Bool(true),
        "False" => Value::Bool(false),
        "None" => Value::None,
        _ => Value::Number(number(word)?),
    };
    Some((value, after))
}

/// An integer or decimal number, approximately as Python prints it.
fn number(word: &str) -> Option<String> {
    let plain = word.replace('_', "");
    let is_grouped = !word.starts_with('_') && !word.ends_with('_') && !word.contains("__");
    if !is_grouped || !plain.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.') {
        return None;
    }
    match plain.parse::<i128>() {
        Ok(whole) => Some(whole.to_string()),
        Err(_) => plain.parse::<f64>().ok().filter(|number| number.is_finite()).map(|_| plain),
    }
}

/// A quoted string, and the text after it.
fn string(text: &str) -> Option<(String, &str)> {
    let quote_at = text.find(['\'', '"'])?;
    let (prefix, quoted) = text.split_at(quote_at);
    let is_raw = match prefix {
        "" | "u" | "U" => false,
        "r" | "R" => true,
        _ => return None,
    };
    let quote = &quoted[..1];
    let triple = quote.repeat(3);
    let (end, is_long) = match quoted.strip_prefix(&triple) {
        Some(_) => (triple.as_str(), true),
        None => (quote, false),
    };
    let mut rest = &quoted[end.len()..];
    let mut value = String::new();
    loop {
        if let Some(after) = rest.strip_prefix(end) {
            return Some((value, after));
        }
        let c = rest.chars().next()?;
        rest = &rest[c.len_utf8()..];
        match c {
            '\n' if !is_long => return None,
            '\\' if is_raw => {
                value.push(c);
                value.push(rest.chars().next()?);
                rest = &rest[rest.chars().next()?.len_utf8()..];
            }
            '\\' => rest = escape(rest, &mut value)?,
            _ => value.push(c),
        }
    }
}

/// Appends the character that an escape sequence stands for. `rest` begins after the backslash.
fn escape<'a>(rest: &'a str, value: &mut String) -> Option<&'a str> {
    let c = rest.chars().next()?;
    let after = &rest[c.len_utf8()..];
    let digits = match c {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => 0,
    };
    if digits > 0 {
        let code = u32::from_str_radix(after.get(..digits)?, 16).ok()?;
        value.push(char::from_u32(code)?);
        return Some(&after[digits..]);
    }
    match c {
        '\n' => {}
        'n' => value.push('\n'),
        'r' => value.push('\r'),
        't' => value.push('\t'),
        '\\' | '\'' | '"' => value.push(c),
        // Characters given by name or octal number aren't supported: they don't occur in settings.
        'N' | '0'..='9' => return None,
        _ => value.extend(['\\', c]),
    }
    Some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn plain_values_are_read() {
        let file = "# a comment\r\n\n\"\"\"A = 'in a text'\n\"\"\"\nA = 'one' # two\nB=\"it's\"\nC = True\nD = None\nE = 5_000\nF = -1.5\n\
            G = '''two\nlines'''\nH = 'a' \"b\"\nI = r'\\d'\nJ = 'tab\\t \\'quoted\\' \\x41\\u00e4'\nlower = 'no setting'\nA = 'last'";
        let (settings, unknown) = parse(file);
        assert_eq!(unknown, []);
        let settings: Vec<_> =
            settings.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        assert_eq!(
            settings,
            [
                ("B", text("it's")),
                ("C", Value::Bool(true)),
                ("D", Value::None),
                ("E", Value::Number("5000".into())),
                ("F", Value::Number("-1.5".into())),
                ("G", text("two\nlines")),
                ("H", text("ab")),
                ("I", text("\\d")),
                ("J", text("tab\t 'quoted' Aä")),
                ("A", text("last")),
            ]
        );
    }

    #[test]
    fn what_would_have_to_be_run_is_named_by_its_line() {
        let file = "import os\nA = os.environ['A']\nB = 'x' + 'y'\nC = ['a',\n  'b']\nif A:\n    D = 1\nE = f'{A}'\nF = 'open\nG = 2\nH += 1";
        let (settings, unknown) = parse(file);
        assert_eq!(settings, [("G".to_owned(), Value::Number("2".into()))]);
        let said: Vec<_> =
            unknown.iter().map(|unknown| (unknown.line, unknown.name.as_deref())).collect();
        let named = |line, name| (line, Some(name));
        assert_eq!(
            said,
            [
                named(1, "import"),
                named(2, "A"),
                named(3, "B"),
                named(4, "C"),
                (5, None),
                named(6, "if"),
                (7, None),
                named(8, "E"),
                named(9, "F"),
                named(11, "H"),
            ]
        );
    }
}
