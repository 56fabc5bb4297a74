//! A wiki as a browser shows it: pages to be read, and nothing that runs. Editing and signing in are
//! for the app in front.
//!
//! Everything here is what the API answers, in another form: who may read what, the limits and the
//! cursors are the API's own. The addresses are `{base}/{page}`, and `{base}/-/…` for what is no page.
//!
//! Pages whose paths begin with `api/`, `git/`, `-/` or `.well-known/` are reached by the API only.
//! So are `robots.txt` and `favicon.ico`, which say something to programs at the root of a host.

mod answer;
mod error;
mod frame;
mod legacy;
mod lists;
mod named;
mod page;

use axum::Router;
use axum::extract::OriginalUri;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::header::{LOCATION, REFERRER_POLICY};
use http::{HeaderValue, StatusCode};

use crate::wiki::render::Rendering;

use frame::Frame;

pub(crate) use error::for_browsers;

/// The routes of a wiki's view, below its base.
pub(crate) fn router(rendering: Rendering) -> Router {
    Router::new()
        .route("/", get(page::home))
        .route("/robots.txt", get(robots))
        .route("/favicon.ico", get(nothing))
        .route("/.well-known/{*other}", get(nothing))
        .route("/-/style.css", get(answer::style))
        .route("/-/pages", get(lists::pages))
        .route("/-/changes", get(lists::changes))
        .route("/-/search", get(lists::search))
        .route("/-/history/{*path}", get(lists::history))
        .route("/-/attachments/{*path}", get(lists::attachments))
        .route("/-/source/{*path}", get(page::source))
        .route("/-/", get(nothing))
        .route("/-/{*other}", get(legacy::of_wiki))
        .route("/{*path}", get(page::page))
        .with_state(rendering)
}

/// What answers at a wiki's base without a slash at its end, from where no relative address of it
/// would lead below it.
pub(crate) fn without_slash() -> Router {
    Router::new().fallback(get(add_slash))
}

async fn add_slash(OriginalUri(uri): OriginalUri) -> Response {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    redirect(&format!("{}/{query}", uri.path()))
}

/// A redirect for good, to a path of this host.
fn redirect(to: &str) -> Response {
    let Ok(to) = HeaderValue::from_str(to) else { return StatusCode::NOT_FOUND.into_response() };
    let no_referrer = HeaderValue::from_static("no-referrer");
    (StatusCode::PERMANENT_REDIRECT, [(LOCATION, to), (REFERRER_POLICY, no_referrer)])
        .into_response()
}

/// What search engines read on a host that the wiki has to itself.
async fn robots(frame: Frame) -> &'static str {
    match frame.presentation.allows_robots {
        true => "User-agent: *\nDisallow: /-/\n",
        false => "User-agent: *\nDisallow: /\n",
    }
}

async fn nothing() -> StatusCode {
    StatusCode::NOT_FOUND
}
