//! What the layer costs a request: finding the wiki, entering its context and reading it, warm,
//! against the same router without the layer.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]

mod report;

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use tokio::runtime::Runtime;
use tower::Service as _;
use wikigrove_tenant::{
    Author, Base, Caller, Error, Platform, Resolver, Role, TenantUpdate, Visibility, Wiki, current,
};

const ROUNDS: usize = 41;
const REQUESTS: u32 = 5_000;
const TARGET: Duration = Duration::from_micros(2);

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let platform = runtime.block_on(platform());
    let by_path = || platform.layer(Resolver::path("/w/{slug}"));
    let by_host = || platform.layer(Resolver::host("{slug}.wikis.example"));
    let user = Caller::user("ann", Author::new("Ann", "ann@example.org"));

    let bare = Router::new().route("/w/{slug}/home", get(async || "garden".len().to_string()));
    let with_current = Router::new().route("/w/{slug}/home", get(of_current));
    let with_extractor = Router::new()
        .route("/w/{slug}/home", get(async |wiki: Wiki| wiki.slug().as_str().len().to_string()));
    let page = Router::new().route(
        "/w/{slug}/home",
        get(async |wiki: Wiki| {
            wiki.read_raw("home").await.map(|page| page.content.len().to_string())
        }),
    );
    for (name, target, router) in [
        ("current(), anonymous", true, with_current.clone().layer(by_path())),
        ("extractor, anonymous", true, with_extractor.layer(by_path())),
        (
            "current(), a member",
            true,
            with_current.clone().layer(by_path().identify(move |_| Some(user.clone()))),
        ),
        ("current(), by host", true, with_current.layer(by_host())),
        ("extractor, and a page read from memory", false, page.layer(by_path())),
    ] {
        compare(&runtime, name, target, &bare, &router);
    }
}

async fn platform() -> Platform {
    let platform = Platform::in_memory().await.unwrap();
    let garden = platform.create("garden").await.unwrap();
    garden.save("home", "# Home\n", Base::New).await.unwrap();
    garden.read("home").await.unwrap();
    let slug = garden.slug();
    let visibility = Some(Visibility::PublicRead);
    let update = TenantUpdate { visibility, ..TenantUpdate::default() };
    platform.update(slug, update).await.unwrap();
    platform.set_member(slug, "ann", Role::Editor).await.unwrap();
    platform
}

async fn of_current() -> Result<String, Error> {
    Ok(current()?.slug().as_str().len().to_string())
}

/// Prints how much longer a request to `ours` takes than one to `bare`.
fn compare(runtime: &Runtime, name: &str, has_target: bool, bare: &Router, ours: &Router) {
    let (mut without, mut with) = (Vec::new(), Vec::new());
    // In turns, so that whatever else the machine does meanwhile meets both.
    for _ in 0..ROUNDS {
        without.push(runtime.block_on(round(bare.clone())));
        with.push(runtime.block_on(round(ours.clone())));
    }
    let (without, with) = (report::median(without), report::median(with));
    let more = with.saturating_sub(without);
    let target = has_target.then_some(TARGET);
    report::line(
        &format!("the layer, {name}"),
        more,
        ("the whole request without it", without),
        target,
    );
}

/// The mean time of a request.
async fn round(mut router: Router) -> Duration {
    let request = || {
        let builder = Request::get("/w/garden/home").header("host", "garden.wikis.example");
        builder.body(Body::empty()).unwrap()
    };
    let mut took = Duration::ZERO;
    for _ in 0..REQUESTS {
        let request = request();
        let started = Instant::now();
        let response = router.call(request).await.unwrap_or_else(|never| match never {});
        took += started.elapsed();
        assert_eq!(response.status(), 200);
    }
    took / REQUESTS
}
