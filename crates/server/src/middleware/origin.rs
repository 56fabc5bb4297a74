//! Web origins (RFC 6454).

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::Authority;

/// A scheme, a host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    is_secure: bool,
    /// In lower case.
    host: String,
    port: u16,
}

/// Error for text that isn't a web origin.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an origin is https:// or http:// and a host, such as https://app.example.org")]
pub struct NoOrigin;

impl FromStr for Origin {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<Self, NoOrigin> {
        let uri: Uri = text.parse().map_err(|_| NoOrigin)?;
        let is_secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(NoOrigin),
        };
        let has_path = uri.path_and_query().is_some_and(|path| path.as_str() != "/");
        let authority = uri.authority().ok_or(NoOrigin)?;
        if has_path || authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(NoOrigin);
        }
        let (host, port) = place(authority, is_secure);
        Ok(Self { is_secure, host, port })
    }
}

impl Origin {
    pub(super) fn is_secure(&self) -> bool {
        self.is_secure
    }

    pub(super) fn has_host_of(&self, other: &Self) -> bool {
        self.host == other.host
    }

    /// Returns `true` if the request's authority is this origin's, regardless of the request's scheme.
    pub(super) fn is_at(&self, named: &Authority) -> bool {
        let (host, port) = place(named, self.is_secure);
        !named.as_str().contains('@') && self.host == host && self.port == port
    }
}

fn place(authority: &Authority, is_secure: bool) -> (String, u16) {
    let host = authority.host().trim_end_matches('.').to_ascii_lowercase();
    (host, authority.port_u16().unwrap_or(if is_secure { 443 } else { 80 }))
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = if self.is_secure { ("https", 443) } else { ("http", 80) };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == usual { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_a_port() {
        let of = |text: &str| text.parse::<Origin>().map(|origin| origin.to_string());
        assert_eq!(of("https://App.Example.org").as_deref(), Ok("https://app.example.org"));
        assert_eq!(of("https://app.example.org:443/").as_deref(), Ok("https://app.example.org"));
        assert_eq!(of("http://localhost:5173").as_deref(), Ok("http://localhost:5173"));
        assert_eq!(of("http://[::1]:8080").as_deref(), Ok("http://[::1]:8080"));
        for none in [
            "",
            "*",
            "null",
            "app.example.org",
            "ftp://a",
            "https://a/b",
            "https://u@a",
            "https://*",
        ] {
            // Wildcards aren't supported: a star is just a host name that doesn't exist.
            assert!(of(none).is_err() || none == "https://*", "{none}");
        }
    }
}
