//! What happens in a wiki, as it happens: Server-Sent Events, one for each commit.
//!
//! The log of the wiki is one sequence, in which parents come before their children. A [`Hub`](hub)
//! reads it once for all who listen and hands out each event, written once. A [`Listener`] reads the
//! log itself until it is where the hub is, and does so again when it was too slow: it never holds up
//! the hub, nor the hub it, and what it may be behind is in the log and not in memory.

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
    /// As the header `Last-Event-ID`, for clients that can't send one. The header wins.
    last_event_id: Option<String>,
}

/// Streams the commits of the wiki from now on, parents before children. `Last-Event-ID` goes on after
/// that commit.
///
/// An event `change` has a commit as its data and the commit's revision as its id. An event `reset`
/// says that the commit to go on from isn't part of the history (any more): what was learned before
/// may not hold, and the stream goes on from the revision that it names. An event `remote` says how a
/// link with a repository elsewhere stands; it has no id.
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
        // nginx would collect events until a buffer is full.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    let mut response = (headers, Body::from_stream(chunks)).into_response();
    response.extensions_mut().insert(Endless);
    // It opens the wiki when it has to.
    response.extensions_mut().insert(Detached);
    Ok(response)
}
