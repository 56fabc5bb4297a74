//! The API of one wiki, below its base: `{base}/api/v1/…`.

mod attachments;
mod drafts;
mod export;
mod headers;
mod history;
mod pages;
pub(crate) mod preferences;
mod render;
mod search;

use axum::Router;
use utoipa_axum::router::OpenApiRouter;

/// Where the API of a wiki begins, below its base.
pub(crate) const API: &str = "/api/v1";

/// The routes of one wiki. They belong below [`Platform::layer`](wikigrove_tenant::Platform::layer),
/// which says which wiki, and below whatever says who asks.
pub fn wiki_api() -> Router {
    documented().split_for_parts().0
}

/// The routes together with their documentation.
pub(crate) fn documented() -> OpenApiRouter {
    OpenApiRouter::new().nest(API, api())
}

/// The routes below [`API`], without it.
pub(crate) fn api() -> OpenApiRouter {
    pages::router()
        .merge(attachments::router())
        .merge(history::router())
        .merge(search::router())
        .merge(preferences::router())
        .merge(render::router())
        .merge(drafts::router())
        .merge(export::router())
}
