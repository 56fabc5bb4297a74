//! The control plane: `/admin/v1/…` on a listener of its own.

mod audit;
mod channels;
mod health;
mod invitations;
mod members;
mod metrics;
mod remotes;
mod tokens;
mod usage;
mod users;
mod wikis;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRequestParts;
use http::StatusCode;
use http::request::Parts;
use utoipa_axum::router::OpenApiRouter;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Caller, Error, Platform, Slug, Tenant};

use crate::guard::{Routes, operator};
use crate::sync::runner::Remotes;

pub(crate) use wikis::invalid as invalid_field;

/// Path prefix of the admin routes.
const BASE: &str = "/admin/v1";
/// Label of the admin listener in the request metrics.
pub(crate) const CONTROL: &str = "control";

/// State of the admin routes.
#[derive(Clone, Debug)]
pub(crate) struct Admin {
    pub(crate) platform: Platform,
    pub(crate) remotes: Remotes,
    /// Base URL of the wikis, without a trailing slash.
    public_url: Arc<str>,
}

/// The admin routes. They need an authentication layer above them, and admit only the operator.
/// `public_url` is the base URL of the wikis, such as `https://wiki.example.org`. Remotes don't
/// synchronise; see [`admin_api_with`].
pub fn admin_api(platform: Platform, public_url: &str) -> Router {
    let remotes = Remotes::resting(&platform);
    admin_api_with(platform, public_url, remotes)
}

/// Like [`admin_api`], with remotes that synchronise.
pub fn admin_api_with(platform: Platform, public_url: &str, remotes: Remotes) -> Router {
    let public_url = public_url.trim_end_matches('/').into();
    let admin = Admin { platform, remotes, public_url };
    let requests = admin.remotes.metrics().listener(CONTROL);
    let routes = routes().recording(&admin.platform.audit()).counted(&requests, BASE);
    Router::new().nest(BASE, routes.router()).with_state(admin)
}

/// The routes with their OpenAPI documentation.
pub(crate) fn documented() -> OpenApiRouter<Admin> {
    OpenApiRouter::new().nest(BASE, routes().documented())
}

/// The routes below [`BASE`].
fn routes() -> Routes<Admin> {
    wikis::router()
        .merge(tokens::router())
        .merge(members::router())
        .merge(invitations::router())
        .merge(users::router())
        .merge(remotes::router())
        .merge(channels::router())
        .merge(usage::router())
        .merge(audit::router())
        .merge(health::router())
        .merge(metrics::router())
}

impl Admin {
    async fn existing(&self, slug: &Slug) -> Result<Arc<Tenant>, Error> {
        self.platform
            .tenant(slug)
            .await?
            .filter(|tenant| tenant.state.is_settled())
            .ok_or(Error::UnknownWiki)
    }
}

/// Extracts the operator, for handlers that record the caller.
struct Operator(Caller);

impl<S: Sync> FromRequestParts<S> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        operator(parts.extensions.get()).map(Self)
    }
}

/// A 422 error for a cursor that this list can't have issued.
fn not_of_this_list() -> Problem {
    let detail = "the cursor is not one that this list gave";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_cursor", detail)
}

/// Extracts the slug of an existing wiki from the path, so that an unknown wiki is refused before the
/// body is read.
struct SlugInPath(Slug);

impl FromRequestParts<Admin> for SlugInPath {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &Admin) -> Result<Self, Error> {
        use axum::extract::RawPathParams;
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| Error::UnknownWiki)?;
        let slug = params
            .iter()
            .find(|(name, _)| *name == "slug")
            .and_then(|(_, value)| value.parse().ok());
        let slug = slug.ok_or(Error::UnknownWiki)?;
        state.existing(&slug).await?;
        Ok(Self(slug))
    }
}
