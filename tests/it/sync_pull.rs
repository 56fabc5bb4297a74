//! What others put into the remote comes into the wiki.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;
use testkit::{Fault, Git, Linked, ServerSetup, TestRemote};

/// A linked wiki with the page `roses`, and somebody else's clone of its remote.
async fn with_peer() -> (Linked, Git) {
    let linked = Linked::start().await;
    linked.create("roses", "# Roses\n\nred\n").await;
    linked.run_synced().await;
    let peer = linked.remote.clone_beside("peer");
    linked.remote.seen();
    (linked, peer)
}

fn push(peer: &Git, message: &str) {
    peer.commit(message).run(&["push", "-q", "origin", "HEAD:main"]);
}

/// How often somebody asked what there is.
fn looks(remote: &TestRemote) -> usize {
    let asked = |target: &str| target.contains("service=git-upload-pack");
    remote.seen().iter().filter(|seen| asked(&seen.target)).count()
}

#[tokio::test]
async fn a_commit_of_others_is_in_the_wiki_its_search_and_its_events() {
    let (linked, peer) = with_peer().await;
    let mut events = linked.editor.on("garden").events(None).listen().await;
    peer.write("roses.md", "# Roses\n\npink elephants\n");
    push(&peer, "Roses are pink");
    linked.run_synced().await;
    assert_eq!(linked.head(), linked.tip());
    assert_eq!(linked.text("roses").await.unwrap(), "# Roses\n\npink elephants\n");
    assert_eq!(linked.editor.on("garden").search("elephants").await.len(), 1);
    let event = loop {
        let event = events.next().await.unwrap();
        if event.kind == "change" {
            break event;
        }
    };
    assert_eq!(event.id, linked.head());
}

#[tokio::test]
async fn a_hosts_message_is_answered_at_once_and_followed_by_a_look() {
    let (linked, peer) = with_peer().await;
    peer.write("tulips.md", "yellow");
    push(&peer, "Tulips");
    let body = json!({ "ref": "refs/heads/main", "after": linked.tip() }).to_string();
    let began = Instant::now();
    assert_eq!(linked.hook("1", &body).await.status(), 202);
    assert!(began.elapsed() < Duration::from_secs(2));
    linked.until("pulls", |link| link["verified_revision"] == linked.tip()).await;
    assert_eq!(linked.text("tulips").await.as_deref(), Some("yellow"));
}

#[tokio::test]
async fn messages_that_are_wrong_in_any_way_are_refused_alike() {
    let (linked, _) = with_peer().await;
    let body = "{}";
    let secret = linked.made["webhook_secret"].as_str().unwrap();
    let send = async |link: &str, signature: Option<&str>| {
        let call = linked.server.anonymous().public(Method::POST, format!("/hooks/{link}"));
        let call = match signature {
            Some(signature) => call.header("x-gitlab-token", signature),
            None => call,
        };
        let answer = call.body("application/json", body).await;
        let code = if answer.status() == 202 { json!(null) } else { answer.json()["code"].clone() };
        (answer.status(), code)
    };
    let refused = (401, json!("invalid_signature"));
    assert_eq!(send(&linked.id, None).await, refused);
    assert_eq!(send(&linked.id, Some("wrong")).await, refused);
    assert_eq!(send("0123456789abcdef", Some(secret)).await, refused);
    assert_eq!(send("no-link-at-all", Some(secret)).await, refused);
    assert_eq!(send(&linked.id, Some(secret)).await.0, 202);
    let large = "x".repeat(1024 * 1024 + 1);
    assert_eq!(linked.hook("2", &large).await.status(), 413);
}

#[tokio::test]
async fn many_messages_during_a_run_are_one_more_run() {
    let (linked, peer) = with_peer().await;
    peer.write("tulips.md", "yellow");
    push(&peer, "Tulips");
    linked.remote.order("service=git-upload-pack", Fault::Delay(Duration::from_secs(1)), 1);
    for number in 0..10 {
        let body = json!({ "ref": "refs/heads/main", "number": number }).to_string();
        assert_eq!(linked.hook(&number.to_string(), &body).await.status(), 202);
    }
    linked.until("pulls", |link| link["verified_revision"] == linked.tip()).await;
    linked.synced().await;
    // The first run looks and fetches, the second only looks.
    let looks = looks(&linked.remote);
    assert!(looks <= 4, "{looks} looks");
}

#[tokio::test]
async fn news_of_our_own_push_is_none() {
    let (linked, _) = with_peer().await;
    let body = json!({ "ref": "refs/heads/main", "after": linked.head() }).to_string();
    assert_eq!(linked.hook("own", &body).await.status(), 202);
    let other = json!({ "ref": "refs/heads/other", "after": "1".repeat(40) }).to_string();
    assert_eq!(linked.hook("other", &other).await.status(), 202);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(looks(&linked.remote), 0);
    assert_eq!(linked.link().await["state"], "idle");
}

#[tokio::test]
async fn five_hundred_files_in_one_commit_are_one_change() {
    let (linked, peer) = with_peer().await;
    for number in 0..500 {
        peer.write(&format!("many/page{number}.md"), format!("# Page {number}\n"));
    }
    push(&peer, "Many");
    linked.run_synced().await;
    assert_eq!(linked.head(), linked.tip());
    assert_eq!(linked.editor.on("garden").pages().await.len(), 501);
    assert_eq!(linked.editor.on("garden").changes().await.len(), 2);
}

#[tokio::test]
async fn pages_that_others_delete_rename_and_add_are_gone_moved_and_there() {
    let (linked, peer) = with_peer().await;
    peer.write("d/one.md", "# One\n").write("d/two.md", "# Two\n").write("gone.md", "# Zebra\n");
    push(&peer, "More");
    linked.run_synced().await;
    peer.run(&["mv", "d", "e"]);
    peer.run(&["rm", "-q", "gone.md"]);
    peer.write("new/deep/page.md", "# Deep\n");
    push(&peer, "Moved");
    // Deleted and made again before anybody looked.
    peer.run(&["rm", "-q", "roses.md"]);
    push(&peer, "Without roses");
    peer.write("roses.md", "# Roses\n\nagain\n");
    push(&peer, "With roses");
    linked.run_synced().await;
    assert_eq!(linked.pages().await, ["e/one", "e/two", "new/deep/page", "roses"]);
    assert_eq!(linked.text("d/one").await, None);
    assert_eq!(linked.text("gone").await, None);
    assert!(linked.editor.on("garden").search("zebra").await.is_empty());
    assert_eq!(linked.text("roses").await.unwrap(), "# Roses\n\nagain\n");
    assert!(linked.editor.on("garden").history("e/one").await.len() >= 2, "history follows");
}

#[tokio::test]
async fn more_than_may_be_taken_over_pauses_the_link_and_nothing_else() {
    let setup = ServerSetup::default().sync(|sync| sync.wire.pack_bytes = 1024 * 1024);
    let linked = Linked::on(setup, TestRemote::start().await, json!({})).await;
    linked.create("roses", "red").await;
    linked.run_synced().await;
    let peer = linked.remote.clone_beside("peer");
    let mut noise = vec![0; 4 * 1024 * 1024];
    getrandom::fill(&mut noise).unwrap();
    peer.write("noise.bin", noise);
    push(&peer, "Noise");
    linked.run().await;
    linked.state("paused", Some("remote_too_large")).await;
    linked.create("lilies", "white").await;
    let left = std::fs::read_dir(linked.server.dir().join("sync/fetched")).unwrap().count();
    assert_eq!(left, 0, "what was fetched is gone");
}

#[tokio::test]
async fn what_a_wiki_does_not_understand_is_carried_as_it_is() {
    let (linked, peer) = with_peer().await;
    std::os::unix::fs::symlink("/etc/passwd", peer.dir().join("link.md")).unwrap();
    peer.write(".editorconfig", "root = true\n");
    peer.write("latin.md", b"caf\xe9\n");
    peer.write("crlf.md", "# Windows\r\n\r\ntext\r\n");
    let commit = peer.run(&["rev-parse", "HEAD"]);
    peer.run(&["add", "-A"]);
    peer.run(&["update-index", "--add", "--cacheinfo", &format!("160000,{commit},module")]);
    peer.run(&["commit", "-q", "-m", "Odd things"]);
    peer.run(&["push", "-q", "origin", "HEAD:main"]);
    let entries = |git: &Git| git.run(&["ls-tree", "-r", "main"]);
    let before = entries(&linked.remote.git());
    linked.run_synced().await;
    linked.create("lilies", "white").await;
    linked.run_synced().await;
    let after = entries(&linked.remote.git());
    for line in before.lines() {
        assert!(after.contains(line), "{line} is gone:\n{after}");
    }
    let symlink = linked.editor.on("garden").read("link").await;
    assert!(!symlink.text().contains("root:"), "a link is never followed");
    assert_eq!(linked.text("crlf").await.unwrap(), "# Windows\r\n\r\ntext\r\n");
}

#[tokio::test]
async fn a_tree_that_leads_out_of_itself_is_not_taken() {
    let (linked, _) = with_peer().await;
    let remote = linked.remote.git();
    let blob = remote.run_with(&["hash-object", "-w", "--stdin"], b"[core]\n");
    let id = data_encoding::HEXLOWER.decode(blob.trim().as_bytes()).unwrap();
    let tree =
        |name: &str, mode: &str, id: &[u8]| [format!("{mode} {name}\0").as_bytes(), id].concat();
    let literally = ["hash-object", "-t", "tree", "-w", "--literally", "--stdin"];
    let inner = remote.run_with(&literally, &tree("config", "100644", &id));
    let inner = data_encoding::HEXLOWER.decode(inner.trim().as_bytes()).unwrap();
    let outer = remote.run_with(&literally, &tree(".git", "40000", &inner));
    let commit = remote.run(&["commit-tree", outer.trim(), "-p", "main", "-m", "hostile"]);
    remote.run(&["update-ref", "refs/heads/main", commit.trim()]);
    let head = linked.head();
    linked.run().await;
    linked.state("needs_decision", Some("hostile_tree")).await;
    assert_eq!(linked.head(), head);
    linked.create("lilies", "white").await;
}

#[tokio::test]
async fn names_that_differ_in_case_only_are_both_kept() {
    let (linked, peer) = with_peer().await;
    peer.write("home.md", "small");
    let upper = peer.run_with(&["hash-object", "-w", "--stdin"], b"large");
    peer.run(&["add", "home.md"]);
    let info = format!("100644,{},Home.md", upper.trim());
    peer.run(&["update-index", "--add", "--cacheinfo", &info]);
    peer.run(&["commit", "-q", "-m", "Two homes"]);
    peer.run(&["push", "-q", "origin", "HEAD:main"]);
    linked.run_synced().await;
    let pages = linked.pages().await;
    let mut texts = Vec::new();
    for page in pages.iter().filter(|page| page.to_lowercase().starts_with("home")) {
        texts.push(linked.text(page).await.unwrap());
    }
    texts.sort();
    assert_eq!(texts, ["large", "small"], "{pages:?}");
}

#[tokio::test]
async fn readers_cause_one_look_and_an_order_another() {
    let linked = Linked::with(json!({ "branch": "main", "cooldown_seconds": 0 })).await;
    linked.synced().await;
    linked.remote.seen();
    for _ in 0..3 {
        linked.editor.on("garden").list().await.good();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    linked.synced().await;
    assert_eq!(looks(&linked.remote), 2, "one look at an empty remote is two questions");
    linked.run_synced().await;
    assert_eq!(looks(&linked.remote), 2);
}

#[tokio::test]
async fn a_link_that_only_pulls_pushes_nothing() {
    let linked = Linked::with(json!({ "mode": "pull" })).await;
    linked.create("roses", "red").await;
    let link = linked.run_synced().await;
    assert_eq!(link["queue_length"], 0);
    assert!(
        linked.remote.git().output(&["rev-parse", "--verify", "main"]).status.code() != Some(0)
    );
}
