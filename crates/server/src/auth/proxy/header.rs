//! Headers that allow only one value and only one spelling.

use http::{HeaderMap, HeaderName};
use wikigrove_tenant::problem::Problem;

use super::ambiguous;

/// The header with the secret that proxies share with this server.
pub(crate) const PROXY_SECRET: &str = "x-wikigrove-proxy-secret";

/// The occurrences of a header in a request.
pub(super) enum Lines<'a> {
    None,
    One(&'a [u8]),
    Several,
}

pub(super) fn lines<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Lines<'a> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Lines::None,
        (Some(line), None) => Lines::One(line.as_bytes()),
        (Some(_), Some(_)) => Lines::Several,
    }
}

/// The single value of a header, trimmed; `None` if it is missing or empty.
///
/// # Errors
/// 400 if the header occurs several times, or if its value isn't UTF-8 or has control characters.
pub(super) fn one(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, Problem> {
    let line = match lines(headers, name) {
        Lines::None => return Ok(None),
        Lines::One(line) => line,
        Lines::Several => {
            return Err(ambiguous(&format!("there are several headers `{name}`")));
        }
    };
    let text = std::str::from_utf8(line)
        .map_err(|_| ambiguous(&format!("the header `{name}` is not UTF-8")))?;
    let text = text.trim_matches([' ', '\t']);
    if text.chars().any(char::is_control) {
        return Err(ambiguous(&format!("the header `{name}` has control characters")));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// Finds a header whose name equals `name` once all characters but letters and digits are treated
/// alike, as happens where headers become environment variables.
pub(super) fn look_alike<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderName> {
    headers.keys().find(|other| *other != name && alike(other.as_str(), name.as_str()))
}

/// Removes a header in every spelling of its name.
pub(super) fn remove(headers: &mut HeaderMap, name: &str) {
    let spellings: Vec<HeaderName> =
        headers.keys().filter(|other| alike(other.as_str(), name)).cloned().collect();
    for spelling in spellings {
        headers.remove(spelling);
    }
}

fn alike(one: &str, other: &str) -> bool {
    let fold =
        |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
    one.len() == other.len() && one.bytes().map(fold).eq(other.bytes().map(fold))
}
