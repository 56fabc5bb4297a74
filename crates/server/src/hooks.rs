//! Messages of git hosts: something was pushed. `POST /hooks/{link}` on the wikis' listener.
//!
//! A message is a hint to look, never more. Whatever is wrong with one, be it that there is no such link,
//! is answered alike, after the same work; a good one is answered before anything is done.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use http::StatusCode;
use http_body_util::{BodyExt as _, Limited};
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Secret, spawn};

use crate::guard::{Needs, Routes};
use crate::metrics::Requests;
use crate::remote::webhook::{Deliveries, MAX_BODY, verify};
use crate::sync::Event;
use crate::sync::runner::Remotes;

/// What the paths of all links begin with.
pub(crate) const HOOKS: &str = "/hooks/";
/// How long a body may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What messages for no link are checked with.
static NOBODYS: LazyLock<Secret> = LazyLock::new(|| {
    let mut bytes = [0; 32];
    // Without randomness it would still be nobody's.
    let _ = getrandom::fill(&mut bytes);
    Secret::new(data_encoding::HEXLOWER.encode(&bytes))
});

#[derive(Clone)]
struct Hooks {
    remotes: Remotes,
    heard: Deliveries,
}

pub(crate) fn router(remotes: &Remotes, requests: &Requests) -> Router {
    let hooks = Hooks { remotes: remotes.clone(), heard: Deliveries::default() };
    let routes = Routes::new().plain(Needs::NOBODY, "/hooks/{link}", post(hear));
    routes.counted(requests, "").router().with_state(hooks)
}

async fn hear(
    State(hooks): State<Hooks>,
    Path(link): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY).collect();
    let body = match tokio::time::timeout(PATIENCE, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            let detail = "a message has at most a mebibyte";
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail));
        }
        _ => return Err(refused()),
    };
    let platform = hooks.remotes.platform();
    let found = platform.link(&link).await.map_err(|error| error.problem())?;
    let secret = match &found {
        Some(link) => platform.webhook_secret(link).await.map_err(|error| error.problem())?,
        None => NOBODYS.clone(),
    };
    let delivery = verify(Some(&secret), &parts.headers, &body, SystemTime::now());
    let (Some(link), Ok(delivery)) = (found, delivery) else { return Err(refused()) };
    let is_new = hooks.heard.is_new(&link.id, &delivery);
    if is_new && delivery.concerns(&link.settings.branch) {
        let (remotes, event) = (hooks.remotes.clone(), Event::Webhook { after: delivery.after });
        spawn(async move {
            if let Err(error) = remotes.tell(&link.id, event).await {
                tracing::info!(link = link.id, %error, "a message of a host has no effect");
            }
        });
    }
    Ok((StatusCode::ACCEPTED, Body::empty()).into_response())
}

fn refused() -> Problem {
    let detail = "there is no such hook, or the message isn't signed as it should be";
    Problem::new(StatusCode::UNAUTHORIZED, "invalid_signature", detail)
}
