//! A small input makes little: of rows, of files, of answers. A wiki's disk is limited.

use http::Method;
use serde_json::{Value, json};
use testkit::{Git, Grove, TestServer, scratch, test_data};
use wikigrove_server::openapi::{self as shapes, people};
use wikigrove_tenant::{Author, Caller, DraftBase, Role, TenantUpdate, Visibility};

/// An answer, as the served document describes it.
fn fits<T: serde::de::DeserializeOwned>(answer: &Value) -> T {
    serde_json::from_value(answer.clone()).unwrap()
}

/// A text that can't be packed smaller.
fn noise(seed: u64, bytes: usize) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = String::with_capacity(bytes + 17);
    while text.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(&format!("{state:x} "));
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_history_of_thousands_of_commits_is_pushed_whole() {
    let (server, _, editor) = TestServer::with_garden().await;
    let garden = editor.on("garden");
    let place = scratch();
    let source = test_data("rust-rfcs.bundle");
    let clone = Git::clone(source.to_str().unwrap(), place.path().join("clone"));
    clone.run(&["push", "-q", &garden.git_url(), "HEAD:refs/heads/main"]);
    let git = server.git("garden");
    assert_eq!(git.run(&["rev-list", "--count", "main"]), "8140");
    let files = git.run(&["ls-tree", "-r", "--name-only", "main"]);
    let pages = files.lines().filter(|file| file.ends_with(".md")).count();
    assert_eq!(garden.pages().await.len(), pages);
    // A few changes on top of it, pushed and saved.
    clone.write("text/new.md", "# New\n").commit("new");
    clone.run(&["push", "-q", &garden.git_url(), "HEAD:refs/heads/main"]);
    garden.create("text/newer", "# Newer\n").await.good();
    assert_eq!(garden.pages().await.len(), pages + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_tells_of_the_first_of_very_many_changes() {
    let (_server, _, editor) = TestServer::with_garden().await;
    let garden = editor.on("garden");
    garden.create("many", "text").await.good();
    let place = scratch();
    let clone = Git::clone(&garden.git_url(), place.path().join("clone"));
    for n in 0..600 {
        clone.write(&format!("many/{n:03}.md"), "text");
    }
    clone.commit("many").run(&["push", "-q"]);
    let order = json!({ "from": "many", "to": "more" });
    let moved = garden.api(Method::POST, "/moves").json(order).await.good();
    assert!(moved.bytes().len() < 100_000);
    let moved = fits::<shapes::Moved>(&moved.json());
    assert_eq!((moved.changes.len(), moved.truncated), (500, true));
    let undo = json!({ "revision": moved.revision });
    let plan = garden.api(Method::POST, "/reverts").query("dry_run", true).json(undo).await.good();
    let plan = fits::<shapes::Undone>(&plan.json());
    assert_eq!((plan.changes.len(), plan.truncated, plan.revision), (500, true, None));
    let etag = garden.read("more").await.good().etag().to_owned();
    let delete = garden.delete("more", &etag).query("recursive", true).await.good();
    let deleted = fits::<shapes::Deleted>(&delete.json());
    assert_eq!((deleted.others.len(), deleted.truncated), (500, true));
    assert!(garden.pages().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_that_a_wiki_takes_is_limited_and_told() {
    let (_server, operator, editor) = TestServer::with_garden().await;
    let garden = editor.on("garden");
    let usage = || async {
        let usage = operator.admin(Method::GET, "/wikis/garden/usage").await.good().json();
        fits::<people::Usage>(&usage)
    };
    // A limit of content brings one of the disk along.
    assert_eq!(usage().await.quota.max_disk_bytes, Some(10_000_000_000));
    operator.change_wiki("garden", json!({ "max_bytes": 10_000_000 })).await.good();
    assert_eq!(usage().await.quota.max_disk_bytes, Some(40_000_000 + (64 << 20)));
    let limited = operator.change_wiki("garden", json!({ "max_disk_bytes": 15_000_000 })).await;
    assert_eq!(limited.good().json()["max_disk_bytes"], 15_000_000);

    garden.create("kept", "text").await.good();
    let mut etag = garden.create("page", &noise(0, 400_000)).await.good().etag().to_owned();
    let mut refused = None;
    for n in 1..200 {
        let saved = garden.save("page", &etag, &noise(n, 400_000)).await;
        if saved.status() != 200 {
            refused = Some(saved);
            break;
        }
        etag = saved.etag().to_owned();
    }
    let problem = refused.unwrap().problem("quota_exceeded");
    assert_eq!((&problem["what"], &problem["limit"]), (&json!("disk_bytes"), &json!(15_000_000)));
    let full = usage().await;
    assert!(full.bytes < 1_000_000 && full.disk_bytes < 17_000_000, "{full:?}");
    assert_eq!(full.disk_bytes, full.repository_bytes + full.database_bytes + full.app_bytes);
    // An attachment, a draft and a push find no room either.
    operator.change_wiki("garden", json!({ "max_disk_bytes": 1_000_000 })).await.good();
    let attached = garden.create_attachment("kept/a.bin", vec![0; 9]).await;
    assert_eq!(attached.problem("quota_exceeded")["what"], "disk_bytes");
    let drafted = garden.put_draft("kept", "draft").await;
    assert_eq!(drafted.problem("quota_exceeded")["what"], "disk_bytes");
    let place = scratch();
    let clone = Git::clone(&garden.git_url(), place.path().join("clone"));
    clone.write("pushed.md", "text").commit("more");
    let output = clone.output(&["push"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("disk_bytes"), "{said}");
    // A deletion is taken, by every door.
    garden.delete("page", &etag).await.good();
    clone.run(&["fetch", "-q"]);
    clone.run(&["reset", "-q", "--hard", "origin/main"]);
    clone.run(&["rm", "-q", "kept.md"]);
    clone.commit("less").run(&["push", "-q"]);
    assert!(garden.pages().await.is_empty());
    operator.change_wiki("garden", json!({ "max_disk_bytes": null })).await.good();
    garden.create("again", "text").await.good();
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_do_not_fill_the_drafts_of_a_wiki_that_everyone_may_change() {
    let (server, operator, _) = TestServer::with_garden().await;
    let open = json!({ "slug": "open", "visibility": "public_write" });
    operator.admin(Method::POST, "/wikis").json(open).await.good();
    // A token of another wiki may save, as everyone may, and has no drafts.
    let stranger = operator.token("garden", "admin").await;
    let stranger = stranger.on("open");
    stranger.create("home", "text").await.good();
    stranger.put_draft("home", "draft").await.problem("identity_required");
    let own = operator.token("open", "editor").await;
    own.on("open").put_draft("home", "draft").await.good();
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_have_less_room_for_drafts_than_members() {
    let grove = Grove::with(["garden"]).member("garden", "ann", Role::Editor).start().await;
    let open =
        TenantUpdate { visibility: Some(Visibility::PublicWrite), ..TenantUpdate::default() };
    grove.update(&"garden".parse().unwrap(), open).await.unwrap();
    // A draft takes a little more than its text.
    for (subject, fits) in [("ann", 4), ("guest", 0)] {
        let caller = Caller::user(subject, Author::new(subject, ""));
        let wiki = grove.wiki("garden", caller).await.unwrap();
        for n in 0..5 {
            let content = "x".repeat(5_000_000);
            let kept = wiki.put_draft(&n.to_string(), content, DraftBase::Kept, None).await;
            assert_eq!(kept.is_ok(), n <= fits, "{subject} {n}");
        }
    }
}
