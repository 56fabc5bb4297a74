//! Incoming webhooks of git hosts, which report pushes: `POST /hooks/{link}` on the wikis' listener.
//!
//! A message is only a hint to run the link. The sender is unknown until the signature is checked, so the body is read
//! only if the link exists and the message has a signature, and only a few bodies at a time for each link. All refusals
//! look alike. The time of a refusal may reveal that a link exists, but ids are random and too long to guess. A valid
//! message is answered before the link runs.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use bytes::Bytes;
use http::StatusCode;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::spawn;

use crate::extract::{self, JsonLimit};
use crate::guard::{Needs, Routes};
use crate::limits::Places;
use crate::metrics::Requests;
use crate::remote::webhook::{Deliveries, MAX_BODY, is_signed, verify};
use crate::sync::Event;
use crate::sync::runner::Remotes;

/// The common prefix of all paths.
pub(crate) const HOOKS: &str = "/hooks/";
/// Deadline for receiving a body.
const PATIENCE: Duration = Duration::from_secs(10);
/// Maximum number of concurrent messages for one link.
const PER_LINK: usize = 4;

#[derive(Clone)]
struct Hooks {
    remotes: Remotes,
    heard: Deliveries,
    places: Arc<Places<String>>,
}

pub(crate) fn router(remotes: &Remotes, requests: &Requests) -> Router {
    let hooks = Hooks {
        remotes: remotes.clone(),
        heard: Deliveries::default(),
        places: Arc::new(Places::new(PER_LINK)),
    };
    let routes = Routes::new().plain(Needs::NOBODY, "/hooks/{link}", post(hear));
    routes.counted(requests, "").router().with_state(hooks)
}

async fn hear(
    State(hooks): State<Hooks>,
    Path(link): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let platform = hooks.remotes.platform();
    let found = platform.link(&link).await.map_err(|error| error.problem())?;
    let link = found.filter(|_| is_signed(request.headers())).ok_or_else(refused)?;
    let secret = platform.webhook_secret(&link).await.map_err(|error| error.problem())?;
    let _place = hooks.places.enter(link.id.clone())?;
    let headers = request.headers().clone();
    let body = received(request).await?;
    let delivery = verify(Some(&secret), &headers, &body, SystemTime::now());
    let delivery = delivery.map_err(|_| refused())?;
    let is_new = hooks.heard.is_new(&link.id, &delivery);
    let settings = &link.settings;
    if is_new && (!settings.is_branch_named() || delivery.concerns(&settings.branch)) {
        let (remotes, event) = (hooks.remotes.clone(), Event::Webhook { after: delivery.after });
        spawn(async move {
            if let Err(error) = remotes.tell(&link.id, event).await {
                tracing::info!(link = link.id, %error, "a message of a host has no effect");
            }
        });
    }
    Ok((StatusCode::ACCEPTED, Body::empty()).into_response())
}

/// Reads the whole body. Its bytes count towards the server's limit on bytes in flight.
async fn received(mut request: Request) -> Result<Bytes, Problem> {
    JsonLimit::lower(&mut request, MAX_BODY);
    match tokio::time::timeout(PATIENCE, extract::json::read(request)).await {
        Ok(Err(problem)) if problem.status() == StatusCode::BAD_REQUEST => Err(refused()),
        Ok(body) => body,
        Err(_) => Err(refused()),
    }
}

fn refused() -> Problem {
    let detail = "there is no such hook, or the message isn't signed as it should be";
    Problem::new(StatusCode::UNAUTHORIZED, "invalid_signature", detail)
}
