//! Reserves response bodies in the [`ByteBudget`] until they have been sent.
//!
//! This takes two steps. Where the caller is known, the bytes are reserved ([`ByteBudget::settle`]). In
//! the outermost layer, after which the body isn't replaced any more, the reservation is tied to the
//! body ([`tied`]) and to each of its pieces, since a piece may stay in a buffer long after the body has
//! ended.
//!
//! The size of a streamed response isn't known beforehand. Each of its pieces is reserved before it is
//! produced, and delayed while there is no room.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Version};
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::unread::sliced;
use super::{ByteBudget, Held, Principal};
use crate::serve::Endless;

/// Maximum size of a response that isn't counted, in bytes: an HTTP/1 connection has one at a time.
pub(crate) const SMALL: u64 = 64 << 10;
/// Like [`SMALL`], for HTTP/2, where a connection has up to a hundred at a time.
pub(crate) const SMALL_STREAM: u64 = 4 << 10;
/// Maximum size of a piece of a streamed response, in bytes.
const PIECE: u64 = 128 << 10;
/// Interval at which a streamed response checks for room.
const AGAIN: Duration = Duration::from_millis(50);

/// Marks a response, as an extension, whose body shares these bytes with other responses.
#[derive(Clone)]
pub(crate) struct Pins(pub(crate) Bytes);

/// A shorter body for a response that must not be refused, since the action has been carried out.
#[derive(Clone)]
pub(crate) struct Instead(pub(crate) Bytes);

/// The reservation for a response.
#[derive(Clone, Default)]
pub(crate) struct Reserved {
    /// Held until the whole body has been sent.
    whole: Option<Arc<Held>>,
    /// The principal for whom each piece is reserved.
    pieces: Option<(ByteBudget, Principal)>,
}

impl Reserved {
    /// The reservation of a body that was reserved before it was made; an extension of the response.
    pub(crate) fn whole(held: Held) -> Self {
        Self { whole: Some(Arc::new(held)), pieces: None }
    }
}

impl ByteBudget {
    /// Reserves the bytes of a response for the principal that made the request. Without room, the
    /// response becomes 503, or gets its shorter body if it has one.
    pub(crate) fn settle(
        &self,
        mut response: Response,
        version: Version,
        principal: impl FnOnce() -> Principal,
    ) -> Response {
        let small = if version < Version::HTTP_2 { SMALL } else { SMALL_STREAM };
        let size = response.body().size_hint().exact();
        if size.is_some_and(|size| size <= small)
            || response.extensions().get::<Endless>().is_some()
            || response.extensions().get::<Reserved>().is_some()
        {
            return response;
        }
        let principal = principal();
        let mut reserved = Reserved::default();
        if size.is_none() {
            reserved.pieces = Some((self.clone(), principal.clone()));
        }
        let whole = match (response.extensions().get(), size) {
            (Some(Pins(bytes)), _) => self.share(principal, bytes).map(Some),
            (None, Some(size)) => self.take(principal, size).map(Some),
            (None, None) => Ok(None),
        };
        match whole {
            Ok(held) => {
                reserved.whole = held.map(Arc::new);
                response.extensions_mut().insert(reserved);
                response
            }
            Err(problem) => match response.extensions_mut().remove() {
                Some(Instead(shorter)) => shortened(response, shorter),
                None => problem.into_response(),
            },
        }
    }
}

fn shortened(mut response: Response, body: Bytes) -> Response {
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    *response.body_mut() = Body::from(body);
    response
}

/// Ties the reservation of a response, if any, to its body.
pub(crate) fn tied(mut response: Response) -> Response {
    let Some(Reserved { whole, pieces }) = response.extensions_mut().remove() else {
        return response;
    };
    let is_whole = whole.is_some();
    let budget = match (&whole, &pieces) {
        (Some(held), _) => held.budget().clone(),
        (None, Some((budget, _))) => budget.clone(),
        (None, None) => return response,
    };
    let mut body = std::mem::take(response.body_mut());
    if let Some((budget, principal)) = pieces {
        body = Body::new(Metered { body, budget, principal, wait: None });
    }
    if let Some(held) = whole {
        body = Body::new(Tied { body, held });
    }
    let (body, unread) = sliced(body, &budget, is_whole);
    *response.body_mut() = body;
    response.extensions_mut().insert(unread);
    response
}

/// A piece of a body with its reservation.
struct Piece<H> {
    bytes: Bytes,
    _held: H,
}

impl<H> AsRef<[u8]> for Piece<H> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The bytes, holding a reservation until all of them are dropped.
pub(crate) fn held_by<H: Send + 'static>(bytes: Bytes, held: H) -> Bytes {
    Bytes::from_owner(Piece { bytes, _held: held })
}

/// A body that is reserved as a whole.
struct Tied {
    body: Body,
    held: Arc<Held>,
}

impl http_body::Body for Tied {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        polled.map_ok(|frame| frame.map_data(|bytes| held_by(bytes, self.held.clone())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body whose pieces are reserved before they are produced.
struct Metered {
    body: Body,
    budget: ByteBudget,
    principal: Principal,
    /// Waits for the next check after there was no room.
    wait: Option<Pin<Box<Sleep>>>,
}

impl http_body::Body for Metered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        loop {
            if let Some(wait) = &mut self.wait {
                ready!(wait.as_mut().poll(context));
                self.wait = None;
            }
            let Some(mut held) = self.budget.try_take(self.principal.clone(), PIECE) else {
                self.wait = Some(Box::pin(sleep(AGAIN)));
                continue;
            };
            let polled = Pin::new(&mut self.body).poll_frame(context);
            return polled.map_ok(|frame| {
                frame.map_data(|bytes| {
                    held.is_in_fact(bytes.len() as u64);
                    held_by(bytes, held)
                })
            });
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::limits::HttpLimits;

    fn settled(budget: &ByteBudget, body: impl Into<Body>) -> Response {
        settled_with(budget, Response::new(body.into()))
    }

    fn settled_with(budget: &ByteBudget, response: Response) -> Response {
        tied(budget.settle(response, Version::HTTP_11, || Principal::Nowhere))
    }

    fn budget() -> ByteBudget {
        ByteBudget::new(&HttpLimits { bytes_per_principal: 1 << 20, ..HttpLimits::default() })
    }

    #[tokio::test]
    async fn an_answer_is_held_until_the_last_of_its_bytes_is_gone() {
        let budget = budget();
        let mut body = settled(&budget, vec![b'x'; 1_000_000]).into_body();
        assert_eq!(budget.held(), 1_000_000);
        let mut bytes = body.frame().await.unwrap().unwrap().into_data().unwrap();
        // The bytes outlive their body, as in the buffer of a socket.
        drop(body);
        let rest = bytes.split_off(10);
        drop(bytes);
        assert_eq!(budget.held(), 1_000_000);
        drop(rest);
        assert_eq!(budget.held(), 0);
    }

    #[tokio::test]
    async fn one_too_many_is_refused_before_it_is_sent() {
        let budget = budget();
        let held = settled(&budget, vec![b'x'; 1_000_000]);
        assert_eq!(settled(&budget, vec![b'x'; 100_000]).status(), 503);
        assert_eq!(settled(&budget, vec![b'x'; 60_000]).status(), 200);
        let mut done = Response::new(Body::from(vec![b'x'; 100_000]));
        done.extensions_mut().insert(Instead(Bytes::from_static(b"short")));
        let done = settled_with(&budget, done);
        assert_eq!(done.into_body().collect().await.unwrap().to_bytes(), "short");
        drop(held);
        assert_eq!(settled(&budget, vec![b'x'; 100_000]).status(), 200);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn what_is_shared_is_held_once() {
        let budget = budget();
        let page = Bytes::from(vec![b'x'; 900_000]);
        let answer = || {
            let mut response = Response::new(Body::from(page.clone()));
            response.extensions_mut().insert(Pins(page.clone()));
            settled_with(&budget, response)
        };
        let answers: Vec<_> = (0..30).map(|_| answer()).collect();
        assert!(answers.iter().all(|answer| answer.status() == 200));
        assert_eq!(budget.held(), 900_000);
        drop(answers);
        assert_eq!(budget.held(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn pieces_of_a_stream_are_made_when_there_is_room_for_them() {
        let budget = budget();
        let pieces =
            || stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from(vec![b'x'; 100_000])));
        let mut streams: Vec<_> =
            (0..30).map(|_| settled(&budget, Body::from_stream(pieces())).into_body()).collect();
        let mut unread = Vec::new();
        for stream in &mut streams {
            // The pieces stay unread, so that the budget is used up in the end.
            let piece = tokio::time::timeout(Duration::from_secs(1), stream.frame()).await;
            unread.extend(piece.map(|frame| frame.unwrap().unwrap().into_data().unwrap()));
        }
        assert_eq!(unread.len(), 10);
        assert_eq!(budget.held(), 1_000_000);
        // The rest of a piece is in its body.
        unread.pop();
        drop(streams.remove(9));
        streams[28].frame().await.unwrap().unwrap();
        drop((unread, streams));
        assert_eq!(budget.held(), 0);
    }
}
