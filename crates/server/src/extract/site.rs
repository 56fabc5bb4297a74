//! The public address of this server, as seen by a client.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;

/// True if clients reach the server by TLS; an extension of requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IsSecure(pub(crate) bool);

/// The scheme and host that the client used, such as `https://wiki.example`; empty if the request names no host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Site(pub(crate) String);

impl<S: Sync> FromRequestParts<S> for Site {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let named = parts.headers.get(HOST).and_then(|host| host.to_str().ok()?.parse().ok());
        let host: Option<Authority> = parts.uri.authority().cloned().or(named);
        let is_secure = parts.extensions.get().is_some_and(|IsSecure(is_secure)| *is_secure);
        let scheme = if is_secure { "https" } else { "http" };
        let host = host.filter(|host| !host.as_str().contains('@'));
        Ok(Self(host.map(|host| format!("{scheme}://{host}")).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    async fn site(uri: &str, host: &str, is_secure: bool) -> String {
        let request = Request::get(uri).header(HOST, host).extension(IsSecure(is_secure));
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let Ok(Site(site)) = Site::from_request_parts(&mut parts, &()).await;
        site
    }

    #[tokio::test]
    async fn a_site_is_what_the_client_names() {
        assert_eq!(site("/a", "wiki.example:8080", false).await, "http://wiki.example:8080");
        assert_eq!(site("/a", "wiki.example", true).await, "https://wiki.example");
        assert_eq!(site("http://h2.example/a", "other.example", true).await, "https://h2.example");
        assert_eq!(site("/a", "a@wiki.example", true).await, "");
        assert_eq!(site("/a", "\"<x>", true).await, "");
    }
}
