//! Where a client is that comes through proxies.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address nearest to us that isn't one of our proxies': each proxy adds whom it was asked by at
/// the end, and what stands before the first that we don't know, anybody may have written.
///
/// `peer` is the trusted one that sent this; it is the answer if it doesn't say more.
pub(super) fn client(
    peer: Option<IpAddr>,
    headers: &HeaderMap,
    is_proxy: impl Fn(IpAddr) -> bool,
) -> Option<IpAddr> {
    let mut known = peer;
    let lines: Vec<&str> = headers
        .get_all(X_FORWARDED_FOR)
        .iter()
        // What isn't text ends the chain, as any other entry does that is no address.
        .map(|line| line.to_str().unwrap_or("?"))
        .collect();
    for entry in lines.iter().flat_map(|line| line.split(',')).rev() {
        let Some(address) = address(entry.trim()) else { return known };
        known = Some(address);
        if !is_proxy(address) {
            return known;
        }
    }
    known
}

/// An address, with a port or without.
fn address(entry: &str) -> Option<IpAddr> {
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    let address = bare.parse().ok();
    let address = address.or_else(|| entry.parse().ok().map(|socket: SocketAddr| socket.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}
