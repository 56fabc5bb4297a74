//! Undoes one commit, or all commits after one, by a new commit.

use axum::Extension;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::storage::Undone;
use wikigrove_tenant::{Error, Revision, UndoOptions, Wiki};

use super::pages::answer::done;
use super::pages::{Named, author};
use crate::extract::{Json, Query};
use crate::guard::{Needs, Routes};
use crate::idempotency::Outcome;
use crate::openapi;

pub(super) fn router() -> Routes {
    Routes::new()
        .route(Needs::WRITE, routes!(revert))
        .route(Needs::ADMINISTER.audited("wiki.restore"), routes!(restore))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DryRun {
    /// True to report the changes without making them.
    #[serde(default)]
    #[param(required = false)]
    dry_run: bool,
}

/// The commit to undo, and the author and message of the new one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Undo {
    /// The commit.
    revision: String,
    /// The message of the new commit.
    message: Option<String>,
    /// Another author, for tokens made with `act_as`.
    author: Option<Named>,
}

impl Undo {
    fn checked(self, wiki: &Wiki, dry_run: bool) -> Result<(Revision, UndoOptions), Problem> {
        let revision = self.revision.parse().map_err(|error| {
            let detail = format!("`revision`: {error}");
            let one = serde_json::json!({ "pointer": "/revision", "code": "invalid_revision", "detail": detail });
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_revision", detail)
                .field("errors", [one])
        })?;
        let author = author(wiki, self.author)?;
        Ok((revision, UndoOptions { message: self.message, author, dry_run }))
    }
}

/// Undoes one commit: its changes are reverted, and merged with later changes.
#[utoipa::path(post, path = "/reverts", request_body = Undo,
    params(DryRun, ("Idempotency-Key" = Option<String>, Header)),
    responses(
        (status = 200, body = openapi::Undone, description = "a plan, or there was nothing to do"),
        (status = 201, body = openapi::Undone), (status = "4XX", body = openapi::Problem),
        (status = 507, body = openapi::Problem)))]
async fn revert(
    wiki: Wiki,
    Query(DryRun { dry_run }): Query<DryRun>,
    Json(body): Json<Undo>,
) -> Result<Response, Problem> {
    let (revision, options) = body.checked(&wiki, dry_run)?;
    answer(wiki.revert(revision, options).await)
}

/// Restores the whole wiki to a commit: all pages and attachments become as they were in it.
/// Requires the right to administer the wiki.
#[utoipa::path(post, path = "/restores", request_body = Undo,
    params(DryRun, ("Idempotency-Key" = Option<String>, Header)),
    responses(
        (status = 200, body = openapi::Undone, description = "a plan, or there was nothing to do"),
        (status = 201, body = openapi::Undone), (status = "4XX", body = openapi::Problem),
        (status = 507, body = openapi::Problem)))]
async fn restore(
    wiki: Wiki,
    Query(DryRun { dry_run }): Query<DryRun>,
    Json(body): Json<Undo>,
) -> Result<Response, Problem> {
    let (revision, options) = body.checked(&wiki, dry_run)?;
    answer(wiki.restore(revision, options).await)
}

/// The response: 201 if there is a new commit, 200 otherwise.
fn answer(undone: Result<Undone, Error>) -> Result<Response, Problem> {
    let undone = undone.map_err(|error| error.problem())?;
    let status = if undone.revision.is_some() { StatusCode::CREATED } else { StatusCode::OK };
    let outcome = Outcome(undone.revision);
    let (changes, conflicts) = (Vec::new(), Vec::new());
    let shorter = Undone { revision: undone.revision, changes, conflicts, truncated: true };
    Ok((Extension(outcome), done(status, &undone, &shorter)).into_response())
}
