//! No wiki sees another one's bytes: not under load, not when requests are cancelled, not across
//! two platforms in one process.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::routing::{get, put};
use futures_util::future::join_all;
use futures_util::stream;
use testkit::{Grove, client, slug};
use wikigrove_tenant::{
    Base, Caller, Error, ExistingPath, NewTenant, NewToken, Resolver, Role, TokenRole, Wiki,
    current, spawn, spawn_blocking,
};

const WIKIS: usize = 200;
const REQUESTS: usize = 2_000;

#[tokio::test]
async fn two_platforms_in_one_process_share_nothing() {
    let (left, right) = (Grove::empty().start().await, Grove::empty().start().await);
    for (grove, side) in [(&left, "left"), (&right, "right")] {
        let mut new = NewTenant::new(slug("garden"));
        new.title = side.to_owned();
        new.preferences = [("SITE_NAME".to_owned(), side.to_owned())].into();
        grove.create_tenant(new).await.unwrap();
        grove.save("garden", "home", side).await.unwrap();
        grove.save("garden", side, side).await.unwrap();
        grove.set_member(&slug("garden"), side, Role::Editor).await.unwrap();
    }
    let operator = NewToken {
        name: "t".to_owned(),
        role: TokenRole::Operator,
        act_as: false,
        expires: None,
        subject: None,
    };
    let (_, secret) = left.create_token(operator).await.unwrap();
    assert!(left.find_token(secret.expose()).await.unwrap().is_some());
    assert!(right.find_token(secret.expose()).await.unwrap().is_none());

    for (grove, side) in [(&left, "left"), (&right, "right")] {
        let wiki = grove.on("garden").await;
        assert_eq!(wiki.title(), side);
        assert_eq!(wiki.read("home").await.unwrap().content, side);
        assert_eq!(wiki.preferences().await.unwrap().site_name(), Some(side));
        assert_eq!(paths(&wiki).await, ["home", side]);
        let members = grove.members(&slug("garden"), None, 10).await.unwrap();
        assert_eq!(members.len(), 1);
        assert_eq!(members[0].subject, side);
        assert!(grove.user(side, "garden").await.is_ok());
    }
    assert!(left.user("right", "garden").await.unwrap_err().is_not_found());
    left.delete(&slug("garden")).await.unwrap();
    assert_eq!(right.on("garden").await.read("home").await.unwrap().content, "right");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_thousand_requests_at_once_never_see_a_neighbour() {
    let grove = planted(Grove::of(WIKIS)).await;
    let saved = storm(&grove, REQUESTS, REQUESTS, |_| None).await;
    assert_eq!(saved.len(), REQUESTS / DOORS.len());
    check(&grove, saved).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_cancelled_midway_leave_every_wiki_whole() {
    let grove = planted(Grove::of(WIKIS)).await;
    // Every third is dropped somewhere on its way, most before its end.
    let patience = |number| every_third(number, 60_000);
    let saved = storm(&grove, REQUESTS, REQUESTS, patience).await;
    assert!(saved.len() >= REQUESTS / DOORS.len() / 2, "{}", saved.len());
    check(&grove, saved).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nor_do_they_when_wikis_are_closed_and_opened_all_the_time() {
    let grove = planted(Grove::of(60).open_wikis(12)).await;
    let patience = |number| every_third(number, 20_000);
    let saved = storm(&grove, 600, 8, patience).await;
    assert!(grove.open_wikis() <= 12);
    check(&grove, saved).await;
}

/// What one wiki has and no other.
fn canary(wiki: &str) -> String {
    format!("<canary of {wiki}>")
}

/// Every wiki with its canary in the title, in a page and in a page's name.
async fn planted(builder: testkit::GroveBuilder) -> Grove {
    let grove = builder.start().await;
    for tenant in grove.wikis(None, 1_000).await.unwrap() {
        let name = tenant.slug.as_str();
        let title = Some(canary(name));
        let update = wikigrove_tenant::TenantUpdate { title, ..Default::default() };
        grove.update(&tenant.slug, update).await.unwrap();
        grove.save(name, "home", &canary(name)).await.unwrap();
    }
    grove
}

/// The ways a handler can come by its wiki. Each answers with all canaries that it saw.
const DOORS: [&str; 8] =
    ["current", "extracted", "spawned", "blocking", "streamed", "listed", "wandering", "pages"];

fn router(grove: &Grove) -> Router {
    let layer = grove
        .layer(Resolver::path("/w/{slug}"))
        .identify(|_| Some(Caller::user_without_email("ann", "Ann").with_role(Role::Editor)));
    Router::new()
        .route("/w/{slug}/current", get(async || seen(&current()?).await))
        .route("/w/{slug}/extracted", get(async |wiki: Wiki| seen(&wiki).await))
        .route("/w/{slug}/spawned", get(spawned))
        .route("/w/{slug}/blocking", get(blocking))
        .route("/w/{slug}/streamed", get(streamed))
        .route("/w/{slug}/listed", get(listed))
        .route("/w/{slug}/wandering", get(wandering))
        .route("/w/{slug}/pages/{page}", put(save))
        .layer(layer)
}

async fn seen(wiki: &Wiki) -> Result<String, Error> {
    let text = wiki.read("home").await?.content;
    Ok([text, wiki.title().to_owned(), canary(wiki.slug().as_str())].join("\n"))
}

async fn spawned() -> Result<String, Error> {
    let task = spawn(async {
        tokio::task::yield_now().await;
        seen(&current()?).await
    });
    task.await.unwrap()
}

async fn blocking() -> Result<String, Error> {
    let task = spawn_blocking(|| -> Result<String, Error> {
        let wiki = current()?;
        let page = wiki.storage()?.read(&ExistingPath::new("home").unwrap())?;
        Ok(format!("{}\n{}", String::from_utf8_lossy(&page.content), canary(wiki.slug().as_str())))
    });
    task.await.unwrap()
}

/// The text is produced after the handler has returned, piece by piece.
async fn streamed() -> Body {
    Body::from_stream(stream::unfold(0, |number| async move {
        if number == 3 {
            return None;
        }
        tokio::task::yield_now().await;
        let piece = async { Ok::<_, Error>(seen(&current()?).await? + "\n") };
        Some((piece.await, number + 1))
    }))
}

async fn listed(wiki: Wiki) -> Result<String, Error> {
    let titles: Vec<_> =
        wiki.pages("", None, 1_000).await?.into_iter().map(|page| page.title).collect();
    // Saved pages are titled by their number, and their text is checked at the end.
    assert!(titles.iter().all(|title| title == "home" || title.starts_with("page-")), "{titles:?}");
    seen(&wiki).await
}

/// Goes from thread to thread, asking at each.
async fn wandering() -> Result<String, Error> {
    let mut all = Vec::new();
    for _ in 0..10 {
        tokio::task::yield_now().await;
        all.push(canary(current()?.slug().as_str()));
    }
    Ok(all.join("\n"))
}

async fn save(
    wiki: Wiki,
    Path((_, page)): Path<(String, String)>,
    base: Base,
) -> Result<String, Error> {
    let text = canary(current()?.slug().as_str());
    wiki.save(&page, text, base).await?;
    seen(&wiki).await
}

/// Sends requests, `width` at a time, and returns the saves that were acknowledged. Who hasn't been
/// answered within its `patience` goes away.
async fn storm(
    grove: &Grove,
    requests: usize,
    width: usize,
    patience: impl Fn(usize) -> Option<Duration>,
) -> BTreeSet<(String, String)> {
    let (router, wikis) = (router(grove), grove.wikis(None, 1_000).await.unwrap().len());
    let (saved, turns) =
        (Arc::new(Mutex::new(BTreeSet::new())), Arc::new(tokio::sync::Semaphore::new(width)));
    let tasks = (0..requests).map(|number| {
        let (router, saved, turns) = (router.clone(), saved.clone(), turns.clone());
        let patience = patience(number).unwrap_or(Duration::from_secs(60));
        let request = one(router, number, wikis, saved);
        #[expect(clippy::disallowed_methods, reason = "the client has no wiki")]
        tokio::spawn(async move {
            let _turn = turns.acquire().await;
            tokio::time::timeout(patience, request).await.ok();
        })
    });
    for done in join_all(tasks.collect::<Vec<_>>()).await {
        done.unwrap();
    }
    Arc::into_inner(saved).unwrap().into_inner().unwrap()
}

async fn one(
    router: Router,
    number: usize,
    wikis: usize,
    saved: Arc<Mutex<BTreeSet<(String, String)>>>,
) {
    let wiki = format!("wiki-{}", scatter(number) as usize % wikis);
    let (door, page) = (DOORS[number % DOORS.len()], format!("page-{number}"));
    let reply = match door {
        "pages" => client::put_new(&router, &format!("/w/{wiki}/pages/{page}"), "").await,
        _ => client::get(&router, &format!("/w/{wiki}/{door}")).await,
    };
    let text = reply.good();
    assert!(text.lines().all(|line| line == canary(&wiki)), "{wiki} {door}: {text}");
    if door == "pages" {
        saved.lock().unwrap().insert((wiki, page));
    }
}

/// Every wiki works, has what was acknowledged, and nothing that isn't its own.
async fn check(grove: &Grove, saved: BTreeSet<(String, String)>) {
    for tenant in grove.wikis(None, 1_000).await.unwrap() {
        let name = tenant.slug.as_str();
        let wiki = grove.on(name).await;
        wiki.save("last", canary(name), Base::New).await.unwrap();
        let paths = paths(&wiki).await;
        for path in &paths {
            assert_eq!(wiki.read(path).await.unwrap().content, canary(name));
        }
        for (_, page) in saved.iter().filter(|(wiki, _)| wiki == name) {
            assert!(paths.contains(page), "{name} lost {page}");
        }
    }
}

async fn paths(wiki: &Wiki) -> Vec<String> {
    wiki.pages("", None, 10_000).await.unwrap().into_iter().map(|page| page.path).collect()
}

/// Up to `longest` microseconds for every third request.
fn every_third(number: usize, longest: u64) -> Option<Duration> {
    number.is_multiple_of(3).then(|| Duration::from_micros(scatter(number) % longest))
}

/// A number that looks random, and is the same in every run.
fn scatter(number: usize) -> u64 {
    (number as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
}
