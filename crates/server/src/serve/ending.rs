//! When an answer ends: those that have no end of their own end with the server.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use http_body::{Body as _, Frame, SizeHint};
use tokio::sync::watch;

use super::activity::Working;

/// Marks an answer, in its extensions, whose body goes on as long as the server does. When the server
/// is told to stop it ends after what was sent last; other answers have time to finish.
#[derive(Clone, Copy, Debug)]
pub struct Endless;

/// What is made at once, in bytes.
const SMALL: u64 = 64 * 1024;

/// Gives the answer an end, if it needs one. Its request is being worked on until all of it is made.
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
                // Not to be asked again.
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
