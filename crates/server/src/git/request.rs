//! Bodies of git requests: plain or compressed with gzip, chunked or with a length.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use async_compression::tokio::bufread::GzipDecoder;
use axum::extract::Request;
use futures_util::TryStreamExt as _;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::io::StreamReader;
use wikigrove_tenant::problem::Problem;

use super::service::Service;

/// A decompressed request body. The reader must limit how much it reads, since a few compressed bytes
/// may expand to any size.
pub(super) struct Body {
    plain: Box<dyn AsyncRead + Send + Unpin>,
    /// Number of bytes that the client sent so far.
    received: Arc<AtomicU64>,
    is_packed: bool,
}

/// A body that is packed with gzip may have this many bytes, however few were sent.
const ANY_RATIO: u64 = 16 << 20;
/// A longer one may have this many bytes for each that was sent. Packs are compressed already.
const MAX_RATIO: u64 = 200;

impl Body {
    #[cfg(test)]
    pub(super) fn plain(plain: impl AsyncRead + Send + Unpin + 'static) -> Self {
        Self { plain: Box::new(plain), received: Arc::default(), is_packed: false }
    }

    /// The number of bytes that the client sent so far.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Returns `true` if what was sent is out of proportion to the `read` bytes that it was unpacked to.
    pub(super) fn is_bomb(&self, read: u64) -> bool {
        let most = self.received().saturating_mul(MAX_RATIO).max(ANY_RATIO);
        self.is_packed && read > most
    }
}

impl AsyncRead for Body {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.plain).poll_read(context, buffer)
    }
}

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
    let received = Arc::new(AtomicU64::new(0));
    let count = received.clone();
    let stream = request.into_body().into_data_stream().map_err(io::Error::other);
    let sent = StreamReader::new(stream.inspect_ok(move |piece| {
        count.fetch_add(piece.len() as u64, Ordering::Relaxed);
    }));
    let plain: Box<dyn AsyncRead + Send + Unpin> =
        if is_packed { Box::new(GzipDecoder::new(sent)) } else { Box::new(sent) };
    Ok(Body { plain, received, is_packed })
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

#[cfg(test)]
mod tests {
    use async_compression::tokio::bufread::GzipEncoder;
    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// A body that gzip packed, and the number of bytes of it.
    async fn packed(text: &[u8]) -> (Body, u64) {
        let mut bytes = Vec::new();
        GzipEncoder::new(text).read_to_end(&mut bytes).await.unwrap();
        let (service, length) = (Service::ReceivePack, bytes.len() as u64);
        let request = Request::post("/")
            .header(CONTENT_TYPE, service.media_type("request"))
            .header(CONTENT_ENCODING, "gzip")
            .body(bytes.into())
            .unwrap();
        (body(request, service, 1 << 30).unwrap(), length)
    }

    #[tokio::test]
    async fn what_is_unpacked_is_in_proportion_to_what_was_sent() {
        let zeros = vec![0; 17 << 20];
        let (mut body, sent) = packed(&zeros).await;
        let mut read = vec![0; 16 << 20];
        body.read_exact(&mut read).await.unwrap();
        assert!(!body.is_bomb(read.len() as u64));
        body.read_to_end(&mut read).await.unwrap();
        assert_eq!((body.received(), read.len()), (sent, zeros.len()));
        assert!(body.is_bomb(read.len() as u64));
        body.is_packed = false;
        assert!(!body.is_bomb(read.len() as u64));
    }

    #[tokio::test]
    async fn what_gzip_hardly_makes_smaller_may_be_large() {
        let mut noise = vec![0; 17 << 20];
        getrandom::fill(&mut noise[..1 << 20]).unwrap();
        let (mut body, sent) = packed(&noise).await;
        let mut read = Vec::new();
        body.read_to_end(&mut read).await.unwrap();
        assert!(sent > 1 << 20 && !body.is_bomb(read.len() as u64));
    }
}
