//! The parameters `limit` and `cursor`, and the list responses that go with them.

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64URL_NOPAD;
use http::request::Parts;
use serde::Serialize;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::storage::IndexProgress;

use super::{invalid, single};
use crate::extract::Json;

/// Number of items by default.
const DEFAULT_LIMIT: usize = 50;
/// Maximum number of items that a client may request.
const MAX_LIMIT: usize = 500;
/// Maximum size of the items in a response, in bytes. A response always has at least one item.
const MAX_BYTES: usize = 1 << 20;

/// The requested part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paging {
    /// Maximum number of items, from 1 to 500.
    pub limit: usize,
    /// Position to continue from, as given to an earlier [`Listing`].
    pub cursor: Option<String>,
}

impl<S: Sync> FromRequestParts<S> for Paging {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::read(parts.uri.query().unwrap_or_default())
    }
}

impl Paging {
    /// Number of items to fetch: one more than the limit shows whether the list continues.
    pub fn one_more(&self) -> u32 {
        u32::try_from(self.limit + 1).unwrap_or(u32::MAX)
    }

    fn read(query: &str) -> Result<Self, Problem> {
        let limit = match single(query, "limit")? {
            None => DEFAULT_LIMIT,
            Some(text) => limit(&text).ok_or_else(|| {
                invalid(
                    "limit",
                    "invalid_value",
                    &format!("a number from 1 to {MAX_LIMIT} is expected"),
                )
            })?,
        };
        let cursor = single(query, "cursor")?.map(|text| position(&text)).transpose()?;
        Ok(Self { limit, cursor })
    }
}

/// Parses digits only; the standard parser accepts a sign as well.
fn limit(text: &str) -> Option<usize> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|limit| digits && (1..=MAX_LIMIT).contains(limit))
}

fn position(cursor: &str) -> Result<String, Problem> {
    let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|position| !position.is_empty())
        .ok_or_else(|| invalid("cursor", "invalid_cursor", "this is not a cursor of this list"))
}

/// One part of a list, with the cursor of the next part.
#[derive(Clone, Debug, Serialize)]
pub struct Listing<T> {
    /// The items.
    pub items: Vec<T>,
    /// Value for `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
    /// Progress of the index, if items may be missing until it is complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<IndexProgress>,
}

impl<T> Listing<T> {
    /// A part that ends at `next`, or at the end of the list. `next` is any text by which the list finds
    /// its position; it comes back as [`Paging::cursor`], and clients see it encoded.
    pub fn new(items: Vec<T>, next: Option<&str>) -> Self {
        Self {
            items,
            next_cursor: next.map(|position| BASE64URL_NOPAD.encode(position.as_bytes())),
            index: None,
        }
    }

    /// Adds the progress of the index, while items may be missing.
    #[must_use]
    pub fn while_building(self, index: Option<IndexProgress>) -> Self {
        Self { index, ..self }
    }
}

impl<T: Serialize> Listing<T> {
    /// A part of a list, from up to `limit + 1` items: as many as the limit and one mebibyte allow, but
    /// at least one. `position` is the text by which the list finds its position.
    pub fn part<F>(
        found: Vec<F>,
        limit: usize,
        position: impl Fn(&F) -> String,
        show: impl FnMut(F) -> T,
    ) -> Self {
        Self::counted(found, limit, |item, _| position(item), show)
    }

    /// Like [`part`](Self::part), for a list whose position also depends on the number of items in the
    /// part so far.
    pub fn counted<F>(
        found: Vec<F>,
        limit: usize,
        position: impl Fn(&F, usize) -> String,
        mut show: impl FnMut(F) -> T,
    ) -> Self {
        let mut goes_on = found.len() > limit;
        let (mut items, mut bytes, mut next) = (Vec::new(), 0, None);
        for item in found.into_iter().take(limit) {
            let at = position(&item, items.len() + 1);
            let item = show(item);
            bytes += json_size(&item);
            if bytes > MAX_BYTES && !items.is_empty() {
                goes_on = true;
                break;
            }
            items.push(item);
            next = Some(at);
        }
        Self::new(items, next.filter(|_| goes_on).as_deref())
    }
}

/// Size of a value as JSON, in bytes.
fn json_size(value: &impl Serialize) -> usize {
    let mut counted = Counted(0);
    // A value that can't be serialised fails later, when the response is written.
    let _ = serde_json::to_writer(&mut counted, value);
    counted.0
}

/// A writer that counts bytes.
struct Counted(usize);

impl std::io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<T: Serialize> IntoResponse for Listing<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_bounded_and_has_a_default() {
        assert_eq!(Paging::read("").unwrap(), Paging { limit: 50, cursor: None });
        assert_eq!(Paging::read("prefix=x&limit=500").unwrap().limit, 500);
        // json-018 among them.
        for bad in [
            "0",
            "501",
            "1000000000",
            "-1",
            "+5",
            "1.5",
            "1e1",
            "",
            "ten",
            "99999999999999999999999",
        ] {
            let problem = Paging::read(&format!("limit={}", bad.replace('+', "%2B"))).unwrap_err();
            assert_eq!(
                (problem.status().as_u16(), problem.code()),
                (422, "invalid_value"),
                "{bad}"
            );
            assert!(problem.detail().contains("`limit`"), "{problem}");
        }
        assert_eq!(Paging::read("limit=1&limit=2").unwrap_err().status(), 422);
    }

    #[test]
    fn a_cursor_leads_back_to_its_position() {
        let listing = Listing::new(vec![1], Some("käse/\u{1F9C0}?&"));
        let cursor = listing.next_cursor.unwrap();
        assert!(
            cursor.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
            "{cursor}"
        );
        assert_eq!(
            Paging::read(&format!("cursor={cursor}")).unwrap().cursor.as_deref(),
            Some("käse/\u{1F9C0}?&")
        );
    }

    #[test]
    fn garbage_is_no_cursor() {
        for bad in ["", "!", "a", "abc=", "_w", "YQ%3D%3D", "YR"] {
            let problem = Paging::read(&format!("cursor={bad}")).unwrap_err();
            assert_eq!(
                (problem.status().as_u16(), problem.code()),
                (422, "invalid_cursor"),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_part_ends_where_it_becomes_too_large_and_has_one_item_at_least() {
        let part = |sizes: &[usize], limit: usize| {
            let found = sizes.iter().map(|size| "x".repeat(*size)).collect();
            Listing::counted(found, limit, |_, count| count.to_string(), |item| item)
        };
        let read = |sizes: &[usize], limit| {
            let Listing { items, next_cursor, .. } = part(sizes, limit);
            (items.len(), next_cursor.map(|cursor| position(&cursor).unwrap()))
        };
        assert_eq!(read(&[600_000; 5], 5), (1, Some("1".to_owned())));
        assert_eq!(read(&[300_000; 5], 5), (3, Some("3".to_owned())));
        assert_eq!(read(&[3_000_000, 1], 5), (1, Some("1".to_owned())));
        assert_eq!(read(&[3_000_000], 5), (1, None));
        assert_eq!(read(&[1; 6], 5), (5, Some("5".to_owned())));
        assert_eq!(read(&[1; 5], 5), (5, None));
        assert_eq!(read(&[], 5), (0, None));
    }

    #[test]
    fn the_last_part_says_so() {
        let json = serde_json::to_value(Listing::new(vec!["a"], None)).unwrap();
        assert_eq!(json, serde_json::json!({ "items": ["a"], "next_cursor": null }));
    }
}
