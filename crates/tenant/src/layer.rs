//! The tower layer that enters the context.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::request::Parts;
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::body::{Detached, ScopedBody};
use crate::{Caller, Error, Outside, Platform, Resolver, Wiki, context};

type Identify = dyn Fn(&Parts) -> Option<Caller> + Send + Sync;
type IsOutside = dyn Fn(&Parts) -> bool + Send + Sync;
type Reject = dyn Fn(Error) -> Response<Vec<u8>> + Send + Sync;

impl Platform {
    /// The layer that determines the wiki and the caller of each request, and makes the wiki the current one for the
    /// layers and handlers below.
    ///
    /// Requests for no wiki, or for one that the caller may not read, are answered by the layer.
    pub fn layer(&self, resolver: Resolver) -> ContextLayer {
        ContextLayer(Arc::new(Shared {
            platform: self.clone(),
            resolver,
            identify: Arc::new(|parts| parts.extensions.get::<Caller>().cloned()),
            reject: Arc::new(|error| error.problem().to_response()),
            optional: false,
            is_outside: Arc::new(|_| false),
        }))
    }
}

/// The tower layer made by [`Platform::layer`].
#[derive(Clone)]
pub struct ContextLayer(Arc<Shared>);

#[derive(Clone)]
struct Shared {
    platform: Platform,
    resolver: Resolver,
    identify: Arc<Identify>,
    reject: Arc<Reject>,
    optional: bool,
    is_outside: Arc<IsOutside>,
}

impl ContextLayer {
    /// Sets the function that determines the caller. By default the caller is the [`Caller`] that an outer layer put
    /// into the request's extensions. `None` is an anonymous caller.
    #[must_use]
    pub fn identify(
        self,
        identify: impl Fn(&Parts) -> Option<Caller> + Send + Sync + 'static,
    ) -> Self {
        self.with(|shared| shared.identify = Arc::new(identify))
    }

    /// Lets requests for no wiki through, without a context: those in which the resolver finds no name, and those for a
    /// domain that no wiki owns.
    ///
    /// A request that names a wiki isn't let through, even if the wiki doesn't exist or the name is invalid: it is
    /// answered like a request for a wiki that the caller may not see, so that answers don't reveal which wikis exist.
    /// A page or host of the application itself, in the place of a wiki's name, must have a
    /// [reserved](crate::SlugError::Reserved) name.
    #[must_use]
    pub fn optional(self) -> Self {
        self.with(|shared| shared.optional = true)
    }

    /// Lets the requests that satisfy the predicate in without checking that the wiki exists or that the caller may see
    /// it, and without making the wiki the current one. Handlers find an [`Outside`] in the request's extensions
    /// instead. Meant for accepting invitations; make the predicate exact.
    #[must_use]
    pub fn outside(self, is_outside: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.with(|shared| shared.is_outside = Arc::new(is_outside))
    }

    /// Answers rejected requests with the application's own pages instead of problem+json.
    #[must_use]
    pub fn on_reject(
        self,
        reject: impl Fn(Error) -> Response<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        self.with(|shared| shared.reject = Arc::new(reject))
    }

    fn with(mut self, change: impl FnOnce(&mut Shared)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

impl<S> Layer<S> for ContextLayer {
    type Service = ContextService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ContextService { shared: self.0.clone(), inner }
    }
}

/// A service that sets the current wiki of each request.
#[derive(Clone)]
pub struct ContextService<S> {
    shared: Arc<Shared>,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for ContextService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: From<Vec<u8>> + http_body::Body,
{
    type Response = Response<ScopedBody<R>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let shared = self.shared.clone();
        // The future takes the instance that is ready; its clone stays behind.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let wiki = match shared.find(&parts).await {
                Ok(Found::Wiki(wiki)) => wiki,
                Ok(unbound) => {
                    if let Found::Outside(outside) = unbound {
                        parts.extensions.insert(outside);
                    }
                    let response = inner.call(Request::from_parts(parts, body)).await?;
                    return Ok(response.map(|body| ScopedBody::new(None, body)));
                }
                Err(error) => {
                    return Ok(
                        (shared.reject)(error).map(|body| ScopedBody::new(None, R::from(body)))
                    );
                }
            };
            parts.extensions.insert(wiki.clone());
            let request = Request::from_parts(parts, body);
            // `call` itself may use the current wiki, before its future is ever polled.
            let answering = context::within(&wiki, || inner.call(request));
            let response = context::scoped(wiki.clone(), answering).await?;
            let is_detached = response.extensions().get::<Detached>().is_some();
            // A body of known length is complete already, so reading it needs no wiki.
            let is_whole = response.body().size_hint().exact().is_some();
            let wiki = (!is_detached && !is_whole).then_some(wiki);
            Ok(response.map(|body| ScopedBody::new(wiki, body)))
        })
    }
}

/// The target of a request.
enum Found {
    Wiki(Wiki),
    Outside(Outside),
    Nothing,
}

impl Shared {
    async fn find(&self, parts: &Parts) -> Result<Found, Error> {
        let platform = &self.platform;
        let resolution = self.resolver.resolve(parts);
        let caller = (self.identify)(parts).unwrap_or_else(Caller::anonymous);
        if (self.is_outside)(parts) {
            let resolved = platform.resolved(resolution).await?;
            let tenant = resolved.map(|known| known.tenant);
            return Ok(Found::Outside(Outside::new(platform.clone(), tenant, caller)));
        }
        match platform.resolved_for(resolution, &caller).await? {
            Some(admitted) => {
                // After the check of the caller's rights: the error names the wiki, so only callers who may see it get
                // the error.
                let tenant = &admitted.known.tenant;
                if let Ok(current) = context::current()
                    && current.id() != tenant.id
                {
                    let (current, wanted) = (current.slug().clone(), tenant.slug.clone());
                    return Err(Error::OtherContext { current, wanted });
                }
                platform.bind_admitted(admitted, caller).await.map(Found::Wiki)
            }
            None if self.optional => Ok(Found::Nothing),
            None => Err(Error::UnknownWiki),
        }
    }
}
