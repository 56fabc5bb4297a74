//! What a link costs those who save, and how often it pushes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tower::ServiceExt as _;
use wikigrove_server::app::{self, Addresses};
use wikigrove_server::auth::Authenticator;
use wikigrove_server::limits::HttpLimits;
use wikigrove_server::serve::serve;
use wikigrove_server::sync::runner::{Options, Remotes};
use wikigrove_tenant::{Base, Caller, Changes, NewTenant, Origin, Platform, Wiki};

use crate::median;

const TOKEN: &str = "token-of-the-benchmark";
/// Saves of one turn.
const TURN: usize = 20;
/// A save with a link takes at most so much of the time of one without.
const TARGET: f64 = 1.1;
/// So many pushes at most may it take until the remote has what was saved at once.
const PUSHES: usize = 3;

pub(crate) async fn measure(rounds: usize, saves: usize) {
    let data = tempfile::tempdir().unwrap();
    let platform = Platform::open(data.path()).await.unwrap();
    for slug in ["linked", "alone", "remote"] {
        platform.create_tenant(NewTenant::new(slug.parse().unwrap())).await.unwrap();
    }
    let mut options = Options::default();
    options.policy.admitted.push("127.0.0.1".parse().unwrap());
    let remotes = Remotes::start(&platform, options).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (auth, limits) = (Authenticator::new(platform.clone(), TOKEN), HttpLimits::default());
    let public = app::public_with(&platform, &auth, &Addresses::default(), &limits, &remotes);
    let control = app::control_with(&platform, &auth, &url, &limits, &remotes);
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = wikigrove_tenant::spawn(async move {
        serve(vec![(listener, public)], &limits, async { drop(stopped.await) }).await
    });
    let wiki = async |slug: &str| platform.wiki(slug, Caller::operator()).await.unwrap();
    let (linked, alone) = (wiki("linked").await, wiki("alone").await);
    let link = make_link(&control, &url).await;
    compare(&linked, &alone, rounds).await;
    synced(&control, &link).await;
    drain(&platform, &control, &link, &linked, saves).await;
    remotes.stop().await;
    drop(stop);
    serving.await.unwrap();
    platform.close().await;
}

/// With and without a link take turns: what else the machine does is done to both.
async fn compare(linked: &Wiki, alone: &Wiki, rounds: usize) {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let turns = [(linked, &mut with), (alone, &mut without)];
        // Neither is always the first.
        let turns: Vec<_> =
            if round % 2 == 0 { turns.into() } else { turns.into_iter().rev().collect() };
        for (wiki, times) in turns {
            let began = Instant::now();
            for number in 0..TURN {
                save(wiki, &format!("round-{round}/page-{number}")).await;
            }
            times.push(began.elapsed().as_secs_f64() * 1e3 / TURN as f64);
        }
    }
    let ratio = median(with.iter().zip(&without).map(|(with, without)| with / without).collect());
    println!("durable saves, {rounds} rounds of {TURN} each\n");
    println!("{:28} {:>10}", "", "ms/save");
    println!("{:28} {:10.2}", "without a link", median(without));
    let verdict = if ratio > TARGET { "  above the target" } else { "" };
    println!("{:28} {:10.2} {ratio:8.2} ×{verdict}", "with a link that pushes", median(with));
    println!("\ntarget: {TARGET} ×\n");
}

/// Saves one page after the other and waits until the remote is known to have them all.
async fn drain(platform: &Platform, control: &Router, link: &str, linked: &Wiki, saves: usize) {
    let pushes = count_pushes(platform.changes());
    let began = Instant::now();
    for number in 0..saves {
        save(linked, &format!("drained/page-{number}")).await;
    }
    let saved = began.elapsed();
    synced(control, link).await;
    let drained = began.elapsed();
    let pushes = pushes.load(Ordering::Relaxed);
    println!("{saves} saves in {saved:.1?}; the remote was seen to have them after {drained:.1?}");
    let verdict = if pushes > PUSHES { "  above the target" } else { "" };
    println!("pushes: {pushes}{verdict}\ntarget: {PUSHES}\n");
}

/// Counts the pushes that come in from now on.
fn count_pushes(mut changes: Changes) -> Arc<AtomicUsize> {
    let pushes = Arc::<AtomicUsize>::default();
    let counted = pushes.clone();
    wikigrove_tenant::spawn(async move {
        while let Some(change) = changes.next().await {
            let is_push = matches!(change, Ok(change) if change.origin == Origin::Git);
            counted.fetch_add(usize::from(is_push), Ordering::Relaxed);
        }
    });
    pushes
}

async fn save(wiki: &Wiki, page: &str) {
    let text = "Roses want sun and water. ".repeat(200);
    wiki.save(page, text, Base::New).await.unwrap();
}

/// Links the one wiki with the other; returns the route of the link.
async fn make_link(control: &Router, url: &str) -> String {
    let token = json!({ "name": "link", "role": "editor" });
    let token = ask(control, "POST", "/admin/v1/wikis/remote/tokens", token).await;
    let link = json!({
        "url": format!("{url}/w/remote/git"),
        "credential": { "token": token["token"] },
        "interval_seconds": 3600,
    });
    let link = ask(control, "POST", "/admin/v1/wikis/linked/remotes", link).await;
    format!("/admin/v1/wikis/linked/remotes/{}", link["id"].as_str().unwrap())
}

/// Waits until nothing waits.
async fn synced(control: &Router, link: &str) {
    loop {
        let stands = ask(control, "GET", link, Value::Null).await;
        if stands["state"] == "idle" && stands["queue_length"] == 0 {
            return;
        }
        assert!(stands["state"] != "paused", "{stands:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn ask(control: &Router, method: &str, path: &str, body: Value) -> Value {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json");
    let body = if body.is_null() { Body::empty() } else { body.to_string().into() };
    let answer = control.clone().oneshot(request.body(body).unwrap()).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(status.is_success(), "{status} {}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).unwrap()
}
