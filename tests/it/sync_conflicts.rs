//! Both sides moved, added, deleted or changed the same thing, each in its own way.

use http::Method;
use serde_json::{Value, json};
use testkit::{Git, Linked};

const TEXT: &str = "one\n\ntwo\n\nthree\n\nfour\n\nfive\n\nsix\n";

/// A linked wiki with these pages, and somebody else's clone of its remote.
async fn with_pages(pages: &[(&str, &str)]) -> (Linked, Git) {
    let linked = Linked::start().await;
    for (page, text) in pages {
        linked.create(page, text).await;
    }
    linked.run_synced().await;
    let peer = linked.remote.clone_beside("peer");
    (linked, peer)
}

fn push(peer: &Git) {
    peer.commit("from elsewhere").run(&["push", "-q", "origin", "HEAD:main"]);
}

async fn moved(linked: &Linked, from: &str, to: &str) {
    let body = json!({ "from": from, "to": to });
    linked.editor.on("garden").api(Method::POST, "/moves").json(body).await.good();
}

/// Both sides' commits are in the history, and both sides are the same.
fn is_joined(linked: &Linked, peer: &Git) {
    assert_eq!(linked.tip(), linked.head());
    let theirs = peer.run(&["rev-parse", "HEAD"]);
    linked.server.git("garden").run(&["merge-base", "--is-ancestor", &theirs, "main"]);
    linked.remote.git().fsck();
}

async fn only_conflict(linked: &Linked) -> Value {
    let conflicts = linked.conflicts().await;
    let [conflict] = &conflicts[..] else { panic!("one conflict: {conflicts:?}") };
    conflict.clone()
}

#[tokio::test]
async fn pages_that_were_renamed_keep_what_both_sides_did() {
    let other = TEXT.replace("three", "drei");
    let third = TEXT.replace("three", "trois");
    let (linked, peer) = with_pages(&[("a", TEXT), ("b", &other), ("c", &third)]).await;
    // Renamed here, edited there.
    moved(&linked, "a", "new/a").await;
    peer.write("a.md", TEXT.replace("six", "SIX"));
    // Renamed to two names.
    moved(&linked, "b", "b-here").await;
    peer.run(&["mv", "b.md", "b-there.md"]);
    // Renamed here, deleted there.
    moved(&linked, "c", "c-here").await;
    peer.run(&["rm", "-q", "c.md"]);
    push(&peer);
    linked.run_synced().await;
    is_joined(&linked, &peer);
    assert_eq!(linked.text("new/a").await.unwrap(), TEXT.replace("six", "SIX"));
    assert_eq!(linked.pages().await, ["b-here", "b-there", "c-here", "new/a"]);
    for page in ["b-here", "b-there"] {
        assert_eq!(linked.text(page).await.unwrap(), other);
    }
    let conflicts = linked.conflicts().await;
    let kinds = conflicts.iter().map(|conflict| conflict["kind"].as_str().unwrap());
    assert!(kinds.clone().any(|kind| kind == "renamed"), "{conflicts:?}");
    assert!(kinds.count() >= 2, "{conflicts:?}");
}

#[tokio::test]
async fn two_pages_that_get_one_name_are_both_kept() {
    let other = "quite another text\n\nthat nobody\n\ntakes for the first\n";
    let (linked, peer) = with_pages(&[("a", TEXT), ("b", other)]).await;
    moved(&linked, "a", "same").await;
    peer.run(&["mv", "b.md", "same.md"]);
    linked.create("added", "by us\n").await;
    peer.write("added.md", "by them\n");
    push(&peer);
    linked.run_synced().await;
    is_joined(&linked, &peer);
    assert_eq!(linked.text("same").await.unwrap(), TEXT);
    assert_eq!(linked.text("added").await.unwrap(), "by us\n");
    let conflicts = linked.conflicts().await;
    assert_eq!(conflicts.len(), 2, "{conflicts:?}");
    for conflict in conflicts {
        let expected = if conflict["path"] == "same" { other } else { "by them\n" };
        let beside = conflict["conflict_path"].as_str().unwrap();
        assert_eq!(linked.text(beside).await.unwrap(), expected, "{conflict}");
    }
}

#[tokio::test]
async fn a_file_and_a_directory_of_one_name_are_both_kept() {
    let (linked, peer) = with_pages(&[("a", TEXT)]).await;
    linked.editor.on("garden").create_attachment("a/x", "a file\n").await.good();
    peer.write("a/x/inner.md", "a page below\n");
    push(&peer);
    linked.run_synced().await;
    is_joined(&linked, &peer);
    let files = linked.remote.git().run(&["ls-tree", "-r", "--name-only", "main"]);
    assert!(files.contains("a/x/inner.md") && files.contains("a/x (conflict "), "{files}");
    assert_eq!(only_conflict(&linked).await["kind"], "file_and_directory");
}

#[tokio::test]
async fn of_an_attachment_that_both_changed_both_are_kept() {
    let (linked, peer) = with_pages(&[("a", TEXT)]).await;
    let garden = linked.editor.on("garden");
    let png = |last: u8| [b"\x89PNG\r\n\x1a\n\0\0".as_slice(), &[last]].concat();
    let made = garden.create_attachment("a/pic.png", png(0)).await.good();
    linked.run_synced().await;
    peer.run(&["pull", "-q", "origin", "main"]);
    peer.write("a/pic.png", png(1));
    push(&peer);
    let etag = format!("\"{}\"", made.etag());
    garden.attach("a/pic.png", png(2)).header("if-match", etag).await.good();
    linked.run_synced().await;
    is_joined(&linked, &peer);
    let remote = linked.remote.git();
    assert_eq!(remote.bytes(&["show", "main:a/pic.png"]), png(2));
    let files = remote.run(&["ls-tree", "-r", "--name-only", "main"]);
    let beside = files.lines().find(|file| file.starts_with("a/pic (conflict ")).unwrap();
    assert!(beside.ends_with(").png"), "{beside}");
    assert_eq!(remote.bytes(&["show", &format!("main:{beside}")]), png(1));
}

#[tokio::test]
async fn the_same_change_is_none_and_lines_side_by_side_are_a_conflict() {
    let (linked, peer) = with_pages(&[("same", "one\ntwo\n"), ("near", "one\ntwo\nthree\n")]).await;
    peer.write("same.md", "one\n2\n").write("near.md", "one\n2\nthree\n");
    push(&peer);
    linked.save("same", "one\n2\n").await;
    linked.save("near", "1\ntwo\nthree\n").await;
    linked.run_synced().await;
    is_joined(&linked, &peer);
    let conflict = only_conflict(&linked).await;
    assert_eq!(conflict["path"], "near");
    let beside = conflict["conflict_path"].as_str().unwrap();
    assert_eq!(linked.text(beside).await.unwrap(), "one\n2\nthree\n");
    assert_eq!(linked.text("same").await.unwrap(), "one\n2\n");

    // Somebody takes from the other text what is good in it, and deletes it: that settles it.
    linked.save("near", "1\n2\nthree\n").await;
    let garden = linked.editor.on("garden");
    let etag = garden.read(beside).await.good().etag().to_owned();
    garden.delete(beside, &etag).await.good();
    assert!(linked.conflicts().await.is_empty());
    linked.run_synced().await;
    peer.run(&["pull", "-q", "origin", "main"]);
    assert_eq!(std::fs::read_to_string(peer.dir().join("near.md")).unwrap(), "1\n2\nthree\n");
    assert_eq!(std::fs::read_dir(peer.dir()).unwrap().count(), 3, "two pages and .git");
}

#[tokio::test]
async fn histories_that_crossed_are_merged_and_nothing_is_lost() {
    let (linked, peer) = with_pages(&[("a", TEXT)]).await;
    let wiki = linked.server.git("garden");
    linked.change(json!({ "offline": true })).await;
    linked.save("a", &TEXT.replace("one", "ONE")).await;
    let ours = linked.head();
    peer.write("a.md", TEXT.replace("six", "SIX"));
    push(&peer);
    let theirs = peer.run(&["rev-parse", "HEAD"]);
    // Somebody merges the wiki's commit there, while the wiki merges theirs.
    let place = wiki.dir().to_str().unwrap().to_owned();
    linked.change(json!({ "offline": false, "mode": "pull" })).await;
    linked.until("merges", |link| link["verified_revision"] == theirs.as_str()).await;
    peer.run(&["fetch", "-q", &place, &ours]);
    peer.run(&["merge", "-q", "--no-edit", &ours]);
    peer.write("b.md", "by them\n");
    push(&peer);
    linked.create("c", "by us\n").await;
    let bases = {
        wiki.run(&["fetch", "-q", linked.remote.git().dir().to_str().unwrap(), "main"]);
        wiki.run(&["merge-base", "--all", "main", &peer.run(&["rev-parse", "HEAD"])])
    };
    assert_eq!(bases.lines().count(), 2, "{bases}");
    linked.change(json!({ "mode": "both" })).await;
    linked.synced().await;
    is_joined(&linked, &peer);
    let both = TEXT.replace("one", "ONE").replace("six", "SIX");
    assert_eq!(linked.text("a").await.unwrap(), both);
    assert_eq!(linked.pages().await, ["a", "b", "c"]);
    assert!(linked.conflicts().await.is_empty());
}

/// A wiki whose only page was changed here and there in the same place.
async fn in_conflict(page: &str) -> (Linked, Git, Value) {
    let (linked, peer) = with_pages(&[(page, "one\n")]).await;
    peer.write(&format!("{page}.md"), "theirs\n");
    push(&peer);
    linked.save(page, "ours\n").await;
    linked.run_synced().await;
    let conflict = only_conflict(&linked).await;
    (linked, peer, conflict)
}

#[tokio::test]
async fn a_resolution_never_takes_away_what_was_written_meanwhile() {
    let (linked, _peer, conflict) = in_conflict("home").await;
    let beside = conflict["conflict_path"].as_str().unwrap();
    linked.save(beside, "theirs\n\nand more\n").await;
    let garden = linked.editor.on("garden");
    let resolution = format!("/conflicts/{}/resolution", conflict["id"]);
    let etag = garden.read("home").await.good().etag().to_owned();
    let body = json!({ "content": "both\n", "etag": etag });
    let problem =
        garden.api(Method::POST, &resolution).json(body).await.problem("precondition_failed");
    assert_eq!(problem["status"], 412);
    assert!(problem["detail"].as_str().unwrap().contains(beside), "{problem}");
    assert_eq!(linked.text("home").await.unwrap(), "ours\n");
    // The version that it names is what to read, and to delete then.
    let now = problem["etag"].as_str().unwrap();
    assert_eq!(garden.read(beside).await.good().etag(), now);
    garden.delete(beside, now).await.good();
    assert!(linked.conflicts().await.is_empty());
}

#[tokio::test]
async fn resolving_keeps_a_page_that_only_lost_its_name() {
    let (linked, peer) = with_pages(&[("home", "ours\n")]).await;
    peer.write("Home.md", "a stranger\n");
    push(&peer);
    linked.run_synced().await;
    let conflict = only_conflict(&linked).await;
    assert_eq!(conflict["kind"], "same_name");
    let now_at = conflict["conflict_path"].as_str().unwrap();
    let garden = linked.editor.on("garden");
    let resolution = format!("/conflicts/{}/resolution", conflict["id"]);
    let etag = garden.read(now_at).await.good().etag().to_owned();
    let body = json!({ "content": "ours, and better\n", "etag": etag });
    garden.api(Method::POST, &resolution).json(body).await.good();
    assert_eq!(linked.text(now_at).await.unwrap(), "ours, and better\n");
    assert_eq!(linked.text("Home").await.unwrap(), "a stranger\n");
    assert!(linked.conflicts().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_goes_wherever_its_pages_go_by_every_door() {
    let (linked, peer, _) = in_conflict("garden/roses").await;
    let is_in = async |folder: &str| {
        let conflict = only_conflict(&linked).await;
        assert_eq!(conflict["path"], format!("{folder}/roses"));
        let beside = conflict["conflict_path"].as_str().unwrap().to_owned();
        assert!(beside.starts_with(&format!("{folder}/roses (conflict ")), "{beside}");
        assert_eq!(linked.text(&beside).await.unwrap(), "theirs\n");
        beside
    };
    is_in("garden").await;
    moved(&linked, "garden", "park").await;
    is_in("park").await;
    linked.run_synced().await;

    // Somebody renames the folder at the other end.
    peer.run(&["pull", "-q", "origin", "main"]);
    peer.run(&["mv", "park", "yard"]);
    push(&peer);
    linked.run_synced().await;
    is_in("yard").await;

    // And there again, while here something else is saved.
    peer.run(&["mv", "yard", "field"]);
    push(&peer);
    linked.create("ours", "text\n").await;
    linked.run_synced().await;
    is_joined(&linked, &peer);
    is_in("field").await;

    // And somebody with a push to the wiki itself.
    let dir = tempfile::tempdir().unwrap();
    let clone = Git::clone(&linked.editor.on("garden").git_url(), dir.path().join("clone"));
    clone.run(&["mv", "field", "garden"]);
    clone.commit("back").run(&["push", "-q", "origin", "HEAD:main"]);
    let beside = is_in("garden").await;
    clone.run(&["rm", "-q", &format!("{beside}.md")]);
    clone.commit("looked at").run(&["push", "-q", "origin", "HEAD:main"]);
    assert!(linked.conflicts().await.is_empty());
}
