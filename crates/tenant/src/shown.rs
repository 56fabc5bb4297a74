//! Makes untrusted text fit for a message or a log line.

/// Number of characters that are kept; the rest is cut off.
const LONGEST: usize = 64;

/// Escapes control and other invisible characters, and cuts after 64 characters, so that a refused name can neither
/// forge a log line nor fill the log.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn invisible_characters_are_escaped() {
        assert_eq!(shown("a\nb\0\u{202e}c"), "a\\nb\\0\\u{202e}c");
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(shown(&"é".repeat(64)), "é".repeat(64));
        assert_eq!(shown(&"é".repeat(100_000)), format!("{}…", "é".repeat(64)));
    }
}
