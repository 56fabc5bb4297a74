//! What answers about pages and attachments say alike.

use bytes::Bytes;
use http::HeaderValue;
use wikigrove_tenant::{Visibility, Wiki};

/// What only some may read must not be kept where others are served from.
pub(super) fn cache_control(wiki: &Wiki) -> HeaderValue {
    HeaderValue::from_static(match wiki.tenant().visibility {
        Visibility::Private => "private, no-cache",
        _ => "no-cache",
    })
}

/// An etag as a header has it.
pub(crate) fn quoted(etag: &str) -> HeaderValue {
    let quoted = Bytes::from(["\"", etag, "\""].concat());
    HeaderValue::from_maybe_shared(quoted).expect("hexadecimal digits are visible ASCII")
}
