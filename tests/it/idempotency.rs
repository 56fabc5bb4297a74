//! `Idempotency-Key`: done once, kept within bounds, and independent of other callers.

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use testkit::{Call, OnWiki, ServerSetup, TestServer};
use wikigrove_server::auth::proxy::Proxies;
use wikigrove_tenant::storage::deadline::Cancelled;
use wikigrove_tenant::{Caller, Wiki};

/// A request that doesn't wait for others is answered within this time, however busy the machine is.
const AT_ONCE: Duration = Duration::from_secs(20);

/// Keeps the writer of a wiki busy until what it returns is dropped.
async fn occupied(server: &TestServer, slug: &str) -> mpsc::Sender<()> {
    let wiki = server.platform().wiki(slug, Caller::operator()).await.unwrap();
    let ((busy, is_busy), (end, ended)) = (mpsc::channel(), mpsc::channel::<()>());
    let fetch = move |_: &std::path::Path| {
        busy.send(()).unwrap();
        let _ = ended.recv();
        Err(Cancelled.into())
    };
    wikigrove_tenant::spawn(async move { wiki.fast_forward(fetch).await.map(drop).unwrap_err() });
    wikigrove_tenant::spawn_blocking(move || is_busy.recv().unwrap()).await.unwrap();
    end
}

fn moving(wiki: &OnWiki, from: &str, to: &str, key: &str) -> Call {
    let order = json!({ "from": from, "to": to });
    wiki.api(Method::POST, "/moves").json(order).header("idempotency-key", key)
}

/// The number of answers that a wiki keeps, and the bytes of the largest.
async fn kept(wiki: &Wiki) -> (i64, i64) {
    let sql = "select count(*), coalesce(max(length(body)), 0) from idempotency";
    let counted =
        wiki.db(|connection| connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))));
    counted.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_with_keys_wait_for_nobody_but_themselves() {
    let (server, operator, editor) = TestServer::with_garden().await;
    operator.create_wiki("kitchen").await.good();
    let cook = operator.token("kitchen", "editor").await;
    cook.on("kitchen").create("soup", "hot\n").await.good();
    editor.on("garden").create("roses", "red\n").await.good();
    let busy = occupied(&server, "garden").await;
    let stuck: Vec<_> = (0..200)
        .map(|number| {
            let call = moving(&editor.on("garden"), "roses", "tulips", &format!("k-{number}"));
            wikigrove_tenant::spawn(call.into_future())
        })
        .collect();
    // As many keys as there could be queues to share.
    for number in 0..100 {
        let call = cook.on("kitchen").revert(&"0".repeat(40));
        let call = call.header("idempotency-key", format!("v-{number}"));
        let answered = tokio::time::timeout(AT_ONCE, call).await.expect("it waits for nobody");
        answered.problem("unknown_revision");
    }
    drop(busy);
    let mut moved = BTreeSet::new();
    for call in stuck {
        let answer = call.await.unwrap();
        match answer.status() {
            200 => drop(moved.insert(answer.json()["revision"].to_string())),
            _ => drop(answer.problem("busy")),
        }
    }
    assert_eq!(moved.len(), 1, "there was one page to move: {moved:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_gave_up_waiting_leaves_nothing_held() {
    let (server, _, editor) = TestServer::with_garden().await;
    let garden = editor.on("garden");
    garden.create("roses", "red\n").await.good();
    let busy = occupied(&server, "garden").await;
    let call = || moving(&garden, "roses", "tulips", "k");
    // The first is being done, the others wait for it. All their clients leave.
    let given_up = (0..5).map(|_| tokio::time::timeout(Duration::from_millis(500), call()));
    for answered in futures_util::future::join_all(given_up).await {
        answered.unwrap_err();
    }
    drop(busy);
    let answered = tokio::time::timeout(AT_ONCE, call()).await.expect("nothing is held");
    // The move that had begun was done to its end, once, and its answer was kept.
    let revision = answered.good().json()["revision"].clone();
    let log = garden.changes().await;
    assert_eq!((&log[0]["revision"], log.len()), (&revision, 2));
    garden.read("tulips").await.good();
}

#[tokio::test]
async fn an_answer_is_kept_in_the_file_of_its_wiki_and_a_large_one_not_whole() {
    let (server, _, editor) = TestServer::with_garden().await;
    let garden = editor.on("garden");
    let wiki = server.platform().wiki("garden", Caller::operator()).await.unwrap();
    let deep = ["x".repeat(200), "y".repeat(200), "z".repeat(200)].join("/");
    for number in 0..80 {
        garden.create(&format!("{deep}/{number}"), "text\n").await.good();
    }
    let to = "w".repeat(200);
    let call = || moving(&garden, &"x".repeat(200), &to, "k");
    let first = call().await.good();
    assert!(first.text().len() > 64 * 1024, "{}", first.text().len());
    let again = call().await.good();
    assert_eq!((again.status(), again.header("content-type")), (200, "application/json"));
    let again = again.json();
    assert_eq!(again["revision"], first.json()["revision"]);
    assert_eq!(again["answer_kept"], false);
    let (count, largest) = kept(&wiki).await;
    assert_eq!(count, 1);
    assert!(largest < 1024, "{largest}");
    // A small one is given again as it was.
    let back =
        || moving(&garden, &format!("{to}/{}/{}/0", "y".repeat(200), "z".repeat(200)), "a", "k-2");
    let (first, again) = (back().await.good(), back().await.good());
    assert_eq!(first.text(), again.text());
    assert_eq!(kept(&wiki).await.0, 2);
    let platform = rusqlite::Connection::open(server.dir().join("platform.db")).unwrap();
    let count = platform.query_row("select count(*) from idempotency", [], |row| row.get(0));
    assert_eq!(count, Ok(0));
}

#[tokio::test]
async fn callers_without_a_credential_are_not_in_each_others_way() {
    let proxies = Proxies::new(vec!["127.0.0.1/32".parse().unwrap()], &[], false, None).unwrap();
    let (server, operator) = ServerSetup::default().behind(proxies).start().await;
    let garden = json!({ "slug": "garden", "visibility": "public_write" });
    operator.admin(Method::POST, "/wikis").json(garden).await.good();
    let nobody = server.anonymous().on("garden");
    for page in ["roses", "tulips"] {
        nobody.create(page, "text\n").await.good();
    }
    let from = |address: &str, page: &str, to: &str| {
        moving(&nobody, page, to, "k").header("x-forwarded-for", address)
    };
    let first = from("192.0.2.1", "roses", "a").await.good();
    // The same key from another address is another key, with the same body or another.
    from("192.0.2.2", "tulips", "b").await.good();
    from("2001:db8::1", "violets", "a").await.problem("page_not_found");
    // At the same place it is the same.
    assert_eq!(from("192.0.2.1", "roses", "a").await.good().text(), first.text());
    from("192.0.2.1", "a", "c").await.problem("idempotency_key_reused");
}

#[tokio::test]
async fn an_answer_about_what_was_removed_since_is_not_given_again() {
    let (_server, operator, _) = TestServer::with_garden().await;
    let post = |path: &str, body: Value| {
        operator.admin(Method::POST, path).header("idempotency-key", "k").json(body)
    };
    let kitchen = || post("/wikis", json!({ "slug": "kitchen" }));
    kitchen().await.good();
    kitchen().await.good();
    operator.delete_wiki("kitchen").await.good();
    let refused = kitchen().await;
    assert_eq!(refused.status(), 409);
    refused.problem("removed_since");
    operator.admin(Method::GET, "/wikis/kitchen").await.problem("unknown_wiki");
    for (path, body) in [
        ("/wikis/garden/tokens", json!({ "name": "bot", "role": "reader" })),
        ("/wikis/garden/invitations", json!({ "role": "reader" })),
        ("/wikis/garden/channels", json!({ "webhook": "https://127.0.0.1:1/x" })),
        (
            "/wikis/garden/remotes",
            json!({ "url": "https://git.example.org/a.git", "offline": true }),
        ),
    ] {
        let made = post(path, body.clone()).await.good().json();
        assert_eq!(post(path, body.clone()).await.good().json()["id"], made["id"], "{path}");
        let one = format!("{path}/{}", made["id"].as_str().unwrap());
        operator.admin(Method::DELETE, one).await.good();
        post(path, body).await.problem("removed_since");
    }
}

/// A body that such a route never needs isn't held in memory until it is its turn.
#[tokio::test]
async fn routes_that_take_a_key_take_small_bodies() {
    let (_server, _, editor) = TestServer::with_garden().await;
    let garden = editor.on("garden");
    for route in ["/moves", "/reverts"] {
        let large = json!({ "message": "x".repeat(70_000) });
        let refused = garden.api(Method::POST, route).json(large).await;
        assert_eq!(refused.problem("body_too_large")["limit"], 65_536);
    }
}
