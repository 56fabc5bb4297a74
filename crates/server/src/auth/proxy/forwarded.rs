//! The address of a client behind proxies, from `X-Forwarded-For`.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The last address in the chain that isn't one of our proxies. Each proxy appends the address of its own
/// peer, so everything before this address may be forged.
///
/// `peer` is the trusted proxy that sent the request; it is returned if the chain adds no address.
pub(super) fn client(
    peer: Option<IpAddr>,
    headers: &HeaderMap,
    is_proxy: impl Fn(IpAddr) -> bool,
) -> Option<IpAddr> {
    let mut known = peer;
    let lines: Vec<&str> = headers
        .get_all(X_FORWARDED_FOR)
        .iter()
        // A line that isn't text ends the chain, like any entry that isn't an address.
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

/// Parses an address, with or without a port.
fn address(entry: &str) -> Option<IpAddr> {
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    let address = bare.parse().ok();
    let address = address.or_else(|| entry.parse().ok().map(|socket: SocketAddr| socket.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}
