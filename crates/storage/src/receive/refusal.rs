//! The error that a client gets when its push is refused.

use crate::page_path::is_invisible;

/// Maximum number of listed problems; the others are counted.
const MAX_LINES: usize = 20;
/// Maximum number of characters shown of a path.
const MAX_SHOWN: usize = 200;

/// A refused push, explained to the person who pushed.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("the push was refused: {}", lines.join("; "))]
pub struct PushRefusal {
    /// One problem per line, with its path. The lines contain no terminal control characters.
    pub lines: Vec<String>,
    /// True if every problem is one of size or number.
    pub is_too_large: bool,
}

impl PushRefusal {
    pub(crate) fn new(line: impl Into<String>) -> Self {
        Self { lines: vec![line.into()], is_too_large: false }
    }

    pub(crate) fn too_large(line: impl Into<String>) -> Self {
        Self { lines: vec![line.into()], is_too_large: true }
    }
}

/// The problems found so far.
#[derive(Debug, Default)]
pub(super) struct Problems {
    lines: Vec<String>,
    more: usize,
    /// Number of them that are about sizes.
    sizes: usize,
}

impl Problems {
    pub(super) fn add(&mut self, line: String) {
        if self.lines.len() < MAX_LINES {
            self.lines.push(line);
        } else {
            self.more += 1;
        }
    }

    pub(super) fn about(&mut self, path: &[u8], why: &str) {
        self.add(format!("{}: {why}", shown(path)));
    }

    pub(super) fn too_large(&mut self, path: &[u8], why: &str) {
        self.sizes += 1;
        self.about(path, why);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// True if there are more than are shown, so that looking for others is of no use.
    pub(super) fn are_enough(&self) -> bool {
        self.more > 0
    }

    /// The refusal, if there is a reason for one.
    pub(super) fn refusal(&mut self) -> Option<PushRefusal> {
        let mut lines = std::mem::take(&mut self.lines);
        let is_too_large = self.sizes == lines.len() + self.more;
        if self.more > 0 {
            lines.push(format!("and {} more", self.more));
        }
        (!lines.is_empty()).then_some(PushRefusal { lines, is_too_large })
    }
}

/// Returns a path without terminal control characters, cut off if it is long.
pub(super) fn shown(path: &[u8]) -> String {
    let mut shown = String::new();
    let mut count = 0;
    for chunk in path.utf8_chunks() {
        for c in chunk.valid().chars() {
            count += 1;
            if count > MAX_SHOWN {
                shown.push('…');
                return shown;
            }
            if is_invisible(c) || c == '\\' {
                shown.extend(c.escape_default());
            } else {
                shown.push(c);
            }
        }
        for byte in chunk.invalid() {
            shown.push_str(&format!("\\x{byte:02x}"));
        }
    }
    if shown.is_empty() { "the top folder".to_owned() } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_acts_on_is_shown() {
        assert_eq!(shown(b"a\x1b[31m\xff\xfe.md"), "a\\u{1b}[31m\\xff\\xfe.md");
        assert_eq!(shown("a\u{202e}b".as_bytes()), "a\\u{202e}b");
        assert_eq!(shown("Gärten/回.md".as_bytes()), "Gärten/回.md");
        assert_eq!(shown("x".repeat(1000).as_bytes()).chars().count(), 201);
    }

    #[test]
    fn many_problems_are_twenty_lines_and_a_number() {
        let mut problems = Problems::default();
        assert_eq!(problems.refusal(), None);
        for n in 0..50 {
            problems.about(format!("{n}.md").as_bytes(), "no");
        }
        let lines = problems.refusal().unwrap().lines;
        assert_eq!((lines.len(), lines[20].as_str()), (21, "and 30 more"));
    }
}
