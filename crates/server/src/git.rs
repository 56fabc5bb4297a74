//! git over HTTP below a wiki's base: clone, fetch and push, served by the git program.
//!
//! Clones and fetches read the wiki's own repository. A push goes into a repository of its own and is
//! taken over once it has been found acceptable (`push.rs`). `process.rs` limits what a git process may
//! do and for how long; `places.rs` limits how many run at once.

mod answer;
mod fetch;
mod limits;
mod pace;
mod packet;
mod places;
mod process;
mod push;
mod request;
mod service;

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::{Extensions, HeaderMap, StatusCode};
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Action, Wiki};

use crate::auth::ClientAddress;
use crate::guard::{Needs, Routes};

pub use answer::{in_plain_words, with_bearer};
pub use limits::GitLimits;
pub(crate) use places::{Place, Places};
use service::Service;

/// Path prefix of the git routes, below the base of a wiki.
pub(crate) const GIT: &str = "/git";

/// The git routes of one wiki, below `/git`. They belong below
/// [`Platform::layer`](wikigrove_tenant::Platform::layer) and an authentication layer.
///
/// git sends credentials only after a challenge, and doesn't display JSON: pass requests through
/// [`with_bearer`] before authentication, and responses through [`in_plain_words`] last of all.
pub fn git_http(limits: &GitLimits) -> Router {
    Router::new().nest(GIT, routes(limits, Arc::new(Places::new(limits))).router())
}

/// The routes below [`GIT`], without the prefix.
pub(crate) fn routes(limits: &GitLimits, places: Arc<Places>) -> Routes {
    let git = Git(Arc::new(Shared { limits: *limits, places }));
    Routes::new()
        .plain(Needs::READ, "/info/refs", get(info_refs))
        .plain(Needs::READ, "/git-upload-pack", post(fetch::upload_pack))
        .plain(Needs::WRITE, "/git-receive-pack", post(push::receive_pack))
        .with_state(&git)
}

/// State shared by the routes.
#[derive(Clone)]
struct Git(Arc<Shared>);

struct Shared {
    limits: GitLimits,
    places: Arc<Places>,
}

impl Git {
    /// Checks that git access is enabled for the wiki and that the caller is authorised.
    async fn admit(&self, wiki: &Wiki, service: Service) -> Result<(), Problem> {
        if !wiki.git_enabled().await.map_err(|error| error.problem())? {
            let detail = "this wiki can't be reached with git: `git_enabled` is off";
            return Err(Problem::new(StatusCode::NOT_FOUND, "git_disabled", detail));
        }
        let action = match service {
            Service::UploadPack => Action::Read,
            Service::ReceivePack => Action::Write,
        };
        wiki.allow(action).await.map_err(|error| error.problem())
    }
}

/// Advertises the refs and capabilities, the first request of every exchange.
async fn info_refs(
    State(git): State<Git>,
    wiki: Wiki,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    extensions: Extensions,
) -> Result<Response, Problem> {
    let service = Service::of_query(query.as_deref().unwrap_or_default())?;
    git.admit(&wiki, service).await?;
    fetch::advertise(&git, &wiki, service, &headers, ClientAddress::of(&extensions)).await
}
