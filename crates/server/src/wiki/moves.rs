//! Moves a page with its sub-pages and attachments.

use axum::Extension;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::storage::Moved;
use wikigrove_tenant::{SaveOptions, Wiki};

use super::pages::answer::done;
use super::pages::{Named, author};
use crate::extract::Json;
use crate::guard::{Needs, Routes};
use crate::idempotency::Outcome;
use crate::openapi;

pub(super) fn router() -> Routes {
    Routes::new().route(Needs::WRITE, routes!(move_page))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Order {
    /// The page.
    from: String,
    /// The new path of the page.
    to: String,
    /// True to rewrite the links that the move would break, on all pages.
    #[serde(default)]
    update_links: bool,
    /// The commit message.
    message: Option<String>,
    /// Another author, for tokens made with `act_as`.
    author: Option<Named>,
}

/// Moves a page with its sub-pages and attachments, in one commit or not at all.
#[utoipa::path(post, path = "/moves", request_body = Order,
    params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = openapi::Moved), (status = "4XX", body = openapi::Problem)))]
async fn move_page(wiki: Wiki, Json(order): Json<Order>) -> Result<Response, Problem> {
    let author = author(&wiki, order.author)?;
    let options = SaveOptions { message: order.message, author, ..SaveOptions::default() };
    let moved = wiki.move_page(&order.from, &order.to, order.update_links, options).await;
    let moved = moved.map_err(|error| error.problem())?;
    let outcome = Outcome(Some(moved.revision));
    let shorter = Moved { revision: moved.revision, changes: Vec::new(), truncated: true };
    Ok((Extension(outcome), done(StatusCode::OK, &moved, &shorter)).into_response())
}
