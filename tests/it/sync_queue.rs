//! What waits for a remote: through failures, restarts and the end of the process.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};
use testkit::{Fault, Linked, TestRemote, User, link, scratch};

use super::program;

/// Waits until a link is as wanted.
async fn until(operator: &User, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let started = Instant::now();
    loop {
        let link = operator.control(Method::GET, path).await.good().json();
        if is_so(&link) {
            return link;
        }
        assert!(started.elapsed() < Duration::from_secs(90), "{link:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn is_synced(link: &Value) -> bool {
    link["state"] == "idle" && link["queue_length"] == 0
}

#[tokio::test]
async fn of_two_remotes_the_one_that_answers_gets_everything() {
    let linked = Linked::start().await;
    linked.synced().await;
    let other = TestRemote::start().await;
    other.order("info/refs", Fault::Status(503, Vec::new()), 1000);
    let made = link(&linked.operator, "garden", &other, json!({})).await;
    let path = format!("/admin/v1/wikis/garden/remotes/{}", made["id"].as_str().unwrap());
    for number in 0..5 {
        linked.create(&format!("page{number}"), "text").await;
    }
    linked.synced().await;
    let waiting = until(&linked.operator, &path, |link| link["state"] == "backoff").await;
    assert_eq!(waiting["queue_length"], 5);
    linked.operator.control(Method::DELETE, path).await.good();
    assert_eq!(linked.link().await["queue_length"], 0);
}

#[tokio::test]
async fn a_suspended_wiki_rests_and_goes_on_afterwards() {
    let linked = Linked::start().await;
    linked.create("roses", "red").await;
    linked.run_synced().await;
    let peer = linked.remote.clone_beside("peer");
    peer.write("tulips.md", "yellow").commit("x").run(&["push", "-q", "origin", "HEAD:main"]);
    linked
        .operator
        .change_wiki("garden", json!({ "state": "suspended", "reason": "rest" }))
        .await
        .good();
    linked.remote.seen();
    linked.run().await;
    let link = linked.state("backoff", None).await;
    assert!(link["last_error"].as_str().unwrap().contains("suspended"), "{link}");
    assert!(linked.remote.seen().is_empty());
    linked.operator.change_wiki("garden", json!({ "state": "active" })).await.good();
    linked.synced().await;
    assert_eq!(linked.head(), linked.tip());
}

#[tokio::test]
async fn a_process_that_is_killed_at_any_moment_of_a_run_leaves_nothing_undone_or_done_twice() {
    let rounds = if std::env::var_os("WIKIGROVE_LONG_TESTS").is_some() { 40 } else { 6 };
    let data = scratch();
    let remote = TestRemote::start().await;
    let allowed = ["--sync-allow", "127.0.0.1"];
    let mut running = program(data.path()).serve_with(&allowed);
    running.operator().create_wiki("garden").await.good();
    let made =
        link(&running.operator(), "garden", &remote, json!({ "interval_seconds": 30 })).await;
    let path = format!("/admin/v1/wikis/garden/remotes/{}", made["id"].as_str().unwrap());
    running.operator().on("garden").create("first", "text").await.good();
    until(&running.operator(), &path, is_synced).await;
    let peer = remote.clone_beside("peer");
    let mut acknowledged = Vec::new();
    for round in 0..rounds {
        let operator = running.operator();
        let garden = operator.on("garden");
        let page = format!("ours{round}");
        garden.create(&page, &format!("text {round}")).await.good();
        acknowledged.push(page);
        if round % 2 == 0 {
            let _ = peer.output(&["pull", "-q", "--no-rebase", "--no-edit", "origin", "main"]);
            peer.write(&format!("theirs{round}.md"), "text").commit("theirs");
            let _ = peer.output(&["push", "-q", "origin", "HEAD:main"]);
        }
        operator.control(Method::POST, format!("{path}/runs")).await.good();
        tokio::time::sleep(Duration::from_millis(37 * (round % 13))).await;
        running.kill();
        running = program(data.path()).serve_with(&allowed);
    }
    let operator = running.operator();
    operator.control(Method::POST, format!("{path}/runs")).await.good();
    until(&operator, &path, is_synced).await;
    let wiki = program(data.path()).git("garden");
    assert_eq!(wiki.run(&["rev-parse", "main"]), remote.git().run(&["rev-parse", "main"]));
    for page in acknowledged {
        wiki.run(&["cat-file", "-e", &format!("main:{page}.md")]);
        let added = wiki.run(&[
            "log",
            "--format=%H",
            "--diff-filter=A",
            "main",
            "--",
            &format!("{page}.md"),
        ]);
        assert_eq!(added.lines().count(), 1, "{page} was committed once");
    }
    let left = std::fs::read_dir(data.path().join("sync/calls")).unwrap().count();
    assert_eq!(left, 0, "keys of dead processes are gone");
    remote.git().run(&["fsck", "--strict"]);
}

#[tokio::test]
async fn two_wikis_written_at_once_over_a_network_that_fails_become_the_same() {
    let seconds = if std::env::var_os("WIKIGROVE_LONG_TESTS").is_some() { 60 } else { 8 };
    let remote = TestRemote::start().await;
    let linked = Linked::on(testkit::ServerSetup::default(), remote, json!({})).await;
    linked.create("shared", "0\n\n1\n\n2\n\n3\n").await;
    linked.run_synced().await;
    linked.operator.create_wiki("twin").await.good();
    let made = link(&linked.operator, "twin", &linked.remote, json!({})).await;
    let twin_path = format!("/admin/v1/wikis/twin/remotes/{}", made["id"].as_str().unwrap());
    until(&linked.operator, &twin_path, is_synced).await;
    let started = Instant::now();
    let mut written = Vec::new();
    let mut number = 0;
    while started.elapsed() < Duration::from_secs(seconds) {
        for slug in ["garden", "twin"] {
            number += 1;
            let text = format!("unique text {number} of {slug}");
            let wiki = linked.operator.on(slug);
            if number % 3 == 0 {
                let etag = wiki.read("shared").await.good().etag().to_owned();
                wiki.save("shared", &etag, &format!("{text}\n")).await.good();
            } else {
                wiki.create(&format!("{slug}{number}"), &text).await.good();
            }
            written.push(text);
        }
        match number % 10 {
            2 => linked.remote.order("/git-receive-pack", Fault::CutAfter, 1),
            4 => linked.remote.order("/git-receive-pack", Fault::CutBefore, 1),
            6 => linked.remote.order("/git-upload-pack", Fault::CutBefore, 1),
            8 => linked.remote.order("info/refs", Fault::Status(502, Vec::new()), 1),
            _ => {}
        }
        for path in [linked.path("/runs"), format!("{twin_path}/runs")] {
            linked.operator.control(Method::POST, path).await.good();
        }
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
    linked.remote.forgive();
    let head = |slug: &str| linked.server.git(slug).run(&["rev-parse", "main"]);
    let began = Instant::now();
    while head("garden") != head("twin") || head("garden") != linked.tip() {
        for path in [linked.path("/runs"), format!("{twin_path}/runs")] {
            linked.operator.control(Method::POST, path).await.good();
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(began.elapsed() < Duration::from_secs(60), "the two never become the same");
    }
    for path in [linked.path(""), twin_path.clone()] {
        until(&linked.operator, &path, is_synced).await;
    }
    assert_eq!(head("garden"), head("twin"));
    assert_eq!(head("garden"), linked.tip());
    let git = linked.server.git("garden");
    let mut history = String::new();
    for blob in git.run(&["rev-list", "--objects", "--filter=object:type=blob", "main"]).lines() {
        let id = blob.split(' ').next().unwrap();
        if git.run(&["cat-file", "-t", id]) == "blob" {
            history += &git.run(&["cat-file", "blob", id]);
            history.push('\n');
        }
    }
    for text in written {
        assert!(history.contains(&text), "{text} is in no commit");
    }
    let markers = git.output(&["grep", "-q", "<<<<<<<", "main"]);
    assert_eq!(markers.status.code(), Some(1));
}

#[test]
fn the_command_line_does_all_of_it_with_and_without_a_server() {
    let data = scratch();
    let program = program(data.path());
    let run = |args: &[&str]| program.ask(args);
    assert_eq!(run(&["wiki", "create", "garden"]).0, Some(0));
    let add = [
        "remote",
        "add",
        "garden",
        "https://git.example.org/garden.git",
        "--offline",
        "true",
        "--json",
    ];
    let (code, made, said) = run(&add);
    assert_eq!(code, Some(0), "{said}");
    let made: Value = serde_json::from_str(&made).unwrap();
    let id = made["id"].as_str().unwrap();
    assert_eq!(made["state"], "offline");
    let check = || {
        let (_, table, _) = run(&["remote", "list"]);
        assert!(table.contains("garden") && table.contains("offline"), "{table}");
        let (_, shown, _) = run(&["remote", "show", "garden", id]);
        assert!(shown.contains("https://git.example.org/garden.git"), "{shown}");
        let (code, set, said) =
            run(&["remote", "set", "garden", id, "--winner", "stable", "--json"]);
        assert_eq!(code, Some(0), "{said}");
        assert!(set.contains("\"stable\""), "{set}");
        let (code, _, said) = run(&["remote", "show", "garden", "0123"]);
        assert_eq!(code, Some(1));
        assert!(said.contains("no such remote"), "{said}");
        let (code, _, said) = run(&["remote", "decide", "garden", id]);
        assert_eq!((code, said.contains("no decision")), (Some(1), true), "{said}");
        let (code, list, _) = run(&["conflict", "list", "garden", "--json"]);
        assert_eq!((code, list.trim()), (Some(0), "[]"));
        // The only link of a wiki needs no id.
        assert_eq!(run(&["remote", "resume", "garden"]).0, Some(0));
        let (code, _, said) = run(&["remote", "decide", "garden", "both"]);
        assert_eq!((code, said.contains("no decision")), (Some(1), true), "{said}");
        let (code, _, said) = run(&["remote", "host-key", "garden"]);
        assert_eq!((code, said.contains("only ssh hosts")), (Some(1), true), "{said}");
        // Nothing can be reached, so a run isn't good.
        assert_eq!(run(&["remote", "run", "garden", id]).0, Some(1));
    };
    check();
    let running = program.serve();
    check();
    drop(running);
    let second = ["remote", "add", "garden", "https://git.example.org/b.git", "--offline", "true"];
    assert_eq!(run(&second).0, Some(0));
    let (code, _, said) = run(&["remote", "show", "garden"]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("several remotes") && said.contains(id) && said.contains("/b.git"),
        "{said}"
    );
    assert_eq!(run(&["remote", "remove", "garden", id]).0, Some(0));
    assert_eq!(run(&["remote", "remove", "garden"]).0, Some(0));
    let (code, _, said) = run(&["remote", "run", "garden"]);
    assert_eq!((code, said.contains("has no remotes")), (Some(1), true), "{said}");
    assert_eq!(run(&["remote", "list", "--json"]).1.trim(), "[]");
    assert_eq!(run(&["remote", "frobnicate"]).0, Some(2));
}
