//! Responses with HTML, CSS and source text.

use askama::Template;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue,
    REFERRER_POLICY,
};
use sha2::{Digest as _, Sha256};
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Wiki, not_modified};

use crate::wiki::headers::quoted;
use crate::wiki::pages::answer::{shared, with_page_headers};

const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const CSS: &str = include_str!("../../templates/style.css");

/// No scripts, and no content of other hosts.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// As [`POLICY`], with images of other hosts.
const POLICY_WITH_IMAGES: &str = "default-src 'none'; style-src 'self'; img-src 'self' https: http:; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// The policy of source text: nothing is loaded or executed.
const TEXT_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

/// Sets the headers that all views have.
pub(super) fn protect(headers: &mut HeaderMap, policy: &'static str) {
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
}

/// A page of the view, or 304 for a client that has this version.
pub(super) fn html(
    wiki: &Wiki,
    headers: &HeaderMap,
    page: &impl Template,
) -> Result<Response, Problem> {
    html_under(POLICY, wiki, headers, page)
}

/// Like [`html`], for content of users: with images of other hosts if the wiki allows them.
pub(super) fn article(
    external_images: bool,
    wiki: &Wiki,
    headers: &HeaderMap,
    page: &impl Template,
) -> Result<Response, Problem> {
    let policy = if external_images { POLICY_WITH_IMAGES } else { POLICY };
    html_under(policy, wiki, headers, page)
}

fn html_under(
    policy: &'static str,
    wiki: &Wiki,
    headers: &HeaderMap,
    page: &impl Template,
) -> Result<Response, Problem> {
    let html = page.render().map_err(|error| Problem::internal(&error))?;
    let etag = version(html.as_bytes());
    Ok(answer(wiki, headers, &etag, (HTML, policy), html.into()))
}

/// The stored text of a page.
pub(super) fn source(wiki: &Wiki, headers: &HeaderMap, etag: &str, text: bytes::Bytes) -> Response {
    let response = answer(wiki, headers, etag, (TEXT, TEXT_POLICY), Body::empty());
    if response.status() == StatusCode::OK { shared(response, text) } else { response }
}

fn answer(
    wiki: &Wiki,
    headers: &HeaderMap,
    etag: &str,
    (media_type, policy): (&'static str, &'static str),
    body: Body,
) -> Response {
    let mut response = if not_modified(headers, etag) {
        with_page_headers(wiki, etag, StatusCode::NOT_MODIFIED, None, Body::empty())
    } else {
        with_page_headers(wiki, etag, StatusCode::OK, Some(media_type), body)
    };
    protect(response.headers_mut(), policy);
    response
}

/// The stylesheet. It is the same for all wikis, and may be cached for an hour.
pub(super) async fn style(headers: HeaderMap) -> Response {
    let etag = version(CSS.as_bytes());
    let kept =
        [(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600")), (ETAG, quoted(&etag))];
    if not_modified(&headers, &etag) {
        return (StatusCode::NOT_MODIFIED, kept).into_response();
    }
    let css = HeaderValue::from_static("text/css; charset=utf-8");
    (kept, [(CONTENT_TYPE, css)], CSS).into_response()
}

fn version(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes)[..20])
}
