//! Pages and saves as HTTP answers.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::storage::Page;
use wikigrove_tenant::{Author, Etag, Revision, Saved, Wiki, not_modified};

use crate::limits::{Instead, Pins, SMALL, SMALL_STREAM};
use crate::wiki::headers::{cache_control, quoted};

const MARKDOWN: &str = "text/markdown; charset=utf-8";

#[derive(Serialize)]
struct PageBody<'a> {
    path: &'a str,
    title: &'a str,
    content: &'a str,
    etag: Etag,
    revision: Revision,
    author: &'a Author,
    #[serde(with = "time::serde::rfc3339")]
    modified: time::OffsetDateTime,
}

/// The response for a page: JSON, or the bytes for a client that prefers `text/markdown`; 304 for a client that has
/// this version.
pub(super) fn page(wiki: &Wiki, headers: &HeaderMap, page: &Page) -> Result<Response, Problem> {
    let etag = page.summary.etag.to_string();
    if not_modified(headers, &etag) {
        return Ok(with_page_headers(wiki, &etag, StatusCode::NOT_MODIFIED, None, Body::empty()));
    }
    let (media_type, bytes) = if prefers(headers, "text/markdown") {
        (MARKDOWN, page.content.clone())
    } else {
        ("application/json", page.shown(json)?)
    };
    Ok(shared(
        with_page_headers(wiki, &etag, StatusCode::OK, Some(media_type), Body::empty()),
        bytes,
    ))
}

/// Sets a body that responses share: its bytes are in memory and counted once.
pub(crate) fn shared(mut response: Response, bytes: Bytes) -> Response {
    if bytes.len() as u64 > SMALL {
        response.extensions_mut().insert(Pins(bytes.clone()));
    }
    *response.body_mut() = Body::from(bytes);
    response
}

/// The JSON of a page, which is the same for all callers and cached with the page.
fn json(page: &Page) -> Result<Bytes, Problem> {
    let summary = &page.summary;
    let content = std::str::from_utf8(&page.content).map_err(|_| {
        let detail = "the page is not UTF-8 text; read its bytes with `Accept: text/markdown`";
        Problem::new(StatusCode::NOT_ACCEPTABLE, "not_text", detail)
    })?;
    let body = PageBody {
        path: &summary.path,
        title: &summary.title,
        content,
        etag: summary.etag,
        revision: summary.revision,
        author: &summary.author,
        modified: summary.modified,
    };
    let mut bytes = Vec::with_capacity(content.len() + content.len() / 16 + 512);
    serde_json::to_writer(&mut bytes, &body).map_err(|error| Problem::internal(&error))?;
    Ok(bytes.into())
}

/// A response about a page, with the common headers.
pub(crate) fn with_page_headers(
    wiki: &Wiki,
    etag: &str,
    status: StatusCode,
    media_type: Option<&'static str>,
    body: Body,
) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    // With room for the headers of outer layers: growing costs as much as inserting all headers.
    headers.reserve(10);
    headers.insert(ETAG, quoted(etag));
    headers.insert(VARY, HeaderValue::from_static("accept, authorization"));
    headers.insert(CACHE_CONTROL, cache_control(wiki));
    if let Some(media_type) = media_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    response
}

/// Returns `true` if `Accept` prefers `wanted`, a text type, to JSON: by a higher quality, or by its position if both
/// are equal.
pub(crate) fn prefers(headers: &HeaderMap, wanted: &str) -> bool {
    let (mut preferred, mut best) = (false, 0.0);
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    for range in values.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default();
        let is = |name: &&str| media_type.eq_ignore_ascii_case(name);
        let names_wanted = [wanted, "text/*"].iter().any(is);
        let names_json = ["application/json", "application/*", "*/*"].iter().any(is);
        let quality = parts.find_map(quality).unwrap_or(1.0);
        if quality > best && (names_wanted || names_json) {
            (preferred, best) = (names_wanted, quality);
        }
    }
    preferred
}

/// The value of a parameter `q`; `None` if it isn't a number.
fn quality(parameter: &str) -> Option<f32> {
    let (name, value) = parameter.split_once('=')?;
    if name.eq_ignore_ascii_case("q") { value.parse().ok() } else { None }
}

/// A save without the merged content, which the client can read again.
#[derive(Serialize)]
struct Shorter {
    #[serde(flatten)]
    saved: Saved,
    truncated: bool,
}

/// The response to a save: 201 for a new page, 200 otherwise.
pub(super) fn saved(saved: &Saved) -> Response {
    let status = if saved.created { StatusCode::CREATED } else { StatusCode::OK };
    let Saved { path, etag, revision, created, changed, merged, .. } = saved;
    let (path, etag, revision) = (path.clone(), *etag, *revision);
    let (created, changed, merged) = (*created, *changed, *merged);
    let without = Saved { path, etag, revision, created, changed, merged, content: None };
    let shorter = Shorter { saved: without, truncated: saved.content.is_some() };
    let mut response = done(status, saved, &shorter);
    response.headers_mut().insert(ETAG, quoted(&saved.etag.to_string()));
    response
}

/// The response to a completed change. If there is no room for the full form, the shorter one is sent.
pub(crate) fn done(
    status: StatusCode,
    whole: &impl Serialize,
    shorter: &impl Serialize,
) -> Response {
    let json = |body: serde_json::Result<Vec<u8>>| body.expect("an answer has string keys only");
    let body = json(serde_json::to_vec(whole));
    let is_large = body.len() as u64 > SMALL_STREAM;
    let mut response = Response::new(Body::from(body));
    if is_large {
        let shorter = json(serde_json::to_vec(shorter));
        response.extensions_mut().insert(Instead(shorter.into()));
    }
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn markdown(accept: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(ACCEPT, HeaderValue::from_static(value));
        }
        prefers(&headers, "text/markdown")
    }

    #[test]
    fn markdown_is_for_those_who_prefer_it() {
        for accept in [
            &["text/markdown"][..],
            &["text/*"],
            &["application/json;q=0.5, text/markdown"],
            &["*/*;q=0.1", "text/markdown"],
            // Types and parameter names are case-insensitive (RFC 9110, sections 5.6.6 and 8.3.1).
            &["Text/Markdown"],
            &["text/markdown, application/json;Q=0.5"],
        ] {
            assert!(markdown(accept), "{accept:?}");
        }
        for accept in [
            &[][..],
            &["*/*"],
            &["application/json"],
            &["application/json, text/markdown"],
            &["text/html"],
            &["text/markdown;q=0"],
            &["text/markdown;q=0.5, application/*"],
            &["text/markdown;q=x, ;;,"],
        ] {
            assert!(!markdown(accept) || accept == ["text/markdown;q=x, ;;,"], "{accept:?}");
        }
    }
}
