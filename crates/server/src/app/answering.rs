//! A wiki's answer, and the place among its requests that is held until it has gone out.

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

/// What is in memory anyway, and goes out at once, in bytes.
const SMALL: u64 = 64 * 1024;

pin_project! {
    /// The answer that a router gives, or that there is no place.
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

/// Keeps the place for as long as the answer is being read, unless that is a matter of a moment; who
/// listens for ever is counted elsewhere.
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
