//! Values of preferences, and their stored form.

use serde::Serialize;

use super::rows::MAX_VALUE;
use crate::page_path::ExistingPath;

/// A value as clients send and receive it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum PreferenceValue {
    /// A boolean.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// A text, or one of a fixed set of words.
    Text(String),
    /// Another JSON value, such as a list. No preference accepts it.
    Other,
}

/// The type of a preference.
#[derive(Debug)]
pub(super) enum Kind {
    /// A boolean, stored as `True` and `False`.
    Flag,
    /// One of these words. The first of each pair is shown, the second stored.
    Word(&'static [(&'static str, &'static str)]),
    /// A whole number in this range, inclusive.
    Number(i64, i64),
    /// One line of at most this many bytes. An empty one means the default.
    Line(usize),
    /// A text that clients interpret, such as JSON. An empty one is a value, too.
    Verbatim,
    /// A language tag, such as `de` or `pt-BR` (BCP 47).
    Language,
    /// The path of a page. An empty one means the default.
    Page,
}

/// A code (`wrong_type` or `invalid_value`) and the end of a sentence.
pub(super) type Refusal = (&'static str, String);

impl Kind {
    /// Converts a stored text to a value; `None` if it is empty or invalid.
    pub(super) fn read(&self, text: &str) -> Option<PreferenceValue> {
        if text.is_empty() && !matches!(self, Self::Verbatim) {
            return None;
        }
        match self {
            Self::Flag => flag(text).map(PreferenceValue::Flag),
            Self::Word(words) => word(words, text).map(|word| PreferenceValue::Text(word.into())),
            Self::Number(..) => {
                let value = PreferenceValue::Number(text.trim().parse().ok()?);
                self.write(&value).is_ok().then_some(value)
            }
            Self::Line(_) | Self::Verbatim | Self::Language | Self::Page => {
                let value = PreferenceValue::Text(text.to_owned());
                self.write(&value).is_ok().then_some(value)
            }
        }
    }

    /// Converts a value to its stored text.
    pub(super) fn write(&self, value: &PreferenceValue) -> Result<String, Refusal> {
        use PreferenceValue as V;
        match (self, value) {
            (Self::Flag, V::Flag(flag)) => Ok(if *flag { "True" } else { "False" }.to_owned()),
            (Self::Number(least, most), V::Number(number)) => {
                if (least..=most).contains(&number) {
                    Ok(number.to_string())
                } else {
                    refuse(format!("must be a number from {least} to {most}"))
                }
            }
            (Self::Word(words), V::Text(text)) => {
                match words.iter().find(|(shown, _)| shown == text) {
                    Some((_, stored)) => Ok((*stored).to_owned()),
                    None => refuse(format!("must be {}", listed(words))),
                }
            }
            (Self::Line(most), V::Text(text)) => line(text, *most),
            (Self::Verbatim, V::Text(text)) => verbatim(text),
            (Self::Language, V::Text(text)) => language(text),
            (Self::Page, V::Text(text)) => page(text),
            _ => Err(("wrong_type", format!("must be {}", self.described()))),
        }
    }

    fn described(&self) -> String {
        match self {
            Self::Flag => "true or false".to_owned(),
            Self::Number(..) => "a whole number".to_owned(),
            Self::Word(words) => listed(words),
            Self::Line(_) | Self::Verbatim | Self::Language | Self::Page => "a text".to_owned(),
        }
    }
}

fn refuse(why: impl Into<String>) -> Result<String, Refusal> {
    Err(("invalid_value", why.into()))
}

/// Other programs write flags in several ways.
fn flag(text: &str) -> Option<bool> {
    let is = |words: &[&str]| words.iter().any(|word| text.trim().eq_ignore_ascii_case(word));
    match () {
        () if is(&["true", "1", "yes", "on"]) => Some(true),
        () if is(&["false", "0", "no", "off"]) => Some(false),
        () => None,
    }
}

/// Ignores case and underscores: some wikis have `LINKTITLE`, others `LINK_TITLE`.
fn word(words: &[(&'static str, &'static str)], text: &str) -> Option<&'static str> {
    let plain = |text: &str| text.trim().replace('_', "").to_ascii_lowercase();
    let wanted = plain(text);
    words.iter().find(|(_, stored)| plain(stored) == wanted).map(|(shown, _)| *shown)
}

fn listed(words: &[(&str, &str)]) -> String {
    let mut words: Vec<_> = words.iter().map(|(shown, _)| format!("`{shown}`")).collect();
    words.dedup();
    words.join(" or ")
}

fn line(text: &str, most: usize) -> Result<String, Refusal> {
    if text.len() > most {
        return refuse(format!("must not have more than {most} bytes"));
    }
    if text.chars().any(char::is_control) {
        return refuse("must not hold control characters");
    }
    Ok(text.to_owned())
}

fn verbatim(text: &str) -> Result<String, Refusal> {
    if text.len() > MAX_VALUE {
        return refuse("must not have more than 64 KiB");
    }
    if text.contains('\0') {
        return refuse("must not hold a NUL character");
    }
    Ok(text.to_owned())
}

fn language(text: &str) -> Result<String, Refusal> {
    let is_subtag = |subtag: &str| {
        (1..=8).contains(&subtag.len()) && subtag.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    let first = text.split('-').next().unwrap_or_default();
    let begins_well = first.len() >= 2 && first.bytes().all(|b| b.is_ascii_alphabetic());
    if text.is_empty() || (text.len() <= 35 && begins_well && text.split('-').all(is_subtag)) {
        return Ok(text.to_owned());
    }
    refuse("must be a language tag, such as `de` or `pt-BR`")
}

fn page(text: &str) -> Result<String, Refusal> {
    // Not `PagePath`: the home page of an imported wiki may have an unusual name.
    match ExistingPath::new(text) {
        _ if text.is_empty() => Ok(String::new()),
        Ok(_) => Ok(text.to_owned()),
        Err(error) => refuse(format!("must be the path of a page: {error}")),
    }
}
