//! Settings of one wiki.

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wikigrove_tenant::{Error, PreferenceChanges, Preferences, Wiki};

use crate::extract::Json;
use crate::openapi;

pub(super) fn router() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(read, change))
}

/// Reads the settings.
#[utoipa::path(get, path = "/preferences",
    responses((status = 200, body = openapi::Preferences), (status = "4XX", body = openapi::Problem)))]
async fn read(wiki: Wiki) -> Result<Json<Preferences>, Error> {
    wiki.preferences().await.map(Json)
}

/// Changes some settings, as a JSON merge patch (RFC 7396): a value sets, `null` removes, what isn't
/// named stays.
#[utoipa::path(patch, path = "/preferences", request_body = openapi::Preferences,
    responses((status = 200, body = openapi::Preferences), (status = "4XX", body = openapi::Problem)))]
async fn change(
    wiki: Wiki,
    Json(changes): Json<PreferenceChanges>,
) -> Result<Json<Preferences>, Error> {
    wiki.change_preferences(changes).await.map(Json)
}
