//! The end of responses: endless ones end when the server shuts down.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use http_body::{Body as _, Frame, SizeHint};
use tokio::sync::watch;

use super::activity::Working;

/// Marks a response, as an extension, whose body never ends by itself. It ends at shutdown, after the
/// part that was sent last; all other responses have time to finish.
#[derive(Clone, Copy, Debug)]
pub struct Endless;

/// Maximum size of a response that counts as produced at once, in bytes.
const SMALL: u64 = 64 * 1024;

/// Ends endless responses at shutdown. A request counts as being served until its response is complete.
pub(super) fn ending(
    response: Response<Body>,
    stopped: &Arc<watch::Receiver<bool>>,
    working: Working,
) -> Response<Body> {
    if response.extensions().get::<Endless>().is_none() {
        let is_made = response.body().size_hint().exact().is_some_and(|size| size <= SMALL);
        return match is_made {
            true => response,
            false => response.map(|body| Body::new(InTheMaking { body, _working: working })),
        };
    }
    let mut stopped = watch::Receiver::clone(stopped);
    let stopped = Box::pin(async move { super::told(&mut stopped).await });
    response.map(|body| Body::new(UntilStopped { body, stopped, _working: working }))
}

struct InTheMaking {
    body: Body,
    _working: Working,
}

impl http_body::Body for InTheMaking {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

struct UntilStopped {
    body: Body,
    stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
    _working: Working,
}

impl http_body::Body for UntilStopped {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.stopped.as_mut().poll(cx) {
            Poll::Ready(()) => {
                // Keep the completed future from being polled again.
                self.stopped = Box::pin(std::future::ready(()));
                Poll::Ready(None)
            }
            Poll::Pending => Pin::new(&mut self.body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
