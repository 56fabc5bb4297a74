//! Limits for repeating a page's text in an answer.

/// Maximum number of lines per answer.
const MOST_LINES: usize = 20_000;
/// Maximum bytes of these lines as JSON strings.
const MOST_BYTES: usize = 1 << 20;

/// The remaining lines and bytes of one answer. An answer that repeats a text line by line can be hundreds of times its
/// size, and a text may have a few megabytes.
#[derive(Clone, Debug)]
pub(crate) struct Allowance {
    lines: usize,
    bytes: usize,
    is_exceeded: bool,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { lines: MOST_LINES, bytes: MOST_BYTES, is_exceeded: false }
    }
}

impl Allowance {
    /// Counts one line. Returns `false` once a limit is exceeded; the line and all later ones must be left out.
    #[must_use]
    pub(crate) fn takes(&mut self, line: &str) -> bool {
        let bytes = json_size(line.as_bytes());
        self.is_exceeded |= self.lines == 0 || bytes > self.bytes;
        if self.is_exceeded {
            return false;
        }
        self.lines -= 1;
        self.bytes -= bytes;
        true
    }

    /// Returns `true` if a limit was exceeded.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.is_exceeded
    }
}

/// Returns the texts that fit into one answer together, and whether any was left out. Earlier texts take precedence.
pub fn fitting<T: AsRef<str>, const N: usize>(texts: [Option<T>; N]) -> ([Option<T>; N], bool) {
    let (mut left, mut truncated) = (MOST_BYTES, false);
    let texts = texts.map(|text| {
        let text = text?;
        match left.checked_sub(json_size(text.as_ref().as_bytes())) {
            Some(rest) => {
                left = rest;
                Some(text)
            }
            None => {
                truncated = true;
                None
            }
        }
    });
    (texts, truncated)
}

/// Returns the size of a text as a JSON string without its quotes, in bytes.
pub fn json_size(text: &[u8]) -> usize {
    let more = |byte: &u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
        0..=0x1f => 5,
        _ => 0,
    };
    text.len() + text.iter().map(more).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_that_of_the_json() {
        for (text, json) in [
            ("", ""),
            ("plain Grüße 🧀", "plain Grüße 🧀"),
            ("\"\\\n\t\r", r#"\"\\\n\t\r"#),
            ("\u{1}\u{8}\u{c}\u{1f}\u{7f}", "\\u0001\\b\\f\\u001f\u{7f}"),
        ] {
            assert_eq!(json_size(text.as_bytes()), json.len(), "{text:?}");
        }
    }

    #[test]
    fn of_texts_that_are_too_large_together_the_first_are_kept() {
        let text = |size| Some("x".repeat(size));
        let sizes = |texts| {
            let (texts, truncated) = fitting::<String, 3>(texts);
            (texts.map(|text| text.map(|text| text.len())), truncated)
        };
        let all = [Some(1), None, Some(2)];
        assert_eq!(sizes([text(1), None, text(2)]), (all, false));
        let first = [Some(600_000), None, Some(7)];
        assert_eq!(sizes([text(600_000), text(600_000), text(7)]), (first, true));
        assert_eq!(sizes([text(2_000_000), None, None]), ([None; 3], true));
    }

    #[test]
    fn nothing_is_taken_after_what_was_too_much() {
        let mut allowance = Allowance { lines: 3, bytes: 10, is_exceeded: false };
        assert!(allowance.takes("12345") && !allowance.is_exceeded());
        assert!(!allowance.takes("123456"));
        assert!(!allowance.takes("1") && allowance.is_exceeded());
        let mut allowance = Allowance { lines: 1, bytes: 10, is_exceeded: false };
        assert!(allowance.takes("") && !allowance.takes(""));
    }
}
