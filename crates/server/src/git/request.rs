//! Bodies of git requests: plain or compressed with gzip, chunked or with a length.

use std::io;

use async_compression::tokio::bufread::GzipDecoder;
use axum::extract::Request;
use futures_util::TryStreamExt as _;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use tokio::io::AsyncRead;
use tokio_util::io::StreamReader;
use wikigrove_tenant::problem::Problem;

use super::service::Service;

/// A decompressed request body. The reader must limit how much it reads, since a few compressed bytes
/// may expand to any size.
pub(super) type Body = Box<dyn AsyncRead + Send + Unpin>;

/// The body of a request for a service.
///
/// # Errors
/// 413 if its stated length exceeds `limit`; 415 for another media type or encoding.
pub(super) fn body(request: Request, service: Service, limit: u64) -> Result<Body, Problem> {
    let headers = request.headers();
    let media_type = one(headers, CONTENT_TYPE.as_str());
    if media_type != Some(&service.media_type("request")) {
        let detail = format!("the body must be of the type {}", service.media_type("request"));
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Problem::new(status, "unsupported_media_type", detail));
    }
    let length = one(headers, CONTENT_LENGTH.as_str()).and_then(|length| length.parse().ok());
    if length.is_some_and(|length: u64| length > limit) {
        return Err(too_large(limit));
    }
    let is_packed = match one(headers, CONTENT_ENCODING.as_str()) {
        None if !headers.contains_key(CONTENT_ENCODING) => false,
        Some("identity") => false,
        Some("gzip" | "x-gzip") => true,
        _ => {
            let detail = "a body may be packed with gzip and nothing else";
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Problem::new(status, "unsupported_media_type", detail));
        }
    };
    let stream = request.into_body().into_data_stream().map_err(io::Error::other);
    let plain = StreamReader::new(stream);
    Ok(if is_packed { Box::new(GzipDecoder::new(plain)) } else { Box::new(plain) })
}

/// The value of a header; `None` if it is missing or sent several times.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

pub(super) fn too_large(limit: u64) -> Problem {
    let detail = format!("at most {limit} bytes are taken at once");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail).field("limit", limit)
}

/// A 400 error for a body that ends early, can't be decompressed or is malformed.
pub(super) fn unreadable(why: &str) -> Problem {
    let detail = format!("the request can't be read: {why}");
    Problem::new(StatusCode::BAD_REQUEST, "invalid_request", detail)
}
