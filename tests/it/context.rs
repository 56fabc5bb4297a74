//! The current wiki: where it is there, where it isn't, and how requests come by it.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::routing::get;
use futures_util::stream;
use testkit::client::{self, send};
use testkit::{Grove, author, slug};
use wikigrove_tenant::{
    Caller, Error, Resolver, Role, Slug, Visibility, Wiki, context, current, spawn, spawn_blocking,
};

/// Two wikis that everybody may read.
async fn grove() -> Grove {
    Grove::with(["garden", "kitchen"]).visible(Visibility::PublicRead).start().await
}

/// Answers with the current wiki's name.
async fn name() -> Result<String, Error> {
    Ok(current()?.slug().to_string())
}

fn named(result: Result<Wiki, Error>) -> String {
    result.map_or_else(|error| error.code().to_owned(), |wiki| wiki.slug().to_string())
}

#[tokio::test]
async fn outside_a_context_the_error_says_what_to_do() {
    let error = current().unwrap_err();
    let text = error.to_string();
    for hint in ["Platform::layer", "wikigrove_tenant::spawn", "spawn_blocking"] {
        assert!(text.contains(hint), "{text}");
    }
    assert_eq!(error.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "it shows what these lose")]
async fn tasks_of_tokio_lose_the_wiki_and_ours_keep_it() {
    let grove = grove().await;
    let seen = context::enter(grove.on("garden").await, async {
        [
            named(tokio::spawn(async { current() }).await.unwrap()),
            named(tokio::task::spawn_blocking(current).await.unwrap()),
            named(spawn(async { current() }).await.unwrap()),
            named(spawn_blocking(current).await.unwrap()),
            // A task of a task.
            named(spawn(async { spawn(async { current() }).await.unwrap() }).await.unwrap()),
        ]
    });
    assert_eq!(seen.await.unwrap(), ["internal", "internal", "garden", "garden", "garden"]);
    assert!(current().is_err());
}

#[tokio::test]
async fn ours_also_run_where_there_is_no_wiki() {
    assert_eq!(spawn(async { 1 }).await.unwrap() + spawn_blocking(|| 2).await.unwrap(), 3);
}

#[tokio::test]
async fn inside_a_wiki_only_the_same_one_can_be_entered() {
    let grove = grove().await;
    let (garden, kitchen) = (grove.on("garden").await, grove.on("kitchen").await);
    let entered = context::enter(garden.clone(), async {
        let other = context::enter(kitchen, async { unreachable!() }).await;
        let same = context::enter(garden, name()).await;
        (other.map(|(): ()| ()).unwrap_err().to_string(), same.unwrap().unwrap(), named(current()))
    });
    let (other, same, after) = entered.await.unwrap();
    assert_eq!(other, "the wiki `garden` is current here; `kitchen` can't be entered inside it");
    assert_eq!((same.as_str(), after.as_str()), ("garden", "garden"));
}

#[tokio::test]
async fn a_layer_below_another_one_cannot_change_the_wiki() {
    let grove = grove().await;
    let kitchen = grove.layer(Resolver::closure(|_| Some(slug("kitchen"))));
    let garden = grove.layer(Resolver::closure(|_| Some(slug("garden"))));
    let inner = Router::new().route("/", get(name)).layer(kitchen);
    let reply = client::get(&inner.clone().layer(garden), "/").await;
    assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
    let again = grove.layer(Resolver::closure(|_| Some(slug("kitchen"))));
    assert_eq!(client::get(&inner.layer(again), "/").await.good(), "kitchen");
}

#[tokio::test]
async fn a_body_keeps_the_wiki_until_its_last_piece() {
    let grove = grove().await;
    let lazily = || async {
        Body::from_stream(stream::unfold(3, |left| async move {
            tokio::task::yield_now().await;
            (left > 0).then(|| (Ok::<_, Error>(named(current()) + " "), left - 1))
        }))
    };
    let layer = grove.layer(Resolver::path("/w/{slug}"));
    let router = Router::new().route("/w/{slug}", get(lazily)).layer(layer);
    assert_eq!(client::get(&router, "/w/garden").await.good(), "garden garden garden ");
    assert!(current().is_err());
}

#[tokio::test]
async fn extractors_errors_and_fallbacks_are_below_the_layer_too() {
    let grove = grove().await;
    let layer = grove.layer(Resolver::path("/w/{slug}"));
    let missing = async |wiki: Wiki| wiki.read("missing").await.map(drop);
    let middleware = from_fn(|request: Request, next: Next| async move {
        let before = named(current());
        let mut response = next.run(request).await;
        let value = format!("{before} {}", named(current())).parse().unwrap();
        response.headers_mut().insert("x-seen", value);
        response
    });
    let router = Router::new()
        .route("/w/{slug}/missing", get(missing))
        .fallback(name)
        .layer(middleware)
        .layer(layer);
    assert_eq!(client::get(&router, "/w/garden/any/where").await.good(), "garden");
    let reply = client::get(&router, "/w/garden/missing").await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    assert!(reply.text.contains("page_not_found"), "{}", reply.text);
}

#[tokio::test]
async fn without_the_layer_the_extractor_fails_as_our_mistake() {
    let router = Router::new().route("/", get(async |wiki: Wiki| wiki.slug().to_string()));
    let reply = client::get(&router, "/").await;
    assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!reply.text.contains("layer"), "{}", reply.text);
}

#[tokio::test]
async fn a_request_for_no_wiki_is_answered_by_the_layer() {
    let grove = grove().await;
    let layer = grove.layer(Resolver::path("/w/{slug}"));
    let router = Router::new().route("/{*any}", get(name)).layer(layer);
    for uri in ["/about", "/w/attic/home", "/w/Garden", "/w/admin", "/w/%67arden", "/w/"] {
        let reply = client::get(&router, uri).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{uri}");
        assert!(reply.text.contains("unknown_wiki"), "{uri}: {}", reply.text);
    }
}

#[tokio::test]
async fn optional_lets_requests_for_no_wiki_through() {
    let grove = grove().await;
    let seen = async |request: Request| {
        let extension = request.extensions().get::<Wiki>().is_some();
        format!("{} {extension}", named(current()))
    };
    let layer = grove.layer(Resolver::path("/w/{slug}")).optional();
    let router = Router::new().route("/{*any}", get(seen)).layer(layer);
    assert_eq!(client::get(&router, "/about").await.good(), "internal false");
    for uri in ["/w", "/w/", "/w/admin", "/x/garden"] {
        assert_eq!(client::get(&router, uri).await.good(), "internal false", "{uri}");
    }
    assert_eq!(client::get(&router, "/w/garden").await.good(), "garden true");
    // A wiki that the caller may not enter is not the same as none.
    grove.suspend(&slug("garden"), "unpaid").await.unwrap();
    assert_eq!(client::get(&router, "/w/garden").await.status, StatusCode::LOCKED);
}

#[tokio::test]
async fn rejections_can_be_the_apps_own_pages() {
    let grove = grove().await;
    let page = |error: Error| {
        let text = format!("<h1>{}</h1>", error.code()).into_bytes();
        Response::builder().status(error.status()).body(text).unwrap()
    };
    let layer = grove.layer(Resolver::path("/w/{slug}")).on_reject(page);
    let router = Router::new().route("/w/{slug}", get(name)).layer(layer);
    grove.suspend(&slug("kitchen"), "unpaid").await.unwrap();
    for (uri, status, text) in [
        ("/w/attic", StatusCode::NOT_FOUND, "<h1>unknown_wiki</h1>"),
        ("/w/kitchen", StatusCode::LOCKED, "<h1>wiki_suspended</h1>"),
        ("/w/garden", StatusCode::OK, "garden"),
    ] {
        let reply = client::get(&router, uri).await;
        assert_eq!((reply.status, reply.text.as_str()), (status, text));
    }
}

#[tokio::test]
async fn identify_says_who_asks() {
    let grove = Grove::with(["garden"]).member("garden", "alice", Role::Reader).start().await;
    let who = async |wiki: Wiki| wiki.caller().subject().unwrap_or("nobody").to_owned();
    let by_header = grove.layer(Resolver::path("/w/{slug}")).identify(|parts| {
        let subject = parts.headers.get("x-user")?.to_str().ok()?;
        Some(Caller::user(subject, author(subject)))
    });
    let router = Router::new().route("/w/{slug}", get(who)).layer(by_header);
    let asked_by = |subject: &str| {
        Request::get("/w/garden").header("x-user", subject).body(Body::empty()).unwrap()
    };
    assert_eq!(send(&router, asked_by("alice")).await.good(), "alice");
    assert_eq!(send(&router, asked_by("mallory")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(client::get(&router, "/w/garden").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn without_identify_it_is_the_caller_that_a_layer_outside_named() {
    let grove = Grove::with(["garden"]).start().await;
    let who = async |wiki: Wiki| wiki.caller().subject().unwrap_or("nobody").to_owned();
    let outside = from_fn(|mut request: Request, next: Next| async {
        request.extensions_mut().insert(Caller::operator());
        next.run(request).await
    });
    let layer = grove.layer(Resolver::path("/w/{slug}"));
    let router = Router::new().route("/w/{slug}", get(who)).layer(layer).layer(outside);
    assert_eq!(client::get(&router, "/w/garden").await.good(), "operator");
}

#[tokio::test]
async fn nested_routers_resolve_by_what_the_client_sent() {
    let grove = grove().await;
    let layer = || grove.layer(Resolver::path("/app/w/{slug}"));
    let below = Router::new().route("/home", get(name));
    for router in [
        // The layer inside of what `nest` cuts off, between two of them, and outside.
        Router::new().nest("/app/w/{slug}", below.clone().layer(layer())),
        Router::new().nest("/app", Router::new().nest("/w/{slug}", below.clone().layer(layer()))),
        Router::new().nest("/app", Router::new().nest("/w/{slug}", below.clone()).layer(layer())),
        Router::new().nest("/app/w/{slug}", below.clone()).layer(layer()),
    ] {
        assert_eq!(client::get(&router, "/app/w/kitchen/home").await.good(), "kitchen");
    }
}

#[tokio::test]
async fn hosts_domains_and_closures_resolve() {
    let grove = grove().await;
    grove.add_domain(&slug("kitchen"), "cook.example".parse().unwrap()).await.unwrap();
    let by_query = Resolver::closure(|parts| -> Option<Slug> {
        parts.uri.query()?.strip_prefix("wiki=")?.parse().ok()
    });
    let resolver = Resolver::domains().or(Resolver::host("{slug}.wikis.example")).or(by_query);
    let router = Router::new().route("/", get(name)).layer(grove.layer(resolver));
    for (host, uri, expected) in [
        ("cook.example", "/", "kitchen"),
        ("COOK.example.:8080", "/", "kitchen"),
        ("garden.wikis.example", "/", "garden"),
        ("www.example", "/?wiki=garden", "garden"),
        // The domain comes first.
        ("cook.example", "/?wiki=garden", "kitchen"),
    ] {
        assert_eq!(client::get_from(&router, host, uri).await.good(), expected, "{host}{uri}");
    }
    for (host, status) in [
        ("wikis.example", StatusCode::NOT_FOUND),
        ("attic.wikis.example", StatusCode::NOT_FOUND),
        ("a b", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(client::get_from(&router, host, "/").await.status, status, "{host}");
    }
    assert!(grove.remove_domain(&slug("kitchen"), "cook.example".parse().unwrap()).await.unwrap());
    assert_eq!(client::get_from(&router, "cook.example", "/").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_handler_that_panics_takes_nothing_with_it() {
    let grove = grove().await;
    let panics = async || -> String { panic!("{}", named(current())) };
    let layer = grove.layer(Resolver::path("/w/{slug}"));
    let router = Router::new()
        .route("/w/{slug}/panics", get(panics))
        .route("/w/{slug}", get(name))
        .layer(layer);
    let request = {
        let router = router.clone();
        async move { drop(client::get(&router, "/w/garden/panics").await) }
    };
    assert!(spawn(request).await.unwrap_err().is_panic());
    let wiki = grove.on("garden").await;
    let blocking = context::enter(wiki, async { spawn_blocking(|| panic!("here too")).await });
    assert!(blocking.await.unwrap().map(|(): ()| ()).unwrap_err().is_panic());
    assert!(current().is_err());
    assert_eq!(client::get(&router, "/w/garden").await.good(), "garden");
    grove.save("garden", "home", "text").await.unwrap();
}
