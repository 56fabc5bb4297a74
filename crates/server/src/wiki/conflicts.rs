//! Conflicts of synchronisation. Both sides are stored and nothing is blocked; a person should review them.

use axum::extract::RawPathParams;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::routes;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::storage::{ConflictKind, SyncConflict, fitting};
use wikigrove_tenant::{Etag, Revision, Wiki};

use crate::extract::{Json, Listing, Paging};
use crate::guard::{Needs, Routes};
use crate::openapi;

pub(super) fn router() -> Routes {
    Routes::new()
        .route(Needs::READ, routes!(list))
        .route(Needs::READ, routes!(show))
        .route(Needs::WRITE, routes!(resolve))
}

#[derive(Serialize)]
struct Body {
    id: i64,
    remote: Option<String>,
    path: String,
    kind: ConflictKind,
    base: Option<Etag>,
    ours: Option<Etag>,
    theirs: Option<Etag>,
    conflict_path: Option<String>,
    revision: Revision,
    #[serde(with = "time::serde::rfc3339")]
    created: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    closed: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    texts: Option<Texts>,
}

#[derive(Serialize)]
struct Texts {
    base: Option<String>,
    ours: Option<String>,
    theirs: Option<String>,
    /// True if a text was omitted, because all three together would be too large.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

impl From<SyncConflict> for Body {
    fn from(conflict: SyncConflict) -> Self {
        Self {
            id: conflict.id,
            remote: conflict.link.map(|link| format!("{:016x}", link.0)),
            path: conflict.path,
            kind: conflict.kind,
            base: conflict.base,
            ours: conflict.ours,
            theirs: conflict.theirs,
            conflict_path: conflict.conflict_path,
            revision: conflict.revision,
            created: conflict.created,
            closed: conflict.closed,
            texts: None,
        }
    }
}

/// Lists the unresolved conflicts, oldest first.
#[utoipa::path(get, path = "/conflicts", params(openapi::PagingParams),
    responses((status = 200, body = openapi::remotes::SyncConflictList), (status = "4XX", body = openapi::Problem)))]
async fn list(wiki: Wiki, paging: Paging) -> Result<Listing<Body>, Problem> {
    let after = paging.cursor.as_deref().unwrap_or("0").parse().map_err(|_| {
        let detail = "the cursor is not one that this list gave";
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_cursor", detail)
    })?;
    let found = wiki.sync_conflicts(after, paging.limit + 1).await;
    let found = found.map_err(|error| error.problem())?;
    Ok(Listing::part(found, paging.limit, |conflict| conflict.id.to_string(), Body::from))
}

/// Shows a conflict with its three texts. Bytes that aren't UTF-8 are replaced.
#[utoipa::path(get, path = "/conflicts/{id}", params(("id" = i64, Path)),
    responses((status = 200, body = openapi::remotes::SyncConflict), (status = "4XX", body = openapi::Problem)))]
async fn show(wiki: Wiki, params: RawPathParams) -> Result<Json<Body>, Problem> {
    let (conflict, texts) =
        wiki.sync_conflict(number(&params)?).await.map_err(|error| error.problem())?;
    let [base, ours, theirs] = texts;
    let (texts, truncated) = fitting([ours, theirs, base]);
    let [ours, theirs, base] = texts;
    let texts = Texts { base, ours, theirs, truncated };
    Ok(Json(Body { texts: Some(texts), ..conflict.into() }))
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ResolveConflict)]
struct Resolve {
    /// The page's new text; without it the page stays as it is.
    content: Option<String>,
    /// The version that the content was made from. Required with `content`.
    etag: Option<String>,
    message: Option<String>,
}

#[derive(Serialize)]
struct Resolved {
    revision: Option<Revision>,
}

/// Resolves a conflict in one commit: saves the page, if a content is given, and removes the page beside it that holds
/// the losing text. For other kinds of conflict nothing is removed; a page that couldn't keep its name is saved under
/// its current one.
#[utoipa::path(post, path = "/conflicts/{id}/resolution", request_body = Option<Resolve>, params(("id" = i64, Path)),
    responses((status = 200, body = openapi::remotes::Resolved), (status = "4XX", body = openapi::Problem)))]
async fn resolve(
    wiki: Wiki,
    params: RawPathParams,
    body: Option<Json<Resolve>>,
) -> Result<Json<Resolved>, Problem> {
    let id = number(&params)?;
    let Resolve { content, etag, message } = body.map(|Json(body)| body).unwrap_or_default();
    let content = match (content, etag) {
        (None, None) => None,
        (Some(content), Some(etag)) => {
            let etag = etag.trim_matches('"').parse().map_err(|error| {
                let error = format!("{error}");
                crate::admin::invalid_field("etag", "invalid_etag", &error)
            })?;
            Some((content.into_bytes(), etag))
        }
        _ => {
            let why = "content and etag go together";
            return Err(crate::admin::invalid_field("etag", "invalid_value", why));
        }
    };
    let resolving = wiki.resolve_conflict(id, content, message).await;
    Ok(Json(Resolved { revision: resolving.map_err(|error| error.problem())? }))
}

fn number(params: &RawPathParams) -> Result<i64, Problem> {
    let text = params.iter().find(|(name, _)| *name == "id").map(|(_, value)| value);
    text.and_then(|text| text.parse().ok()).ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "conflict_not_found", "there is no such conflict")
    })
}
