//! The accept loops and their graceful shutdown.
//!
//! `axum::serve` doesn't expose hyper's settings, among them the time that a client may take to send the
//! head of a request; without it, silent connections stay open for ever.

mod activity;
mod connection;
mod crowd;
mod ending;
mod listener;
mod peer;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::MissedTickBehavior;

use crate::auth::proxy::Network;
use crate::limits::HttpLimits;
use activity::Activity;
use connection::Connections;
use crowd::{Crowd, Place, Refused};
pub use ending::Endless;
use listener::Accepted;
pub use listener::{Listen, ListenError, Listener};
pub use peer::Peer;

/// Pause after running out of file descriptors, in which some may be closed.
const EXHAUSTED: Duration = Duration::from_millis(100);
/// Interval at which connections are checked for responses that are left unread.
const UNREAD: Duration = Duration::from_secs(1);
/// Interval at which connections of silent peers are closed during shutdown.
const SWEEP: Duration = Duration::from_millis(250);

/// Like [`serve_behind`], without proxies on other machines.
pub async fn serve<L: Into<Listener>>(
    listeners: Vec<(L, Router)>,
    limits: &HttpLimits,
    shutdown: impl Future<Output = ()>,
) -> usize {
    serve_behind(&[], listeners, limits, shutdown).await
}

/// Serves each listener's router over HTTP/1 and HTTP/2 until `shutdown` completes. Requests in flight
/// then have `limits.shutdown_grace` to finish, unless their peer stops sending its body or stops
/// reading the response. Returns the number of connections that were cut off unfinished.
///
/// The number of connections is limited, in total and per address; the limit per address doesn't apply
/// to the `proxies`, to this machine or to Unix sockets. Handlers find the peer as [`Peer`], and its
/// address, if any, also as `ConnectInfo<SocketAddr>`. Dropping the future closes everything at once.
pub async fn serve_behind<L: Into<Listener>>(
    proxies: &[Network],
    listeners: Vec<(L, Router)>,
    limits: &HttpLimits,
    shutdown: impl Future<Output = ()>,
) -> usize {
    let (stop, stopped) = watch::channel(false);
    let mut doors = JoinSet::new();
    for (listener, router) in listeners {
        let connections = Arc::new(Connections::new(router, limits));
        let door = Door {
            listener: listener.into(),
            crowd: Crowd::new(limits.connections, limits.connections_per_address, proxies),
        };
        doors.spawn(accept(door, connections, limits.shutdown_grace, stopped.clone()));
    }
    shutdown.await;
    stop.send_replace(true);
    let mut cut = 0;
    while let Some(ended) = doors.join_next().await {
        cut += ended.unwrap_or_else(|error| {
            tracing::error!(%error, "a listener ended early");
            0
        });
    }
    cut
}

/// A listener and its connections. Each listener has connection permits of its own, so that a flood on
/// the public listener doesn't lock out the operator.
struct Door {
    listener: Listener,
    crowd: Arc<Crowd>,
}

/// A connection with its permit.
struct Guest {
    accepted: Accepted,
    activity: Arc<Activity>,
    place: Place,
}

impl Guest {
    fn serve(
        self,
        connections: Arc<Connections>,
        stop: watch::Receiver<bool>,
        open: &mut JoinSet<()>,
    ) {
        let Self { accepted, activity, place } = self;
        let peer = accepted.peer();
        match accepted {
            Accepted::Tcp(stream, _) => {
                connections.prepare(&stream);
                open.spawn(connections.serve(stream, peer, stop, activity, place));
            }
            Accepted::Unix(stream) => {
                open.spawn(connections.serve(stream, peer, stop, activity, place));
            }
        }
    }
}

impl Door {
    /// The next connection that gets a permit. Connections beyond an address's share are closed.
    async fn next(&self) -> io::Result<Guest> {
        loop {
            let accepted = self.listener.accept().await?;
            let activity = Activity::new();
            match self.crowd.enter(accepted.peer(), &activity).await {
                Ok(place) => return Ok(Guest { accepted, activity, place }),
                Err(Refused) => {
                    tracing::debug!(peer = ?accepted.peer(), "an address has its share of the connections");
                }
            }
        }
    }
}

async fn accept(
    door: Door,
    connections: Arc<Connections>,
    grace: Duration,
    mut stopped: watch::Receiver<bool>,
) -> usize {
    let mut open = JoinSet::new();
    let stop = stopped.clone();
    let crowd = door.crowd.clone();
    let mut unread = tokio::time::interval(UNREAD);
    unread.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Kept across iterations, since it may hold a connection that waits for a permit.
    let mut next = Box::pin(door.next());
    loop {
        tokio::select! {
            () = told(&mut stopped) => break,
            guest = next.as_mut() => {
                next.set(door.next());
                match guest {
                    Ok(guest) => guest.serve(connections.clone(), stop.clone(), &mut open),
                    Err(error) => after_failure(&error).await,
                }
            }
            Some(ended) = open.join_next() => log_panic(ended),
            _ = unread.tick() => crowd.dismiss_unread(),
        }
    }
    // Close the listener first, so that the system refuses new clients and they try elsewhere.
    drop(next);
    drop(door.listener);
    drain(open, &crowd, grace).await
}

/// Waits until the server is told to stop, or its handle is dropped.
async fn told(stopped: &mut watch::Receiver<bool>) {
    // Drop the returned guard at once: it locks the channel.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Waits for connections to end by themselves; returns how many had to be cut off.
async fn drain(mut open: JoinSet<()>, crowd: &Crowd, grace: Duration) -> usize {
    let deadline = tokio::time::Instant::now() + grace;
    let mut sweep = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            ended = open.join_next() => match ended {
                Some(ended) => log_panic(ended),
                None => return 0,
            },
            _ = sweep.tick() => crowd.dismiss_idle(),
            () = tokio::time::sleep_until(deadline) => break,
        }
    }
    let cut = open.len();
    tracing::warn!(connections = cut, "shutdown does not wait any longer");
    open.shutdown().await;
    cut
}

/// Reacts to a failed accept. A connection that died in the queue is skipped. After any other error the
/// loop pauses, since an immediate retry would busy-loop.
async fn after_failure(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::error!(%error, "cannot accept connections");
        tokio::time::sleep(EXHAUSTED).await;
    }
}

/// Logs a panic of a connection task. Handlers' panics are caught elsewhere, so this is a bug here.
fn log_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests;
