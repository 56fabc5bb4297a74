//! What handlers take out of a request, strictly: what is wrong is refused and named.

pub mod json;
pub mod path;
pub mod query;

mod percent;

pub(crate) use json::present;
pub use json::{Json, JsonLimit};
pub use path::{Segment, Tail};
pub use query::{Listing, Paging, Query};

/// How much of a client's own text an error repeats, in characters.
const EXCERPT: usize = 200;

/// The beginning of `text`, marked when it isn't all of it.
fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
