//! Attachments as HTTP answers.

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Detached, Download, SavedAttachment, Wiki, not_modified};

use super::media_type;
use super::range::{Wanted, wanted};
use crate::extract::Json;
use crate::wiki::headers::{cache_control, quoted};

/// Browsers execute nothing in an attachment, and give it no origin.
const POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox");

/// The response for an attachment or the requested range of it; 304 for a client that has this
/// version.
pub(super) fn download(
    wiki: &Wiki,
    method: &Method,
    asked: &HeaderMap,
    download: Download,
) -> Result<Response, Problem> {
    let (etag, size) = (download.etag().to_string(), download.size());
    if not_modified(asked, &etag) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        common(wiki, &etag, response.headers_mut());
        return Ok(response);
    }
    // A range has a meaning for GET only (RFC 9110, section 14.2).
    let wanted = if method == Method::GET { wanted(asked, &etag, size) } else { Wanted::Whole };
    let (status, range, length, download) = match wanted {
        Wanted::Whole => (StatusCode::OK, None, size, download),
        Wanted::Part(first, last) => {
            let (range, length) = (format!("bytes {first}-{last}/{size}"), last - first + 1);
            (StatusCode::PARTIAL_CONTENT, Some(range), length, download.part(first, length))
        }
        Wanted::Unsatisfiable => {
            let detail = format!("the attachment has {size} bytes, and none of those asked for");
            let problem =
                Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", detail);
            return Err(problem.header(CONTENT_RANGE, value(&format!("bytes */{size}"))?));
        }
    };
    let served = media_type::of(download.path().name());
    let disposition = media_type::disposition(download.path().name(), served.inline);
    let (disposition, content_type) = (value(&disposition)?, value(&served.served_as)?);
    let mut response = body(download)?;
    *response.status_mut() = status;
    let headers = response.headers_mut();
    common(wiki, &etag, headers);
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CONTENT_DISPOSITION, disposition);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    if let Some(range) = range {
        headers.insert(CONTENT_RANGE, value(&range)?);
    }
    Ok(response)
}

/// Sets the headers that a response with the content and a 304 share.
fn common(wiki: &Wiki, etag: &str, headers: &mut HeaderMap) {
    headers.insert(ETAG, quoted(etag));
    headers.insert(VARY, HeaderValue::from_static("authorization"));
    headers.insert(CACHE_CONTROL, cache_control(wiki));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
}

fn body(mut download: Download) -> Result<Response, Problem> {
    if let Some(bytes) = download.in_memory() {
        let bytes = bytes.map_err(|error| Problem::internal(&error))?;
        return Ok(Response::new(Body::from(bytes)));
    }
    let pieces = stream::try_unfold(download, |mut download| async {
        match download.next().await {
            Ok(piece) => Ok(piece.map(|piece| (piece, download))),
            Err(error) => {
                // The headers are sent already, so that cutting the connection is the only way to
                // report an error.
                tracing::error!(path = %download.path(), %error, "an attachment can't be read to its end");
                Err(error)
            }
        }
    });
    let mut response = Response::new(Body::from_stream(pieces));
    // The file is open already: the wiki may be closed during the transfer.
    response.extensions_mut().insert(Detached);
    Ok(response)
}

fn value(text: &str) -> Result<HeaderValue, Problem> {
    HeaderValue::from_str(text).map_err(|error| Problem::internal(&error))
}

/// The response to a save: 201 for a new attachment, 200 otherwise.
pub(super) fn saved(saved: SavedAttachment) -> Response {
    let status = if saved.created { StatusCode::CREATED } else { StatusCode::OK };
    let etag = quoted(&saved.etag.to_string());
    (status, [(ETAG, etag)], Json(saved)).into_response()
}
