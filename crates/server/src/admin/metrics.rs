//! The server's metrics, for Prometheus.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::CONTENT_TYPE;
use utoipa_axum::routes;
use wikigrove_tenant::problem::Problem;

use super::Admin;
use crate::guard::{Needs, Routes};
use crate::{metrics, openapi};

pub(super) fn router() -> Routes<Admin> {
    Routes::new().route(Needs::OPERATOR, routes!(show))
}

/// The server's metrics in the OpenMetrics text format. They don't name wikis.
#[utoipa::path(get, path = "/metrics",
    responses((status = 200, body = String, content_type = metrics::CONTENT_TYPE),
        (status = "4XX", body = openapi::Problem)))]
async fn show(State(admin): State<Admin>) -> Result<Response, Problem> {
    let text = admin.remotes.metrics().text(&admin.remotes).await?;
    Ok(([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}
