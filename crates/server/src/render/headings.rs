//! Headings and their anchors.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

/// The prefix of all ids in a rendered page, so that none collides with an id or a name of the surrounding page.
pub(super) const PREFIX: &str = "user-content-";

/// The longest anchor, in characters.
const MAX_CHARS: usize = 100;

/// A heading of a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Heading {
    /// The level, from 1 to 6.
    pub level: u8,
    /// The heading's text.
    pub text: String,
    /// The id of the heading's element.
    pub id: String,
}

/// Gives every heading of a page a unique anchor.
#[derive(Default)]
pub(super) struct Anchors {
    used: HashSet<String>,
    /// Number of occurrences of each text.
    times: HashMap<String, usize>,
    /// Anchors in the author's HTML, with the indices of their events.
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

    /// Returns `true` if the author's anchor in the event `at` gets its name, because it is the first with that name.
    pub(super) fn takes(&mut self, anchor: &str, at: usize) -> bool {
        let is_free =
            !anchor.is_empty() && !self.used.contains(anchor) && !self.written.contains_key(anchor);
        if is_free {
            self.written.insert(anchor.to_owned(), at);
        }
        is_free
    }

    /// Removes the author's anchor whose name a heading needs, and returns the index of its event. Often it stands
    /// right before that heading.
    pub(super) fn displaced(&mut self, anchor: &str) -> Option<usize> {
        self.written.remove(anchor)
    }
}

/// The anchor that a URL's fragment or a name in HTML refers to.
pub(super) fn anchor(name: &str) -> String {
    let name = name.trim();
    slug(name.strip_prefix(PREFIX).unwrap_or(name))
}

/// The anchor of a heading as on GitHub: lower-case letters, digits, `-` and `_`, and `-` for a space.
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
