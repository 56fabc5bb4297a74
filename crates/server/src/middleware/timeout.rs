//! Timeouts of requests.
//!
//! One deadline covers the body and the handler: a timeout per read would let a client that sends a byte
//! now and then hold its permit for ever. Received bytes extend the deadline at the slowest acceptable
//! rate. A client that is slower while its body is awaited is refused long before the deadline.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, StatusCode, Version};
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::Instant;
use wikigrove_tenant::problem::Problem;

use crate::limits::HttpLimits;

/// Time after which a client should retry if a handler was too slow, in seconds.
const RETRY_SECONDS: u64 = 5;
/// Interval at which the progress of a body is checked.
const LOOK: Duration = Duration::from_secs(1);
/// Stands for a time that isn't recorded yet.
const NEVER: u64 = u64::MAX;

/// Progress of a request's body.
pub(super) struct Upload {
    begun: Instant,
    received: AtomicU64,
    /// Time when the handler first read the body, in milliseconds since `begun`.
    asked: AtomicU64,
    /// True while the handler waits for more of the body.
    awaited: AtomicBool,
    /// True once the body was read to its end or dropped by the handler, so the client isn't awaited.
    ended: AtomicBool,
    version: Version,
}

/// Tracks the body of `request`, if it has one.
pub(super) fn watch(request: Request) -> (Request, Option<Arc<Upload>>) {
    if request.body().is_end_stream() {
        return (request, None);
    }
    let version = request.version();
    let upload = Arc::new(Upload::new(version));
    let request = request.map(|body| Body::new(Watched { body, upload: upload.clone() }));
    (request, Some(upload))
}

impl Upload {
    fn new(version: Version) -> Self {
        Self {
            begun: Instant::now(),
            received: AtomicU64::new(0),
            asked: AtomicU64::new(NEVER),
            awaited: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            version,
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(NEVER)
    }

    /// The time that the slowest acceptable client has for the bytes received so far.
    fn earned(&self, limits: &HttpLimits) -> Duration {
        let received = self.received.load(Ordering::Relaxed);
        Duration::from_millis(received.saturating_mul(1000) / limits.slowest_upload.max(1))
    }

    /// Returns `true` if the body is awaited and has been slower than allowed. The time since the
    /// handler first read it counts, including pauses in which the handler waited for something else.
    fn is_stalled(&self, limits: &HttpLimits) -> bool {
        if !self.awaited.load(Ordering::Relaxed) || self.ended.load(Ordering::Relaxed) {
            return false;
        }
        let asked_for = self.now().saturating_sub(self.asked.load(Ordering::Relaxed));
        Duration::from_millis(asked_for) > limits.upload_patience + self.earned(limits)
    }
}

/// The response, or an error that says whether the client or the server was too slow.
pub(super) async fn within(
    limits: &HttpLimits,
    upload: Option<Arc<Upload>>,
    answer: impl Future<Output = Response>,
) -> Response {
    let started = Instant::now();
    let mut answer = pin!(answer);
    loop {
        let earned = upload.as_ref().map_or(Duration::ZERO, |upload| upload.earned(limits));
        let deadline = started + limits.request_timeout + earned;
        let is_stalled = upload.as_ref().is_some_and(|upload| upload.is_stalled(limits));
        if is_stalled || deadline <= Instant::now() {
            return too_slow(upload.as_deref());
        }
        let look = match &upload {
            Some(upload) if !upload.ended.load(Ordering::Relaxed) => Instant::now() + LOOK,
            _ => deadline,
        };
        if let Ok(response) = tokio::time::timeout_at(look.min(deadline), answer.as_mut()).await {
            return response;
        }
    }
}

fn too_slow(upload: Option<&Upload>) -> Response {
    match upload {
        Some(upload) if !upload.ended.load(Ordering::Relaxed) => {
            let detail = "the body of the request did not arrive in time";
            let problem = Problem::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", detail);
            // HTTP/2 resets the stream instead, and forbids this header.
            if upload.version < Version::HTTP_2 {
                return problem
                    .header(CONNECTION, HeaderValue::from_static("close"))
                    .into_response();
            }
            problem.into_response()
        }
        _ => {
            let detail = "the server did not finish in time; what was asked for may still happen";
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", detail);
            problem.retry_after(RETRY_SECONDS).into_response()
        }
    }
}

/// A body that reports its progress.
struct Watched {
    body: Body,
    upload: Arc<Upload>,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.upload.asked.load(Ordering::Relaxed) == NEVER {
            self.upload.asked.store(self.upload.now(), Ordering::Relaxed);
        }
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.upload.awaited.store(polled.is_pending(), Ordering::Relaxed);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                self.upload.received.fetch_add(length as u64, Ordering::Relaxed);
            }
            Poll::Ready(_) => self.upload.ended.store(true, Ordering::Relaxed),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.upload.ended.store(true, Ordering::Relaxed);
    }
}
