//! Attachments: list, read, create, change, delete. Uploads and downloads are streamed.

mod answer;
mod media_type;
mod range;
mod upload;

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, Method, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use utoipa_axum::routes;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{AttachmentSummary, Base, Error, Revision, SaveOptions, Wiki};

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
pub(crate) struct OfPage {
    /// The page, which need not exist; empty for the files at the root of the tree.
    pub(crate) page: String,
}

#[derive(Serialize)]
pub(crate) struct Item {
    #[serde(flatten)]
    pub(crate) summary: AttachmentSummary,
    content_type: String,
}

/// Lists the attachments of a page.
#[utoipa::path(get, path = "/attachments", params(OfPage, openapi::PagingParams),
    responses((status = 200, body = openapi::AttachmentList), (status = "4XX", body = openapi::Problem)))]
pub(crate) async fn list(
    wiki: Wiki,
    Query(OfPage { page }): Query<OfPage>,
    paging: Paging,
) -> Result<Listing<Item>, Error> {
    let Paging { limit, cursor } = paging;
    // One more than requested tells whether there is a next page.
    let found = wiki.attachments(&page, cursor.as_deref(), limit + 1).await?;
    let item = |summary: AttachmentSummary| {
        let content_type = media_type::of(&summary.name).served_as;
        Item { summary, content_type }
    };
    Ok(Listing::part(found, limit, |found| found.name.clone(), item))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct At {
    /// A commit: the attachment as it was then.
    at: Option<String>,
}

/// Reads an attachment, or one range of it. Types that a browser could execute are always
/// downloaded, never shown in place.
#[utoipa::path(get, path = "/attachments/{*path}",
    params(("path" = String, Path), At, ("Range" = Option<String>, Header), ("If-Range" = Option<String>, Header)),
    responses(
        (status = 200, content_type = "application/octet-stream"),
        (status = 206, content_type = "application/octet-stream"),
        (status = 304, description = "the client has this version"),
        (status = 416, body = openapi::Problem),
        (status = "4XX", body = openapi::Problem)))]
async fn read(
    wiki: Wiki,
    method: Method,
    headers: HeaderMap,
    Tail(path): Tail,
    Query(At { at }): Query<At>,
) -> Result<Response, Problem> {
    let at = at.map(|at| query::revision("at", &at)).transpose()?;
    let download = match wiki.attachment(&path, at).await {
        Ok(download) => download,
        // The path names a page, and pages aren't attachments.
        Err(error) if error.code() == "is_a_page" => {
            let detail = format!("{error}");
            return Err(Problem::new(StatusCode::NOT_FOUND, "attachment_not_found", detail));
        }
        Err(error) => return Err(error.problem()),
    };
    answer::download(&wiki, &method, &headers, download)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Why {
    /// The commit message.
    message: Option<String>,
}

/// Creates (`If-None-Match: *`) or changes (`If-Match: "<etag>"`) an attachment. The body is the
/// content of the file.
#[utoipa::path(put, path = "/attachments/{*path}",
    request_body(content = inline(Vec<u8>), content_type = "application/octet-stream"),
    params(("path" = String, Path), Why, ("If-Match" = Option<String>, Header), ("If-None-Match" = Option<String>, Header)),
    responses(
        (status = 200, body = openapi::SavedAttachment), (status = 201, body = openapi::SavedAttachment),
        (status = "4XX", body = openapi::Problem), (status = 507, body = openapi::Problem)))]
async fn save(
    wiki: Wiki,
    Tail(path): Tail,
    Query(Why { message }): Query<Why>,
    base: Base,
    request: Request,
) -> Result<Response, Problem> {
    let options = SaveOptions { message, ..SaveOptions::default() };
    let saved = upload::receive(&wiki, &path, base, options, request).await?;
    Ok(answer::saved(saved))
}

#[derive(Serialize)]
struct Deleted {
    path: String,
    revision: Revision,
}

/// Deletes an attachment. `If-Match` names the version to delete.
#[utoipa::path(delete, path = "/attachments/{*path}",
    params(("path" = String, Path), Why, ("If-Match" = String, Header)),
    responses((status = 200, body = openapi::Deleted), (status = "4XX", body = openapi::Problem)))]
async fn delete(
    wiki: Wiki,
    Tail(path): Tail,
    Query(Why { message }): Query<Why>,
    base: Base,
) -> Result<Response, Problem> {
    let Base::Version(base) = base else {
        let detail = "an attachment is deleted with If-Match and the etag of the version you read";
        return Err(Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "precondition_required",
            detail,
        ));
    };
    let options = SaveOptions { message, ..SaveOptions::default() };
    let revision =
        wiki.delete_attachment(&path, base, options).await.map_err(|error| error.problem())?;
    Ok(Json(Deleted { path, revision }).into_response())
}
