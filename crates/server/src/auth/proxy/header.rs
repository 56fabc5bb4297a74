//! Headers that may have only one value, and only one spelling.

use http::{HeaderMap, HeaderName};
use wikigrove_tenant::problem::Problem;

use super::ambiguous;

/// The header with the secret that proxies share with us.
pub(crate) const PROXY_SECRET: &str = "x-wikigrove-proxy-secret";

/// How often a header is there.
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

/// The one value of a header, trimmed; `None` if it is missing or empty.
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

/// A header whose name becomes `name` where all but letters and digits is taken for the same, as it is
/// where headers become variables of an environment.
pub(super) fn look_alike<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderName> {
    headers.keys().find(|other| *other != name && alike(other.as_str(), name.as_str()))
}

/// Takes a header out, however its name is spelled.
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
