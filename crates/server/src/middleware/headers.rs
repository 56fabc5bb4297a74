//! Headers of every response, and bodies for errors without one.

use axum::response::Response;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName,
    REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderValue, StatusCode};
use wikigrove_tenant::problem::Problem;

use super::browsers::Browsers;
use super::request_id::{RequestId, X_REQUEST_ID};

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");
/// Responses for programs aren't pages: nothing in them may run, load or be framed.
const POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// One year, in seconds.
const TLS_ONLY: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Adds the request id and the security and caching headers.
pub(super) fn complete(response: &mut Response, id: &RequestId, browsers: &Browsers) {
    let status = response.status();
    let headers = response.headers_mut();
    if status == StatusCode::NOT_MODIFIED {
        // It would have to be the length of the content that isn't sent (RFC 9110, section 8.6), but the
        // router sets 0.
        headers.remove(CONTENT_LENGTH);
    }
    headers.insert(X_REQUEST_ID, id.header());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Handlers set this if their response may be cached; all other responses may be private.
    let kept = headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    // Pages of any site may embed public content.
    let is_public = kept == "no-cache" || kept.as_bytes().starts_with(b"public");
    let is_for_all = is_public || browsers.has_guests();
    let shown_by = if is_for_all { "cross-origin" } else { "same-origin" };
    headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static(shown_by));
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(POLICY);
    headers.entry(REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    if browsers.is_secure() {
        headers.insert(STRICT_TRANSPORT_SECURITY, TLS_ONLY);
    }
}

/// A problem for an error response without a body. Errors in other formats, such as git's, have a
/// content type and are left alone.
pub(super) fn bare_error(response: &Response) -> Option<Problem> {
    let status = response.status();
    let bare = (status.is_client_error() || status.is_server_error())
        && !response.headers().contains_key(CONTENT_TYPE);
    let (code, detail) = match status {
        _ if !bare => return None,
        StatusCode::UNAUTHORIZED => ("unauthenticated", "credentials are needed"),
        StatusCode::FORBIDDEN => ("forbidden", "the caller may not do this"),
        StatusCode::NOT_FOUND => ("not_found", "there is nothing here"),
        StatusCode::METHOD_NOT_ALLOWED => {
            ("method_not_allowed", "this resource does not have this method")
        }
        _ if status.is_client_error() => ("invalid_request", "the request can't be answered"),
        _ => (
            "internal",
            "the server failed to answer this request; its log says why, under the request id",
        ),
    };
    Some(Problem::new(status, code, detail))
}
