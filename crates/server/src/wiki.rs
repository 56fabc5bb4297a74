//! The API of one wiki, below its base: `{base}/api/v1/…`.

pub(crate) mod attachments;
mod blame;
mod conflicts;
mod diff;
mod drafts;
mod events;
mod export;
mod feed;
pub(crate) mod headers;
pub(crate) mod history;
pub(crate) mod invitations;
mod links;
mod moves;
pub(crate) mod pages;
pub(crate) mod preferences;
pub(crate) mod render;
pub(crate) mod search;
mod undo;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn;
use utoipa_axum::router::OpenApiRouter;

use crate::git::Places;
use crate::guard::Routes;
use crate::idempotency;
use crate::limits::{HttpLimits, Rate};
pub(crate) use events::Feeds;
use render::Rendering;

/// State that the routes of all wikis share.
#[derive(Clone, Default)]
pub(crate) struct Common {
    pub(crate) rendering: Rendering,
    pub(crate) feeds: Feeds,
    /// One router for all wikis and names: it counts running clones and pushes.
    pub(crate) git: Router,
    /// The places for clones, pushes and exports.
    pub(crate) places: Arc<Places>,
}

/// The path of a wiki's API, below the wiki's base.
pub(crate) const API: &str = "/api/v1";

/// The routes of one wiki. They belong below [`Platform::layer`](wikigrove_tenant::Platform::layer), which sets the
/// current wiki, and below a layer that sets the caller.
pub fn wiki_api() -> Router {
    documented().split_for_parts().0
}

/// The routes together with their documentation.
pub(crate) fn documented() -> OpenApiRouter {
    let rate = HttpLimits::default().audited_per_hour.map(Rate::hourly).map(Arc::new);
    let routes = api(Common::default()).audited_at_most(rate.as_ref());
    OpenApiRouter::new().nest(API, routes.documented())
}

/// The routes below [`API`], without that prefix.
pub(crate) fn api(Common { rendering, feeds, places, .. }: Common) -> Routes {
    pages::router()
        .merge(attachments::router())
        .merge(history::router())
        .merge(links::router())
        .merge(search::router())
        .merge(preferences::router())
        .merge(render::router(rendering))
        .merge(drafts::router())
        .merge(feed::router())
        .merge(events::router(feeds))
        .merge(diff::router())
        .merge(blame::router())
        .merge(conflicts::router())
        .merge(export::router(places))
        .merge(invitations::router())
        .merge(once_per_key())
}

/// The idempotent routes: requests with the same `Idempotency-Key` are executed once.
fn once_per_key() -> Routes {
    undo::router()
        .merge(moves::router())
        .within(|methods| methods.route_layer(from_fn(idempotency::once_per_key)))
}
