//! The commits of a wiki as they are made: Server-Sent Events, one per commit.
//!
//! The log of a wiki is one sequence, in which parents come before their children. A [`Hub`](hub) reads the log once
//! for all listeners and distributes each event, serialised once. A [`Listener`] reads the log itself until it has
//! caught up with the hub, and again after it was too slow. So neither delays the other, and a listener's backlog is in
//! the log and not in memory.

mod hub;
mod listener;
mod message;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Detached, Wiki};

use crate::auth::{Authenticator, Credentials};
use crate::extract::Query;
use crate::guard::{Needs, Routes};
use crate::limits::Principal;
use crate::openapi;
use crate::serve::Endless;

pub(crate) use hub::Feeds;
use listener::{Access, Listener, Start};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

pub(super) fn router(feeds: Feeds) -> Routes {
    Routes::new().route(Needs::READ, routes!(events)).with_state(&feeds)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Resume {
    /// The header `Last-Event-ID` as a parameter, for clients that can't send headers. The header wins.
    last_event_id: Option<String>,
}

/// Streams the commits of the wiki from now on, parents before children. With `Last-Event-ID` the stream resumes after
/// that commit.
///
/// An event `change` has a commit as its data and the commit's revision as its id. An event `reset` means that the
/// commit to resume from isn't part of the history (any more): what the client learned before may not hold, and the
/// stream resumes from the revision in the event. An event `remote` has the state of a remote; it has no id.
#[utoipa::path(get, path = "/events",
    params(Resume, ("Last-Event-ID" = Option<String>, Header, description = "the id of the last event that was received")),
    responses((status = 200, body = String, content_type = "text/event-stream"),
        (status = "4XX", body = openapi::Problem), (status = 503, body = openapi::Problem)))]
async fn events(
    wiki: Wiki,
    State(feeds): State<Feeds>,
    auth: Option<Extension<Authenticator>>,
    Query(Resume { last_event_id }): Query<Resume>,
    headers: HeaderMap,
    credentials: Credentials,
    principal: Principal,
) -> Result<Response, Problem> {
    let start = match headers.get(LAST_EVENT_ID) {
        Some(id) => Start::after(id.to_str().unwrap_or("?")),
        None => Start::after(last_event_id.as_deref().unwrap_or_default()),
    };
    let place = feeds.enter(&wiki).await?;
    let auth = auth.map(|Extension(auth)| (auth, credentials));
    let access = Access { wiki: wiki.reference(), auth, principal };
    let listener = Listener::new(wiki, access, place, start).await;
    let listener = listener.map_err(|error| error.problem())?;
    let chunks = stream::unfold(listener, |mut listener| async {
        let chunk = listener.next().await?;
        Some((Ok::<Bytes, std::convert::Infallible>(chunk), listener))
    });
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // nginx would buffer events until its buffer is full.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    let mut response = (headers, Body::from_stream(chunks)).into_response();
    response.extensions_mut().insert(Endless);
    // The listener opens the wiki when necessary.
    response.extensions_mut().insert(Detached);
    Ok(response)
}
