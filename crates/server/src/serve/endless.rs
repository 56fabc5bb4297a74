//! Answers that have no end of their own.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use http_body::{Frame, SizeHint};
use tokio::sync::watch;

/// Marks an answer, in its extensions, whose body goes on as long as the server does. When the server
/// is told to stop it ends after what was sent last; other answers have time to finish.
#[derive(Clone, Copy, Debug)]
pub struct Endless;

/// Gives the answer an end, if it needs one.
pub(super) fn ending(
    response: Response<Body>,
    stopped: &Arc<watch::Receiver<bool>>,
) -> Response<Body> {
    if response.extensions().get::<Endless>().is_none() {
        return response;
    }
    let mut stopped = watch::Receiver::clone(stopped);
    let stopped = Box::pin(async move { super::told(&mut stopped).await });
    response.map(|body| Body::new(UntilStopped { body, stopped }))
}

struct UntilStopped {
    body: Body,
    stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
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
