//! Headers that responses about pages and attachments share.

use bytes::Bytes;
use http::HeaderValue;
use sha2::{Digest as _, Sha256};
use wikigrove_tenant::{Visibility, Wiki};

/// Shared caches must not store the content of private wikis.
pub(super) fn cache_control(wiki: &Wiki) -> HeaderValue {
    HeaderValue::from_static(match wiki.tenant().visibility {
        Visibility::Private => "private, no-cache",
        _ => "no-cache",
    })
}

/// An etag in quotes, as a header value.
pub(crate) fn quoted(etag: &str) -> HeaderValue {
    let quoted = Bytes::from(["\"", etag, "\""].concat());
    HeaderValue::from_maybe_shared(quoted).expect("hexadecimal digits are visible ASCII")
}

/// The etag of a response that is made from many sources: the hash of its bytes.
pub(super) fn version(media_type: &str, body: &[u8]) -> String {
    let hash = Sha256::new().chain_update(media_type).chain_update([0]).chain_update(body);
    data_encoding::HEXLOWER.encode(&hash.finalize()[..20])
}
