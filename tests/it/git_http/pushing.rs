//! Push: what gets in, what doesn't, and what is left of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::{Git, OnWiki, ServerSetup, TestServer, User, entries, scratch};

use super::fetching::until;

/// Everything that a refused push must leave as it was.
#[derive(Debug, PartialEq)]
pub(crate) struct State {
    refs: String,
    objects: String,
    files: BTreeSet<String>,
}

impl State {
    pub(crate) fn of(server: &TestServer) -> Self {
        nothing_incoming(server);
        let git = server.git("garden");
        let mut files = entries(server.dir());
        // Made by the first push at the latest.
        files.remove("incoming");
        Self {
            refs: git.run(&["for-each-ref"]),
            objects: git.run(&["cat-file", "--batch-all-objects", "--batch-check", "--unordered"]),
            files,
        }
    }
}

/// Waits until what was pushed is removed, which is soon.
fn nothing_incoming(server: &TestServer) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while std::fs::read_dir(server.dir().join("incoming")).is_ok_and(|dir| dir.count() > 0) {
        assert!(Instant::now() < deadline, "something is left of a push");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A server with a page in the wiki `garden`, an editor of it, and the editor's clone.
pub(super) async fn cloned(place: &Path) -> (TestServer, User, User, Git) {
    let (server, operator, editor) = TestServer::with_garden().await;
    editor.on("garden").create("roses", "red\n").await.good();
    // Opens wiki.db, so that nothing is created later.
    editor.on("garden").pages().await;
    let clone = Git::clone(&editor.on("garden").git_url(), place.join("clone"));
    (server, operator, editor, clone)
}

/// What git prints about a push that fails.
pub(super) fn refused(clone: &Git, args: &[&str]) -> String {
    let output = clone.output(&[&["push"], args].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{args:?}: {said}");
    said
}

async fn paths(wiki: &OnWiki) -> Vec<String> {
    let pages = wiki.pages().await;
    pages.iter().map(|page| page["path"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_there_at_once_for_everybody() {
    let place = scratch();
    let (server, _, editor, clone) = cloned(place.path()).await;
    for version in ["protocol.version=0", "protocol.version=1", "protocol.version=2"] {
        clone.write(&format!("beds/{version}.md"), "# Tulips\n\nSee [[roses]].\n").commit(version);
        clone.run(&["-c", version, "push", "-q"]);
        assert_eq!(
            server.git("garden").run(&["rev-parse", "main"]),
            clone.run(&["rev-parse", "HEAD"])
        );
    }
    let wiki = editor.on("garden");
    assert_eq!(paths(&wiki).await.len(), 4);
    let page = wiki.read("beds/protocol.version=2").await.good();
    assert_eq!(page.json()["title"], "Tulips");
    assert_eq!(wiki.history("beds/protocol.version=2").await.len(), 1);
    assert_eq!(wiki.search("tulips").await.len(), 3);
    wiki.save("beds/protocol.version=2", page.etag(), "# Lilies\n").await.good();
    clone.run(&["pull", "-q", "--ff-only"]);
    clone.run(&["push", "-q"]);
    server.git("garden").fsck();
    clone.fsck();
    nothing_incoming(&server);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_push_fills_an_empty_wiki() {
    let (server, _, editor) = TestServer::with_garden().await;
    let place = scratch();
    let local = Git::init(place.path().join("local"));
    local.write("roses.md", "red").write("photo.png", [0, 1, 2]).commit("all");
    let url = editor.on("garden").git_url();
    local.run(&["push", "-q", &url, "main"]);
    assert_eq!(paths(&editor.on("garden")).await, ["roses"]);
    server.git("garden").fsck();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_listens_hears_of_a_push() {
    let place = scratch();
    let (_server, _, editor, clone) = cloned(place.path()).await;
    let mut events = editor.on("garden").events(None).listen().await;
    clone.write("tulips.md", "yellow").commit("tulips");
    clone.run(&["push", "-q"]);
    let event = events.next().await;
    assert_eq!(event.expect("an event").id, clone.run(&["rev-parse", "HEAD"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_went_elsewhere_is_fetched_first() {
    let place = scratch();
    let (server, _, editor, clone) = cloned(place.path()).await;
    editor.on("garden").create("tulips", "yellow").await.good();
    clone.write("lilies.md", "white").commit("lilies");
    let before = State::of(&server);
    assert!(refused(&clone, &["origin", "main"]).contains("fetch first"));
    // By force git would send it; it is not taken.
    let words = refused(&clone, &["--force", "origin", "main"]);
    assert!(words.contains("non-fast-forward"), "{words}");
    assert_eq!(State::of(&server), before);
    clone.run(&["pull", "-q", "--rebase"]);
    clone.run(&["push", "-q"]);
    assert_eq!(paths(&editor.on("garden")).await, ["lilies", "roses", "tulips"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_admins_push_by_force_and_only_where_it_is_allowed() {
    let place = scratch();
    let (server, operator, editor, clone) = cloned(place.path()).await;
    editor.on("garden").create("tulips", "yellow").await.good();
    clone.write("lilies.md", "white").commit("lilies");
    let admin = operator.token("garden", "admin").await.on("garden").git_url();
    let before = State::of(&server);
    assert!(refused(&clone, &["--force", &admin, "main"]).contains("non-fast-forward"));
    operator.on("garden").change_preferences(json!({ "git_force_push": true })).await.good();
    assert!(refused(&clone, &["--force", "origin", "main"]).contains("non-fast-forward"));
    assert_eq!(State::of(&server), before);
    let old = server.git("garden").run(&["rev-parse", "main"]);
    clone.run(&["push", "-q", "--force", &admin, "main"]);
    assert_eq!(paths(&editor.on("garden")).await, ["lilies", "roses"]);
    // What was there is kept, and not shown.
    let kept = server.git("garden").run(&["for-each-ref", "--format=%(objectname)", "refs/wiki"]);
    assert_eq!(kept, old);
    assert_eq!(clone.run(&["ls-remote", &admin]).lines().count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_push_leaves_nothing_and_says_why() {
    let place = scratch();
    let (server, _, editor, clone) = cloned(place.path()).await;
    let before = State::of(&server);
    std::os::unix::fs::symlink("/etc/passwd", clone.dir().join("tulips.md")).unwrap();
    clone.write("lilies.md", "white").commit("a link");
    let words = refused(&clone, &["origin", "main"]);
    assert!(words.contains("tulips.md") && words.contains("[remote rejected] main"), "{words}");
    assert_eq!(State::of(&server), before);
    assert_eq!(paths(&editor.on("garden")).await, ["roses"]);
    // Nor does what was refused come back when somebody asks for it.
    let commit = clone.run(&["rev-parse", "HEAD"]);
    let other = Git::init(place.path().join("other"));
    let fetched = other.output(&["fetch", &editor.on("garden").git_url(), &commit]);
    assert!(!fetched.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_branches_and_tags_are_refused_beside_a_good_one() {
    let place = scratch();
    let (server, _, editor, clone) = cloned(place.path()).await;
    clone.write("tulips.md", "yellow").commit("tulips");
    clone.run(&["tag", "v1"]);
    clone.run(&["branch", "other"]);
    let names = ["main", "other", "v1", "main:refs/wiki/backup/1"];
    let atomic = refused(&clone, &[&["--atomic", "origin"], &names[..]].concat());
    assert!(atomic.contains("something else in it was refused"), "{atomic}");
    assert_eq!(paths(&editor.on("garden")).await, ["roses"]);
    let words = refused(&clone, &[&["origin"], &names[..]].concat());
    assert_eq!(words.matches("only the branch main is kept here").count(), 3, "{words}");
    assert!(words.contains("main -> main\n"), "{words}");
    assert_eq!(paths(&editor.on("garden")).await, ["roses", "tulips"]);
    assert!(refused(&clone, &["origin", "--delete", "main"]).contains("can't be deleted"));
    let refs = server.git("garden").run(&["for-each-ref", "--format=%(refname)"]);
    assert_eq!(refs, "refs/heads/main");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_larger_than_the_limit() {
    let setup = ServerSetup::default().limits(|limits| limits.git.pack_bytes = 1 << 20);
    let (server, operator) = setup.start().await;
    operator.create_wiki("garden").await.good();
    operator.on("garden").create("roses", "red").await.good();
    operator.on("garden").pages().await;
    let place = scratch();
    let clone = Git::clone(&operator.on("garden").git_url(), place.path().join("clone"));
    let before = State::of(&server);
    let mut content = vec![0; 3 << 20];
    getrandom::fill(&mut content).unwrap();
    clone.write("a.bin", content).commit("large");
    let words = refused(&clone, &["origin", "main"]);
    assert!(words.contains("413") || words.contains("exceeds"), "{words}");
    // That was in chunks, which say nothing of the whole. Now with its length.
    clone.run(&["config", "http.postBuffer", "10m"]);
    let words = refused(&clone, &["origin", "main"]);
    assert!(words.contains("413") || words.contains("exceeds"), "{words}");
    assert_eq!(State::of(&server), before);
    nothing_incoming(&server);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_knows_who_pushed_whatever_the_commits_say() {
    let place = scratch();
    let (server, _, editor, clone) = cloned(place.path()).await;
    clone.write("tulips.md", "yellow").commit("tulips, by Ann");
    clone.run(&["push", "-q"]);
    let rows = server.platform().audit_log(Default::default(), None, 10).await.unwrap();
    let row = rows.iter().find(|row| row.what.action == "git.push").expect("it is written down");
    assert_eq!(row.result, Some(200));
    assert_eq!(row.what.slug.as_deref(), Some("garden"));
    assert_eq!(row.what.detail["new"], clone.run(&["rev-parse", "HEAD"]));
    assert_eq!(row.what.peer, Some([127, 0, 0, 1].into()));
    assert!(row.what.subject.as_deref().is_some_and(|subject| subject.starts_with("token:")));
    assert!(!format!("{row:?}").contains(editor.secret()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_with_part_of_the_history_pushes_what_it_adds() {
    let place = scratch();
    let (server, _, editor, clone) = cloned(place.path()).await;
    for n in 0..5 {
        clone.write("roses.md", n.to_string()).commit("more");
    }
    clone.run(&["push", "-q"]);
    let url = editor.on("garden").git_url();
    let shallow = Git::clone_with(&url, place.path().join("shallow"), &["--depth", "1"]);
    shallow.write("tulips.md", "yellow").commit("tulips");
    shallow.run(&["push", "-q"]);
    assert_eq!(server.git("garden").run(&["rev-list", "--count", "main"]), "7");
    assert!(!server.git("garden").dir().join("shallow").exists());
    server.git("garden").fsck();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_is_over_the_quota_says_so() {
    let place = scratch();
    let (server, operator, editor, clone) = cloned(place.path()).await;
    operator.change_wiki("garden", json!({ "max_pages": 2 })).await.good();
    clone.write("tulips.md", "yellow").write("lilies.md", "white").commit("two more");
    let before = State::of(&server);
    let words = refused(&clone, &["origin", "main"]);
    assert!(words.contains("2 pages") || words.contains("pages"), "{words}");
    assert_eq!(State::of(&server), before);
    operator.change_wiki("garden", json!({ "max_pages": 3 })).await.good();
    clone.run(&["push", "-q"]);
    assert_eq!(paths(&editor.on("garden")).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiki_is_deleted_although_somebody_pushes_to_it() {
    use tokio::io::AsyncWriteExt as _;
    let (server, operator, editor) = TestServer::with_garden().await;
    editor.on("garden").create("roses", "red\n").await.good();
    let head = server.git("garden").run(&["rev-parse", "main"]);
    let line = format!("{head} {} refs/heads/main\0report-status", "1".repeat(40));
    let body = format!("{:04x}{line}0000PACK", line.len() + 4);
    let request = format!(
        "POST /w/garden/git/git-receive-pack HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/x-git-receive-pack-request\r\ncontent-length: 100000\r\n\r\n{body}",
        editor.secret(),
    );
    let mut stream = tokio::net::TcpStream::connect(server.public_address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let incoming = server.dir().join("incoming");
    until("the push has begun", || std::fs::read_dir(&incoming).is_ok_and(|dir| dir.count() > 0))
        .await;
    operator.delete_wiki("garden").await.good();
    nothing_incoming(&server);
    drop(stream);
    // And with no end of its own, it is ended when the client is gone.
    operator.create_wiki("garden").await.good();
}

/// What the disk space of a wiki has no room for isn't received first.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_its_wiki_has_no_room_for_is_ended_as_it_arrives() {
    let (server, operator) = ServerSetup::default().start().await;
    operator.create_wiki("garden").await.good();
    operator.on("garden").create("roses", "red").await.good();
    let limit = json!({ "max_disk_bytes": 2_000_000 });
    operator.change_wiki("garden", limit).await.good();
    let place = scratch();
    let clone = Git::clone(&operator.on("garden").git_url(), place.path().join("clone"));
    let mut content = vec![0; 20 << 20];
    getrandom::fill(&mut content).unwrap();
    clone.write("a.bin", content).commit("large");
    let words = refused(&clone, &["origin", "main"]);
    assert!(words.contains("413") || words.contains("exceeds"), "{words}");
    assert_eq!(paths(&operator.on("garden")).await, ["roses"]);
    nothing_incoming(&server);
}
