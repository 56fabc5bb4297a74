//! The API of one wiki, below its base: `{base}/api/v1/…`.

mod pages;
mod preferences;

use axum::Router;

/// The routes of one wiki. They belong below [`Platform::layer`](wikigrove_tenant::Platform::layer),
/// which says which wiki, and below whatever says who asks.
pub fn wiki_api() -> Router {
    Router::new().nest("/api/v1", pages::router().merge(preferences::router()))
}
