//! A wiki that its caller may not see looks like one that isn't there, to an app that embeds the
//! platform.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use testkit::client::{self, send};
use testkit::{Grove, author, slug};
use wikigrove_tenant::{Caller, ContextLayer, Resolver, TenantUpdate, Visibility, current};

/// A wiki `private`, and a wiki `garden` that all may read, each with a domain.
async fn grove() -> Grove {
    let grove = Grove::with(["private", "garden"]).start().await;
    let visibility = Some(Visibility::PublicRead);
    let update = TenantUpdate { visibility, ..TenantUpdate::default() };
    grove.update(&slug("garden"), update).await.unwrap();
    for name in ["private", "garden"] {
        grove.add_domain(&slug(name), format!("{name}.example").parse().unwrap()).await.unwrap();
    }
    grove
}

/// Answers with the current wiki's name, or that there is none.
fn router(layer: ContextLayer) -> Router {
    let name = async || current().map_or("none".to_owned(), |wiki| wiki.slug().to_string());
    Router::new().fallback(name).layer(layer)
}

/// All that a client sees of an answer.
type Seen = (StatusCode, HeaderMap, String);

async fn seen(router: &Router, uri: &str, subject: Option<&str>) -> Seen {
    let mut request = Request::get(uri);
    if let Some(subject) = subject {
        request = request.header("x-user", subject);
    }
    let reply = send(router, request.body(Body::empty()).unwrap()).await;
    (reply.status, reply.headers, reply.text)
}

#[tokio::test]
async fn a_private_wiki_looks_like_none_whatever_the_resolver_and_the_caller() {
    let grove = grove().await;
    let path = || Resolver::path("/w/{slug}");
    let host = || Resolver::host("{slug}.wikis.example");
    let domains = Resolver::domains;
    let query = Resolver::closure(|parts| parts.uri.query()?.parse().ok());
    let cases = [
        (path(), "http://a.example/w/private", "http://a.example/w/attic"),
        (path(), "http://a.example/w/private", "http://a.example/w/Private"),
        (path(), "http://a.example/w/private", "http://a.example/w/pri%76ate"),
        (host(), "http://private.wikis.example/", "http://attic.wikis.example/"),
        (host(), "http://private.wikis.example/", "http://a_b.wikis.example/"),
        (query, "http://a.example/?private", "http://a.example/?attic"),
        (domains(), "http://private.example/", "http://attic.example/"),
        (domains().or(path()), "http://private.example/w/garden", "http://a.example/w/garden"),
        (domains().or(path()), "http://private.example/w/private", "http://a.example/w/attic"),
        (domains().or(path()), "http://private.example/w/Garden", "http://a.example/w/attic"),
        (path().or(host()), "http://private.wikis.example/w/A", "http://a.wikis.example/w/A"),
    ];
    for (resolver, hidden, absent) in cases {
        let layer = grove.layer(resolver).identify(|parts| {
            let subject = parts.headers.get("x-user")?.to_str().ok()?;
            Some(Caller::user(subject, author("stranger")))
        });
        for router in [router(layer.clone()), router(layer.optional())] {
            for subject in [None, Some("stranger"), Some("operator")] {
                let [hidden, absent] =
                    [seen(&router, hidden, subject).await, seen(&router, absent, subject).await];
                assert_eq!(hidden, absent);
            }
        }
    }
}

#[tokio::test]
async fn a_request_that_names_a_wiki_never_passes_for_one_that_names_none() {
    let grove = grove().await;
    let resolver = Resolver::host("{slug}.wikis.example").or(Resolver::path("/w/{slug}"));
    let router = router(grove.layer(resolver).optional());
    for uri in [
        "http://a.example/w/private",
        "http://a.example/w/attic",
        "http://a.example/w/Attic",
        "http://private.wikis.example/",
        "http://attic.wikis.example/",
    ] {
        let (status, _, text) = seen(&router, uri, None).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{uri}");
        assert!(text.contains("unknown_wiki"), "{uri}: {text}");
    }
    for uri in ["http://a.example/", "http://www.wikis.example/w/", "http://wikis.example/w/admin"]
    {
        assert_eq!(seen(&router, uri, None).await.2, "none", "{uri}");
    }
    assert_eq!(seen(&router, "http://www.wikis.example/w/garden", None).await.2, "garden");
}

#[tokio::test]
async fn a_layer_below_another_one_tells_nothing_of_private_wikis() {
    let grove = grove().await;
    let outer = grove.layer(Resolver::closure(|_| Some(slug("garden"))));
    let inner = grove.layer(Resolver::path("/w/{slug}"));
    for inner in [inner.clone(), inner.optional()] {
        let router = router(inner).layer(outer.clone());
        assert_eq!(client::get(&router, "/w/garden").await.good(), "garden");
        let hidden = seen(&router, "/w/private", None).await;
        assert_eq!(hidden, seen(&router, "/w/attic", None).await);
    }
}

#[tokio::test]
async fn a_caller_who_can_be_no_user_learns_of_no_wiki() {
    let grove = grove().await;
    let impostor = || Caller::user("operator", author("impostor"));
    let hidden = grove.wiki("private", impostor()).await.map(drop).unwrap_err();
    let absent = grove.wiki("attic", impostor()).await.map(drop).unwrap_err();
    assert_eq!((hidden.code(), hidden.to_string()), (absent.code(), absent.to_string()));
}
