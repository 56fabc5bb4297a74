//! A network cable between somebody and a server, that can be pulled out.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A port on the loopback interface that leads to another. It stays the same when the server behind it
/// starts again somewhere else. It ends with the value.
#[derive(Debug)]
pub struct Cable {
    port: u16,
    wire: Arc<Wire>,
    carrying: JoinHandle<()>,
}

#[derive(Debug)]
struct Wire {
    to: Mutex<SocketAddr>,
    cuts: watch::Sender<u64>,
    /// Of a hundred connections so many are cut somewhere.
    bad: AtomicU64,
}

impl Cable {
    /// Leads to a server.
    pub async fn to(address: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let wire = Wire {
            to: Mutex::new(address),
            cuts: watch::Sender::default(),
            bad: AtomicU64::default(),
        };
        let wire = Arc::new(wire);
        let carrying = wikigrove_tenant::spawn(carry_all(listener, wire.clone()));
        Self { port, wire, carrying }
    }

    /// The near end.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on new connections lead to another server.
    pub fn lead_to(&self, address: SocketAddr) {
        *self.wire.to.lock().unwrap() = address;
    }

    /// Ends all connections, whatever is on its way.
    pub fn cut(&self) {
        self.wire.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// From now on so many of a hundred connections end after some bytes.
    pub fn fray(&self, of_a_hundred: u64) {
        self.wire.bad.store(of_a_hundred, Ordering::Relaxed);
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

async fn carry_all(listener: TcpListener, wire: Arc<Wire>) {
    while let Ok((near, _)) = listener.accept().await {
        wikigrove_tenant::spawn(carry(near, wire.clone()));
    }
}

async fn carry(mut near: TcpStream, wire: Arc<Wire>) {
    let mut cuts = wire.cuts.subscribe();
    let to = *wire.to.lock().unwrap();
    // Nobody may be there: then the connection just ends.
    let Ok(mut far) = TcpStream::connect(to).await else { return };
    let random = |below: u64| getrandom::u64().unwrap() % below;
    let is_bad = random(100) < wire.bad.load(Ordering::Relaxed);
    let most = if is_bad { random(4000) } else { u64::MAX };
    let ((from_near, mut to_near), (from_far, mut to_far)) = (near.split(), far.split());
    let mut up = from_near.take(most);
    let mut down = from_far.take(most);
    // Neither end closes only its half.
    tokio::select! {
        _ = copy(&mut up, &mut to_far) => {}
        _ = copy(&mut down, &mut to_near) => {}
        _ = cuts.changed() => {}
    }
}
