//! Requests to a router, without a socket.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

/// An answer, read to its end.
#[derive(Debug)]
#[must_use]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its text.
    pub text: String,
}

impl Reply {
    /// The text of a good answer.
    #[track_caller]
    pub fn good(self) -> String {
        assert!(self.status.is_success(), "{}: {}", self.status, self.text);
        self.text
    }
}

/// Sends a request and reads the whole answer, as a server writing to a socket would: from outside
/// of the handler.
pub async fn send(router: &Router, request: Request<Body>) -> Reply {
    let response = router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.into_body().collect().await.expect("the body ends well").to_bytes();
    Reply { status, headers, text: String::from_utf8_lossy(&body).into_owned() }
}

/// GET.
pub async fn get(router: &Router, uri: &str) -> Reply {
    send(router, Request::get(uri).body(Body::empty()).expect("a request")).await
}

/// GET with a `Host`.
pub async fn get_from(router: &Router, host: &str, uri: &str) -> Reply {
    send(router, Request::get(uri).header("host", host).body(Body::empty()).expect("a request"))
        .await
}

/// PUT of a new page: `If-None-Match: *`.
pub async fn put_new(router: &Router, uri: &str, text: &str) -> Reply {
    let request = Request::put(uri).header("if-none-match", "*").body(text.to_owned().into());
    send(router, request.expect("a request")).await
}
