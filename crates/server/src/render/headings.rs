//! Headings and their anchors.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

/// What every id in a rendered page begins with, so that none takes the place of a name that the
/// page around it uses.
pub(super) const PREFIX: &str = "user-content-";

/// The longest anchor, in characters.
const MAX_CHARS: usize = 100;

/// A heading of a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Heading {
    /// 1 to 6.
    pub level: u8,
    /// What it says.
    pub text: String,
    /// The id of its element.
    pub id: String,
}

/// Gives every heading of a page an anchor of its own.
#[derive(Default)]
pub(super) struct Anchors {
    used: HashSet<String>,
    /// How often a text occurred.
    times: HashMap<String, usize>,
    /// Anchors that people wrote as HTML, with the numbers of their events.
    written: HashMap<String, usize>,
}

impl Anchors {
    /// The anchor of the next heading, without [`PREFIX`].
    pub(super) fn next(&mut self, text: &str) -> String {
        let slug = slug(text);
        let times = self.times.entry(slug.clone()).or_default();
        let mut anchor = slug.clone();
        while !self.used.insert(anchor.clone()) {
            *times += 1;
            anchor = format!("{slug}-{times}");
        }
        anchor
    }

    /// Whether an anchor that somebody wrote into the event `at` gets its name: nothing before it has that.
    pub(super) fn takes(&mut self, anchor: &str, at: usize) -> bool {
        let is_free =
            !anchor.is_empty() && !self.used.contains(anchor) && !self.written.contains_key(anchor);
        if is_free {
            self.written.insert(anchor.to_owned(), at);
        }
        is_free
    }

    /// The event with the written anchor whose name a heading needs. Often it stands right before that heading.
    pub(super) fn displaced(&mut self, anchor: &str) -> Option<usize> {
        self.written.remove(anchor)
    }
}

/// The anchor that a fragment of an address or a name in HTML means.
pub(super) fn anchor(name: &str) -> String {
    let name = name.trim();
    slug(name.strip_prefix(PREFIX).unwrap_or(name))
}

/// The anchor of a heading as GitHub makes it: small letters, digits, `-` and `_`, and `-` for a space.
pub(super) fn slug(text: &str) -> String {
    text.trim()
        .chars()
        .flat_map(char::to_lowercase)
        .filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            c => c.is_alphanumeric().then_some(c),
        })
        .take(MAX_CHARS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_githubs() {
        for (text, anchor) in [
            ("Getting started", "getting-started"),
            ("What's new in 2.0?", "whats-new-in-20"),
            ("ÄPFEL & Birnen", "äpfel--birnen"),
            ("snake_case", "snake_case"),
            ("<script>", "script"),
            ("🌹", ""),
        ] {
            assert_eq!(slug(text), anchor);
        }
    }

    #[test]
    fn no_two_are_the_same() {
        let mut anchors = Anchors::default();
        let made = ["a", "A", "a-1", "a", "", ""].map(|text| anchors.next(text));
        assert_eq!(made, ["a", "a-1", "a-1-1", "a-2", "", "-1"]);
    }
}
