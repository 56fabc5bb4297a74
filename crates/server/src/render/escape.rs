//! Escapes text for HTML and URLs.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The characters that need no encoding in the path of a URL: the unreserved ones of RFC 3986, and slashes.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Escapes text for an element or a quoted attribute.
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

/// Escapes the beginning of a text for an element, in at most `most` bytes; also returns whether the text was
/// truncated.
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

/// Encodes a path for a URL. The result needs no escaping in HTML.
pub(crate) fn path(path: &str) -> String {
    utf8_percent_encode(path, PATH).to_string()
}
