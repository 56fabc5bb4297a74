//! Settings of one wiki.

use axum::Router;
use axum::routing::get;
use wikigrove_tenant::{Error, PreferenceChanges, Preferences, Wiki};

use crate::extract::Json;

pub(super) fn router() -> Router {
    Router::new().route("/preferences", get(read).patch(change))
}

async fn read(wiki: Wiki) -> Result<Json<Preferences>, Error> {
    wiki.preferences().await.map(Json)
}

/// As a JSON merge patch (RFC 7396): a value sets, `null` removes, what isn't named stays.
async fn change(
    wiki: Wiki,
    Json(changes): Json<PreferenceChanges>,
) -> Result<Json<Preferences>, Error> {
    wiki.change_preferences(changes).await.map(Json)
}
