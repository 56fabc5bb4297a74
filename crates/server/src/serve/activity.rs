//! Tracks whether a connection is being served or merely kept open.
//!
//! When all permits are taken, or the server shuts down, a connection that waits for a silent peer may
//! be closed, but not one that waits for the server. All counts are lock-free. A connection with a large response
//! that its peer leaves unread is closed at any time.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use crate::limits::Unread;

/// A peer without a request, or with an incomplete request head, counts as silent after this. A client
/// whose kept-alive connection is closed opens another without notice.
const IDLE: Duration = Duration::from_millis(500);
/// A peer that sends nothing of an awaited body counts as silent after this.
const STALLED: Duration = Duration::from_secs(2);
/// A peer that reads nothing of a response counts as silent after this: on a slow line the system
/// accepts more data only once it has sent a good part of its buffer. During shutdown [`STALLED`]
/// applies.
const UNREAD: Duration = Duration::from_secs(10);

/// The activity of one connection.
pub(super) struct Activity {
    begun: Instant,
    /// Number of requests whose response isn't complete yet.
    working: AtomicU32,
    /// Number of those requests that wait for more of their body.
    awaited: AtomicU32,
    /// Last time that the peer read something or sent part of a body, in milliseconds since `begun`. The
    /// head of a request counts once it is complete.
    since: AtomicU64,
    /// Time since which the peer reads nothing, in milliseconds since `begun`, at least 1; 0 if it
    /// reads.
    blocked: AtomicU64,
    /// The large responses that are being sent.
    unread: Mutex<Vec<Unread>>,
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
            unread: Mutex::default(),
            leave: Notify::new(),
        })
    }

    /// Duration of the peer's silence; `None` if the server is working for it, or it was active
    /// recently.
    pub(super) fn silence(&self) -> Option<Duration> {
        self.silence_of_more_than(UNREAD)
    }

    /// Returns `true` if a server that shuts down needn't wait for the connection.
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

    /// Watches how the peer reads a response, if it is large.
    pub(super) fn watch<T>(&self, response: &mut http::Response<T>) {
        if let Some(unread) = response.extensions_mut().remove() {
            self.unread.lock().unwrap_or_else(PoisonError::into_inner).push(unread);
        }
    }

    /// Returns `true` if the peer has left a large response unread for too long.
    pub(super) fn is_given_up(&self) -> bool {
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        unread.retain(|unread| !unread.is_over());
        unread.iter().any(Unread::is_given_up)
    }

    /// Asks the task that serves the connection to close it.
    pub(super) fn dismiss(&self) {
        self.leave.notify_one();
    }

    /// Waits until the connection is to be closed.
    pub(super) async fn dismissed(&self) {
        self.leave.notified().await;
    }

    /// Marks a request as being served until the guard is dropped.
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

/// Guard of a request that is being served.
pub(super) struct Working(Arc<Activity>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.heard();
        self.0.working.fetch_sub(1, Relaxed);
    }
}

/// A request body that records when it is awaited.
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

/// A stream that records its writes.
pub(super) struct Noted<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S> Noted<S> {
    pub(super) fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }

    /// Records the result of a write.
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
