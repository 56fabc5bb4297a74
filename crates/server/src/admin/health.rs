//! Whether the server lives, and whether it can serve. For probes: no token is needed.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http::StatusCode;
use serde_json::{Value, json};
use wikigrove_tenant::problem::Problem;

use super::Admin;
use crate::extract::Json;

pub(super) fn router() -> Router<Admin> {
    Router::new().route("/health/live", get(live)).route("/health/ready", get(ready))
}

async fn live() -> Json<Value> {
    Json(json!({ "status": "live" }))
}

/// Ready means that the catalog answers.
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
