//! Extracts page paths from a request's raw path.
//!
//! axum's own `Path` decodes `%2F` into a slash, which would give one page the two addresses `a%2Fb` and
//! `a/b`. Here a slash must be literal.

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{StatusCode, Uri};
use wikigrove_tenant::problem::Problem;

use super::percent;

/// Path prefix of every wiki's API, below the wiki's base.
const API: &str = "/api/v1/";

/// The path after the collection in `/api/v1/{collection}/{path}`, decoded once: `a/b` of
/// `/api/v1/pages/a/b`. It is the client's text; storage decides whether it is a valid page path.
///
/// It uses the URI as the router sees it, and so works below any prefix that outer routers strip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail(pub String);

impl<S: Sync> FromRequestParts<S> for Tail {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let path = parts.uri.path();
        let path = path.strip_prefix(API).or_else(|| path.strip_prefix('/')).unwrap_or(path);
        let (_, tail) = path.split_once('/').unwrap_or((path, ""));
        decode(tail).map(Self)
    }
}

/// The last segment of the path, decoded once. For names with any characters, including slashes, which
/// are written as `%2F`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment(pub String);

impl<S: Sync> FromRequestParts<S> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let path = parts.uri.path();
        let (_, last) = path.rsplit_once('/').unwrap_or(("", path));
        percent::decode(last, "the path").map(|segment| Self(segment.into_owned()))
    }
}

/// The path after the first `marker`, such as `/git/`, decoded once; `None` without the marker.
///
/// # Errors
/// As [`decode`].
pub fn after(uri: &Uri, marker: &str) -> Result<Option<String>, Problem> {
    uri.path().split_once(marker).map(|(_, tail)| decode(tail)).transpose()
}

/// Decodes a raw URI path.
///
/// # Errors
/// 422 `invalid_path` for an encoded slash; 400 `invalid_encoding` for a `%` without two hexadecimal
/// digits; 400 `invalid_utf8` if the decoded path isn't UTF-8.
pub fn decode(raw: &str) -> Result<String, Problem> {
    if raw.as_bytes().windows(3).any(|three| three.eq_ignore_ascii_case(b"%2f")) {
        let detail = "a slash in a path is written as it is, not as %2F";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_path", detail));
    }
    percent::decode(raw, "the path").map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use http::Request;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    async fn tail(path: &str) -> Result<String, String> {
        let wiki =
            Router::new().route("/api/v1/pages/{*path}", get(|Tail(path): Tail| async { path }));
        let app = Router::new().nest("/w/{slug}", wiki.clone()).fallback_service(wiki);
        let response = app.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        if let Some(problem) = response.extensions().get::<Problem>() {
            return Err(format!("{} {}", problem.status().as_u16(), problem.code()));
        }
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Ok(String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_tail_is_the_same_nested_and_on_a_host_of_its_own() {
        for base in ["", "/w/garden"] {
            assert_eq!(tail(&format!("{base}/api/v1/pages/a/b")).await.as_deref(), Ok("a/b"));
            // A page may have the same name as the API.
            assert_eq!(
                tail(&format!("{base}/api/v1/pages/api/v1/pages/x")).await.as_deref(),
                Ok("api/v1/pages/x")
            );
        }
    }

    #[tokio::test]
    async fn a_path_is_decoded_once() {
        assert_eq!(tail("/api/v1/pages/Gr%C3%BC%C3%9fe%20x").await.as_deref(), Ok("Grüße x"));
        assert_eq!(tail("/api/v1/pages/a%2541").await.as_deref(), Ok("a%41"));
        assert_eq!(tail("/api/v1/pages/a%252Fb").await.as_deref(), Ok("a%2Fb"));
        assert_eq!(tail("/api/v1/pages/a+b;c=1").await.as_deref(), Ok("a+b;c=1"));
    }

    #[test]
    fn what_cannot_be_decoded_is_named() {
        let refused =
            |raw| decode(raw).map_err(|problem| (problem.status().as_u16(), problem.code()));
        assert_eq!(refused("a%2Fb"), Err((422, "invalid_path")));
        assert_eq!(refused("a%2fb"), Err((422, "invalid_path")));
        for raw in ["%", "a%4", "%zz", "%%41", "%4g"] {
            assert_eq!(refused(raw), Err((400, "invalid_encoding")), "{raw}");
        }
        for raw in ["%ff", "%C0%AF", "%ED%A0%80", "a%C3"] {
            assert_eq!(refused(raw), Err((400, "invalid_utf8")), "{raw}");
        }
    }

    #[test]
    fn any_marker_can_be_looked_for() {
        let uri: Uri = "/w/x/git/info/refs?service=y".parse().unwrap();
        assert_eq!(after(&uri, "/git/").unwrap().as_deref(), Some("info/refs"));
        assert_eq!(after(&uri, "/none/").unwrap(), None);
    }
}
