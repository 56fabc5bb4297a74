//! Responses that git shows to its user, and the credentials that git sends.

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use data_encoding::BASE64;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, EXPIRES, PRAGMA, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use wikigrove_tenant::problem::Problem;

use super::service::Service;

/// Converts Basic credentials, which git sends, into a bearer token: the password is the token, and the
/// user name is ignored. All other credentials are left unchanged.
pub fn with_bearer(headers: &mut HeaderMap) {
    let mut sent = headers.get_all(AUTHORIZATION).iter();
    let (Some(credential), None) = (sent.next(), sent.next()) else { return };
    let Some(mut bearer) = bearer(credential) else { return };
    bearer.set_sensitive(true);
    headers.insert(AUTHORIZATION, bearer);
}

fn bearer(credential: &HeaderValue) -> Option<HeaderValue> {
    let (scheme, encoded) = credential.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64.decode(encoded.trim().as_bytes()).ok()?;
    let (_, token) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    HeaderValue::from_str(&format!("Bearer {token}")).ok()
}

/// Converts an error into plain text, which git prints after `remote:`. All other responses are left
/// unchanged.
///
/// Without credentials, an unknown wiki and a missing permission both become a challenge: git sends
/// credentials only after one, and an anonymous client must not learn which of the two applies.
pub fn in_plain_words(response: Response, is_anonymous: bool) -> Response {
    let Some(problem) = response.extensions().get::<Problem>().cloned() else { return response };
    let asks = match problem.status() {
        StatusCode::UNAUTHORIZED => true,
        StatusCode::FORBIDDEN => is_anonymous,
        StatusCode::NOT_FOUND => is_anonymous && problem.code() == "unknown_wiki",
        _ => false,
    };
    let (mut head, _) = problem.clone().into_response().into_parts();
    // Keep outer layers from writing the problem as JSON again.
    head.extensions.remove::<Problem>();
    head.headers.remove(CONTENT_LENGTH);
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    let detail = if asks {
        head.status = StatusCode::UNAUTHORIZED;
        let challenge = HeaderValue::from_static("Basic realm=\"wikigrove\"");
        head.headers.insert(WWW_AUTHENTICATE, challenge);
        "a token is needed: give it as the password, with any user name"
    } else {
        problem.detail()
    };
    Response::from_parts(head, Body::from(format!("{detail}\n")))
}

/// A successful response, which must not be cached.
pub(super) fn good(service: Service, of: &str, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    if let Ok(media_type) = HeaderValue::from_str(&service.media_type(of)) {
        headers.insert(CONTENT_TYPE, media_type);
    }
    // The same headers as git's own server sends, for caches of any age.
    headers.insert(EXPIRES, HeaderValue::from_static("Fri, 01 Jan 1980 00:00:00 GMT"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    let never = "no-cache, max-age=0, must-revalidate";
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(never));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(credential: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, credential.parse().unwrap());
        with_bearer(&mut headers);
        headers[AUTHORIZATION].to_str().unwrap().to_owned()
    }

    #[test]
    fn the_password_of_a_basic_credential_is_the_token() {
        let basic = |pair: &str| format!("Basic {}", BASE64.encode(pair.as_bytes()));
        assert_eq!(sent(&basic("any:s3cret")), "Bearer s3cret");
        assert_eq!(sent(&basic(":a:b")), "Bearer a:b");
        assert_eq!(sent(&basic("any:s3cret").replace("Basic", "bAsIc")), "Bearer s3cret");
        for other in ["Bearer s3cret", "Basic", "Basic !!!", &basic("s3cret"), &basic("a:\n")] {
            assert_eq!(sent(other), other);
        }
    }

    #[test]
    fn two_credentials_stay_two() {
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, "Basic YTpi".parse().unwrap());
        headers.append(AUTHORIZATION, "Bearer b".parse().unwrap());
        with_bearer(&mut headers);
        assert_eq!(headers.get_all(AUTHORIZATION).iter().count(), 2);
    }

    #[test]
    fn whoever_showed_nothing_is_asked_for_a_credential() {
        let problem = |status, code| Problem::new(status, code, "words").into_response();
        let answer = |status, code, is_anonymous| {
            let response = in_plain_words(problem(status, code), is_anonymous);
            assert!(response.extensions().get::<Problem>().is_none());
            assert_eq!(response.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
            (response.status().as_u16(), response.headers().contains_key(WWW_AUTHENTICATE))
        };
        assert_eq!(answer(StatusCode::NOT_FOUND, "unknown_wiki", true), (401, true));
        assert_eq!(answer(StatusCode::NOT_FOUND, "unknown_wiki", false), (404, false));
        assert_eq!(answer(StatusCode::NOT_FOUND, "git_disabled", true), (404, false));
        assert_eq!(answer(StatusCode::FORBIDDEN, "forbidden", true), (401, true));
        assert_eq!(answer(StatusCode::FORBIDDEN, "forbidden", false), (403, false));
        assert_eq!(answer(StatusCode::UNAUTHORIZED, "unauthenticated", false), (401, true));
        assert_eq!(answer(StatusCode::LOCKED, "wiki_suspended", true), (423, false));
    }
}
