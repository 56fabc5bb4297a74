//! A link that covers a directory there, or a part of the wiki.

use serde_json::json;
use testkit::{Git, Linked, ServerSetup, TestRemote};

/// A remote with `docs/` and `code/`, somebody else's clone of it, and a wiki linked with `docs/`.
async fn with_docs(settings: serde_json::Value) -> (Linked, Git) {
    let remote = TestRemote::start().await;
    let peer = remote.clone_beside("peer");
    peer.write("docs/guide.md", "# Guide\n").write("code/main.rs", "fn main() {}\n");
    push(&peer);
    let mut whole = json!({ "subdirectory": "docs" });
    whole.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let linked = Linked::on(ServerSetup::default(), remote, whole).await;
    linked.synced().await;
    (linked, peer)
}

fn push(peer: &Git) {
    peer.commit("from elsewhere").run(&["push", "-q", "origin", "HEAD:main"]);
}

#[tokio::test]
async fn a_directory_there_is_the_whole_wiki_here() {
    let (linked, peer) = with_docs(json!({})).await;
    assert_eq!(linked.pages().await, ["guide"]);
    let code = linked.remote.git().run(&["rev-parse", "main:code"]);
    let tip = linked.tip();
    linked.create("roses", "# Roses\n").await;
    linked.run_synced().await;
    assert_eq!(linked.remote.git().run(&["show", "main:docs/roses.md"]), "# Roses");
    assert_eq!(linked.remote.git().run(&["rev-parse", "main:code"]), code);
    assert_eq!(linked.remote.git().run(&["rev-parse", "main^"]), tip);

    // What comes back is known, and what isn't in the directory is no news.
    let head = linked.head();
    linked.run_synced().await;
    peer.run(&["pull", "-q", "origin", "main"]);
    peer.write("code/main.rs", "fn main() { todo!() }\n");
    push(&peer);
    linked.run_synced().await;
    assert_eq!(linked.head(), head);

    peer.write("docs/guide.md", "# Guide\n\nmore\n");
    push(&peer);
    linked.run_synced().await;
    assert_eq!(linked.text("guide").await.unwrap(), "# Guide\n\nmore\n");
}

#[tokio::test]
async fn both_sides_of_a_directory_are_merged() {
    let (linked, peer) = with_docs(json!({})).await;
    peer.write("docs/guide.md", "# Guide\n\ntheirs\n").write("docs/tulips.md", "yellow\n");
    push(&peer);
    linked.save("guide", "# Guide\n\nours\n").await;
    linked.run_synced().await;
    assert_eq!(linked.text("guide").await.unwrap(), "# Guide\n\nours\n");
    assert_eq!(linked.conflicts().await.len(), 1);
    assert_eq!(linked.pages().await.len(), 3);
    let docs = linked.remote.git().run(&["rev-parse", "main:docs"]);
    assert_eq!(docs, linked.server.git("garden").run(&["rev-parse", "main^{tree}"]));
}

#[tokio::test]
async fn a_directory_that_is_missing_is_made_and_one_that_is_a_file_is_asked_about() {
    let (linked, peer) = with_docs(json!({ "subdirectory": "wiki/pages" })).await;
    linked.create("roses", "red").await;
    linked.run_synced().await;
    assert_eq!(linked.remote.git().run(&["show", "main:wiki/pages/roses.md"]), "red");
    peer.run(&["pull", "-q", "origin", "main"]);
    peer.run(&["rm", "-q", "-r", "wiki"]);
    peer.write("wiki", "a file");
    push(&peer);
    linked.run().await;
    linked.state("needs_decision", Some("mapping")).await;
    assert_eq!(linked.pages().await, ["roses"]);
}

#[tokio::test]
async fn of_a_wiki_only_what_is_wanted_leaves_it() {
    let linked = Linked::with(json!({ "filter": "public" })).await;
    linked.create("public/roses", "red").await;
    linked.create("private/diary", "secret").await;
    linked.run_synced().await;
    let there = linked.remote.git().run(&["log", "--all", "--name-only", "--format="]);
    assert_eq!(there.trim(), "public/roses.md");
    linked.save("private/diary", "another secret").await;
    let tip = linked.tip();
    linked.run_synced().await;
    assert_eq!(linked.tip(), tip);
}
