//! The two listeners' routers, put together.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::header::{CONTENT_TYPE, HOST};
use utoipa::openapi::OpenApi;
use wikigrove_tenant::{Error, Platform, Resolver};

use crate::auth::{Authenticator, authenticate};
use crate::limits::HttpLimits;
use crate::middleware::stack;
use crate::{admin_api, openapi, wiki_api};

/// Where wikis are found by the public listener.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// Where `/w/{slug}` is reached, such as `https://wiki.example.org`; no slash at the end. Unset,
    /// any host serves it that isn't a wiki's own.
    pub public_url: Option<String>,
    /// The domain below which each wiki has a host of its own: `{slug}.{base_domain}`.
    pub base_domain: Option<String>,
}

/// The public listener: every wiki below `/w/{slug}`, and on hosts of its own.
pub fn public(
    platform: &Platform,
    auth: &Authenticator,
    addresses: &Addresses,
    limits: &HttpLimits,
) -> Router {
    let own_host = match &addresses.base_domain {
        Some(domain) => Resolver::host(&format!("{{slug}}.{domain}")).or(Resolver::domains()),
        None => Resolver::domains(),
    };
    let shared = SharedHost::new(addresses);
    let by_path = Router::new()
        .nest("/w/{slug}", wiki_api().layer(platform.layer(Resolver::path("/w/{slug}"))))
        .layer(from_fn(move |request: Request, next: Next| {
            let refused = !shared.serves(&request);
            async move { if refused { unknown(&request) } else { next.run(request).await } }
        }));
    let router = by_path
        .merge(wiki_api().layer(platform.layer(own_host)))
        .layer(from_fn_with_state(auth.clone(), authenticate));
    stack(router.merge(document(&openapi::wikis())), limits)
}

/// The control plane.
pub fn control(
    platform: &Platform,
    auth: &Authenticator,
    public_url: &str,
    limits: &HttpLimits,
) -> Router {
    let router = admin_api(platform.clone(), public_url)
        .layer(from_fn_with_state(auth.clone(), authenticate));
    stack(router.merge(document(&openapi::control())), limits)
}

/// `GET /openapi.json`.
fn document(document: &OpenApi) -> Router {
    let json = document.to_json().unwrap_or_default();
    let answer = move || {
        let json = json.clone();
        async move { ([(CONTENT_TYPE, "application/json")], json) }
    };
    Router::new().route("/openapi.json", get(answer))
}

/// Which hosts serve all wikis, below `/w/{slug}`. A wiki's own host serves that wiki only.
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

/// The host a request names, in lower case, without its port and a trailing dot.
fn host(request: &Request) -> Option<String> {
    let named = request.headers().get(HOST).and_then(|value| value.to_str().ok());
    let host = request.uri().host().or(named)?;
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => host,
    };
    Some(host.trim_end_matches('.').to_ascii_lowercase())
}

fn unknown(request: &Request) -> Response {
    tracing::info!(host = host(request), "a request for a host that serves no wikis by path");
    Error::UnknownWiki.into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn serves(public_url: Option<&str>, base_domain: Option<&str>, host: &str) -> bool {
        let addresses = Addresses {
            public_url: public_url.map(str::to_owned),
            base_domain: base_domain.map(str::to_owned),
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
}
