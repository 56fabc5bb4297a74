//! Who is at the other end of a connection.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use http::Extensions;

/// The other end of a connection, as the system knows it: nobody can say to be another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Somewhere in the network.
    Tcp(SocketAddr),
    /// On this machine, by a Unix socket.
    Local,
}

/// Says that a request came by a Unix socket.
#[derive(Clone, Copy, Debug)]
struct IsLocal;

impl Peer {
    /// Its address, if it has one.
    pub fn address(self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip().to_canonical()),
            Self::Local => None,
        }
    }

    /// The peer of a request, unless that came by no connection of ours.
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
