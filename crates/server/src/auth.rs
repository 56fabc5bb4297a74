//! Who asks: bearer tokens, and users that a trusted proxy names.

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

/// Recognises callers by what they send. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Authenticator {
    platform: Platform,
    operator: [u8; 32],
    proxies: Arc<Proxies>,
}

/// Where the client of a request is: the peer of its connection, or what a trusted proxy says. For
/// logs, limits and the audit log; nobody has a right by where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub Option<IpAddr>);

impl ClientAddress {
    /// The client of a request, which is its peer where no proxy is looked for.
    pub fn of(extensions: &http::Extensions) -> Option<IpAddr> {
        match extensions.get::<Self>() {
            Some(Self(address)) => *address,
            None => Peer::of(extensions).and_then(Peer::address),
        }
    }
}

/// What a request shows of who sent it, to be looked at again for as long as its answer lasts.
#[derive(Clone)]
pub(crate) struct Credentials {
    headers: HeaderMap,
    identity: Option<Identity>,
}

impl Authenticator {
    /// Knows the tokens of the platform, and the operator's own.
    pub fn new(platform: Platform, operator_token: &str) -> Self {
        let operator = Sha256::digest(operator_token).into();
        Self { platform, operator, proxies: Arc::default() }
    }

    /// Believes these proxies.
    #[must_use]
    pub fn behind(self, proxies: Proxies) -> Self {
        Self { proxies: Arc::new(proxies), ..self }
    }

    /// Takes what only a proxy may say out of a request, and notes where its client is and who the
    /// proxy says it is.
    ///
    /// # Errors
    /// 400 for what a trusted proxy says in a way that can be read twice, or beside a token.
    pub(crate) fn admit(&self, request: &mut Request) -> Result<(), Problem> {
        if !self.proxies.is_configured() {
            // The client is the peer, and nobody says more.
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
                // Two who ask at once: neither may lend the other its rights.
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

    /// Who shows these now.
    ///
    /// # Errors
    /// As [`caller`](Self::caller).
    pub(crate) async fn holder(&self, credentials: &Credentials) -> Result<Caller, Problem> {
        let Credentials { headers, identity } = credentials;
        self.identified(headers, identity.as_ref()).await
    }

    /// Who asks with these headers, in the words of a trusted proxy if it said any.
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
            // Whatever token there is may do no more than the proxy lets anybody do.
            return self.caller(headers).await.map(|caller| identity.limit(caller));
        }
        let caller = identity.caller();
        self.platform.see_user(&caller).await.map_err(|error| error.problem())?;
        Ok(caller)
    }

    /// The caller of a request: anonymous without a credential.
    ///
    /// # Errors
    /// 401 for a credential that is malformed, unknown, expired or revoked; they all look alike.
    pub async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let mut credentials = headers.get_all(AUTHORIZATION).iter();
        let Some(credential) = credentials.next() else { return Ok(Caller::anonymous()) };
        if credentials.next().is_some() {
            return Err(unauthenticated());
        }
        let token = credential.to_str().ok().and_then(bearer).ok_or_else(unauthenticated)?;
        // Digests are compared, so how long it takes says nothing about the token.
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
