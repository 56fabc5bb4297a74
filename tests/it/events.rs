//! Events: what happens in a wiki is told in order, all of it and each once.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};
use testkit::{Event, Events, Git, OnWiki, ServerSetup, TestServer, scratch};
use wikigrove_server::limits::HttpLimits;
use wikigrove_server::openapi;

fn ids(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.id.clone()).collect()
}

/// The revisions of all changes, oldest first.
async fn log(wiki: &OnWiki) -> Vec<String> {
    let newest_first = wiki.changes().await;
    newest_first.iter().rev().map(revision).collect()
}

fn revision(commit: &Value) -> String {
    commit["revision"].as_str().unwrap().to_owned()
}

async fn create(wiki: &OnWiki, page: &str) -> String {
    revision(&wiki.create(page, "x").await.good().json())
}

/// The next event, which must be a reset; returns where it goes on.
async fn reset(events: &mut Events) -> String {
    let event = events.next().await.unwrap();
    assert_eq!(event.kind, "reset", "{event:?}");
    assert_eq!(event.json(), json!({ "revision": event.id }));
    event.id
}

#[tokio::test]
async fn an_event_is_the_commit_as_the_list_of_changes_has_it() {
    let (_server, _, editor) = TestServer::with_garden().await;
    let garden = editor.on("garden");
    create(&garden, "before").await;
    let mut events = garden.events(None).listen().await;
    let headers = events.headers();
    assert_eq!(headers["content-type"], "text/event-stream");
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["x-accel-buffering"], "no");
    // Before anything happens.
    events.comment().await;
    garden.put("roses", "a\nb").header("if-none-match", "*").await.good();
    let event = events.next().await.unwrap();
    assert_eq!(event.kind, "change");
    assert_eq!(events.retry, Some(2000));
    let commit: openapi::Commit = serde_json::from_value(event.json()).unwrap();
    assert_eq!(commit.revision, event.id);
    assert_eq!(commit.changes[0].path, "roses");
    assert_eq!(event.json(), garden.changes().await[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_many_writers_do_is_told_in_order_and_once() {
    let (_server, _, editor) = TestServer::with_garden().await;
    let garden = editor.on("garden");
    let mut listeners = join_all((0..4).map(|_| garden.events(None).listen())).await;
    let write = async |writer: usize| {
        let mut saved = Vec::new();
        for number in 0..20 {
            saved.push(create(&garden, &format!("{writer}/{number}")).await);
        }
        saved
    };
    let saved: Vec<Vec<String>> = join_all((0..8).map(write)).await;
    let log = log(&garden).await;
    assert_eq!(log.len(), 160);
    assert_eq!(saved.concat().into_iter().collect::<BTreeSet<_>>().len(), 160);
    for events in &mut listeners {
        assert_eq!(ids(&events.take(160).await), log);
    }
    // Whoever comes later gets what is missing, from anywhere.
    for from in [0, 1, 42, 158, 159] {
        let mut events = garden.events(Some(&log[from])).listen().await;
        assert_eq!(ids(&events.take(159 - from).await), log[from + 1..]);
    }
    let next = create(&garden, "next").await;
    for events in &mut listeners {
        assert_eq!(events.next().await.unwrap().id, next);
    }
}

#[tokio::test]
async fn the_query_names_the_last_event_for_those_who_cannot_send_the_header() {
    let (_server, _, editor) = TestServer::with_garden().await;
    let garden = editor.on("garden");
    let (one, two) = (create(&garden, "one").await, create(&garden, "two").await);
    let call = garden.api(Method::GET, "/events").query("last_event_id", &one);
    assert_eq!(call.clone().listen().await.next().await.unwrap().id, two);
    let three = create(&garden, "three").await;
    let mut events = call.header("last-event-id", &two).listen().await;
    assert_eq!(events.next().await.unwrap().id, three);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_goes_on_after_the_server_was_stopped_or_killed() {
    let data = scratch();
    let program = crate::program(data.path());
    let server = program.serve();
    let operator = server.operator();
    operator.create_wiki("garden").await.good();
    let garden = operator.on("garden");
    let mut events = garden.events(None).listen().await;
    let mut told = vec![create(&garden, "one").await];
    assert_eq!(ids(&events.take(1).await), told);
    let missed = create(&garden, "two").await;
    server.kill();

    let server = program.serve();
    let garden = server.operator().on("garden");
    told.push(missed);
    told.push(create(&garden, "three").await);
    let mut events = garden.events(Some(&told[0])).listen().await;
    assert_eq!(ids(&events.take(2).await), told[1..]);
    server.terminate();
    // Nothing more, and the server doesn't wait for who listens.
    assert_eq!(events.next().await, None);
    let (status, logged) = server.ended();
    assert_eq!(status.code(), Some(0), "{logged}");
    assert!(!logged.contains("cut"), "{logged}");

    let git = Git::at(data.path().join("clone"));
    std::fs::create_dir(git.dir()).unwrap();
    push(&git, &program.git("garden"), 1);
    let server = program.serve();
    let garden = server.operator().on("garden");
    let mut events = garden.events(Some(&told[2])).listen().await;
    let pushed = events.next().await.unwrap();
    assert_eq!(pushed.id, program.git("garden").run(&["rev-parse", "HEAD"]));
    told.push(pushed.id);
    let next = create(&garden, "four").await;
    assert_eq!(events.next().await.unwrap().id, next);
    told.push(next);
    assert_eq!(log(&garden).await, told);
    server.stop();
}

/// Commits `count` pages in `clone`, made from the wiki if it isn't yet, and pushes them.
fn push(clone: &Git, wiki: &Git, count: usize) {
    let url = wiki.dir().to_str().unwrap().to_owned();
    if !clone.dir().join(".git").exists() {
        clone.run(&["clone", "-q", &url, "."]);
    }
    clone.run(&["pull", "-q", "--no-rebase", "--no-edit"]);
    for number in 0..count {
        clone.write(&format!("pushed-{number}.md"), format!("{number}")).commit("by git");
    }
    clone.run(&["push", "-q"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_with_git_is_told_however_much_it_is() {
    let (server, _, editor) = TestServer::with_garden().await;
    let garden = editor.on("garden");
    let first = create(&garden, "first").await;
    let mut events = garden.events(None).listen().await;
    let dir = scratch();
    let clone = Git::at(dir.path());
    let mut told = vec![first];
    // A few are indexed at once, many in the background.
    for count in [3, 300] {
        push(&clone, &server.git("garden"), count);
        told.extend(ids(&events.take(count).await));
        told.push(create(&garden, &format!("after-{count}")).await);
        assert_eq!(events.next().await.unwrap().id, *told.last().unwrap());
    }
    let by_git = server.git("garden").run(&["rev-list", "--topo-order", "--reverse", "HEAD"]);
    assert_eq!(told, by_git.lines().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_was_replaced_is_said_to_be() {
    let (server, _, editor) = TestServer::with_garden().await;
    let garden = editor.on("garden");
    let base = create(&garden, "base").await;
    let gone = create(&garden, "gone").await;
    let mut listening = garden.events(None).listen().await;
    listening.comment().await;
    let git = server.git("garden");
    git.run(&["update-ref", "HEAD", &base]);
    assert_eq!(reset(&mut listening).await, base);
    let next = create(&garden, "next").await;
    assert_eq!(listening.next().await.unwrap().id, next);

    let never = "0123456789012345678901234567890123456789";
    for unknown in [gone.as_str(), never, "HEAD", "--all", "1"] {
        let mut events = garden.events(Some(unknown)).listen().await;
        assert_eq!(reset(&mut events).await, next, "{unknown}");
    }
    let mut events = garden.events(Some(&gone)).listen().await;
    reset(&mut events).await;
    let last = create(&garden, "last").await;
    assert_eq!(events.next().await.unwrap().id, last);
    assert_eq!(listening.next().await.unwrap().id, last);
}

#[tokio::test]
async fn an_empty_wiki_has_events_from_its_first_page_on() {
    let (_server, _, editor) = TestServer::with_garden().await;
    let garden = editor.on("garden");
    let mut events = garden.events(None).listen().await;
    let mut lost = garden.events(Some("x")).listen().await;
    let event = lost.next().await.unwrap();
    assert_eq!((event.kind.as_str(), event.id.as_str()), ("reset", ""));
    assert_eq!(event.json(), json!({ "revision": null }));
    let first = create(&garden, "first").await;
    assert_eq!(events.next().await.unwrap().id, first);
    assert_eq!(lost.next().await.unwrap().id, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_holds_nobody_up_and_misses_nothing() {
    let (_server, _, editor) = TestServer::with_garden().await;
    let garden = editor.on("garden");
    let mut slow = garden.events(None).with_little_room().listen().await;
    let mut quick = garden.events(None).listen().await;
    // With messages this long, what nobody reads is more than all buffers between hold.
    let message = "because ".repeat(1000);
    let write = async |writer: usize| {
        for number in 0..250 {
            let page = json!({ "content": "x", "message": message });
            let path = format!("/pages/{writer}/{number}");
            let put = garden.api(Method::PUT, path).json(page).header("if-none-match", "*");
            put.await.good();
        }
    };
    let (_, by_quick) = tokio::join!(join_all((0..8).map(write)), quick.take(2000));
    let log = log(&garden).await;
    assert_eq!(log.len(), 2000);
    assert_eq!(ids(&by_quick), log);
    assert_eq!(ids(&slow.take(2000).await), log);
    let next = create(&garden, "next").await;
    assert_eq!(slow.next().await.unwrap().id, next);
}

#[tokio::test]
async fn wikis_do_not_hear_of_each_other() {
    let (_server, operator, editor) = TestServer::with_garden().await;
    operator.create_wiki("kitchen").await.good();
    let (garden, kitchen) = (operator.on("garden"), operator.on("kitchen"));
    let (mut here, mut there) =
        (garden.events(None).listen().await, kitchen.events(None).listen().await);
    let cooked = create(&kitchen, "soup").await;
    let planted = create(&garden, "roses").await;
    assert_eq!(here.next().await.unwrap().id, planted);
    assert_eq!(there.next().await.unwrap().id, cooked);
    let mut lost = garden.events(Some(&cooked)).listen().await;
    assert_eq!(reset(&mut lost).await, planted);
    editor.on("kitchen").events(None).await.problem("unknown_wiki");
    editor.without_token().on("garden").events(None).await.problem("unknown_wiki");
}

#[tokio::test]
async fn who_may_not_read_any_more_hears_nothing_more() {
    let (server, operator, editor) = TestServer::with_garden().await;
    let reader = operator.token("garden", "reader").await;
    let mut events = reader.on("garden").events(None).listen().await;
    events.comment().await;
    let tokens = operator.admin(Method::GET, "/wikis/garden/tokens").await.good().json();
    let items = tokens["items"].as_array().unwrap();
    let id = items.iter().find(|token| token["role"] == "reader").unwrap()["id"].as_str().unwrap();
    operator.admin(Method::DELETE, format!("/wikis/garden/tokens/{id}")).await.good();
    let garden = editor.on("garden");
    create(&garden, "secret").await;
    assert_eq!(events.next().await, None);

    // Nothing has to happen in it: a wiki that is suspended or deleted ends by itself.
    let mut events = garden.events(None).listen().await;
    operator
        .change_wiki("garden", json!({ "state": "suspended", "reason": "unpaid" }))
        .await
        .good();
    assert_eq!(events.next().await, None);
    operator.change_wiki("garden", json!({ "state": "active" })).await.good();
    let mut events = garden.events(None).listen().await;
    operator.delete_wiki("garden").await.good();
    assert_eq!(events.next().await, None);
    server.stop().await;
}

#[tokio::test]
async fn an_idle_stream_says_that_it_is_there_and_ends_with_the_rights() {
    let limits = |limits: &mut HttpLimits| {
        limits.events_keep_alive = Duration::from_millis(20);
        // So long a connection may be silent that nothing is being answered on.
        limits.header_timeout = Duration::from_millis(100);
    };
    let (_server, operator) = ServerSetup::default().limits(limits).start().await;
    operator.create_wiki("garden").await.good();
    let reader = operator.token("garden", "reader").await;
    let call = reader.on("garden").events(None);
    let mut streams = [call.clone().listen().await, call.http2().listen().await];
    for events in &mut streams {
        for _ in 0..30 {
            events.comment().await;
        }
    }
    let tokens = operator.admin(Method::GET, "/wikis/garden/tokens").await.good().json();
    let id = tokens["items"][0]["id"].as_str().unwrap();
    operator.admin(Method::DELETE, format!("/wikis/garden/tokens/{id}")).await.good();
    for events in &mut streams {
        assert_eq!(events.next().await, None);
    }
}

#[tokio::test]
async fn only_so_many_listen_and_a_place_becomes_free() {
    let (_server, operator) =
        ServerSetup::default().limits(|l| l.listeners_per_wiki = 2).start().await;
    operator.create_wiki("garden").await.good();
    operator.create_wiki("kitchen").await.good();
    let garden = operator.on("garden");
    let mut one = garden.events(None).listen().await;
    let two = garden.events(None).listen().await;
    let refused = garden.events(None).await;
    refused.problem("too_many_listeners");
    assert_eq!((refused.status(), refused.header("retry-after")), (503, "30"));
    operator.on("kitchen").events(None).listen().await.comment().await;
    drop(two);
    // The server learns of it when it next writes to the connection.
    let mut place = None;
    for number in 0..1000 {
        let saved = create(&garden, &format!("page-{number}")).await;
        assert_eq!(one.next().await.unwrap().id, saved);
        let answer = garden.api(Method::HEAD, "/events").await;
        if answer.status() == 200 {
            place = Some(answer);
            break;
        }
    }
    assert!(place.is_some(), "no place became free");
}

#[tokio::test]
async fn listeners_do_not_keep_the_server_from_stopping() {
    let (server, _, editor) = TestServer::with_garden().await;
    let garden = editor.on("garden");
    let mut streams = vec![garden.events(None).listen().await];
    streams.push(garden.events(None).http2().listen().await);
    let saved = create(&garden, "roses").await;
    for events in &mut streams {
        assert_eq!(events.next().await.unwrap().id, saved);
    }
    server.stop().await;
    for events in &mut streams {
        assert_eq!(events.next().await, None);
    }
}

/// More wikis are listened to than may be open; each is closed while nothing happens in it.
#[tokio::test(flavor = "multi_thread")]
async fn wikis_that_are_only_listened_to_make_room_for_others() {
    const OPEN: usize = 4;
    let limits = |limits: &mut HttpLimits| limits.events_keep_alive = Duration::from_millis(100);
    let setup = ServerSetup::default().settings(|s| s.open_wikis = OPEN).limits(limits);
    let (server, operator) = setup.start().await;
    let mut listeners = Vec::new();
    for n in 0..2 * OPEN {
        let slug = format!("wiki-{n}");
        operator.create_wiki(&slug).await.good();
        let wiki = operator.on(&slug);
        let first = create(&wiki, "first").await;
        let reader = operator.token(&slug, "reader").await;
        let mut events = reader.on(&slug).events(None).listen().await;
        events.comment().await;
        listeners.push((wiki, events, first));
    }
    assert!(server.platform().open_wikis() <= OPEN);
    // They go on, and hear what happens in theirs and nothing else.
    for (wiki, events, _) in &mut listeners {
        let second = create(wiki, "second").await;
        assert_eq!(events.next().await.unwrap().id, second);
    }
    for (wiki, _, first) in &listeners {
        let mut events = wiki.events(Some(first)).listen().await;
        assert_eq!(events.take(1).await.len(), 1);
    }
    // Rights end also where the wiki is closed.
    for (n, (_, events, _)) in listeners.iter_mut().enumerate() {
        let tokens = operator.admin(Method::GET, format!("/wikis/wiki-{n}/tokens")).await.good();
        let id = tokens.json()["items"][0]["id"].as_str().unwrap().to_owned();
        operator.admin(Method::DELETE, format!("/wikis/wiki-{n}/tokens/{id}")).await.good();
        let event = events.next().await;
        assert!(event.is_none(), "{event:?}");
    }
    server.stop().await;
}
