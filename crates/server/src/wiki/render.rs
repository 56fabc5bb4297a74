//! Pages as HTML.

mod cache;
mod joined;
mod rendering;
mod reserving;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{OriginalUri, State};
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::IntoParams;
use utoipa_axum::routes;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::storage::{Page, PageSummary};
use wikigrove_tenant::{Etag, Revision, Wiki, not_modified};

use super::API;
use super::pages::answer;
use crate::extract::{Query, Tail, query};
use crate::guard::{Needs, Routes};
use crate::limits::Principal;
use crate::openapi;
use crate::render::Rendered;

use cache::Entry;
pub(crate) use rendering::Rendering;

/// The content security policy of HTML that is opened by itself: images of any site, and nothing else.
const POLICY_WITH_IMAGES: &str =
    "default-src 'none'; img-src 'self' https: http:; base-uri 'none'; form-action 'none'; sandbox";
/// The same policy without images of other sites.
const POLICY: &str =
    "default-src 'none'; img-src 'self'; base-uri 'none'; form-action 'none'; sandbox";

pub(super) fn router(rendering: Rendering) -> Routes {
    Routes::new().route(Needs::READ, routes!(render)).with_state(&rendering)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct At {
    /// A commit: the page and the targets of its links as they were then.
    at: Option<String>,
}

/// Renders a page as safe HTML, with its links resolved within the wiki.
#[utoipa::path(get, path = "/render/{*path}", params(("path" = String, Path), At),
    responses(
        (status = 200, content((openapi::Rendered = "application/json"), (String = "text/html"))),
        (status = 304, description = "the client has this version"),
        (status = "4XX", body = openapi::Problem)))]
async fn render(
    wiki: Wiki,
    State(rendering): State<Rendering>,
    Tail(path): Tail,
    Query(At { at }): Query<At>,
    OriginalUri(uri): OriginalUri,
    principal: Principal,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let at = revision(at.as_deref())?;
    let base = uri.path().split_once(API).map_or("", |(base, _)| base);
    let presentation = wiki.presentation().await.map_err(|error| error.problem())?;
    let style = (presentation.link_style, presentation.links_by_name);
    let prepared = rendering.prepare(&wiki, base, &path, at, style).await?;
    let is_html = answer::prefers(&headers, "text/html");
    let media_type = if is_html { "text/html; charset=utf-8" } else { "application/json" };
    let etag = prepared.version(media_type);
    if not_modified(&headers, &etag) {
        return Ok(answer::with_page_headers(
            &wiki,
            &etag,
            StatusCode::NOT_MODIFIED,
            None,
            Body::empty(),
        ));
    }
    let page = prepared.page.clone();
    let entry = rendering.render(&wiki, prepared).await?;
    let response =
        |body| answer::with_page_headers(&wiki, &etag, StatusCode::OK, Some(media_type), body);
    if !is_html {
        let shown = Shown { page, entry: entry.clone() };
        let (bytes, reserved) = rendering.json(&wiki, entry.size(), principal, shown).await?;
        let mut response = response(Body::from(bytes));
        if let Some(reserved) = reserved {
            response.extensions_mut().insert(reserved);
        }
        return Ok(response);
    }
    // The bytes of the cache entry, shared by all responses.
    let html = Bytes::from_owner(Html(entry));
    let mut response = answer::shared(response(Body::empty()), html);
    let policy = if presentation.external_images { POLICY_WITH_IMAGES } else { POLICY };
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    Ok(response)
}

/// Parses the parameter `at`.
pub(crate) fn revision(at: Option<&str>) -> Result<Option<Revision>, Problem> {
    at.map(str::parse)
        .transpose()
        .map_err(|error| query::invalid("at", "invalid_revision", &format!("{error}")))
}

/// The HTML of a rendered page.
struct Html(Arc<Entry>);

impl AsRef<[u8]> for Html {
    fn as_ref(&self) -> &[u8] {
        self.0.rendered().html.as_bytes()
    }
}

/// A page with its rendering, as JSON.
struct Shown {
    page: Arc<Page>,
    entry: Arc<Entry>,
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields<'a> {
            path: &'a str,
            title: &'a str,
            etag: Etag,
            revision: Revision,
            #[serde(flatten)]
            rendered: &'a Rendered,
        }
        let PageSummary { path, title, etag, revision, .. } = &self.page.summary;
        let (etag, revision, rendered) = (*etag, *revision, self.entry.rendered());
        Fields { path, title, etag, revision, rendered }.serialize(to)
    }
}
