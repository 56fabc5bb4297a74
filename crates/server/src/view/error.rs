//! Errors as HTML.

use askama::Template;
use axum::body::Body;
use axum::response::Response;
use http::HeaderValue;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use wikigrove_tenant::problem::Problem;

use super::answer::{POLICY, protect};

#[derive(Template)]
#[template(path = "error.html")]
struct Shown<'a> {
    title: &'a str,
    detail: &'a str,
    /// The base of the wiki; `None` if the reader mustn't learn that it exists.
    base: Option<&'a str>,
    request_id: &'a str,
}

/// Replaces the body of a response that has a problem by an HTML page. Status and headers stay, and other responses are
/// unchanged.
///
/// A nonexistent wiki and a private one get the same page, because they get the same problem.
pub(crate) fn for_browsers(mut response: Response, base: &str, request_id: &str) -> Response {
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    let title = problem.status().canonical_reason().unwrap_or("Error");
    let is_wiki = problem.code() != "unknown_wiki" && problem.code() != "unauthenticated";
    let base = is_wiki.then_some(base);
    let Ok(html) = (Shown { title, detail: problem.detail(), base, request_id }).render() else {
        response.extensions_mut().insert(problem);
        return response;
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(html.len()));
    protect(headers, POLICY);
    *response.body_mut() = Body::from(html);
    response
}
