//! The accept loops, and how they end.
//!
//! `axum::serve` keeps hyper's settings to itself, among them the time a client may take to send
//! the head of a request; without that, connections that say nothing stay for ever.

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

use crate::auth::proxy::Network;
use crate::limits::HttpLimits;
use activity::Activity;
use connection::Connections;
use crowd::{Crowd, Place, Refused};
pub use ending::Endless;
use listener::Accepted;
pub use listener::{Listen, ListenError, Listener};
pub use peer::Peer;

/// How long to wait when there are no descriptors left; some may be closed meanwhile.
const EXHAUSTED: Duration = Duration::from_millis(100);
/// How often, while the server ends, the connections of silent peers are closed.
const SWEEP: Duration = Duration::from_millis(250);

/// As [`serve_behind`], without proxies on other machines.
pub async fn serve<L: Into<Listener>>(
    listeners: Vec<(L, Router)>,
    limits: &HttpLimits,
    shutdown: impl Future<Output = ()>,
) -> usize {
    serve_behind(&[], listeners, limits, shutdown).await
}

/// Serves each listener's router, over HTTP/1 and HTTP/2, until `shutdown` completes. Requests in
/// flight then have `limits.shutdown_grace` to finish, unless their peer sends nothing of a body, or
/// takes nothing of an answer. Returns how many connections were cut because they hadn't.
///
/// Of the connections that there may be at once an address has a share, but not one of the `proxies`, this
/// machine, or a Unix socket. Handlers find who connected as [`Peer`]; if it has an address, it is there as
/// `ConnectInfo<SocketAddr>`, too. Dropping the future closes everything at once.
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

/// A listener and its connections. Each listener has places of its own: whoever fills up the public one
/// doesn't lock the operator out.
struct Door {
    listener: Listener,
    crowd: Arc<Crowd>,
}

/// A connection that has its place.
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
    /// The next connection that gets a place. What one address opens beyond its share is closed.
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
    // Kept over the rounds: it may have a connection in its hands that waits for a place.
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
        }
    }
    // Closed first, so that whoever comes now is refused by the system and tries elsewhere.
    drop(next);
    let Door { listener, crowd } = door;
    drop(listener);
    drain(open, &crowd, grace).await
}

/// Waits until the server is told to stop, or is gone.
async fn told(stopped: &mut watch::Receiver<bool>) {
    // The guard that this returns must not live on: it locks the channel.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Waits for connections to end by themselves; returns how many had to be cut.
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

/// A connection that died in the queue says nothing about the next; anything else does, and
/// trying again at once would burn a core.
async fn after_failure(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::error!(%error, "cannot accept connections");
        tokio::time::sleep(EXHAUSTED).await;
    }
}

/// Handlers' panics are caught further in; this would be one of ours.
fn log_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests;
