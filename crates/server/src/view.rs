//! A wiki as HTML for browsers: pages to read, and no scripts. Editing and signing in are the application's.
//!
//! The content is that of the API in another form, with the same rights, limits and cursors. The URLs are
//! `{base}/{page}`, and `{base}/-/…` for everything else.
//!
//! Pages whose paths begin with `api/`, `git/`, `-/` or `.well-known/` are available through the API only. The same
//! holds for `robots.txt` and `favicon.ico`, which have a meaning at the root of a host.

mod answer;
mod error;
mod frame;
mod legacy;
mod lists;
mod named;
mod page;

use axum::extract::OriginalUri;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::header::{LOCATION, REFERRER_POLICY};
use http::{HeaderValue, StatusCode};

use crate::guard::{Needs, Routes};
use crate::wiki::render::Rendering;

use frame::Frame;

pub(crate) use error::for_browsers;

/// The routes of a wiki's view, below its base.
pub(crate) fn routes(rendering: &Rendering) -> Routes {
    Routes::new()
        .plain(Needs::READ, "/", get(page::home))
        .plain(Needs::READ, "/robots.txt", get(robots))
        .plain(Needs::READ, "/favicon.ico", get(nothing))
        .plain(Needs::READ, "/.well-known/{*other}", get(nothing))
        .plain(Needs::READ, "/-/style.css", get(answer::style))
        .plain(Needs::READ, "/-/pages", get(lists::pages))
        .plain(Needs::READ, "/-/changes", get(lists::changes))
        .plain(Needs::READ, "/-/change/{revision}", get(lists::change))
        .plain(Needs::READ, "/-/search", get(lists::search))
        .plain(Needs::READ, "/-/history/{*path}", get(lists::history))
        .plain(Needs::READ, "/-/attachments/{*path}", get(lists::attachments))
        .plain(Needs::READ, "/-/source/{*path}", get(page::source))
        .plain(Needs::READ, "/-/", get(nothing))
        .plain(Needs::READ, "/-/{*other}", get(legacy::of_wiki))
        .plain(Needs::READ, "/{*path}", get(page::page))
        .with_state(rendering)
}

/// Redirects a wiki's base without a trailing slash, against which relative URLs would resolve wrongly.
pub(crate) fn without_slash() -> Routes {
    Routes::new().plain(Needs::READ, "/", get(add_slash)).plain(
        Needs::READ,
        "/{*path}",
        get(add_slash),
    )
}

async fn add_slash(OriginalUri(uri): OriginalUri) -> Response {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    redirect(&format!("{}/{query}", uri.path()))
}

/// A permanent redirect, to a path of this host.
fn redirect(to: &str) -> Response {
    redirect_with(StatusCode::PERMANENT_REDIRECT, to)
}

/// A temporary redirect.
fn redirect_for_now(to: &str) -> Response {
    redirect_with(StatusCode::TEMPORARY_REDIRECT, to)
}

fn redirect_with(status: StatusCode, to: &str) -> Response {
    let Ok(to) = HeaderValue::from_str(to) else { return StatusCode::NOT_FOUND.into_response() };
    let no_referrer = HeaderValue::from_static("no-referrer");
    (status, [(LOCATION, to), (REFERRER_POLICY, no_referrer)]).into_response()
}

/// The `robots.txt` of a host that serves one wiki.
async fn robots(frame: Frame) -> &'static str {
    match frame.presentation.allows_robots {
        true => "User-agent: *\nDisallow: /-/\n",
        false => "User-agent: *\nDisallow: /\n",
    }
}

async fn nothing() -> StatusCode {
    StatusCode::NOT_FOUND
}
