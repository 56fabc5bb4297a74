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
    /// The layer that finds out which wiki a request is for and who asks, and makes that wiki the
    /// current one for everything below it.
    ///
    /// A request for no wiki, or for one that its caller may not read, is answered here.
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

/// Made by [`Platform::layer`].
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
    /// Says who asks. Without this, it is whoever a layer further out put into the request's
    /// extensions as a [`Caller`]. `None` is an anonymous caller.
    #[must_use]
    pub fn identify(
        self,
        identify: impl Fn(&Parts) -> Option<Caller> + Send + Sync + 'static,
    ) -> Self {
        self.with(|shared| shared.identify = Arc::new(identify))
    }

    /// Lets requests that are for no wiki through, without a context: those that the resolver finds
    /// no name in, and those for a domain that no wiki owns.
    ///
    /// A request that names a wiki isn't one of them, even if there is no such wiki, or can't be: it
    /// is answered as one for a wiki that its caller may not see, so that nothing tells which wikis
    /// exist. The name of a page or host of the app's own has to be a
    /// [reserved](crate::SlugError::Reserved) one where it stands in a wiki's place.
    #[must_use]
    pub fn optional(self) -> Self {
        self.with(|shared| shared.optional = true)
    }

    /// Lets the requests for which this holds in without asking whether their caller may see the wiki,
    /// or whether it is there, and without making it the current one: below they find an [`Outside`]
    /// in their extensions. It is for accepting invitations; be exact.
    #[must_use]
    pub fn outside(self, is_outside: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.with(|shared| shared.is_outside = Arc::new(is_outside))
    }

    /// Answers rejected requests with the app's own pages instead of problem+json.
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

/// A service whose requests each have a current wiki.
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
        // The one that is ready goes into the future; its clone takes its place.
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
            // `call` itself may look at the current wiki, before its future is ever polled.
            let answering = context::within(&wiki, || inner.call(request));
            let response = context::scoped(wiki.clone(), answering).await?;
            let is_detached = response.extensions().get::<Detached>().is_some();
            // What is made already needs no wiki to be read.
            let is_whole = response.body().size_hint().exact().is_some();
            let wiki = (!is_detached && !is_whole).then_some(wiki);
            Ok(response.map(|body| ScopedBody::new(wiki, body)))
        })
    }
}

/// What a request is for.
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
                // After the caller's rights: what this error says is for those who may see the wiki.
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
