//! The API of one wiki, below its base: `{base}/api/v1/…`.

pub(crate) mod attachments;
mod drafts;
pub(crate) mod headers;
pub(crate) mod history;
pub(crate) mod pages;
pub(crate) mod preferences;
pub(crate) mod render;
pub(crate) mod search;

use axum::Router;
use utoipa_axum::router::OpenApiRouter;

use render::Rendering;

/// Where the API of a wiki begins, below its base.
pub(crate) const API: &str = "/api/v1";

/// The routes of one wiki. They belong below [`Platform::layer`](wikigrove_tenant::Platform::layer),
/// which says which wiki, and below whatever says who asks.
pub fn wiki_api() -> Router {
    documented().split_for_parts().0
}

/// The routes together with their documentation.
pub(crate) fn documented() -> OpenApiRouter {
    OpenApiRouter::new().nest(API, api(Rendering::default()))
}

/// The routes below [`API`], without it.
pub(crate) fn api(rendering: Rendering) -> OpenApiRouter {
    pages::router()
        .merge(attachments::router())
        .merge(history::router())
        .merge(search::router())
        .merge(preferences::router())
        .merge(render::router(rendering))
        .merge(drafts::router())
}
