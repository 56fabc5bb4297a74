//! Assembly of the routers of the two listeners.

mod answering;
mod wikis;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use tower_layer::Layer as _;
use utoipa::openapi::OpenApi;
use wikigrove_tenant::{Caller, Platform, Resolver};

use crate::admin::CONTROL;
use crate::auth::{Authenticator, ClientAddress, authenticate};
use crate::git::{GIT, Places};
use crate::guard::{Needs, Routes};
use crate::limits::{ByteBudget, HttpLimits, Principal, Rate};
use crate::metrics::Requests;
use crate::middleware::{Browsers, Origin, stack};
use crate::sync::runner::Remotes;
use crate::wiki::pages::answer::shared;
use crate::wiki::render::Rendering;
use crate::wiki::{Common, Feeds};
use crate::{admin_api_with, hooks, openapi};

use wikis::{Below, Shared, Wikis, is_acceptance};

/// Addresses at which the public listener serves wikis.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// Base URL of `/w/{slug}`, such as `https://wiki.example.org`, without a trailing slash. If unset, `/w/{slug}` is
    /// served on every host except the wikis' own hosts.
    pub public_url: Option<String>,
    /// Domain that gives each wiki a host of its own: `{slug}.{base_domain}`.
    pub base_domain: Option<String>,
    /// Origins of other sites whose pages may call the API from a browser (CORS).
    pub cors_origins: Vec<Origin>,
}

/// The public listener: every wiki below `/w/{slug}` and on hosts of its own, with its API, its git
/// endpoint and its HTML view. Remotes don't synchronise; see [`public_with`].
pub fn public(
    platform: &Platform,
    auth: &Authenticator,
    addresses: &Addresses,
    limits: &HttpLimits,
) -> Router {
    public_with(platform, auth, addresses, limits, &Remotes::resting(platform))
}

/// Like [`public`], with remotes that synchronise: reads trigger runs, webhooks of git hosts are
/// received, and remotes report events.
pub fn public_with(
    platform: &Platform,
    auth: &Authenticator,
    addresses: &Addresses,
    limits: &HttpLimits,
    remotes: &Remotes,
) -> Router {
    let own_host = match &addresses.base_domain {
        Some(domain) => Resolver::host(&format!("{{slug}}.{domain}")).or(Resolver::domains()),
        None => Resolver::domains(),
    };
    let metrics = remotes.metrics();
    let requests = metrics.listener("wikis");
    let budget = metrics.budget(limits);
    let places = Arc::new(Places::new(&limits.git));
    let common = Common {
        rendering: Rendering::new(&budget),
        feeds: Feeds::new(limits, &budget),
        git: crate::git::routes(&limits.git, places.clone()).counted(&requests, GIT).router(),
        places,
    };
    metrics.look_at(&common);
    let below = Below::slug(&common, limits, remotes, &requests);
    let feeds = common.feeds.clone();
    remotes.listen(Arc::new(move |link, notices| feeds.tell_of_remote(link, notices)));
    let wikis = Wikis {
        auth: auth.clone(),
        budget: budget.clone(),
        rate: limits.rate_per_principal.map(Rate::new),
        shared: SharedHost::new(addresses),
        own_host: platform
            .layer(own_host)
            .outside(|parts| is_acceptance(parts, false))
            .layer(below.on_host()),
        by_path: platform
            .layer(Resolver::path("/w/{slug}"))
            .outside(|parts| is_acceptance(parts, true))
            .layer(below),
        others: document(&openapi::wikis(), &requests).merge(hooks::router(remotes, &requests)),
    };
    let browsers = Browsers {
        public: addresses.public_url.as_ref().and_then(|url| url.parse().ok()),
        allowed: addresses.cors_origins.clone(),
    };
    stack(Shared(Arc::new(wikis)), limits, &budget, &browsers, &requests)
}

/// The admin listener. Remotes don't synchronise; see [`control_with`].
pub fn control(
    platform: &Platform,
    auth: &Authenticator,
    public_url: &str,
    limits: &HttpLimits,
) -> Router {
    control_with(platform, auth, public_url, limits, &Remotes::resting(platform))
}

/// Like [`control`], with remotes that synchronise.
pub fn control_with(
    platform: &Platform,
    auth: &Authenticator,
    public_url: &str,
    limits: &HttpLimits,
    remotes: &Remotes,
) -> Router {
    let budget = remotes.metrics().budget(limits);
    let router = admin_api_with(platform.clone(), public_url, remotes.clone())
        .layer(from_fn_with_state(budget.clone(), settled))
        .layer(from_fn_with_state(auth.clone(), authenticate));
    let requests = remotes.metrics().listener(CONTROL);
    let router = router.merge(document(&openapi::control(), &requests));
    stack(router, limits, &budget, &Browsers::default(), &requests)
}

/// Middleware that charges the bytes of a response to the caller found by an outer layer.
async fn settled(State(budget): State<ByteBudget>, request: Request, next: Next) -> Response {
    let (version, client) = (request.version(), ClientAddress::of(request.extensions()));
    let caller = request.extensions().get::<Caller>().cloned();
    let response = next.run(request).await;
    budget.settle(response, version, || Principal::of(caller.as_ref(), client))
}

/// `GET /openapi.json`.
fn document(document: &OpenApi, requests: &Requests) -> Router {
    // The document is serialised once and shared by all responses.
    let json = Bytes::from(document.to_json().unwrap_or_default());
    let answer = move || {
        let json = json.clone();
        async move { shared(([(CONTENT_TYPE, "application/json")], ()).into_response(), json) }
    };
    let routes = Routes::new().plain(Needs::NOBODY, "/openapi.json", get(answer));
    routes.counted(requests, "").router()
}

/// Decides which hosts serve all wikis below `/w/{slug}`. A wiki's own host serves only that wiki.
#[derive(Clone)]
struct SharedHost {
    only: Option<String>,
    not_below: Option<String>,
}

impl SharedHost {
    fn new(addresses: &Addresses) -> Self {
        let host =
            |url: &String| url.parse::<http::Uri>().ok()?.host().map(str::to_ascii_lowercase);
        Self {
            only: addresses.public_url.as_ref().and_then(host),
            not_below: addresses
                .base_domain
                .as_ref()
                .map(|domain| format!(".{}", domain.to_ascii_lowercase())),
        }
    }

    fn serves(&self, request: &Request) -> bool {
        if self.only.is_none() && self.not_below.is_none() {
            return true;
        }
        let host = host(request).unwrap_or_default();
        match (&self.only, &self.not_below) {
            (Some(only), _) => host == *only,
            (None, Some(below)) => !host.ends_with(below.as_str()),
            (None, None) => true,
        }
    }
}

/// The requested host in lower case, without port and trailing dot.
fn host(request: &Request) -> Option<String> {
    let named = request.headers().get(HOST).and_then(|value| value.to_str().ok());
    let host = request.uri().host().or(named)?;
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => host,
    };
    Some(host.trim_end_matches('.').to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::Body;
    use tower::ServiceExt as _;
    use wikigrove_tenant::{NewTenant, Visibility};

    use super::*;

    fn serves(public_url: Option<&str>, base_domain: Option<&str>, host: &str) -> bool {
        let addresses = Addresses {
            public_url: public_url.map(str::to_owned),
            base_domain: base_domain.map(str::to_owned),
            ..Addresses::default()
        };
        let request = http::Request::get("/w/a").header(HOST, host).body(Body::empty()).unwrap();
        SharedHost::new(&addresses).serves(&request)
    }

    #[test]
    fn wikis_by_path_are_on_the_public_host_only_if_there_is_one() {
        assert!(serves(None, None, "anything:8080"));
        assert!(serves(Some("https://wiki.example.org"), None, "Wiki.Example.org.:443"));
        assert!(!serves(Some("https://wiki.example.org"), None, "evil.example"));
        assert!(!serves(None, Some("example.org"), "garden.example.org"));
        assert!(serves(None, Some("example.org"), "example.org"));
        assert!(serves(None, Some("example.org"), "127.0.0.1:8080"));
    }

    async fn garden() -> (Platform, Authenticator) {
        let platform = Platform::in_memory().await.unwrap();
        let mut new = NewTenant::new("garden".parse().unwrap());
        new.visibility = Visibility::PublicRead;
        platform.create_tenant(new).await.unwrap();
        let auth = Authenticator::new(platform.clone(), "operator");
        (platform, auth)
    }

    #[tokio::test]
    async fn a_body_is_not_read_from_somebody_who_may_not_write() {
        let (platform, auth) = garden().await;
        let router = public(&platform, &auth, &Addresses::default(), &HttpLimits::default());
        for method in ["PUT", "DELETE"] {
            let never = futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
            let request = http::Request::builder()
                .method(method)
                .uri("/w/garden/api/v1/pages/roses")
                .header("content-type", "application/json")
                .header("if-match", format!("\"{}\"", "0".repeat(40)))
                .body(Body::from_stream(never))
                .unwrap();
            let answered = router.clone().oneshot(request);
            let answered = tokio::time::timeout(Duration::from_secs(10), answered).await;
            assert_eq!(answered.expect("nothing to wait for").unwrap().status(), 403);
        }
    }

    #[tokio::test]
    async fn a_post_sent_again_before_it_is_answered_is_done_once() {
        let (platform, auth) = garden().await;
        let router = control(&platform, &auth, "", &HttpLimits::default());
        let request = || {
            http::Request::post("/admin/v1/wikis/garden/tokens")
                .header("authorization", "Bearer operator")
                .header("content-type", "application/json")
                .header("idempotency-key", "k")
                .body(Body::from(r#"{"name":"t","role":"reader"}"#))
                .unwrap()
        };
        let at_once = (0..16).map(|_| router.clone().oneshot(request()));
        for answer in futures_util::future::join_all(at_once).await {
            assert_eq!(answer.unwrap().status(), 201);
        }
        let id = platform.tenant(&"garden".parse().unwrap()).await.unwrap().unwrap().id;
        assert_eq!(platform.tokens(Some(id), None, 10).await.unwrap().len(), 1);
    }
}
