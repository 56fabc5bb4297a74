//! One connection, from its first byte to its last.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tower_service::Service as _;

use crate::limits::HttpLimits;

/// Requests that one HTTP/2 connection may have in flight.
const STREAMS: u32 = 100;
/// How often an idle HTTP/2 connection is asked whether its peer still lives.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long the peer has to say so.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// What all connections of one listener share.
pub(super) struct Connections {
    router: Router,
    http: auto::Builder<TokioExecutor>,
    header_timeout: Duration,
}

impl Connections {
    pub(super) fn new(router: Router, limits: &HttpLimits) -> Self {
        let mut http = auto::Builder::new(TokioExecutor::new());
        http.http1()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            // A head that doesn't fit into the buffer is answered with 431. Hyper wants 8 kB.
            .max_buf_size(limits.header_bytes.max(8192));
        http.http2()
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
            .max_concurrent_streams(STREAMS)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT);
        Self { router, http, header_timeout: limits.header_timeout }
    }

    /// Serves until the peer leaves, misbehaves, or, once `stopped`, has its answers.
    pub(super) async fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        mut stopped: watch::Receiver<bool>,
    ) {
        // Answers are written whole; waiting for more to send only delays them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let heard = AtomicBool::new(false);
        let service = service_fn(|mut request: Request<Incoming>| {
            heard.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(ConnectInfo(peer));
            self.router.clone().call(request.map(Body::new))
        });
        let mut connection =
            pin!(self.http.serve_connection_with_upgrades(TokioIo::new(stream), service));
        // Hyper's own timer runs within HTTP/1 only, not while the version is still being found
        // out: <https://github.com/hyperium/hyper/issues/3962>.
        let mut silence = pin!(tokio::time::sleep(self.header_timeout));
        let (mut listening, mut draining) = (true, false);
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(error = &*error, "connection failed");
                    }
                    return;
                }
                () = silence.as_mut(), if listening => {
                    if !heard.load(Ordering::Relaxed) {
                        return;
                    }
                    listening = false;
                }
                () = super::told(&mut stopped), if !draining => {
                    draining = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}
