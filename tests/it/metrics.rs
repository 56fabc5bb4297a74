//! What the operator sees of a server that is at work.

use http::Method;
use serde_json::json;
use testkit::{Fault, Linked, Notices, Scrape, ServerSetup, TestRemote, TestServer, Tie, scratch};

use super::program;

#[tokio::test]
async fn requests_are_counted_by_route_and_nothing_that_clients_say_is_shown() {
    let (server, operator, editor) = TestServer::with_garden().await;
    let garden = editor.on("garden");
    garden.create("roses", "red").await.good();
    garden.read("roses").await.good();
    garden.read("roses").await.good();
    garden.read("tulips").await.problem("page_not_found");
    // Nothing but the answer is of interest here.
    let ask = async |method: &str, path: &str| {
        editor.public(method.parse().unwrap(), path).await.status()
    };
    assert_eq!(ask("BREW-COFFEE", "/w/garden/api/v1/pages/roses").await, 405);
    assert_eq!(ask("BREW-TEA", "/w/garden/api/v1/pages/roses").await, 405);
    assert_eq!(ask("GET", "/w/garden/api/v1/canary-route").await, 404);
    assert_eq!(ask("GET", "/w/canary-wiki/api/v1/pages").await, 404);
    assert_eq!(ask("GET", "/w/garden/canary%0a%22%7d%20page?canary-query").await, 404);
    assert_eq!(ask("GET", "/w/garden/git/info/refs?service=git-upload-pack").await, 200);
    let climbing = "GET /w/garden/../canary HTTP/1.1\r\nHost: canary\r\nConnection: close\r\n\r\n";
    assert!(server.raw(climbing).await.starts_with("HTTP/1.1 400"));
    let _listening = garden.events(None).listen().await;

    let scrape = Scrape::of(&operator).await;
    let requests = |labels: &[(&str, &str)]| {
        let labels = [&[("listener", "wikis")], labels].concat();
        scrape.sum("http_requests_total", &labels)
    };
    let page = ("route", "/api/v1/pages/{path}");
    assert_eq!(requests(&[page, ("method", "PUT"), ("code", "201")]), 1.0);
    assert_eq!(requests(&[page, ("method", "GET"), ("code", "200")]), 2.0);
    assert_eq!(requests(&[page, ("method", "GET"), ("code", "404")]), 1.0);
    assert_eq!(requests(&[page, ("method", "other"), ("code", "405")]), 2.0);
    assert_eq!(requests(&[("route", "/{path}"), ("code", "404")]), 1.0);
    assert_eq!(requests(&[("route", "/git/info/refs"), ("code", "200")]), 1.0);
    assert_eq!(requests(&[("route", "/api/v1/events"), ("code", "200")]), 1.0);
    // An unknown route and an unknown wiki, and what was refused before anything else.
    assert_eq!(requests(&[("route", "none"), ("code", "404")]), 2.0);
    assert_eq!(requests(&[("route", "none"), ("code", "400")]), 1.0);
    assert_eq!(requests(&[]), 12.0);
    let made = [("listener", "control"), ("route", "/admin/v1/wikis"), ("code", "201")];
    assert_eq!(scrape.sum("http_requests_total", &made), 1.0);
    let reads = [page, ("method", "GET")];
    assert_eq!(scrape.sum("http_request_duration_seconds_count", &reads), 3.0);
    let most = [page, ("method", "GET"), ("le", "+Inf")];
    assert_eq!(scrape.sum("http_request_duration_seconds_bucket", &most), 3.0);
    assert!(scrape.sum("http_request_duration_seconds_sum", &reads) > 0.0);
    // This one; who listens was answered.
    assert_eq!(scrape.sum("http_requests_in_flight", &[("listener", "control")]), 1.0);
    assert_eq!(scrape.sum("http_requests_in_flight", &[("listener", "wikis")]), 0.0);
    assert_eq!(scrape.sum("event_listeners", &[]), 1.0);
    for hidden in ["garden", "roses", "canary", "BREW", "127.0.0.1", editor.secret()] {
        assert!(!scrape.text().contains(hidden), "{hidden}: {}", scrape.text());
    }

    // However many there are of a kind.
    let before = Scrape::of(&operator).await.count();
    for number in 0..20 {
        ask(&format!("X{number}"), &format!("/w/garden/api/v1/pages/page{number}")).await;
        ask("GET", &format!("/w/garden/api/v1/nothing{number}")).await;
        ask("GET", &format!("/w/wiki{number}/page")).await;
    }
    assert_eq!(Scrape::of(&operator).await.count(), before);
}

#[tokio::test]
async fn the_figures_are_the_operators() {
    let (server, operator, editor) = TestServer::with_garden().await;
    let admin = operator.token("garden", "admin").await;
    server.anonymous().admin(Method::GET, "/metrics").await.problem("unauthenticated");
    for user in [editor, admin] {
        user.admin(Method::GET, "/metrics").await.problem("forbidden");
    }
    // Not where the wikis are, whoever asks.
    for path in ["/metrics", "/admin/v1/metrics"] {
        assert_eq!(operator.public(Method::GET, path).await.status(), 404);
    }
    assert!(Scrape::of(&operator).await.text().contains("wikigrove_build_info{version=\""));
}

#[tokio::test]
async fn what_is_in_memory_is_told_and_what_came_and_went() {
    let setup = ServerSetup::default().settings(|settings| settings.open_wikis = 1);
    let (_server, operator) = setup.start().await;
    for slug in ["garden", "kitchen"] {
        operator.create_wiki(slug).await.good();
        let wiki = operator.on(slug);
        wiki.create("roses", "red").await.good();
        wiki.rendered("roses").await.good();
    }
    operator.change_wiki("garden", json!({ "state": "suspended", "reason": "x" })).await.good();
    let scrape = Scrape::of(&operator).await;
    assert_eq!(scrape.sum("wikis", &[("state", "active")]), 1.0);
    assert_eq!(scrape.sum("wikis", &[("state", "suspended")]), 1.0);
    assert_eq!(scrape.sum("wikis", &[]), 2.0);
    assert_eq!((scrape.sum("open_wikis", &[]), scrape.sum("open_wikis_limit", &[])), (1.0, 1.0));
    assert!(scrape.sum("wikis_opened_total", &[]) >= 2.0);
    assert!(scrape.sum("wikis_closed_total", &[("reason", "displaced")]) >= 1.0);
    assert_eq!(scrape.sum("changes_total", &[("origin", "api")]), 2.0);
    assert_eq!(scrape.sum("changes_total", &[("origin", "git")]), 0.0);
    for cache in ["pages", "rendered_pages"] {
        let of = [("cache", cache)];
        assert!(scrape.sum("cache_entries", &of) >= 1.0, "{cache}");
        let (bytes, limit) = (scrape.sum("cache_bytes", &of), scrape.sum("cache_limit_bytes", &of));
        assert!(0.0 < bytes && bytes < limit, "{cache}: {bytes} of {limit}");
    }
    assert!(scrape.sum("catalog_cached_rows", &[]) >= 1.0);
    for pool in ["platform", "wikis"] {
        let of = [("pool", pool)];
        let all = scrape.sum("sqlite_connections", &of);
        assert!(all >= 1.0 && scrape.sum("sqlite_connections_busy", &of) <= all, "{pool}");
    }
}

#[tokio::test]
async fn nobody_opens_a_wiki_to_look_at_figures() {
    let data = scratch();
    let running = program(data.path()).serve();
    running.operator().create_wiki("garden").await.good();
    running.operator().on("garden").create("roses", "red").await.good();
    drop(running);
    let running = program(data.path()).serve();
    let operator = running.operator();
    for _ in 0..3 {
        let scrape = Scrape::of(&operator).await;
        assert_eq!(scrape.sum("wikis", &[("state", "active")]), 2.0);
        assert_eq!(scrape.sum("open_wikis", &[]), 0.0);
        assert_eq!(scrape.sum("wikis_opened_total", &[]), 0.0);
    }
}

/// Wiki and remote change the same line.
async fn disagree(linked: &Linked) {
    let peer = linked.remote.clone_beside("peer");
    peer.write("roses.md", "blue\n").commit("x").run(&["push", "-q", "origin", "HEAD:main"]);
    linked.save("roses", "yellow\n").await;
}

#[tokio::test]
async fn what_a_link_does_is_counted_and_what_waits_for_it_is_seen() {
    let notices = Notices::start().await;
    let channel = notices.channel();
    let setup = ServerSetup::default().telling(channel);
    let linked = Linked::on(setup, TestRemote::start().await, json!({})).await;
    let operator = &linked.operator;
    linked.create("roses", "red\n").await;
    linked.synced().await;
    let scrape = Scrape::until(operator, "drains", |scrape| {
        scrape.sum("sync_queue_commits", &[]) == 0.0
            && scrape.sum("sync_links", &[("state", "idle")]) == 1.0
    })
    .await;
    assert_eq!(scrape.sum("sync_links", &[]), 1.0);
    assert_eq!(scrape.sum("sync_pushes_total", &[("result", "accepted")]), 1.0);
    assert!(scrape.sum("sync_runs_total", &[("outcome", "synced")]) >= 1.0);
    assert_eq!(scrape.sum("sync_runs_total", &[("outcome", "failed")]), 0.0);
    for step in ["fetch", "push", "verify"] {
        assert!(scrape.sum("sync_step_duration_seconds_count", &[("step", step)]) >= 1.0, "{step}");
    }
    assert_eq!((scrape.sum("sync_off", &[]), scrape.sum("sync_links_down", &[])), (0.0, 0.0));

    linked.run_synced().await;
    let nothing_new = [("outcome", "nothing_new")];
    Scrape::until(operator, "has nothing new", |scrape| {
        scrape.sum("sync_runs_total", &nothing_new) >= 1.0
    })
    .await;

    // The remote doesn't answer; what is saved waits, and gets older.
    linked.remote.order("info/refs", Fault::Status(503, Vec::new()), 1000);
    linked.create("tulips", "yellow\n").await;
    linked.create("lilies", "white\n").await;
    let scrape = Scrape::until(operator, "waits", |scrape| {
        scrape.sum("sync_links_down", &[]) == 1.0
            && scrape.sum("sync_queue_commits", &[]) == 2.0
            && scrape.sum("sync_queue_oldest_seconds", &[]) >= 1.0
    })
    .await;
    assert_eq!(scrape.sum("sync_links_waiting", &[]), 1.0);
    assert!(scrape.sum("sync_runs_total", &[("outcome", "failed")]) >= 1.0);
    linked.remote.forgive();
    linked.run_synced().await;
    Scrape::until(operator, "is up again", |scrape| {
        scrape.sum("sync_links_down", &[]) == 0.0
            && scrape.sum("sync_queue_commits", &[]) == 0.0
            && scrape.sum("sync_queue_oldest_seconds", &[]) == 0.0
            && scrape.sum("sync_links_waiting", &[]) == 0.0
    })
    .await;

    // Both change the same line.
    disagree(&linked).await;
    linked.run_synced().await;
    notices.of("sync.conflicts").await;
    let scrape = Scrape::until(operator, "tells", |scrape| {
        scrape.sum("sync_deliveries_total", &[("result", "delivered")]) == 1.0
            && scrape.sum("sync_notices_waiting", &[]) == 0.0
    })
    .await;
    assert_eq!(scrape.sum("sync_conflicts_total", &[]), 1.0);
    assert_eq!(scrape.sum("sync_merges_total", &[("how", "merge")]), 1.0);
    assert_eq!(scrape.sum("sync_merges_total", &[("how", "fast_forward")]), 0.0);
    assert_eq!(scrape.sum("sync_notices_total", &[("kind", "conflicts")]), 1.0);
    assert_eq!(scrape.sum("changes_total", &[("origin", "sync")]), 1.0);

    // Somebody has to mend something.
    linked.remote.require("git", "another");
    linked.create("daisies", "white\n").await;
    linked.state("paused", Some("auth")).await;
    linked.create("violets", "blue\n").await;
    let scrape =
        Scrape::until(operator, "counts", |scrape| scrape.sum("sync_queue_commits", &[]) == 2.0)
            .await;
    let paused = [("state", "paused"), ("reason", "auth")];
    assert_eq!((scrape.sum("sync_links", &paused), scrape.sum("sync_links", &[])), (1.0, 1.0));
    assert_eq!(scrape.sum("sync_notices_total", &[("kind", "paused")]), 1.0);
    assert_eq!(scrape.sum("sync_runs_total", &[("outcome", "paused")]), 1.0);
    for hidden in ["garden", "violets", "x.git", "127.0.0.1", &linked.id] {
        assert!(!scrape.text().contains(hidden), "{hidden}: {}", scrape.text());
    }
}

#[tokio::test]
async fn a_link_that_is_gone_or_whose_wiki_is_waits_for_nothing() {
    let (_server, operator) = TestServer::start().await;
    let remote = TestRemote::start().await;
    for slug in ["garden", "kitchen"] {
        operator.create_wiki(slug).await.good();
        let settings = json!({ "offline": true });
        let tie = Tie::new(&operator, slug, &remote.url("127.0.0.1"), settings).await;
        operator.on(slug).create("roses", "red").await.good();
        Scrape::until(&operator, "waits", |scrape| scrape.sum("sync_queue_commits", &[]) == 1.0)
            .await;
        match slug {
            "garden" => operator.control(Method::DELETE, tie.path("")).await.good(),
            _ => operator.delete_wiki(slug).await.good(),
        };
        let scrape = Scrape::of(&operator).await;
        assert_eq!(scrape.sum("sync_links", &[]), 0.0, "{slug}");
        assert_eq!(scrape.sum("sync_queue_commits", &[]), 0.0, "{slug}");
    }
}

#[tokio::test]
async fn what_waits_for_links_that_cant_run_is_known_soon_after_a_start() {
    let data = scratch();
    let running = program(data.path()).serve();
    let operator = running.operator();
    operator.create_wiki("garden").await.good();
    let (url, settings) = ("https://git.example.org/x.git", json!({ "offline": true }));
    Tie::new(&operator, "garden", url, settings).await;
    operator.on("garden").create("roses", "red").await.good();
    drop(running);
    for options in [&[][..], &["--no-sync"]] {
        let running = program(data.path()).serve_with(options);
        let operator = running.operator();
        let scrape = Scrape::until(&operator, "is counted", |scrape| {
            scrape.sum("sync_queue_commits", &[]) == 1.0
        })
        .await;
        assert_eq!(scrape.sum("sync_links", &[("state", "offline")]), 1.0);
        let off = if options.is_empty() { 0.0 } else { 1.0 };
        assert_eq!(scrape.sum("sync_off", &[("reason", "sync_disabled")]), off);
        assert_eq!(scrape.sum("sync_off", &[]), off);
    }
}

#[tokio::test]
async fn what_waits_for_a_remote_that_is_down_is_known_soon_after_a_start() {
    let (data, remote) = (scratch(), TestRemote::start().await);
    remote.order("info/refs", Fault::Status(503, Vec::new()), 1000);
    let allowed = ["--sync-allow", "127.0.0.1"];
    let running = program(data.path()).serve_with(&allowed);
    let operator = running.operator();
    operator.create_wiki("garden").await.good();
    let tie = Tie::new(&operator, "garden", &remote.url("127.0.0.1"), json!({})).await;
    tie.state("backoff", None).await;
    operator.on("garden").create("roses", "red").await.good();
    drop(running);
    // Its next look is at some moment of the next hour.
    let running = program(data.path()).serve_with(&allowed);
    let is_counted = |scrape: &Scrape| {
        scrape.sum("sync_queue_commits", &[]) == 1.0 && scrape.sum("sync_links_down", &[]) == 1.0
    };
    Scrape::until(&running.operator(), "is counted", is_counted).await;
}
