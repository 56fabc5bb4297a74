//! Who asks: bearer tokens.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use sha2::{Digest as _, Sha256};
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Caller, Platform};

/// Recognises callers by what they send. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Authenticator {
    platform: Platform,
    operator: [u8; 32],
}

impl Authenticator {
    /// Knows the tokens of the platform, and the operator's own.
    pub fn new(platform: Platform, operator_token: &str) -> Self {
        Self { platform, operator: Sha256::digest(operator_token).into() }
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
