//! Authentication: bearer tokens, and users named by a trusted proxy.

pub mod proxy;

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use sha2::{Digest as _, Sha256};
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Caller, Platform};

use crate::serve::Peer;
use proxy::{Identity, Proxies};

/// Turns the credentials of a request into its [`Caller`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Authenticator {
    platform: Platform,
    operator: [u8; 32],
    proxies: Arc<Proxies>,
}

/// The client's address: the peer of the connection, or the address that a trusted proxy reports.
/// `None` if it is unknown. Used for logs, limits and the audit log; it grants no rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub Option<IpAddr>);

impl ClientAddress {
    /// The client's address of a request: the peer's address unless a proxy is configured.
    pub fn of(extensions: &http::Extensions) -> Option<IpAddr> {
        match extensions.get::<Self>() {
            Some(Self(address)) => *address,
            None => Peer::of(extensions).and_then(Peer::address),
        }
    }
}

/// The credentials of a request. Long-lived responses keep them to check the caller again while
/// they last.
#[derive(Clone)]
pub(crate) struct Credentials {
    headers: HeaderMap,
    identity: Option<Identity>,
}

impl Authenticator {
    /// Accepts the tokens of `platform` and the operator's own token.
    pub fn new(platform: Platform, operator_token: &str) -> Self {
        let operator = Sha256::digest(operator_token).into();
        Self { platform, operator, proxies: Arc::default() }
    }

    /// Trusts the identity and address headers of these proxies.
    #[must_use]
    pub fn behind(self, proxies: Proxies) -> Self {
        Self { proxies: Arc::new(proxies), ..self }
    }

    /// Removes the headers that only a proxy may set from a request, and records the client's
    /// address and the user that the proxy names.
    ///
    /// # Errors
    /// 400 if the headers of a trusted proxy are ambiguous, or if a token accompanies them.
    pub(crate) fn admit(&self, request: &mut Request) -> Result<(), Problem> {
        if !self.proxies.is_configured() {
            // Without proxies the client is the peer of the connection.
            return Ok(());
        }
        let peer = Peer::of(request.extensions());
        let judged = self.proxies.judge(peer, request.headers_mut())?;
        if let Some(client) = judged.client {
            tracing::Span::current().record("client", tracing::field::display(client));
        }
        request.extensions_mut().insert(ClientAddress(judged.client));
        if let Some(identity) = judged.identity {
            if identity.is_somebody() && request.headers().contains_key(AUTHORIZATION) {
                // Two identities in one request: neither may lend its rights to the other.
                let detail = "a token and a user named by the proxy came in one request";
                return Err(Problem::new(
                    StatusCode::BAD_REQUEST,
                    "conflicting_credentials",
                    detail,
                ));
            }
            request.extensions_mut().insert(identity);
        }
        Ok(())
    }

    /// The caller to whom these credentials belong now.
    ///
    /// # Errors
    /// As [`caller`](Self::caller).
    pub(crate) async fn holder(&self, credentials: &Credentials) -> Result<Caller, Problem> {
        let Credentials { headers, identity } = credentials;
        self.identified(headers, identity.as_ref()).await
    }

    /// The caller of a request with these headers, and with the identity from a trusted proxy, if
    /// any.
    ///
    /// # Errors
    /// As [`caller`](Self::caller).
    pub(crate) async fn identified(
        &self,
        headers: &HeaderMap,
        identity: Option<&Identity>,
    ) -> Result<Caller, Problem> {
        let Some(identity) = identity else { return self.caller(headers).await };
        if !identity.is_somebody() {
            // A token gets no more rights than the proxy grants to anonymous users.
            return self.caller(headers).await.map(|caller| identity.limit(caller));
        }
        let caller = identity.caller();
        self.platform.see_user(&caller).await.map_err(|error| error.problem())?;
        Ok(caller)
    }

    /// The caller of a request: anonymous without a credential.
    ///
    /// # Errors
    /// 401 for a credential that is malformed, unknown, expired or revoked, without saying which.
    pub async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let mut credentials = headers.get_all(AUTHORIZATION).iter();
        let Some(credential) = credentials.next() else { return Ok(Caller::anonymous()) };
        if credentials.next().is_some() {
            return Err(unauthenticated());
        }
        let token = credential.to_str().ok().and_then(bearer).ok_or_else(unauthenticated)?;
        // Compares digests, so that the time taken reveals nothing about the token.
        if <[u8; 32]>::from(Sha256::digest(token)) == self.operator {
            return Ok(Caller::operator());
        }
        match self.platform.find_token(token).await {
            Ok(Some(token)) => Ok(Caller::token(&token)),
            Ok(None) => Err(unauthenticated()),
            Err(error) => Err(error.problem()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Credentials {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let mut headers = HeaderMap::new();
        for credential in parts.headers.get_all(AUTHORIZATION) {
            headers.append(AUTHORIZATION, credential.clone());
        }
        Ok(Self { headers, identity: parts.extensions.get().cloned() })
    }
}

/// Middleware that puts the [`Caller`] of each request into its extensions.
pub async fn authenticate(
    State(auth): State<Authenticator>,
    mut request: Request,
    next: Next,
) -> Response {
    match auth.caller(request.headers()).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// The token of `Bearer <token>`; the scheme's case doesn't matter (RFC 9110, section 11.1).
fn bearer(credential: &str) -> Option<&str> {
    let (scheme, token) = credential.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

pub(crate) fn unauthenticated() -> Problem {
    let challenge = HeaderValue::from_static("Bearer realm=\"wikigrove\"");
    Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", "a valid bearer token is needed")
        .header(WWW_AUTHENTICATE, challenge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_taken_and_nothing_else() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc "), Some("abc"));
        for other in ["abc", "Basic YTpi", "Bearer", "Bearer ", ""] {
            assert_eq!(bearer(other), None, "{other:?}");
        }
    }
}
