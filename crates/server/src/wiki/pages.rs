//! Pages: list, read, create, change, delete.

pub(crate) mod answer;

use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Author, Base, Error, PageSummary, Revision, SaveOptions, Wiki, storage};

use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::extract::{Json, Listing, Paging, Query, Tail, query};
use crate::guard::{Needs, Routes};
use crate::openapi;

pub(super) fn router() -> Routes {
    Routes::new()
        .route(Needs::READ, routes!(list))
        .route(Needs::READ, routes!(read))
        .route(Needs::WRITE, routes!(save, delete))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Prefix {
    /// Prefix of the paths.
    #[serde(default)]
    #[param(required = false)]
    pub(crate) prefix: String,
}

/// Lists pages.
#[utoipa::path(get, path = "/pages", params(Prefix, openapi::PagingParams),
    responses((status = 200, body = openapi::PageList), (status = "4XX", body = openapi::Problem)))]
pub(crate) async fn list(
    wiki: Wiki,
    Query(Prefix { prefix }): Query<Prefix>,
    paging: Paging,
) -> Result<Listing<PageSummary>, Error> {
    let Paging { limit, cursor } = paging;
    // One more than requested tells whether there is a next page.
    let pages = wiki.pages(&prefix, cursor.as_deref(), limit + 1).await?;
    Ok(Listing::part(pages, limit, |page| page.path.clone(), |page| page))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct At {
    /// A commit: the page as it was then.
    at: Option<String>,
}

/// Reads a page, at present or as of a commit.
#[utoipa::path(get, path = "/pages/{*path}", params(("path" = String, Path), At),
    responses(
        (status = 200, content((openapi::Page = "application/json"), (String = "text/markdown"))),
        (status = 304, description = "the client has this version"),
        (status = "4XX", body = openapi::Problem)))]
async fn read(
    wiki: Wiki,
    Tail(path): Tail,
    Query(At { at }): Query<At>,
    request: Request,
) -> Result<Response, Problem> {
    // Not with an extractor, which would copy the headers.
    let (Parts { headers, .. }, _) = request.into_parts();
    let Some(at) = at else {
        let page = wiki.read_raw(&path).await.map_err(|error| error.problem())?;
        return answer::page(&wiki, &headers, &page);
    };
    let at = query::revision("at", &at)?;
    let page = wiki.read_at(&path, at).await.map_err(|error| error.problem())?;
    answer::page(&wiki, &headers, &page)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewContent {
    /// The whole text.
    content: String,
    /// The commit message.
    message: Option<String>,
    /// Another author, for tokens made with `act_as`.
    author: Option<Named>,
}

/// An author other than the caller.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    name: String,
    #[serde(default)]
    email: String,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Merge {
    /// `never` refuses a stale save instead of merging it.
    #[param(inline)]
    merge: Option<MergeMode>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "snake_case")]
enum MergeMode {
    Auto,
    Never,
}

/// Creates (`If-None-Match: *`) or changes (`If-Match: "<etag>"`) a page.
#[utoipa::path(put, path = "/pages/{*path}", request_body = NewContent,
    params(("path" = String, Path), Merge, ("If-Match" = Option<String>, Header), ("If-None-Match" = Option<String>, Header)),
    responses(
        (status = 200, body = openapi::Saved), (status = 201, body = openapi::Saved),
        (status = "4XX", body = openapi::Problem), (status = 507, body = openapi::Problem)))]
async fn save(
    wiki: Wiki,
    Tail(path): Tail,
    Query(Merge { merge }): Query<Merge>,
    base: Base,
    Json(body): Json<NewContent>,
) -> Result<Response, Problem> {
    let author = author(&wiki, body.author)?;
    let options =
        SaveOptions { message: body.message, author, merge: merge != Some(MergeMode::Never) };
    let saved = wiki
        .save_with(&path, body.content.into_bytes(), base, options)
        .await
        .map_err(|error| error.problem())?;
    Ok(answer::saved(&saved))
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Reason {
    message: Option<String>,
    author: Option<Named>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Recursive {
    /// True to delete its sub-pages and attachments, too.
    #[serde(default)]
    #[param(required = false)]
    recursive: bool,
}

#[derive(Serialize)]
struct Deleted {
    path: String,
    revision: Revision,
    /// Paths of the sub-pages and attachments that were deleted with it; the first ones if there
    /// are many.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    others: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

/// Deletes a page. `If-Match` names the version to delete.
#[utoipa::path(delete, path = "/pages/{*path}", request_body = Option<Reason>,
    params(("path" = String, Path), Recursive, ("If-Match" = String, Header)),
    responses((status = 200, body = openapi::Deleted), (status = "4XX", body = openapi::Problem)))]
async fn delete(
    wiki: Wiki,
    Tail(path): Tail,
    Query(Recursive { recursive }): Query<Recursive>,
    base: Base,
    body: Option<Json<Reason>>,
) -> Result<Response, Problem> {
    let Base::Version(base) = base else {
        let detail = "a page is deleted with If-Match and the etag of the version you read";
        return Err(Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "precondition_required",
            detail,
        ));
    };
    let Reason { message, author: named } = body.map(|Json(body)| body).unwrap_or_default();
    let author = author(&wiki, named)?;
    let options = SaveOptions { message, author, ..SaveOptions::default() };
    let deleted = if recursive {
        wiki.delete_recursively(&path, base, options).await
    } else {
        let deleted = wiki.delete(&path, base, options).await;
        deleted.map(|revision| storage::Deleted { revision, others: Vec::new(), truncated: false })
    };
    let storage::Deleted { revision, others, truncated } =
        deleted.map_err(|error| error.problem())?;
    let (told, none) = (path.clone(), Vec::new());
    let shorter = Deleted { path: told, revision, others: none, truncated: !others.is_empty() };
    Ok(answer::done(StatusCode::OK, &Deleted { path, revision, others, truncated }, &shorter))
}

/// Returns the named author; only tokens made with `act_as` may name one.
pub(super) fn author(wiki: &Wiki, named: Option<Named>) -> Result<Option<Author>, Problem> {
    let Some(Named { name, email }) = named else { return Ok(None) };
    let author = Author::parse(&name, &email).map_err(|error| {
        let pointer = format!("/author/{}", error.field);
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_author", error.to_string())
            .field("errors", [serde_json::json!({ "pointer": pointer, "code": "invalid_author", "detail": error.to_string() })])
    })?;
    match wiki.caller().acting_as(author) {
        Some(caller) => Ok(Some(caller.author().clone())),
        None => {
            let detail = "naming another author takes a token made with `act_as`";
            Err(Problem::new(StatusCode::FORBIDDEN, "act_as_required", detail))
        }
    }
}
