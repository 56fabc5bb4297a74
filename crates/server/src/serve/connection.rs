//! One connection, from its first byte to its last.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tower_service::Service as _;

use super::Peer;
use super::activity::{Activity, Awaited, Noted};
use super::crowd::Place;
use super::ending::ending;
use crate::limits::HttpLimits;

/// Maximum number of concurrent requests on an HTTP/2 connection.
const STREAMS: u32 = 100;
/// Interval of pings on an idle HTTP/2 connection.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// Time in which the peer must answer a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Wraps the body of a request; an empty body avoids the allocation.
fn body(body: Incoming, activity: &Arc<Activity>) -> Body {
    if body.is_end_stream() {
        return Body::empty();
    }
    Body::new(Awaited::new(body, activity.clone()))
}

/// State shared by all connections of a listener.
pub(super) struct Connections {
    router: Router,
    http: auto::Builder<TokioExecutor>,
    header_timeout: Duration,
    unread_timeout: Duration,
}

impl Connections {
    pub(super) fn new(router: Router, limits: &HttpLimits) -> Self {
        let mut http = auto::Builder::new(TokioExecutor::new());
        http.http1()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            // A head that doesn't fit into the buffer is answered with 431. hyper requires 8 kB.
            .max_buf_size(limits.header_bytes.max(8192));
        http.http2()
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
            .max_concurrent_streams(STREAMS)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT);
        let HttpLimits { header_timeout, unread_timeout, .. } = *limits;
        Self { router, http, header_timeout, unread_timeout }
    }

    /// Serves until the peer leaves, violates the protocol, is silent while others need its permit or,
    /// once `stopped`, has its responses.
    pub(super) async fn serve(
        self: Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: Peer,
        mut stopped: watch::Receiver<bool>,
        activity: Arc<Activity>,
        _place: Place,
    ) {
        let heard = AtomicU64::new(0);
        // A clone per connection, so that its requests don't contend for the counter of all connections.
        let stop = Arc::new(stopped.clone());
        let stream = Noted::new(stream, activity.clone());
        let service = service_fn(|mut request: Request<Incoming>| {
            heard.fetch_add(1, Ordering::Relaxed);
            peer.write_to(request.extensions_mut());
            let working = activity.work();
            let answered = self.router.clone().call(request.map(|it| body(it, &activity)));
            let (stop, activity) = (stop.clone(), activity.clone());
            async move {
                answered.await.map(|mut response| {
                    activity.watch(&mut response);
                    ending(response, &stop, working)
                })
            }
        });
        let mut connection =
            pin!(self.http.serve_connection_with_upgrades(TokioIo::new(stream), service));
        let mut dismissed = pin!(activity.dismissed());
        // hyper's own timer runs within HTTP/1 only: neither while the version is still unknown
        // (<https://github.com/hyperium/hyper/issues/3962>) nor within HTTP/2, where a peer that answers
        // pings could keep its permit for ever.
        let mut silence = pin!(tokio::time::sleep(self.header_timeout));
        let (mut before, mut draining) = (0, false);
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(error = &*error, "connection failed");
                    }
                    return;
                }
                () = dismissed.as_mut() => return,
                () = silence.as_mut(), if !draining => {
                    let requests = heard.load(Ordering::Relaxed);
                    if requests == 0 {
                        return;
                    }
                    if requests == before {
                        // No new requests. Requests in flight are still answered.
                        draining = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    before = requests;
                    silence.as_mut().reset(Instant::now() + self.header_timeout);
                }
                () = super::told(&mut stopped), if !draining => {
                    draining = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }

    /// Sets the socket options of a connection.
    pub(super) fn prepare(&self, stream: &TcpStream) {
        if let Err(error) = self.try_to_prepare(stream) {
            tracing::debug!(%error, "cannot set the options of a connection");
        }
    }

    fn try_to_prepare(&self, stream: &TcpStream) -> io::Result<()> {
        // Responses are written whole, so waiting to fill packets only delays them.
        stream.set_nodelay(true)?;
        // The system's timer, since it knows when the peer reads something and costs nothing meanwhile.
        #[cfg(target_os = "linux")]
        {
            let milliseconds = u32::try_from(self.unread_timeout.as_millis()).unwrap_or(u32::MAX);
            rustix::net::sockopt::set_tcp_user_timeout(stream, milliseconds)?;
        }
        Ok(())
    }
}
