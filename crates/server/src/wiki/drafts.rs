//! The caller's drafts, which are visible to the caller only.

use axum::response::{IntoResponse as _, Response};
use http::header::{CACHE_CONTROL, VARY};
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Cursor, Draft, DraftBase, DraftSummary, Error, Etag, Wiki};

use crate::extract::{Json, Listing, Paging, Tail};
use crate::guard::{Needs, Routes};
use crate::openapi;

pub(super) fn router() -> Routes {
    Routes::new()
        .route(Needs::READ, routes!(list))
        .route(Needs::READ, routes!(read))
        .route(Needs::WRITE.with_identity(), routes!(put, delete))
}

/// A draft without its text.
#[derive(Serialize)]
struct Item {
    path: String,
    base: Option<Etag>,
    #[serde(with = "time::serde::rfc3339")]
    updated: time::OffsetDateTime,
    size: u64,
    stale: bool,
}

impl From<DraftSummary> for Item {
    fn from(draft: DraftSummary) -> Self {
        let stale = draft.is_stale();
        let DraftSummary { path, base, updated, size, .. } = draft;
        Self { path, base, updated, size, stale }
    }
}

/// Lists the caller's drafts.
#[utoipa::path(get, path = "/drafts", params(openapi::PagingParams),
    responses((status = 200, body = openapi::DraftList), (status = "4XX", body = openapi::Problem)))]
async fn list(wiki: Wiki, Paging { limit, cursor }: Paging) -> Result<Response, Error> {
    // One more than requested tells whether there is a next part.
    let drafts = wiki.drafts(cursor.as_deref(), limit + 1).await?;
    let part = Listing::part(drafts, limit, |draft| draft.path.clone(), Item::from);
    Ok(private(part.into_response()))
}

/// A draft with its text.
#[derive(Serialize)]
struct Body {
    path: String,
    content: String,
    base: Option<Etag>,
    cursor: Option<Cursor>,
    #[serde(with = "time::serde::rfc3339")]
    updated: time::OffsetDateTime,
    stale: bool,
    current: Option<Etag>,
}

/// Reads the caller's draft of a page.
#[utoipa::path(get, path = "/drafts/{*path}", params(("path" = String, Path)),
    responses((status = 200, body = openapi::Draft), (status = "4XX", body = openapi::Problem)))]
async fn read(wiki: Wiki, Tail(path): Tail) -> Result<Response, Error> {
    let Draft { summary, content, cursor } = wiki.draft(&path).await?;
    let stale = summary.is_stale();
    let DraftSummary { path, base, current, updated, .. } = summary;
    let body = Body { path, content, base, cursor, updated, stale, current };
    Ok(private(Json(body).into_response()))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewDraft {
    /// The whole text.
    content: String,
    /// The etag of the version that the draft is based on; `null` if there was no page. Without this field the base
    /// stays the same, and a new draft is based on the current page.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    base: Option<Option<String>>,
    /// The author's cursor position.
    cursor: Option<NewCursor>,
}

/// A position in a text.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewCursor {
    line: u32,
    column: u32,
}

/// Distinguishes `null` from an absent field.
fn given<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// The result of saving a draft.
#[derive(Serialize)]
struct Kept {
    path: String,
    base: Option<Etag>,
    #[serde(with = "time::serde::rfc3339")]
    updated: time::OffsetDateTime,
    stale: bool,
}

/// Saves a draft, in place of the caller's previous draft of the page.
#[utoipa::path(put, path = "/drafts/{*path}", request_body = NewDraft, params(("path" = String, Path)),
    responses(
        (status = 200, body = openapi::KeptDraft), (status = 201, body = openapi::KeptDraft),
        (status = "4XX", body = openapi::Problem), (status = 507, body = openapi::Problem)))]
async fn put(
    wiki: Wiki,
    Tail(path): Tail,
    Json(body): Json<NewDraft>,
) -> Result<Response, Problem> {
    let base = base(body.base)?;
    let cursor = body.cursor.map(|NewCursor { line, column }| Cursor { line, column });
    let (draft, is_first) =
        wiki.put_draft(&path, body.content, base, cursor).await.map_err(|error| error.problem())?;
    let status = if is_first { StatusCode::CREATED } else { StatusCode::OK };
    let stale = draft.is_stale();
    let DraftSummary { path, base, updated, .. } = draft;
    Ok(private((status, Json(Kept { path, base, updated, stale })).into_response()))
}

fn base(sent: Option<Option<String>>) -> Result<DraftBase, Problem> {
    let Some(sent) = sent else { return Ok(DraftBase::Kept) };
    let etag = sent.map(|text| text.parse::<Etag>()).transpose().map_err(|error| {
        let detail = format!("`base`: {error}");
        let one =
            serde_json::json!({ "pointer": "/base", "code": "invalid_value", "detail": detail });
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_value", detail)
            .field("errors", [one])
    })?;
    Ok(DraftBase::Version(etag))
}

/// Deletes the caller's draft of a page.
#[utoipa::path(delete, path = "/drafts/{*path}", params(("path" = String, Path)),
    responses((status = 204), (status = "4XX", body = openapi::Problem)))]
async fn delete(wiki: Wiki, Tail(path): Tail) -> Result<StatusCode, Error> {
    wiki.delete_draft(&path).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forbids shared caches, even for public wikis: each caller has different drafts.
fn private(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(VARY, HeaderValue::from_static("authorization"));
    response
}
