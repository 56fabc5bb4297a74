//! Notices responses that their clients leave unread.
//!
//! The system notices a client that reads nothing from its socket, but not one that keeps the flow-control window of
//! an HTTP/2 stream closed. So a response is sent in slices, and has to hand one to the client now and then; its
//! connection is closed otherwise (see [`crate::serve`]).

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use super::ByteBudget;
use super::answers::held_by;

/// Maximum size of a slice, in bytes: the client has to read one in the time of [`ByteBudget::patience`].
const SLICE: usize = 16 << 10;

/// The progress of a response, as an extension of it for the connection that sends it.
#[derive(Clone)]
pub(crate) struct Unread(Weak<Reading>);

impl Unread {
    /// Returns `true` if the response has been sent.
    pub(crate) fn is_over(&self) -> bool {
        self.0.strong_count() == 0
    }

    /// Returns `true` if the client has read nothing for too long.
    pub(crate) fn is_given_up(&self) -> bool {
        self.0.upgrade().is_some_and(|reading| reading.is_given_up())
    }
}

/// The progress of a response.
struct Reading {
    budget: ByteBudget,
    begun: Instant,
    /// Last time that a slice was handed out or had been sent, in milliseconds since `begun`.
    since: AtomicU64,
    /// Number of slices that the client hasn't read yet, and of bodies with more of them.
    unread: AtomicUsize,
}

impl Reading {
    fn is_given_up(&self) -> bool {
        let silence = self.now().saturating_sub(self.since.load(Relaxed));
        self.unread.load(Relaxed) > 0 && Duration::from_millis(silence) > self.budget.patience()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Something that the client hasn't read yet, until it is dropped.
struct Waiting(Arc<Reading>);

impl Waiting {
    fn new(reading: &Arc<Reading>) -> Self {
        reading.unread.fetch_add(1, Relaxed);
        reading.since.store(reading.now(), Relaxed);
        Self(reading.clone())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.unread.fetch_sub(1, Relaxed);
        self.0.since.store(self.0.now(), Relaxed);
    }
}

/// A body in slices.
struct Sliced {
    body: Body,
    /// The rest of the last piece of the body.
    rest: Bytes,
    reading: Arc<Reading>,
    /// For a body that is whole in memory, and so waits for nothing but its client.
    _whole: Option<Waiting>,
}

/// Makes slices of a body, and returns their progress. `is_whole` says that all of the body is in memory.
pub(super) fn sliced(body: Body, budget: &ByteBudget, is_whole: bool) -> (Body, Unread) {
    let (begun, since, unread) = (Instant::now(), AtomicU64::new(0), AtomicUsize::new(0));
    let reading = Arc::new(Reading { budget: budget.clone(), begun, since, unread });
    let (progress, whole) = (Unread(Arc::downgrade(&reading)), Waiting::new(&reading));
    let _whole = is_whole.then_some(whole);
    (Body::new(Sliced { body, rest: Bytes::new(), reading, _whole }), progress)
}

impl http_body::Body for Sliced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                ended => return Poll::Ready(ended),
            };
            match frame.into_data() {
                Ok(piece) => self.rest = piece,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let size = self.rest.len().min(SLICE);
        let slice = self.rest.split_to(size);
        let slice = held_by(slice, Waiting::new(&self.reading));
        Poll::Ready(Some(Ok(Frame::data(slice))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (body, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::limits::{HttpLimits, Principal};

    const LIMITS: fn() -> HttpLimits = HttpLimits::default;

    async fn pass(seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_the_same_in_slices() {
        let text: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
        let (mut body, progress) = sliced(text.clone().into(), &ByteBudget::new(&LIMITS()), true);
        let mut read = Vec::new();
        assert_eq!(body.size_hint().exact(), Some(100_000));
        while let Some(frame) = body.frame().await {
            let slice = frame.unwrap().into_data().unwrap();
            read.extend_from_slice(&slice);
            assert_eq!(body.size_hint().exact(), Some((text.len() - read.len()) as u64));
            assert!(slice.len() <= SLICE);
        }
        assert!(read == text && body.is_end_stream() && !progress.is_over());
        drop(body);
        assert!(progress.is_over());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_slowly_is_waited_for_and_one_that_reads_nothing_is_not() {
        let budget = ByteBudget::new(&LIMITS());
        let (mut body, progress) = sliced(vec![0; 1_000_000].into(), &budget, true);
        for _ in 0..10 {
            pass(20).await;
            assert!(!progress.is_given_up());
            body.frame().await.unwrap().unwrap();
        }
        pass(31).await;
        assert!(progress.is_given_up());
        // A slice that waits in a buffer is unread, too.
        let slice = body.frame().await.unwrap().unwrap();
        drop(body);
        pass(31).await;
        assert!(progress.is_given_up());
        drop(slice);
        assert!(progress.is_over() && !progress.is_given_up());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_waits_for_the_server_is_not_given_up() {
        let (body, progress) = sliced(vec![0; 100].into(), &ByteBudget::new(&LIMITS()), false);
        pass(1000).await;
        assert!(!progress.is_given_up());
        drop(body);
    }

    #[tokio::test(start_paused = true)]
    async fn patience_is_short_when_the_budget_is() {
        let budget = ByteBudget::new(&LIMITS());
        let (_body, progress) = sliced(vec![0; 100].into(), &budget, true);
        pass(10).await;
        assert!(!progress.is_given_up());
        let held: Vec<_> =
            (0..3).map(|n| budget.take(Principal::V4(n), budget.most() / 5).unwrap()).collect();
        assert!(progress.is_given_up());
        drop(held);
        assert!(!progress.is_given_up());
    }
}
