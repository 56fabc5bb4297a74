//! Strict percent-decoding, applied exactly once.

use std::borrow::Cow;

use http::StatusCode;
use percent_encoding::percent_decode_str;
use wikigrove_tenant::problem::Problem;

/// Decodes `raw`; `what` names it in the error.
///
/// # Errors
/// 400 `invalid_encoding` or 400 `invalid_utf8`.
pub(super) fn decode<'a>(raw: &'a str, what: &str) -> Result<Cow<'a, str>, Problem> {
    if !is_well_formed(raw) {
        let detail = format!("{what} has a `%` that two hexadecimal digits do not follow");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_encoding", detail));
    }
    percent_decode_str(raw).decode_utf8().map_err(|_| {
        let detail = format!("{what} is not UTF-8 once decoded");
        Problem::new(StatusCode::BAD_REQUEST, "invalid_utf8", detail)
    })
}

/// Returns `true` if every `%` is followed by two hexadecimal digits. The decoder leaves invalid
/// sequences unchanged, so that two programs could see two different names.
fn is_well_formed(raw: &str) -> bool {
    raw.split('%').skip(1).all(|after| matches!(after.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()))
}
