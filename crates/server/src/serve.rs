//! The accept loops, and how they end.
//!
//! `axum::serve` keeps hyper's settings to itself, among them the time a client may take to send
//! the head of a request; without that, connections that say nothing stay for ever.

mod connection;
mod endless;
mod listener;
mod peer;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinError, JoinSet};

use crate::limits::HttpLimits;
use connection::Connections;
pub use endless::Endless;
use listener::Accepted;
pub use listener::{Listen, ListenError, Listener};
pub use peer::Peer;

/// How long to wait when there are no descriptors left; some may be closed meanwhile.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// Serves each listener's router, over HTTP/1 and HTTP/2, until `shutdown` completes. Requests in
/// flight then have `limits.shutdown_grace` to finish. Returns how many connections were cut
/// because they hadn't.
///
/// Handlers find who connected as [`Peer`]; if it has an address, it is there as
/// `ConnectInfo<SocketAddr>`, too. Dropping the future closes everything at once.
pub async fn serve<L: Into<Listener>>(
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
            places: Arc::new(Semaphore::new(limits.connections)),
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

/// A listener, and how many connections there may still be. Each listener has places of its own:
/// whoever fills up the public one doesn't lock the operator out.
struct Door {
    listener: Listener,
    places: Arc<Semaphore>,
}

impl Door {
    async fn next(&self) -> io::Result<(Accepted, OwnedSemaphorePermit)> {
        let place = self.places.clone().acquire_owned().await.map_err(io::Error::other)?;
        Ok((self.listener.accept().await?, place))
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
    loop {
        tokio::select! {
            () = told(&mut stopped) => break,
            accepted = door.next() => match accepted {
                Ok((Accepted::Tcp(stream, peer), place)) => {
                    let peer = Peer::Tcp(peer);
                    connections.prepare(&stream);
                    open.spawn(connections.clone().serve(stream, peer, stop.clone(), place));
                }
                Ok((Accepted::Unix(stream), place)) => {
                    let peer = Peer::Local;
                    open.spawn(connections.clone().serve(stream, peer, stop.clone(), place));
                }
                Err(error) => after_failure(&error).await,
            },
            Some(ended) = open.join_next() => log_panic(ended),
        }
    }
    // Closed first, so that whoever comes now is refused by the system and tries elsewhere.
    drop(door);
    drain(open, grace).await
}

/// Waits until the server is told to stop, or is gone.
async fn told(stopped: &mut watch::Receiver<bool>) {
    // The guard that this returns must not live on: it locks the channel.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Waits for connections to end by themselves; returns how many had to be cut.
async fn drain(mut open: JoinSet<()>, grace: Duration) -> usize {
    let all_ended = async {
        while let Some(ended) = open.join_next().await {
            log_panic(ended);
        }
    };
    if tokio::time::timeout(grace, all_ended).await.is_ok() {
        return 0;
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
