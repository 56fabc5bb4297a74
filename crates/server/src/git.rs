//! git over HTTP, below a wiki's base: clone, fetch and push, spoken by the git program.
//!
//! A clone and a fetch read the wiki's own repository. A push goes into a repository of its own first
//! and is taken over when it was found good (`push.rs`). What the git program may do, and for how
//! long, is in `process.rs`; how many of it there may be in `places.rs`.

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

/// Where git's routes begin, below the base of a wiki.
pub(crate) const GIT: &str = "/git";

/// The routes of one wiki for git, below `/git`. They belong below
/// [`Platform::layer`](wikigrove_tenant::Platform::layer), and below whatever says who asks.
///
/// git sends a credential only when it was asked for one, and shows no JSON: put requests through
/// [`with_bearer`] before the caller is found, and answers through [`in_plain_words`] at the very end.
pub fn git_http(limits: &GitLimits) -> Router {
    Router::new().nest(GIT, routes(limits, Arc::new(Places::new(limits))).router())
}

/// The routes below [`GIT`], without it.
pub(crate) fn routes(limits: &GitLimits, places: Arc<Places>) -> Routes {
    let git = Git(Arc::new(Shared { limits: *limits, places }));
    Routes::new()
        .plain(Needs::READ, "/info/refs", get(info_refs))
        .plain(Needs::READ, "/git-upload-pack", post(fetch::upload_pack))
        .plain(Needs::WRITE, "/git-receive-pack", post(push::receive_pack))
        .with_state(&git)
}

/// What the routes share.
#[derive(Clone)]
struct Git(Arc<Shared>);

struct Shared {
    limits: GitLimits,
    places: Arc<Places>,
}

impl Git {
    /// Makes sure that the wiki takes part in this, and that the caller may.
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

/// The branch and its commit, and what can be asked of us: how every conversation begins.
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
