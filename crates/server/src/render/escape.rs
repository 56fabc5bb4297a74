//! Text inside HTML and URLs.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stays in the path of a URL: RFC 3986's unreserved characters, and slashes.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Text as it stands in an element or a quoted attribute.
pub(super) fn text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The beginning of a text as it stands in an element, in at most `most` bytes, and whether that is less
/// than all of it.
pub(super) fn beginning(text: &str, most: usize) -> (String, bool) {
    let mut escaped = String::with_capacity(text.len().min(most));
    for c in text.chars() {
        let mut plain = [0; 4];
        let shown = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            c => c.encode_utf8(&mut plain),
        };
        if escaped.len() + shown.len() > most {
            return (escaped, true);
        }
        escaped.push_str(shown);
    }
    (escaped, false)
}

/// A path as it stands in a URL. Nothing is left in it that HTML knows.
pub(crate) fn path(path: &str) -> String {
    utf8_percent_encode(path, PATH).to_string()
}
