//! The whole wiki as one file.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, VARY};
use http::{HeaderValue, Method};
use utoipa_axum::routes;
use wikigrove_tenant::Wiki;
use wikigrove_tenant::problem::Problem;

use crate::archive::Outgoing;
use crate::git::{Place, Places};
use crate::guard::{Needs, Routes};
use crate::import::ImportError;
use crate::limits::Principal;
use crate::openapi;

pub(super) fn router(places: Arc<Places>) -> Routes {
    let needs = Needs::INSPECT.audited("wiki.export");
    Routes::new().route(needs, routes!(export)).with_state(&places)
}

/// Exports the wiki: history, settings, the drafts of all users, and accounts without passwords. For the wiki's admins.
/// The file is a tar archive whose last member is `SHA256SUMS`; a file without it is incomplete.
#[utoipa::path(get, path = "/export",
    responses((status = 200, content_type = "application/x-tar"), (status = "4XX", body = openapi::Problem), (status = 507, body = openapi::Problem)))]
async fn export(
    State(places): State<Arc<Places>>,
    wiki: Wiki,
    who: Principal,
    method: Method,
) -> Result<Response, Problem> {
    // The response to HEAD has no body.
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        // An export counts as a clone: it occupies a process for as long as the client takes.
        let place = places.export(wiki.id(), who).await?;
        body(&wiki, Outgoing::begin(&wiki).await.map_err(problem)?, place)
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    // A slug has only letters, digits and hyphens, so it needs no quoting.
    let disposition = format!("attachment; filename=\"{}.wiki.tar\"", wiki.slug());
    let disposition =
        HeaderValue::from_str(&disposition).map_err(|error| Problem::internal(&error))?;
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
    headers.insert(CONTENT_DISPOSITION, disposition);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(VARY, HeaderValue::from_static("authorization"));
    Ok(response)
}

/// The headers are sent before the history is packed, which may take longer than the timeout of a request. A client
/// that disconnects drops this, and thereby ends git.
fn body(wiki: &Wiki, outgoing: Outgoing, place: Place) -> Body {
    let slug = wiki.slug().clone();
    let state = (outgoing, slug, place);
    Body::from_stream(stream::try_unfold(state, async |(mut outgoing, slug, place)| {
        match outgoing.next(&mut |_: &str, _| ()).await {
            Ok(piece) => Ok(piece.map(|piece| (piece, (outgoing, slug, place)))),
            Err(error) => {
                // The headers are sent already, so that cutting the connection is the only way to report an error.
                tracing::error!(wiki.slug = %slug, %error, "a wiki can't be exported to its end");
                Err(error)
            }
        }
    }))
}

fn problem(error: ImportError) -> Problem {
    match error {
        ImportError::Platform(error) => error.problem(),
        error => Problem::internal(&error),
    }
}
