//! The peer of a connection.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use http::Extensions;

/// The peer of a connection, as reported by the operating system; clients can't forge it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A TCP peer.
    Tcp(SocketAddr),
    /// A peer on this machine, through a Unix socket.
    Local,
}

/// Marks a request that came through a Unix socket.
#[derive(Clone, Copy, Debug)]
struct IsLocal;

impl Peer {
    /// The peer's IP address, if it has one.
    pub fn address(self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip().to_canonical()),
            Self::Local => None,
        }
    }

    /// The peer of a request; `None` if the request didn't come through one of our listeners.
    pub fn of(extensions: &Extensions) -> Option<Self> {
        match extensions.get::<ConnectInfo<SocketAddr>>() {
            Some(ConnectInfo(address)) => Some(Self::Tcp(*address)),
            None => extensions.get::<IsLocal>().map(|IsLocal| Self::Local),
        }
    }

    pub(super) fn write_to(self, extensions: &mut Extensions) {
        match self {
            Self::Tcp(address) => drop(extensions.insert(ConnectInfo(address))),
            Self::Local => drop(extensions.insert(IsLocal)),
        }
    }
}
