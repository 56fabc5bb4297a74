//! Processing common to all requests and responses, on every route.
//!
//! It is one service instead of a stack of layers: axum boxes the service and its future once per layer,
//! and clones the service with everything below it for each request and layer, which would cost more
//! than serving a page from the cache.

mod browsers;
mod headers;
mod origin;
mod panic;
mod reject;
mod request_id;
mod timeout;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::Method;
use http_body::Body as _;
use tower_service::Service;
use tracing::Instrument as _;
use wikigrove_tenant::problem::Problem;

use crate::extract::{IsSecure, JsonLimit};
use crate::limits::{ByteBudget, HttpLimits, Receiving, tied};
use crate::metrics::Requests;

pub use browsers::Browsers;
pub use origin::{NoOrigin, Origin};
use request_id::Line;
pub use request_id::RequestId;

/// Wraps `inner` in the processing common to all requests. Routes that are added to the result
/// afterwards bypass it, so call this last.
pub fn stack<S>(
    inner: S,
    limits: &HttpLimits,
    budget: &ByteBudget,
    browsers: &Browsers,
    requests: &Requests,
) -> Router
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    // Wrap the router as a whole, and not each of its routes as `Router::layer` does: cloning a router
    // increments a reference count, cloning a route copies it.
    Router::new().fallback_service(Front {
        inner,
        limits: *limits,
        budget: budget.clone(),
        browsers: Arc::new(browsers.clone()),
        requests: requests.clone(),
    })
}

#[derive(Clone)]
struct Front<S> {
    inner: S,
    limits: HttpLimits,
    budget: ByteBudget,
    browsers: Arc<Browsers>,
    requests: Requests,
}

impl<S> Service<Request> for Front<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // Call the service that was polled; its clone serves the next request.
        let next = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, next);
        // The outermost layer, so that all log lines and responses below carry the request id.
        let id = RequestId::of(request.headers());
        let span = request_id::span(&request, &id);
        let line = Line::start(self.requests.begin(request.method()));
        let (limits, browsers) = (self.limits, self.browsers.clone());
        // The budget is for bodies, which most requests lack.
        let receiving = (!request.body().is_end_stream()).then(|| Receiving::new(&self.budget));
        let answered =
            async move { Ok(answer(inner, request, id, line, limits, receiving, &browsers).await) };
        Box::pin(answered.instrument(span))
    }
}

async fn answer<S>(
    inner: S,
    mut request: Request,
    id: RequestId,
    line: Line,
    limits: HttpLimits,
    receiving: Option<Receiving>,
    browsers: &Browsers,
) -> Response
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    let head_only = request.method() == Method::HEAD;
    let guest = browsers.guest(request.headers());
    let mut response = match reject::refusal(&request).or_else(|| browsers.answer(&request)) {
        // Refused before any handler, so that handlers needn't guard against path traversal.
        Some(refusal) => refusal,
        None => {
            request.extensions_mut().insert(id.clone());
            request.extensions_mut().insert(JsonLimit(limits.json_bytes));
            request.extensions_mut().insert(line.reached());
            request.extensions_mut().insert(IsSecure(browsers.is_secure()));
            if let Some(receiving) = &receiving {
                request.extensions_mut().insert(receiving.clone());
            }
            let (request, upload) = timeout::watch(request);
            // Catch panics inside the timeout, where the future that panicked is dropped.
            timeout::within(&limits, upload, panic::caught(inner, request)).await
        }
    };
    // After everything that can respond, so that every response has these headers.
    headers::complete(&mut response, &id, browsers);
    browsers.open(&mut response, guest);
    name_problem(&mut response, &id, head_only);
    line.finish(response.status());
    tied(response)
}

/// Rewrites an error with the request's id. Writes a problem for errors without a body, such as axum's
/// own 404 and 405.
fn name_problem(response: &mut Response, id: &RequestId, head_only: bool) {
    let problem = match response.extensions().get::<Problem>() {
        Some(problem) => problem.clone(),
        None => match headers::bare_error(response) {
            Some(problem) => problem,
            None => return,
        },
    };
    problem.write_to(response, Some(id.as_str()));
    if head_only {
        // A HEAD response keeps the headers, including the content length.
        *response.body_mut() = Body::empty();
    }
}

#[cfg(test)]
mod tests;
