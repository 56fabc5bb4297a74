//! Requests that are refused before any handler.

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::header::{ALLOW, HOST};
use http::{HeaderValue, Method, StatusCode};
use wikigrove_tenant::problem::Problem;

const METHODS: HeaderValue =
    HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// The response to a request that is refused.
pub(super) fn refusal(request: &Request) -> Option<Response> {
    let path = request.uri().path();
    match *request.method() {
        // TRACE would echo headers that a proxy added; CONNECT has no target here.
        Method::TRACE | Method::CONNECT => {
            let problem = Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "no resource has this method",
            );
            Some(problem.header(ALLOW, METHODS).into_response())
        }
        // This asks about the server as a whole, so no route can answer.
        Method::OPTIONS if path == "*" => {
            let mut response = StatusCode::NO_CONTENT.into_response();
            *response.body_mut() = Body::empty();
            response.headers_mut().insert(ALLOW, METHODS);
            Some(response)
        }
        _ if path.split('/').any(is_dots) => {
            // Refused instead of resolved: a proxy that resolves them differently has checked the
            // permissions of another wiki.
            let detail = "a path must not have the segments `.` and `..`, encoded or not";
            Some(Problem::new(StatusCode::BAD_REQUEST, "invalid_path", detail).into_response())
        }
        _ if request.headers().get_all(HOST).iter().nth(1).is_some() => {
            // RFC 9112, section 3.2. A proxy may have checked one of them while this server uses the
            // other.
            let detail = "the request has more than one Host header";
            Some(Problem::new(StatusCode::BAD_REQUEST, "invalid_host", detail).into_response())
        }
        _ => None,
    }
}

/// Returns `true` if a segment is `.` or `..`, with each dot plain or encoded as `%2e`.
fn is_dots(segment: &str) -> bool {
    let one = |text: &'_ str| -> Option<usize> {
        match text.as_bytes() {
            [b'.', ..] => Some(1),
            [b'%', b'2', b'e' | b'E', ..] => Some(3),
            _ => None,
        }
    };
    let Some(first) = one(segment) else { return false };
    let rest = &segment[first..];
    rest.is_empty() || one(rest).is_some_and(|second| rest.len() == second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(method: Method, path: &str) -> Option<u16> {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        refusal(&request).map(|response| response.status().as_u16())
    }

    /// http-001
    #[test]
    fn dot_segments_are_refused_however_they_are_written() {
        for path in [
            "/w/a/../b",
            "/..",
            "/w/.",
            "/./w",
            "/w/%2e%2e/b",
            "/w/.%2E",
            "/w/%2E./b",
            "/w/%2e",
            "/a//../b",
        ] {
            assert_eq!(status(Method::GET, path), Some(400), "{path}");
        }
    }

    #[test]
    fn other_dots_are_part_of_names() {
        for path in [
            "/",
            "/w/...",
            "/w/..a",
            "/w/.a",
            "/w/a..",
            "/w/%2e%2e%2e",
            "/w/%252e%252e",
            "/w/a?x=../y",
            "/w/%2ea",
        ] {
            assert_eq!(status(Method::GET, path), None, "{path}");
        }
    }

    #[test]
    fn two_hosts_are_refused_even_if_they_are_the_same() {
        let request = Request::get("/w/a").header(HOST, "a").header(HOST, "a");
        let refused = refusal(&request.body(Body::empty()).unwrap());
        assert_eq!(refused.map(|response| response.status().as_u16()), Some(400));
    }

    /// http-007
    #[test]
    fn trace_is_refused_and_options_answered_for_the_server_as_a_whole() {
        assert_eq!(status(Method::TRACE, "/"), Some(405));
        assert_eq!(status(Method::OPTIONS, "*"), Some(204));
        assert_eq!(status(Method::OPTIONS, "/w/a"), None);
    }
}
