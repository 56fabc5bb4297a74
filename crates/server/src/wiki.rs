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

/// What the routes of all wikis have in common.
#[derive(Clone, Default)]
pub(crate) struct Common {
    pub(crate) rendering: Rendering,
    pub(crate) feeds: Feeds,
    /// Once for all wikis, by whatever name they are reached: it keeps account of what is going on.
    pub(crate) git: Router,
    /// The places for clones, pushes and exports.
    pub(crate) places: Arc<Places>,
}

/// Where the API of a wiki begins, below its base.
pub(crate) const API: &str = "/api/v1";

/// The routes of one wiki. They belong below [`Platform::layer`](wikigrove_tenant::Platform::layer),
/// which says which wiki, and below whatever says who asks.
pub fn wiki_api() -> Router {
    documented().split_for_parts().0
}

/// The routes together with their documentation.
pub(crate) fn documented() -> OpenApiRouter {
    let rate = HttpLimits::default().audited_per_hour.map(Rate::hourly).map(Arc::new);
    let routes = api(Common::default()).audited_at_most(rate.as_ref());
    OpenApiRouter::new().nest(API, routes.documented())
}

/// The routes below [`API`], without it.
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

/// The routes that are done once, however often a request of theirs is sent with the same
/// `Idempotency-Key`.
fn once_per_key() -> Routes {
    undo::router()
        .merge(moves::router())
        .within(|methods| methods.route_layer(from_fn(idempotency::once_per_key)))
}
