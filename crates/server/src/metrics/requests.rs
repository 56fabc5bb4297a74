//! Metrics of HTTP requests: their number, routes and durations.
//!
//! The series of a route are looked up once and then kept with the route ([`Route`]), since a lookup in a family takes
//! a lock that all requests share. The route that handles a request records itself in a cell that belongs to the
//! request ([`Reached`]), so that it is also known for a request that timed out, panicked or was cancelled.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::Request;
use http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use tower_layer::Layer;
use tower_service::Service;

/// Histogram buckets for durations, in seconds: a cached page takes less than the first, and a request's deadline is
/// the last.
const SECONDS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 60.0];

/// The methods that have a label value of their own.
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];

/// The route label of a request that reached no route: it was refused, or the path is unknown.
const NO_ROUTE: &str = "none";

/// The code label of a request whose client disconnected before the response.
const ABANDONED: &str = "abandoned";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    listener: &'static str,
    method: &'static str,
    route: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    #[prometheus(flatten)]
    asked: Asked,
    code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct At {
    listener: &'static str,
}

/// The metrics of all listeners.
#[derive(Clone)]
pub(super) struct Families {
    answers: Family<Answered, Counter>,
    durations: Family<Asked, Histogram, fn() -> Histogram>,
    in_flight: Family<At, Gauge>,
}

impl Families {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let families = Self {
            answers: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            in_flight: Family::default(),
        };
        registry.register(
            "http_requests",
            "Requests that ended, by the status of the answer; abandoned: the client left before there \
             was one. The route is a template, or none where a request got to no route",
            families.answers.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "Time from the head of a request to the head of its answer; what is streamed after that \
             (clones, downloads, events) isn't in it",
            Unit::Seconds,
            families.durations.clone(),
        );
        registry.register(
            "http_requests_in_flight",
            "Requests that have no answer yet",
            families.in_flight.clone(),
        );
        families
    }

    pub(super) fn listener(&self, name: &'static str) -> Requests {
        let in_flight = self.in_flight.get_or_create_owned(&At { listener: name });
        let elsewhere = Route::new(self, name, NO_ROUTE);
        Requests(Arc::new(Listener { name, families: self.clone(), in_flight, elsewhere }))
    }
}

/// Counts the requests of one listener. Cheap to clone.
#[derive(Clone)]
pub struct Requests(Arc<Listener>);

struct Listener {
    name: &'static str,
    families: Families,
    in_flight: Gauge,
    /// For requests that reach no route.
    elsewhere: Route,
}

impl std::fmt::Debug for Requests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Requests").field("listener", &self.0.name).finish_non_exhaustive()
    }
}

impl Requests {
    /// A route of this listener, by its template.
    pub(crate) fn route(&self, template: &str) -> Arc<Route> {
        Arc::new(Route::new(&self.0.families, self.0.name, template))
    }

    /// Records the start of a request.
    pub(crate) fn begin(&self, method: &Method) -> Asking {
        self.0.in_flight.inc();
        Asking { requests: self.clone(), method: number(method), reached: Reached::default() }
    }
}

/// A request in progress. It ends when this is dropped.
pub(crate) struct Asking {
    requests: Requests,
    method: usize,
    reached: Reached,
}

impl Asking {
    /// The cell in which the route records itself.
    pub(crate) fn reached(&self) -> Reached {
        self.reached.clone()
    }

    /// Counts the response; `None` if the client disconnected before it.
    pub(crate) fn answered(&self, status: Option<StatusCode>, took: Duration) {
        let Reached(place) = &self.reached;
        let route = place.get().map_or(&self.requests.0.elsewhere, |route| &**route);
        route.answered(self.method, status, took);
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.requests.0.in_flight.dec();
    }
}

/// The cell for the route of one request.
#[derive(Clone, Default)]
pub(crate) struct Reached(Arc<OnceLock<Arc<Route>>>);

/// A route with the series of its requests.
pub(crate) struct Route {
    families: Families,
    listener: &'static str,
    template: Arc<str>,
    by_method: [OnceLock<Series>; METHODS.len()],
}

struct Series {
    asked: Asked,
    duration: Histogram,
    /// A short list, as a route has few different status codes.
    answers: RwLock<Vec<(Option<StatusCode>, Counter)>>,
}

impl Route {
    fn new(families: &Families, listener: &'static str, template: &str) -> Self {
        let (families, by_method) = (families.clone(), Default::default());
        Self { families, listener, template: template.into(), by_method }
    }

    fn answered(&self, method: usize, status: Option<StatusCode>, took: Duration) {
        let series = self.by_method[method].get_or_init(|| {
            let (listener, route) = (self.listener, self.template.clone());
            let asked = Asked { listener, method: METHODS[method], route };
            let duration = self.families.durations.get_or_create_owned(&asked);
            Series { asked, duration, answers: RwLock::default() }
        });
        if status.is_some() {
            series.duration.observe(took.as_secs_f64());
        }
        series.count(&self.families, status);
    }
}

impl Series {
    fn count(&self, families: &Families, status: Option<StatusCode>) {
        let known = self.answers.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, counter)) = known.iter().find(|(of, _)| *of == status) {
            counter.inc();
            return;
        }
        drop(known);
        let code = status.map_or(ABANDONED.to_owned(), |status| status.as_str().to_owned());
        let answered = Answered { asked: self.asked.clone(), code };
        let counter = families.answers.get_or_create_owned(&answered);
        counter.inc();
        // Two threads that find it missing at once add the same counter twice, which is harmless.
        self.answers.write().unwrap_or_else(PoisonError::into_inner).push((status, counter));
    }
}

fn number(method: &Method) -> usize {
    let known = METHODS.iter().position(|name| *name == method.as_str());
    known.unwrap_or(METHODS.len() - 1)
}

/// A layer that records the route of each request.
#[derive(Clone)]
pub(crate) struct Mark(pub(crate) Arc<Route>);

impl<S> Layer<S> for Mark {
    type Service = Marking<S>;

    fn layer(&self, inner: S) -> Marking<S> {
        Marking { inner, route: self.0.clone() }
    }
}

/// A route's handlers, wrapped by [`Mark`].
#[derive(Clone)]
pub(crate) struct Marking<S> {
    inner: S,
    route: Arc<Route>,
}

impl<S: Service<Request>> Service<Request> for Marking<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> S::Future {
        if let Some(Reached(place)) = request.extensions().get() {
            // A request reaches only one route.
            let _ = place.set(self.route.clone());
        }
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use futures_util::FutureExt as _;
    use prometheus_client::encoding::text::encode;
    use tower::ServiceExt as _;

    use super::*;
    use crate::guard::{Needs, Routes};
    use crate::limits::{ByteBudget, HttpLimits};
    use crate::middleware::{Browsers, stack};

    fn counted() -> (Registry, axum::Router) {
        let mut registry = Registry::default();
        let requests = Families::registered(&mut registry).listener("test");
        let routes = Routes::new()
            .plain(Needs::NOBODY, "/ok/{*rest}", get(|| async {}))
            .plain(Needs::NOBODY, "/slow/{id}", get(std::future::pending::<()>))
            .plain(Needs::NOBODY, "/panic", get(|| async { panic!("at the disco") as &str }))
            .counted(&requests, "/base");
        let limits = HttpLimits::default();
        let router = stack(
            routes.router(),
            &limits,
            &ByteBudget::new(&limits),
            &Browsers::default(),
            &requests,
        );
        (registry, router)
    }

    fn request(method: &str, path: &str) -> Request {
        Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
    }

    /// The lines of a metric, without its name.
    fn lines(registry: &Registry, name: &str) -> Vec<String> {
        let mut text = String::new();
        encode(&mut text, registry).unwrap();
        let mut lines: Vec<_> =
            text.lines().filter_map(|line| line.strip_prefix(name)).map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_counted_once_at_the_route_it_got_to_however_it_ends() {
        let (registry, router) = counted();
        for (method, path) in [
            ("GET", "/ok/a/b"),
            ("HEAD", "/ok/c"),
            ("BREW", "/ok/d"),
            ("GET", "/slow/1"),
            ("GET", "/panic"),
            ("GET", "/nowhere"),
            ("TRACE", "/ok/e"),
        ] {
            router.clone().oneshot(request(method, path)).await.unwrap();
        }
        // A client disconnects.
        let mut left = Box::pin(router.clone().oneshot(request("GET", "/slow/2")));
        assert!(left.as_mut().now_or_never().is_none());
        assert_eq!(lines(&registry, "http_requests_in_flight"), ["{listener=\"test\"} 1"]);
        drop(left);

        let series = |method: &str, route: &str, code: &str| {
            format!("{{listener=\"test\",method=\"{method}\",route=\"{route}\",code=\"{code}\"}} 1")
        };
        let mut expected = vec![
            series("GET", "/base/ok/{rest}", "200"),
            series("HEAD", "/base/ok/{rest}", "200"),
            series("other", "/base/ok/{rest}", "405"),
            series("GET", "/base/slow/{id}", "503"),
            series("GET", "/base/panic", "500"),
            series("GET", "none", "404"),
            series("other", "none", "405"),
            series("GET", "/base/slow/{id}", "abandoned"),
        ];
        expected.sort_unstable();
        assert_eq!(lines(&registry, "http_requests_total"), expected);
        assert_eq!(lines(&registry, "http_requests_in_flight"), ["{listener=\"test\"} 0"]);
        // The disconnected client got no response.
        let slow = "{listener=\"test\",method=\"GET\",route=\"/base/slow/{id}\"} 1";
        let answered = lines(&registry, "http_request_duration_seconds_count");
        assert!(answered.contains(&slow.to_owned()), "{answered:?}");
    }
}
