//! Liveness and readiness probes; they need no token.

use axum::extract::State;
use http::StatusCode;
use serde_json::{Value, json};
use wikigrove_tenant::problem::Problem;

use utoipa_axum::routes;

use super::Admin;
use crate::extract::Json;
use crate::guard::{Needs, Routes};
use crate::openapi;

pub(super) fn router() -> Routes<Admin> {
    Routes::new().route(Needs::NOBODY, routes!(live)).route(Needs::NOBODY, routes!(ready))
}

/// Reports that the process answers requests.
#[utoipa::path(get, path = "/health/live", security(()), responses((status = 200, body = Object)))]
async fn live() -> Json<Value> {
    Json(json!({ "status": "live" }))
}

/// Reports whether the server is ready: the catalog must answer.
#[utoipa::path(get, path = "/health/ready", security(()),
    responses((status = 200, body = Object), (status = 503, body = openapi::Problem)))]
async fn ready(State(admin): State<Admin>) -> Result<Json<Value>, Problem> {
    match admin.platform.wikis(None, 1).await {
        Ok(_) => Ok(Json(json!({ "status": "ready", "open_wikis": admin.platform.open_wikis() }))),
        Err(error) => {
            tracing::error!(%error, "not ready");
            let detail = "the platform's database doesn't answer";
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", detail).retry_after(1))
        }
    }
}
