//! Differences of a page between two commits.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use utoipa_axum::routes;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::storage::Diff;
use wikigrove_tenant::{Wiki, not_modified};

use super::headers::version;
use super::pages::answer::{prefers, with_page_headers};
use crate::extract::{Query, Tail, query};
use crate::guard::{Needs, Routes};
use crate::openapi;

pub(super) fn router() -> Routes {
    Routes::new().route(Needs::READ, routes!(diff))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Between {
    /// The older commit; the first parent of `to` if it isn't given.
    from: Option<String>,
    /// The newer commit; the one that last changed the page if it isn't given.
    to: Option<String>,
}

/// Marks a truncated response in formats that have no field for that.
const X_TRUNCATED: HeaderName = HeaderName::from_static("x-truncated");

/// Compares two versions of a page, across renames: as JSON, or as a patch. Very large differences
/// are truncated.
#[utoipa::path(get, path = "/diff/{*path}", params(("path" = String, Path), Between),
    responses(
        (status = 200, content((openapi::Diff = "application/json"), (String = "text/x-diff"), (String = "text/plain"))),
        (status = 304, description = "the client has this version"),
        (status = "4XX", body = openapi::Problem)))]
async fn diff(
    wiki: Wiki,
    Tail(path): Tail,
    Query(Between { from, to }): Query<Between>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let from = from.map(|from| query::revision("from", &from)).transpose()?;
    let to = to.map(|to| query::revision("to", &to)).transpose()?;
    let diff = wiki.diff(&path, from, to).await.map_err(|error| error.problem())?;
    let truncated = diff.truncated;
    let (media_type, body) = match as_text(&headers) {
        Some(media_type) => (media_type, diff.unified().into_bytes()),
        None => {
            let shown = Shown { unified: diff.unified(), diff };
            let json = serde_json::to_vec(&shown).map_err(|error| Problem::internal(&error))?;
            ("application/json", json)
        }
    };
    let etag = version(media_type, &body);
    if not_modified(&headers, &etag) {
        let status = StatusCode::NOT_MODIFIED;
        return Ok(with_page_headers(&wiki, &etag, status, None, Body::empty()));
    }
    let mut response =
        with_page_headers(&wiki, &etag, StatusCode::OK, Some(media_type), body.into());
    if truncated {
        response.headers_mut().insert(X_TRUNCATED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    diff: Diff,
    unified: String,
}

/// The text format that a client prefers to JSON.
fn as_text(headers: &HeaderMap) -> Option<&'static str> {
    [("text/x-diff", "text/x-diff; charset=utf-8"), ("text/plain", "text/plain; charset=utf-8")]
        .into_iter()
        .find_map(|(wanted, media_type)| prefers(headers, wanted).then_some(media_type))
}
