//! Strict extractors: invalid input is refused with an error that names it.

pub mod json;
pub mod path;
pub mod query;

mod percent;
mod site;

pub(crate) use json::present;
pub use json::{Json, JsonLimit};
pub use path::{Segment, Tail};
pub use query::{Listing, Paging, Query};
pub(crate) use site::{IsSecure, Site};

/// Maximum length of a client's own text in an error, in characters.
const EXCERPT: usize = 200;

/// The beginning of `text`, with an ellipsis if it is cut off.
fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
