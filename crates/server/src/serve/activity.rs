//! Whether a connection is being worked for, or only kept.
//!
//! When there are no places left, or the server ends, it matters for what a connection waits: for the server,
//! or for a peer that is silent. Everything here is counted without a lock.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

/// A peer that has no request, or not sent the whole head of one, is silent after this. A client that keeps
/// a connection for its next request opens another one without being told.
const IDLE: Duration = Duration::from_millis(500);
/// A peer that sends nothing of the bodies that are waited for is silent after this.
const STALLED: Duration = Duration::from_secs(2);
/// A peer that takes nothing of what is written to it is silent after this: on a slow line the system takes more
/// only when a good part of its buffer has been sent. At the end it is [`STALLED`].
const UNREAD: Duration = Duration::from_secs(10);

/// What a connection is doing.
pub(super) struct Activity {
    begun: Instant,
    /// Requests of whose answer something has yet to be made.
    working: AtomicU32,
    /// Those of them that wait for more of their body.
    awaited: AtomicU32,
    /// When the peer last got something or sent some of a body, in milliseconds since the beginning. The head of
    /// a request counts once it is whole.
    since: AtomicU64,
    /// When the peer began to take nothing any more, in milliseconds since the beginning, and at least 1; 0: it
    /// takes what it gets.
    blocked: AtomicU64,
    leave: Notify,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            working: AtomicU32::new(0),
            awaited: AtomicU32::new(0),
            since: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
            leave: Notify::new(),
        })
    }

    /// For how long the peer has been silent; `None`: the server works for it, or it was heard just now.
    pub(super) fn silence(&self) -> Option<Duration> {
        self.silence_of_more_than(UNREAD)
    }

    /// Whether the server, which is about to end, has nothing to wait for.
    pub(super) fn is_idle_at_the_end(&self) -> bool {
        self.silence_of_more_than(STALLED).is_some()
    }

    fn silence_of_more_than(&self, unread: Duration) -> Option<Duration> {
        let now = self.now();
        let (blocked, working) = (self.blocked.load(Relaxed), self.working.load(Relaxed));
        let (since, bound) = if blocked > 0 {
            (blocked, unread)
        } else if working == 0 {
            (self.since.load(Relaxed), IDLE)
        } else if self.awaited.load(Relaxed) >= working {
            (self.since.load(Relaxed), STALLED)
        } else {
            return None;
        };
        Some(Duration::from_millis(now.saturating_sub(since))).filter(|silence| *silence >= bound)
    }

    /// Has the connection closed by whoever serves it.
    pub(super) fn dismiss(&self) {
        self.leave.notify_one();
    }

    /// Waits until it is to be closed.
    pub(super) async fn dismissed(&self) {
        self.leave.notified().await;
    }

    /// A request that is being worked on, until this is dropped.
    pub(super) fn work(self: &Arc<Self>) -> Working {
        self.working.fetch_add(1, Relaxed);
        Working(self.clone())
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn heard(&self) {
        self.since.store(self.now(), Relaxed);
    }
}

/// A request that is being worked on.
pub(super) struct Working(Arc<Activity>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.heard();
        self.0.working.fetch_sub(1, Relaxed);
    }
}

/// The body of a request, which says when it is waited for.
pub(super) struct Awaited {
    body: Incoming,
    activity: Arc<Activity>,
    is_awaited: bool,
}

impl Awaited {
    pub(super) fn new(body: Incoming, activity: Arc<Activity>) -> Self {
        Self { body, activity, is_awaited: false }
    }

    fn note(&mut self, is_awaited: bool) {
        if is_awaited == self.is_awaited {
            return;
        }
        self.is_awaited = is_awaited;
        self.activity.heard();
        match is_awaited {
            true => self.activity.awaited.fetch_add(1, Relaxed),
            false => self.activity.awaited.fetch_sub(1, Relaxed),
        };
    }
}

impl http_body::Body for Awaited {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.note(polled.is_pending());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.note(false);
    }
}

/// A stream whose writes are noted.
pub(super) struct Noted<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S> Noted<S> {
    pub(super) fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }

    /// Notes what became of writing.
    fn note<T>(&self, polled: &Poll<io::Result<T>>) {
        let activity = &self.activity;
        if polled.is_pending() {
            let _ = activity.blocked.compare_exchange(0, activity.now().max(1), Relaxed, Relaxed);
        } else {
            activity.blocked.store(0, Relaxed);
            activity.heard();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(&polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, buffers);
        self.note(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
