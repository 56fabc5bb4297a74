//! Dispatch of the public listener's requests to a wiki's API, its git endpoint or its HTML view.
//!
//! This is one service instead of router layers, for the reason given in [`crate::middleware`].

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, StatusCode, Uri};
use tower_service::Service;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Caller, ContextService, Error, TenantId, Wiki};

use super::answering::Answering;
use super::{SharedHost, host};
use crate::auth::proxy::Identity;
use crate::auth::{Authenticator, ClientAddress};
use crate::git::{self, GIT};
use crate::hooks::HOOKS;
use crate::limits::{ByteBudget, HttpLimits, Place, Places, Principal, Rate};
use crate::metrics::Requests;
use crate::middleware::RequestId;
use crate::sync::runner::Remotes;
use crate::view;
use crate::wiki::pages::answer::prefers;
use crate::wiki::{self, API, Common};

/// Path prefix of wikis on a shared host.
const BASE: &str = "/w/";
/// Path prefixes below a wiki's base that serve programs; all other paths serve browsers.
const PROGRAMS: [&str; 2] = ["/api/", "/git/"];
/// Path of the OpenAPI document, on every host.
const DOCUMENT: &str = "/openapi.json";

/// Serves all wikis, by path and by host.
pub(super) struct Wikis {
    pub(super) auth: Authenticator,
    pub(super) budget: ByteBudget,
    pub(super) rate: Option<Rate<Principal>>,
    pub(super) shared: SharedHost,
    pub(super) by_path: ContextService<Below>,
    pub(super) own_host: ContextService<Below>,
    /// Routes that belong to no wiki.
    pub(super) others: Router,
}

impl Wikis {
    async fn answer(&self, request: Request) -> Response {
        let path = request.uri().path();
        if path == DOCUMENT || path.starts_with(HOOKS) {
            return self.for_no_wiki(request).await;
        }
        let below = below_base(path, path.starts_with(BASE)).unwrap_or_default();
        if is_for_git(below) {
            return self.for_git(request).await;
        }
        if is_for_programs(below) || !prefers(request.headers(), "text/html") {
            return self.of_wiki(request).await;
        }
        let base = path[..path.len() - below.len()].to_owned();
        let id = request.extensions().get::<RequestId>().cloned();
        let head_only = request.method() == Method::HEAD;
        let response = self.of_wiki(request).await;
        let id = id.as_ref().map_or("", RequestId::as_str);
        let mut response = view::for_browsers(response, &base, id);
        if head_only {
            // A HEAD response keeps the headers, including the content length.
            *response.body_mut() = Body::empty();
        }
        response
    }

    /// Serves a request that needs no credentials. It counts towards the rate limit of its address.
    async fn for_no_wiki(&self, mut request: Request) -> Response {
        if let Err(problem) = self.auth.admit(&mut request) {
            return problem.into_response();
        }
        let client = ClientAddress::of(request.extensions());
        if let Some(rate) = &self.rate
            && let Err(problem) = rate.take(Principal::of(None, client))
        {
            return problem.into_response();
        }
        let Ok(response) = self.others.clone().call(request).await;
        response
    }

    /// Serves a git request: accepts credentials as Basic authentication, and reports errors as plain
    /// text.
    async fn for_git(&self, mut request: Request) -> Response {
        git::with_bearer(request.headers_mut());
        let (response, is_anonymous) = match self.identify(&mut request).await {
            Ok(caller) => (self.for_caller(request, &caller).await, caller.is_anonymous()),
            Err(problem) => (problem.into_response(), true),
        };
        git::in_plain_words(response, is_anonymous)
    }

    async fn of_wiki(&self, mut request: Request) -> Response {
        match self.identify(&mut request).await {
            Ok(caller) => self.for_caller(request, &caller).await,
            Err(problem) => problem.into_response(),
        }
    }

    /// Authenticates the caller.
    ///
    /// # Errors
    /// 401 or 400 for bad credentials; 429 if the rate limit is exceeded.
    async fn identify(&self, request: &mut Request) -> Result<Caller, Problem> {
        self.auth.admit(request)?;
        let identity = request.extensions().get::<Identity>().cloned();
        let client = ClientAddress::of(request.extensions());
        let identified = self.auth.identified(request.headers(), identity.as_ref()).await;
        if let Some(rate) = &self.rate {
            // Failed credentials count towards the rate limit of the client's address.
            rate.take(Principal::of(identified.as_ref().ok(), client))?;
        }
        identified.map(|caller| caller.at(client))
    }

    async fn for_caller(&self, mut request: Request, caller: &Caller) -> Response {
        let path = request.uri().path();
        let (is_by_path, is_for_programs) = (path.starts_with(BASE), is_for_programs(path));
        let (version, client) = (request.version(), ClientAddress::of(request.extensions()));
        request.extensions_mut().insert(caller.clone());
        // Long-lived responses check the credentials again.
        request.extensions_mut().insert(self.auth.clone());
        let is_shared = self.shared.serves(&request);
        let answered = if !is_by_path {
            self.own_host.clone().call(request).await
        } else if is_shared {
            self.by_path.clone().call(request).await
        } else {
            let host = host(&request);
            tracing::info!(host, "a request for a host that serves no wikis by path");
            return Error::UnknownWiki.into_response();
        };
        let Ok(response) = answered;
        if !is_by_path && is_shared && !is_for_programs && is_unknown_wiki(&response) {
            // No wiki has this host for its own, so the request didn't name a wiki.
            return nothing_here().into_response();
        }
        let principal = || Principal::of(Some(caller), client);
        self.budget.settle(response.map(Body::new), version, principal)
    }
}

fn is_for_programs(below: &str) -> bool {
    PROGRAMS.iter().any(|start| below.starts_with(start))
}

fn is_for_git(below: &str) -> bool {
    below.strip_prefix(GIT).is_some_and(|rest| rest.starts_with('/'))
}

fn is_unknown_wiki<B>(response: &http::Response<B>) -> bool {
    let problem = response.extensions().get::<Problem>();
    problem.is_some_and(|problem| problem.code() == Error::UnknownWiki.code())
}

fn nothing_here() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here")
}

/// [`Wikis`] as a tower service.
#[derive(Clone)]
pub(super) struct Shared(pub(super) Arc<Wikis>);

impl Service<Request> for Shared {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let wikis = self.0.clone();
        Box::pin(async move { Ok(wikis.answer(request).await) })
    }
}

/// The routes of a wiki below its base. `OriginalUri` keeps the requested URI.
///
/// Strips the base and the API prefix once. Nested routers would strip each of them separately, and add
/// something to clone for each of their routes.
#[derive(Clone)]
pub(super) struct Below {
    has_slug: bool,
    api: Router,
    git: Router,
    view: Router,
    /// The base itself without a trailing slash.
    bare: Router,
    /// Answers unknown paths of programs.
    nothing: Router,
    places: Arc<Places>,
    rate: Option<Arc<Rate<TenantId>>>,
    /// Remotes, which a read may cause to run.
    remotes: Remotes,
}

impl Below {
    /// The routes below `/w/{slug}`.
    pub(super) fn slug(
        common: &Common,
        limits: &HttpLimits,
        remotes: &Remotes,
        requests: &Requests,
    ) -> Self {
        Self {
            has_slug: true,
            api: wiki::api(common.clone())
                .audited_at_most(limits.audited_per_hour.map(Rate::hourly).map(Arc::new).as_ref())
                .counted(requests, API)
                .router(),
            git: common.git.clone(),
            view: view::routes(&common.rendering).counted(requests, "").router(),
            bare: view::without_slash().counted(requests, "").router(),
            nothing: Router::new(),
            places: Arc::new(Places::new(limits.in_flight_per_wiki)),
            rate: limits.rate_per_wiki.map(|rate| Arc::new(Rate::new(rate))),
            remotes: remotes.clone(),
        }
    }

    /// The routes on a wiki's own host, sharing the limits with `/w/{slug}`.
    pub(super) fn on_host(&self) -> Self {
        Self { has_slug: false, ..self.clone() }
    }

    /// Takes a permit for a request to this wiki, within its rate limit.
    fn enter(&self, wiki: TenantId) -> Result<Place, Problem> {
        if let Some(rate) = &self.rate {
            rate.take(wiki)?;
        }
        self.places.enter(wiki)
    }
}

impl Service<Request> for Below {
    type Response = Response;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        <Router as Service<Request>>::poll_ready(&mut self.api, context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        // A request without access takes no permit. A missing wiki has no permits, so taking one would
        // reveal that the wiki exists.
        let inside = request.extensions().get().map(Wiki::id);
        if let Some(wiki) = inside.filter(|_| request.method() == Method::GET) {
            self.remotes.read(wiki);
        }
        let place = match inside.map(|wiki| self.enter(wiki)) {
            Some(Ok(place)) => Some(place),
            Some(Err(problem)) => return Answering::refused(&problem),
            None => None,
        };
        let path = request.uri().path();
        let Some(below) = below_base(path, self.has_slug) else {
            return Answering::new(self.bare.call(request), place);
        };
        let below_of =
            |start| below.strip_prefix(start).filter(|rest: &&str| rest.starts_with('/'));
        let (router, rest) = match (below_of(API), below_of(GIT)) {
            (Some(rest), _) => (&mut self.api, rest),
            (None, Some(rest)) => (&mut self.git, rest),
            (None, None) if is_for_programs(below) => (&mut self.nothing, below),
            (None, None) => (&mut self.view, below),
        };
        let taken_off = path.len() - rest.len();
        if let Some(uri) = without(request.uri(), taken_off) {
            *request.uri_mut() = uri;
        }
        Answering::new(router.call(request), place)
    }
}

/// The rest of a path after `/w/{slug}`.
fn below_base(path: &str, has_slug: bool) -> Option<&str> {
    if !has_slug {
        return Some(path);
    }
    let slug = path.strip_prefix(BASE)?;
    slug.find('/').map(|end| &slug[end..])
}

/// Returns `true` for the acceptance of an invitation, which is allowed before the user can see the
/// wiki.
pub(super) fn is_acceptance(parts: &Parts, has_slug: bool) -> bool {
    let below = below_base(parts.uri.path(), has_slug).and_then(|below| below.strip_prefix(API));
    parts.method == Method::POST && below == Some(wiki::invitations::ACCEPT)
}

/// The URI without the first bytes of its path. The host is dropped; it has been checked before.
fn without(uri: &Uri, first: usize) -> Option<Uri> {
    let whole = uri.path_and_query()?.as_str();
    PathAndQuery::try_from(whole.get(first..)?).ok().map(Uri::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_the_base_keeps_its_encoding_and_query() {
        let below = |uri: &str| {
            let uri: Uri = uri.parse().unwrap();
            let path = below_base(uri.path(), true)?;
            without(&uri, uri.path().len() - path.len()).map(|uri| uri.to_string())
        };
        assert_eq!(below("/w/a/pages/x%20y?at=1").as_deref(), Some("/pages/x%20y?at=1"));
        assert_eq!(below("http://host:80/w/a/").as_deref(), Some("/"));
        assert_eq!(below("/w/a//b").as_deref(), Some("//b"));
        assert_eq!(below("/w/a/w/b/c").as_deref(), Some("/w/b/c"));
        for other in ["/w/a", "/w/a?x=/", "/w", "/other/a/b"] {
            assert_eq!(below(other), None, "{other}");
        }
    }
}
