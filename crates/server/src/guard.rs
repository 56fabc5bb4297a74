//! Requirements of each route on its caller.
//!
//! Routes are collected in [`Routes`], which accepts no route without its [`Needs`], and can't be merged
//! with a router from elsewhere. So no route can be left unguarded, and its requirement is in the
//! OpenAPI document (`x-action`), which a test compares with the actual behaviour.
//!
//! The check runs before the body is read. It costs an axum layer on routes with a requirement of their
//! own, and nothing on those that only read a wiki, which are most: a wiki that the caller may not read
//! isn't found in the first place ([`Platform::layer`](wikigrove_tenant::Platform::layer)). A route that
//! is [counted](Routes::counted) has a smaller layer around everything, which makes no decisions and
//! costs a fifth of a microsecond.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::MethodRouter;
use http::StatusCode;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Operation, PathItem, Paths};
use utoipa::openapi::{RefOr, Schema};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Action, AuditLog, Caller, Error, Wiki, current};

use crate::auth::{ClientAddress, unauthenticated};
use crate::limits::{Principal, Rate};
use crate::metrics::{Mark, Requests, Route};
use parameters::Parameters;
use recorded::Recorder;

mod parameters;
pub(crate) mod recorded;

/// The requirement of a route on its caller, and its recording in the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    of: Of,
    /// Requires a credential, even where the wiki lets anonymous callers do this: some data is stored under
    /// the caller's subject.
    identity: bool,
    audit: Option<Audit>,
}

/// The recording of a route's calls in the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Audit {
    /// The action in the log, such as `token.create`.
    word: &'static str,
    /// The handler records the calls itself, with the [`Recorder`] in the request's extensions. For routes
    /// where only the handler can tell a guess from a real call.
    by_handler: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// The caller is authorised for this action in the request's wiki.
    Wiki(Action),
    /// The caller is the operator.
    Operator,
    /// The caller is a user, with or without rights in the wiki.
    User,
    /// No requirement.
    Nobody,
}

impl Needs {
    /// Requires the operator.
    pub(crate) const OPERATOR: Self = Self::of(Of::Operator);
    /// Requires a user, who need not be able to see the wiki.
    pub(crate) const USER: Self = Self::of(Of::User);
    /// No requirement; for routes that reveal nothing about wikis.
    pub(crate) const NOBODY: Self = Self::of(Of::Nobody);
    /// Requires permission to read the wiki.
    pub(crate) const READ: Self = Self::of(Of::Wiki(Action::Read));
    /// Requires permission to change pages and attachments.
    pub(crate) const WRITE: Self = Self::of(Of::Wiki(Action::Write));
    /// Requires permission to read the settings.
    pub(crate) const INSPECT: Self = Self::of(Of::Wiki(Action::Inspect));
    /// Requires permission to change the settings.
    pub(crate) const ADMINISTER: Self = Self::of(Of::Wiki(Action::Administer));

    const fn of(of: Of) -> Self {
        Self { of, identity: false, audit: None }
    }

    /// Refuses callers without a credential, even where the wiki allows anonymous callers to do this.
    pub(crate) const fn with_identity(self) -> Self {
        Self { identity: true, ..self }
    }

    /// Records each call in the audit log under this action: `"token.create"`.
    pub(crate) const fn audited(self, word: &'static str) -> Self {
        Self { audit: Some(Audit { word, by_handler: false }), ..self }
    }

    /// Like [`audited`](Self::audited), but the handler decides which calls are recorded.
    pub(crate) const fn audited_by_handler(self, word: &'static str) -> Self {
        Self { audit: Some(Audit { word, by_handler: true }), ..self }
    }

    /// The action's name in the OpenAPI document.
    fn word(self) -> &'static str {
        match self.of {
            Of::Wiki(Action::Read) => "read",
            Of::Wiki(Action::Write) => "write",
            Of::Wiki(Action::Inspect) => "inspect",
            Of::Wiki(Action::Administer) => "administer",
            Of::Operator => "operator",
            Of::User => "user",
            Of::Nobody => "nobody",
        }
    }

    /// Returns `true` if outer layers have already checked the requirement.
    fn is_met_by_all(self) -> bool {
        let is_met = matches!(self.of, Of::Wiki(Action::Read) | Of::Nobody);
        is_met && !self.identity && self.audit.is_none()
    }

    async fn check(self, caller: Option<&Caller>, wiki: Option<&Wiki>) -> Result<(), Problem> {
        match self.of {
            Of::Nobody => {}
            Of::User => {
                let user = caller.and_then(Caller::user_subject);
                user.ok_or_else(|| Error::IdentityRequired.problem())?;
            }
            Of::Operator => operator(caller).map(drop)?,
            Of::Wiki(action) => {
                let wiki = wiki.ok_or_else(|| Error::NoContext.problem())?;
                wiki.allow(action).await.map_err(|error| error.problem())?;
            }
        }
        let caller = wiki.map(Wiki::caller).or(caller);
        match caller.is_none_or(Caller::is_anonymous) && self.identity {
            true => Err(Error::IdentityRequired.problem()),
            false => Ok(()),
        }
    }
}

/// Returns the caller if it is the operator.
///
/// # Errors
/// 403 for another caller with a credential; 401 for an anonymous one.
pub(crate) fn operator(caller: Option<&Caller>) -> Result<Caller, Problem> {
    match caller {
        Some(caller) if caller.is_operator() => Ok(caller.clone()),
        Some(caller) if !caller.is_anonymous() => {
            let detail = "this needs the operator's token";
            Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail))
        }
        _ => Err(unauthenticated()),
    }
}

/// Routes with their requirements.
pub(crate) struct Routes<S = ()>(Vec<Guarded<S>>);

type Documentation = (Paths, Vec<(String, RefOr<Schema>)>);

struct Guarded<S> {
    guard: Guard,
    path: String,
    methods: MethodRouter<S>,
    /// `None` for routes that aren't part of the API.
    documentation: Option<Documentation>,
    /// The counter of calls.
    counted: Option<Arc<Route>>,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds handlers from `routes!` that share a path and a requirement.
    #[must_use]
    pub(crate) fn route(
        mut self,
        needs: Needs,
        (schemas, mut paths, methods): UtoipaMethodRouter<S>,
    ) -> Self {
        let path = paths.paths.keys().next().cloned().unwrap_or_default();
        let parameters = paths.paths.get(&path).map(Parameters::of).unwrap_or_default();
        for operation in paths.paths.values_mut().flat_map(operations) {
            let mut extensions = Extensions::default();
            extensions.insert("x-action".to_owned(), needs.word().into());
            if let Some(audit) = needs.audit {
                extensions.insert("x-audit".to_owned(), audit.word.into());
            }
            operation.extensions.get_or_insert_default().merge(extensions);
        }
        self.0.push(Guarded {
            guard: Guard { needs, parameters, log: None, rate: None },
            path,
            methods,
            documentation: Some((paths, schemas)),
            counted: None,
        });
        self
    }

    /// Adds a route for browsers or git, which isn't in the OpenAPI document.
    #[must_use]
    pub(crate) fn plain(mut self, needs: Needs, path: &str, methods: MethodRouter<S>) -> Self {
        self.0.push(Guarded {
            guard: Guard { needs, parameters: Parameters::default(), log: None, rate: None },
            path: path.to_owned(),
            methods,
            documentation: None,
            counted: None,
        });
        self
    }

    #[must_use]
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Changes the handlers of all routes. Layers that it adds run inside the guard.
    #[must_use]
    pub(crate) fn within(self, change: impl Fn(MethodRouter<S>) -> MethodRouter<S>) -> Self {
        let changed = |route: Guarded<S>| Guarded { methods: change(route.methods), ..route };
        Self(self.0.into_iter().map(changed).collect())
    }

    #[must_use]
    pub(crate) fn with_state<S2>(self, state: &S) -> Routes<S2> {
        let with_state = |Guarded { guard, path, methods, documentation, counted }| {
            let methods: MethodRouter<S> = methods;
            let methods = methods.with_state(state.clone());
            Guarded { guard, path, methods, documentation, counted }
        };
        Routes(self.0.into_iter().map(with_state).collect())
    }

    /// Records calls that concern no wiki in this log; calls for a wiki use the wiki's log.
    #[must_use]
    pub(crate) fn recording(mut self, log: &AuditLog) -> Self {
        self.0.iter_mut().for_each(|route| route.guard.log = Some(log.clone()));
        self
    }

    /// Limits the calls of each principal to the audited routes.
    #[must_use]
    pub(crate) fn audited_at_most(mut self, rate: Option<&Arc<Rate<Principal>>>) -> Self {
        self.0.iter_mut().for_each(|route| route.guard.rate = rate.cloned());
        self
    }

    /// Counts the calls of these routes in `requests`. `base` is put before their paths in the metrics'
    /// labels.
    #[must_use]
    pub(crate) fn counted(mut self, requests: &Requests, base: &str) -> Self {
        for route in &mut self.0 {
            // As in the OpenAPI document: axum marks parameters that may contain slashes.
            let template = format!("{base}{}", route.path).replace("{*", "{");
            route.counted = Some(requests.route(&template));
        }
        self
    }

    /// The guarded router with its documentation.
    pub(crate) fn documented(self) -> OpenApiRouter<S> {
        self.0.into_iter().fold(OpenApiRouter::new(), |router, route| {
            let methods = route.guard.around(route.methods);
            let methods = match route.counted {
                Some(counted) => methods.layer(Mark(counted)),
                None => methods,
            };
            match route.documentation {
                Some((paths, schemas)) => router.routes((schemas, paths, methods)),
                None => router.route(&route.path, methods),
            }
        })
    }

    /// The guarded router.
    pub(crate) fn router(self) -> Router<S> {
        self.documented().into()
    }
}

/// The checks of one route.
#[derive(Clone)]
struct Guard {
    needs: Needs,
    /// Query parameters of the methods that change something. A route without documentation accepts any.
    parameters: Parameters,
    /// The log for calls that concern no wiki.
    log: Option<AuditLog>,
    /// The rate limit per principal, if the route is audited.
    rate: Option<Arc<Rate<Principal>>>,
}

impl Guard {
    fn around<S: Clone + Send + Sync + 'static>(self, methods: MethodRouter<S>) -> MethodRouter<S> {
        if self.needs.is_met_by_all() && self.parameters.is_empty() {
            return methods;
        }
        let admit = move |request: Request, next: Next| self.clone().admit(request, next);
        methods.route_layer(from_fn(admit))
    }

    async fn admit(self, request: Request, next: Next) -> Response {
        match self.checked(request).await {
            Ok((request, Some(recorder))) => recorder.around(next.run(request)).await,
            Ok((request, None)) => next.run(request).await,
            Err(problem) => problem.into_response(),
        }
    }

    /// The request if its caller is authorised, with the recorder of its result.
    async fn checked(self, request: Request) -> Result<(Request, Option<Recorder>), Problem> {
        let caller: Option<Caller> = request.extensions().get().cloned();
        let wiki = request.extensions().get().cloned().or_else(|| current().ok());
        let Some(audit) = self.needs.audit else {
            self.needs.check(caller.as_ref(), wiki.as_ref()).await?;
            self.parameters.check(request.method(), request.uri())?;
            return Ok((request, None));
        };
        if let Some(rate) = &self.rate
            && !caller.as_ref().is_some_and(Caller::is_operator)
        {
            rate.take(Principal::of(caller.as_ref(), ClientAddress::of(request.extensions())))?;
        }
        let checked = self.needs.check(caller.as_ref(), wiki.as_ref()).await;
        // Anonymous callers aren't recorded, so that a flood of them can't fill the log.
        let is_nobody = caller.as_ref().is_none_or(Caller::is_anonymous);
        if let Err(problem) = &checked
            && (is_nobody || problem.status() != StatusCode::FORBIDDEN)
        {
            tracing::info!(word = audit.word, status = problem.status().as_u16(), "refused");
            return Err(problem.clone());
        }
        if checked.is_ok() {
            self.parameters.check(request.method(), request.uri())?;
        }
        let (mut parts, body) = request.into_parts();
        let recorder = Recorder::of(audit.word, self.log, wiki, caller, &mut parts).await;
        let recorder = recorder.map_err(|error| error.problem())?;
        if let Err(problem) = checked {
            recorder.refused(problem.status()).await;
            return Err(problem);
        }
        if audit.by_handler {
            parts.extensions.insert(recorder);
            return Ok((Request::from_parts(parts, body), None));
        }
        Ok((Request::from_parts(parts, body), Some(recorder)))
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, options, head, patch, trace, .. } = item;
    [get, put, post, delete, options, head, patch, trace].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::{get, post};
    use tower::ServiceExt as _;
    use wikigrove_tenant::{NewTenant, Platform, Resolver, Visibility};

    use super::*;

    async fn status(router: Router, method: &str, path: &str, caller: Caller) -> u16 {
        // A body that never ends: a check that reads it would hang.
        let never = futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
        let mut request = Request::builder().method(method).uri(path);
        request.extensions_mut().unwrap().insert(caller);
        let request = request.body(Body::from_stream(never)).unwrap();
        router.oneshot(request).await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn a_route_is_for_those_whom_it_says_it_is_for() {
        let platform = Platform::in_memory().await.unwrap();
        let mut new = NewTenant::new("garden".parse().unwrap());
        new.visibility = Visibility::PublicRead;
        platform.create_tenant(new).await.unwrap();
        let reads = |_: bytes::Bytes| async {};
        let routes = || {
            Routes::new()
                .plain(Needs::READ, "/w/garden/read", get(|| async {}))
                .plain(Needs::WRITE, "/w/garden/write", post(reads).get(|| async {}))
                .plain(Needs::ADMINISTER, "/w/garden/administer", post(reads))
        };
        let router = || routes().router();
        let router = || router().layer(platform.layer(Resolver::path("/w/{slug}")));
        let reader = Caller::user_without_email("ann", "Ann");
        for (method, path, expected) in [
            ("GET", "/w/garden/read", 200),
            ("HEAD", "/w/garden/read", 200),
            ("POST", "/w/garden/read", 405),
            ("POST", "/w/garden/write", 403),
            ("GET", "/w/garden/write", 403),
            ("HEAD", "/w/garden/write", 403),
            ("DELETE", "/w/garden/write", 405),
            ("POST", "/w/garden/administer", 403),
        ] {
            let got = status(router(), method, path, reader.clone()).await;
            assert_eq!(got, expected, "{method} {path}");
        }
        assert_eq!(status(router(), "GET", "/w/garden/write", Caller::operator()).await, 200);
    }

    #[tokio::test]
    async fn a_route_for_the_operator_says_what_is_missing() {
        let router = || {
            let routes = Routes::new().plain(Needs::OPERATOR, "/", get(|| async {}));
            routes.plain(Needs::NOBODY, "/health", get(|| async {})).router()
        };
        let ann = Caller::user_without_email("ann", "Ann");
        assert_eq!(status(router(), "GET", "/", Caller::anonymous()).await, 401);
        assert_eq!(status(router(), "GET", "/", ann).await, 403);
        assert_eq!(status(router(), "GET", "/", Caller::operator()).await, 200);
        assert_eq!(status(router(), "GET", "/health", Caller::anonymous()).await, 200);
    }
}
