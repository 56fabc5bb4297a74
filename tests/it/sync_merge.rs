//! Both sides changed something. Nothing is lost, and nobody ever sees conflict markers.

use http::Method;
use serde_json::json;
use testkit::{Git, Linked, TestRemote, link};

async fn with_peer(page: &str) -> (Linked, Git) {
    with_settings(page, json!({})).await
}

async fn with_settings(page: &str, settings: serde_json::Value) -> (Linked, Git) {
    let linked = Linked::with(settings).await;
    linked.create("roses", page).await;
    linked.run_synced().await;
    let peer = linked.remote.clone_beside("peer");
    (linked, peer)
}

fn push(peer: &Git) {
    peer.commit("from elsewhere").run(&["push", "-q", "origin", "HEAD:main"]);
}

fn no_markers(git: &Git) {
    let found = git.output(&["grep", "-q", "-e", "<<<<<<<", "-e", ">>>>>>>", "main"]);
    assert_eq!(found.status.code(), Some(1), "conflict markers");
}

#[tokio::test]
async fn different_pages_and_different_paragraphs_are_merged_without_a_word() {
    let (linked, peer) = with_peer("one\n\ntwo\n\nthree\n\nfour\n").await;
    peer.write("roses.md", "one\n\ntwo\n\nthree\n\nFOUR\n").write("tulips.md", "yellow");
    push(&peer);
    linked.save("roses", "ONE\n\ntwo\n\nthree\n\nfour\n").await;
    linked.create("lilies", "white").await;
    linked.run_synced().await;
    assert_eq!(linked.text("roses").await.unwrap(), "ONE\n\ntwo\n\nthree\n\nFOUR\n");
    assert_eq!(linked.pages().await, ["lilies", "roses", "tulips"]);
    assert_eq!(linked.tip(), linked.head());
    assert!(linked.conflicts().await.is_empty());
    let merges = linked.remote.git().run(&["rev-list", "--merges", "--count", "main"]);
    assert_eq!(merges, "1");
}

#[tokio::test]
async fn the_same_line_is_kept_twice_and_somebody_is_told_and_can_resolve_it() {
    let (linked, peer) = with_peer("one\ntwo\nthree\n").await;
    peer.write("roses.md", "one\ntheirs\nthree\n");
    push(&peer);
    linked.save("roses", "one\nours\nthree\n").await;
    linked.run_synced().await;
    assert_eq!(linked.text("roses").await.unwrap(), "one\nours\nthree\n");
    let conflicts = linked.conflicts().await;
    let [conflict] = &conflicts[..] else { panic!("one conflict: {conflicts:?}") };
    assert_eq!((&conflict["path"], &conflict["kind"]), (&json!("roses"), &json!("both_changed")));
    assert_eq!(conflict["remote"], linked.id);
    let beside = conflict["conflict_path"].as_str().unwrap();
    assert!(beside.starts_with("roses (conflict "), "{beside}");
    assert_eq!(linked.text(beside).await.unwrap(), "one\ntheirs\nthree\n");
    no_markers(&linked.remote.git());

    let garden = linked.editor.on("garden");
    let path = format!("/conflicts/{}", conflict["id"]);
    let whole = garden.api(Method::GET, &path).await.good().json();
    let texts = json!({
        "base": "one\ntwo\nthree\n", "ours": "one\nours\nthree\n", "theirs": "one\ntheirs\nthree\n",
    });
    assert_eq!(whole["texts"], texts);
    let etag = garden.read("roses").await.good().etag().to_owned();
    let body = json!({ "content": "one\nboth\nthree\n", "etag": etag });
    let resolution = format!("{path}/resolution");
    let resolved = garden.api(Method::POST, &resolution).json(body).await.good().json();
    assert!(resolved["revision"].is_string());
    garden.api(Method::POST, &resolution).json(json!({})).await.problem("conflict_not_found");
    assert!(linked.conflicts().await.is_empty());
    linked.run_synced().await;
    assert_eq!(linked.remote.git().run(&["ls-tree", "--name-only", "main"]), "roses.md");
    assert_eq!(linked.remote.git().run(&["show", "main:roses.md"]), "one\nboth\nthree");
    garden.api(Method::GET, "/conflicts/999").await.problem("conflict_not_found");
}

#[tokio::test]
async fn the_remote_keeps_the_page_where_that_is_wanted() {
    let (linked, peer) = with_settings("one\n", json!({ "winner": "remote" })).await;
    peer.write("roses.md", "theirs\n");
    push(&peer);
    linked.save("roses", "ours\n").await;
    linked.run_synced().await;
    assert_eq!(linked.text("roses").await.unwrap(), "theirs\n");
    let beside = linked.conflicts().await[0]["conflict_path"].as_str().unwrap().to_owned();
    assert_eq!(linked.text(&beside).await.unwrap(), "ours\n");
}

#[tokio::test]
async fn what_one_side_deleted_and_the_other_edited_stays() {
    let (linked, peer) = with_peer("red\n").await;
    linked.create("lilies", "white\n").await;
    linked.create("both", "x\n").await;
    linked.run_synced().await;
    peer.run(&["pull", "-q", "origin", "main"]);
    peer.run(&["rm", "-q", "roses.md", "both.md"]);
    peer.write("lilies.md", "white and gold\n");
    push(&peer);
    linked.save("roses", "crimson\n").await;
    let garden = linked.editor.on("garden");
    for page in ["lilies", "both"] {
        let etag = garden.read(page).await.good().etag().to_owned();
        garden.delete(page, &etag).await.good();
    }
    linked.run_synced().await;
    assert_eq!(linked.text("roses").await.unwrap(), "crimson\n");
    assert_eq!(linked.text("lilies").await.unwrap(), "white and gold\n");
    assert_eq!(linked.text("both").await, None);
    assert_eq!(linked.conflicts().await.len(), 2);
}

#[tokio::test]
async fn attributes_in_the_repository_have_no_say_in_a_merge() {
    let (linked, peer) = with_peer("one\n").await;
    peer.write(".gitattributes", "*.md merge=union\n").write("roses.md", "theirs\n");
    push(&peer);
    linked.save("roses", "ours\n").await;
    linked.run_synced().await;
    assert_eq!(linked.text("roses").await.unwrap(), "ours\n");
    assert_eq!(linked.conflicts().await.len(), 1);
}

#[tokio::test]
async fn a_draft_on_a_page_that_was_pulled_stays_and_its_save_is_a_conflict() {
    let (linked, peer) = with_peer("one\ntwo\n").await;
    let garden = linked.editor.on("garden");
    let base = garden.read("roses").await.good().etag().to_owned();
    garden.put_draft("roses", "mine\ntwo\n").await.good();
    peer.write("roses.md", "theirs\ntwo\n");
    push(&peer);
    linked.run_synced().await;
    assert_eq!(garden.drafts().await, ["roses"]);
    let conflict = garden.save("roses", &base, "mine\ntwo\n").await.problem("edit_conflict");
    assert_eq!(conflict["conflict"]["ours"], "theirs\ntwo\n");
    assert_eq!(conflict["conflict"]["theirs"], "mine\ntwo\n");
}

#[tokio::test]
async fn too_many_conflicts_and_too_many_deletions_are_asked_about_first() {
    let linked = Linked::start().await;
    for number in 0..150 {
        linked.create(&format!("page{number:03}"), "base\n").await;
    }
    linked.run_synced().await;
    let peer = linked.remote.clone_beside("peer");
    for number in 0..120 {
        peer.write(&format!("page{number:03}.md"), "theirs\n");
        linked.save(&format!("page{number:03}"), "ours\n").await;
    }
    push(&peer);
    linked.run().await;
    linked.state("needs_decision", Some("too_many_conflicts")).await;
    assert_eq!(linked.text("page000").await.unwrap(), "ours\n");
    linked.decide_as_shown("wiki").await;
    assert_eq!(linked.text("page000").await.unwrap(), "ours\n");
    assert_eq!(linked.tip(), linked.head());

    peer.run(&["pull", "-q", "origin", "main"]);
    for number in 0..120 {
        std::fs::remove_file(peer.dir().join(format!("page{number:03}.md"))).unwrap();
    }
    push(&peer);
    linked.run().await;
    linked.state("needs_decision", Some("mass_delete")).await;
    assert_eq!(linked.pages().await.len(), 150);
    linked.decide_as_shown("remote").await;
    assert_eq!(linked.pages().await.len(), 30);
}

#[tokio::test]
async fn two_wikis_on_one_remote_become_the_same_with_one_conflict_page() {
    let (linked, _) = with_peer("base\n").await;
    linked.operator.create_wiki("twin").await.good();
    let twin = linked.operator.token("twin", "editor").await.on("twin");
    let made = link(&linked.operator, "twin", &linked.remote, json!({})).await;
    let path = format!("/admin/v1/wikis/twin/remotes/{}", made["id"].as_str().unwrap());
    let twin_synced = async || {
        linked.operator.control(Method::POST, format!("{path}/runs")).await.good();
        for _ in 0..1000 {
            let link = linked.operator.control(Method::GET, &path).await.good().json();
            if link["state"] == "idle" && link["queue_length"] == 0 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("the twin is never synced");
    };
    twin_synced().await;
    linked.save("roses", "garden's\n").await;
    let etag = twin.read("roses").await.good().etag().to_owned();
    twin.save("roses", &etag, "twin's\n").await.good();
    for _ in 0..3 {
        linked.run_synced().await;
        twin_synced().await;
    }
    let tree = |slug: &str| linked.server.git(slug).run(&["rev-parse", "main^{tree}"]);
    assert_eq!(tree("garden"), tree("twin"));
    let pages = linked.pages().await;
    assert_eq!(pages.len(), 2, "{pages:?}");
    let mut texts =
        vec![linked.text(&pages[0]).await.unwrap(), linked.text(&pages[1]).await.unwrap()];
    texts.sort();
    assert_eq!(texts, ["garden's\n", "twin's\n"]);
}

#[tokio::test]
async fn saves_that_come_during_a_merge_are_all_there_afterwards() {
    let (linked, peer) = with_peer("base\n").await;
    for number in 0..200 {
        peer.write(&format!("theirs/page{number}.md"), "text");
    }
    push(&peer);
    linked.run().await;
    let mut saved = 0;
    while saved < 5 || linked.link().await["state"] != "idle" {
        linked.create(&format!("ours/page{saved}"), "text").await;
        saved += 1;
        assert!(saved < 2000, "the link never comes to rest");
    }
    linked.run_synced().await;
    assert_eq!(linked.editor.on("garden").pages().await.len(), 201 + saved);
    assert_eq!(linked.tip(), linked.head());
}

#[tokio::test]
async fn a_wiki_meets_a_remote_that_is_new_at_its_host() {
    let remote = TestRemote::start().await;
    let host = remote.clone_beside("host");
    host.write("README.md", "# A repository\n").write("LICENSE", "free\n").commit("Initial commit");
    host.run(&["push", "-q", "origin", "HEAD:main"]);
    let linked =
        Linked::on(testkit::ServerSetup::default(), remote, json!({ "offline": true })).await;
    linked.create("roses", "red").await;
    linked.change(json!({ "offline": false })).await;
    linked.synced().await;
    assert_eq!(linked.pages().await, ["README", "roses"]);
    assert_eq!(linked.tip(), linked.head());
}
