//! Catches panics in handlers, which fail only their own request.

use std::any::Any;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use tower_service::Service;
use wikigrove_tenant::problem::Problem;

/// Runs the handler; a panic becomes a 500 response and a log line.
///
/// The unwind-safety assertion holds because nothing that the handler borrowed is used afterwards, and
/// locks that it shared are poisoned or recover.
pub(super) async fn caught<S>(mut inner: S, request: Request) -> Response
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    let handled = async move {
        let Ok(response) = inner.call(request).await;
        response
    };
    match AssertUnwindSafe(handled).catch_unwind().await {
        Ok(response) => response,
        Err(payload) => Problem::internal(&Panicked(message(&*payload))).into_response(),
    }
}

#[derive(Debug)]
struct Panicked(String);

impl std::fmt::Display for Panicked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the handler panicked: {}", self.0)
    }
}

impl std::error::Error for Panicked {}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
        .to_owned()
}
