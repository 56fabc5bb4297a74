//! The response future of a wiki, which holds the request's permit until the response has been sent.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse as _, Response};
use axum::routing::future::RouteFuture;
use http_body::{Body as _, Frame, SizeHint};
use pin_project_lite::pin_project;
use wikigrove_tenant::problem::Problem;

use crate::limits::Place;
use crate::serve::Endless;

/// Maximum size of a response that doesn't hold its permit while it is sent, in bytes.
const SMALL: u64 = 64 * 1024;

pin_project! {
    /// The response of a router, or a refusal because there is no permit.
    #[project = AnsweringProjection]
    pub(super) enum Answering {
        Route { #[pin] answer: RouteFuture<Infallible>, place: Option<Place> },
        Refused { answer: Option<Response> },
    }
}

impl Answering {
    pub(super) fn new(answer: RouteFuture<Infallible>, place: Option<Place>) -> Self {
        Self::Route { answer, place }
    }

    pub(super) fn refused(problem: &Problem) -> Self {
        Self::Refused { answer: Some(problem.clone().into_response()) }
    }
}

impl Future for Answering {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            AnsweringProjection::Route { answer, place } => {
                let Ok(response) = ready!(answer.poll(context));
                Poll::Ready(Ok(holding(response, place.take())))
            }
            AnsweringProjection::Refused { answer } => match answer.take() {
                Some(response) => Poll::Ready(Ok(response)),
                None => Poll::Pending,
            },
        }
    }
}

/// Holds the permit until the body has been sent. Small bodies release it at once, since they are in
/// memory and take a moment; endless event streams have a limit of their own.
fn holding(response: Response, place: Option<Place>) -> Response {
    let Some(place) = place else { return response };
    let is_small = response.body().size_hint().exact().is_some_and(|size| size <= SMALL);
    if is_small || response.extensions().get::<Endless>().is_some() {
        return response;
    }
    response.map(|body| Body::new(Held { body, _place: place }))
}

struct Held {
    body: Body,
    _place: Place,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
