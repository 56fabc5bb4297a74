//! The commit and author of each line of a page.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Wiki, not_modified};

use super::headers::version;
use super::pages::answer::with_page_headers;
use crate::extract::{Query, Tail, query};
use crate::guard::{Needs, Routes};
use crate::openapi;

const JSON: &str = "application/json";

pub(super) fn router() -> Routes {
    Routes::new().route(Needs::READ, routes!(blame))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct At {
    /// A commit: the page as it was then.
    at: Option<String>,
}

/// Shows for each line of a page the commit that added it. Renames are followed.
#[utoipa::path(get, path = "/blame/{*path}", params(("path" = String, Path), At),
    responses(
        (status = 200, body = openapi::Blame),
        (status = 304, description = "the client has this version"),
        (status = "4XX", body = openapi::Problem)))]
async fn blame(
    wiki: Wiki,
    Tail(path): Tail,
    Query(At { at }): Query<At>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let at = at.map(|at| query::revision("at", &at)).transpose()?;
    let blame = wiki.blame(&path, at).await.map_err(|error| error.problem())?;
    let body = serde_json::to_vec(&blame).map_err(|error| Problem::internal(&error))?;
    let etag = version(JSON, &body);
    if not_modified(&headers, &etag) {
        let status = StatusCode::NOT_MODIFIED;
        return Ok(with_page_headers(&wiki, &etag, status, None, Body::empty()));
    }
    Ok(with_page_headers(&wiki, &etag, StatusCode::OK, Some(JSON), body.into()))
}
