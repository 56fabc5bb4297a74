//! Slugs in host names, and the host of a request.

use http::{HeaderMap, Uri, header};

use super::path::SLUG;
use crate::Domain;

/// A pattern for one label below a base domain.
#[derive(Clone, Debug)]
pub(super) struct HostPattern {
    /// A dot and the base domain, so that `evilexample.org` isn't below `example.org`.
    suffix: String,
}

impl HostPattern {
    /// # Panics
    /// The pattern is malformed. It is part of the program, like a route.
    pub(super) fn new(pattern: &str) -> Self {
        let base = pattern.strip_prefix(SLUG).and_then(|rest| rest.strip_prefix('.'));
        let base =
            base.unwrap_or_else(|| panic!("host pattern `{pattern}` must be {SLUG}. and a domain"));
        let base: Domain =
            base.parse().unwrap_or_else(|error| panic!("host pattern `{pattern}`: {error}"));
        Self { suffix: format!(".{base}") }
    }

    /// The label before the base domain of a host that [`named`] returned.
    pub(super) fn find<'a>(&self, host: &'a str) -> Option<&'a str> {
        host.strip_suffix(&self.suffix).filter(|label| !label.contains('.'))
    }
}

/// The one host that a request names: lower-case, without port and trailing dot.
///
/// HTTP/2 and the absolute form of HTTP/1.1 name the host in the URI, which then takes precedence over the header (RFC
/// 9112, 3.2.2). Two different hosts are an attack that makes caches and proxies mix up wikis, so such a request is
/// refused.
pub(super) fn named(uri: &Uri, headers: &HeaderMap) -> Result<String, &'static str> {
    let mut sent = headers.get_all(header::HOST).iter();
    let header = match (sent.next(), sent.next()) {
        (_, Some(_)) => return Err("the request has more than one Host header"),
        (Some(value), None) => {
            let text = value.to_str().map_err(|_| "the Host header is not plain text")?;
            Some(normalised(text)?)
        }
        (None, None) => None,
    };
    let authority = uri.authority().map(|authority| normalised(authority.as_str())).transpose()?;
    match (authority, header) {
        (Some(authority), Some(header)) if authority != header => {
            Err("the request's target and its Host header name different hosts")
        }
        (Some(host), _) | (None, Some(host)) => Ok(host),
        (None, None) => Err("the request names no host"),
    }
}

fn normalised(text: &str) -> Result<String, &'static str> {
    if text.contains('@') {
        return Err("a host has no user name");
    }
    let (host, port) = split_port(text);
    if port.is_some_and(|port| !is_port(port)) {
        return Err("the host's port is not a number from 1 to 65535");
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.is_empty() {
        return Err("the request names an empty host");
    }
    if !is_address(name) && !is_name(name) {
        return Err("the host contains characters or empty labels that no host has");
    }
    Ok(name.to_ascii_lowercase())
}

/// Splits at the first colon after the brackets of an IPv6 address.
fn split_port(text: &str) -> (&str, Option<&str>) {
    let after_address = text.find(']').unwrap_or(0);
    match text[after_address..].find(':') {
        Some(colon) => (&text[..after_address + colon], Some(&text[after_address + colon + 1..])),
        None => (text, None),
    }
}

fn is_port(text: &str) -> bool {
    // `parse` alone would accept a sign.
    text.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse::<u16>().is_ok_and(|port| port != 0)
}

fn is_address(name: &str) -> bool {
    let inside = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inside.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok())
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    name.split('.').all(|label| !label.is_empty() && label.bytes().all(allowed))
}
