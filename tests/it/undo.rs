//! Undoing one commit, and bringing a whole wiki back: over HTTP, and held against git.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use testkit::{Answer, Call, Git, Grove, OnWiki, TestServer, User, user};
use wikigrove_server::openapi::Undone;
use wikigrove_tenant::{Base, Role, UndoOptions};

use crate::history::{assert_search_finds_what_grep_finds, rfcs};

const NOBODYS: &str = "0123456789012345678901234567890123456789";

#[track_caller]
fn undone(answer: &Answer) -> Undone {
    serde_json::from_value(answer.clone().good().json()).unwrap()
}

fn revision(answer: &Answer) -> String {
    answer.json()["revision"].as_str().unwrap().to_owned()
}

/// Creates a page and changes it; the revision of the change.
async fn changed(wiki: &OnWiki, path: &str, old: &str, new: &str) -> String {
    let created = wiki.create(path, old).await.good();
    revision(&wiki.save(path, created.etag(), new).await.good())
}

async fn text(wiki: &OnWiki, path: &str) -> String {
    wiki.read(path).await.good().json()["content"].as_str().unwrap().to_owned()
}

fn commits(server: &TestServer) -> usize {
    server.git("garden").run(&["rev-list", "--count", "main"]).parse().unwrap()
}

#[tokio::test]
async fn a_change_is_undone_as_the_plan_says() {
    let (server, _, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    let wrong = changed(&wiki, "roses", "a\nb\nc\nd\ne\n", "A\nb\nc\nd\ne\n").await;
    let etag = wiki.read("roses").await.good().etag().to_owned();
    wiki.save("roses", &etag, "A\nb\nc\nd\nE\n").await.good();
    let planned = wiki.revert(&wrong).query("dry_run", true).await;
    assert_eq!(planned.status(), 200);
    let plan = undone(&planned);
    assert_eq!((plan.revision, plan.conflicts.len()), (None, 0));
    assert_eq!(text(&wiki, "roses").await, "A\nb\nc\nd\nE\n");

    let answer = wiki.revert(&wrong).await;
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.json()["changes"], planned.json()["changes"]);
    assert_eq!(answer.json()["changes"][0]["path"], "roses");
    assert_eq!(text(&wiki, "roses").await, "a\nb\nc\nd\nE\n");
    let newest = &wiki.changes().await[0];
    assert_eq!(newest["revision"], revision(&answer).as_str());
    assert!(newest["message"].as_str().unwrap().starts_with("Revert \"Update roses\""));

    let again = wiki.revert(&wrong).await;
    assert_eq!((again.status(), undone(&again).revision), (200, None));
    assert_eq!(commits(&server), 4);
}

#[tokio::test]
async fn what_changed_since_in_the_same_place_is_a_conflict_that_carries_it() {
    let (server, _, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    let wrong = changed(&wiki, "roses", "red\n", "blue\n").await;
    let etag = wiki.read("roses").await.good().etag().to_owned();
    wiki.save("roses", &etag, "green\n").await.good();
    let plan = undone(&wiki.revert(&wrong).query("dry_run", true).await);
    assert_eq!(plan.conflicts, ["roses"]);
    let refused = wiki.revert(&wrong).await;
    assert_eq!(refused.status(), 409);
    let problem = refused.problem("edit_conflict");
    assert_eq!(problem["conflicts"], json!(["roses"]));
    let conflict = &problem["conflict"];
    assert_eq!(
        (&conflict["base"], &conflict["ours"], &conflict["theirs"]),
        (&json!("blue\n"), &json!("green\n"), &json!("red\n"))
    );
    assert_eq!(conflict["etag"], wiki.read("roses").await.good().etag());
    assert_eq!(conflict["hunks"].as_array().unwrap().len(), 1);
    assert_eq!(commits(&server), 3);
}

#[tokio::test]
async fn a_page_that_was_moved_since_is_undone_where_it_is() {
    let (server, _, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    let wrong = changed(&wiki, "roses", "a\nb\nc\nd\ne\n", "a\nb\nc\nd\nWRONG\n").await;
    let work = testkit::scratch();
    let git = Git::at(work.path());
    let bare = server.git("garden").dir().to_owned();
    git.run(&["clone", "-q", "-b", "main", bare.to_str().unwrap(), "."]);
    git.run(&["mv", "roses.md", "flowers.md"]);
    git.commit("Move").run(&["push", "-q", "origin", "main"]);
    let done = undone(&wiki.revert(&wrong).await);
    assert_eq!((done.changes.len(), &*done.changes[0].path), (1, "flowers"));
    assert_eq!(text(&wiki, "flowers").await, "a\nb\nc\nd\ne\n");
    wiki.read("roses").await.problem("page_not_found");
}

#[tokio::test]
async fn revisions_that_cannot_be_undone_are_refused() {
    let (server, operator, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    let known = changed(&wiki, "roses", "red\n", "blue\n").await;
    let git = server.git("garden");
    let blob = git.run(&["rev-parse", "main:roses.md"]);
    let elsewhere = git.run(&["commit-tree", "-m", "nobody's", "main^{tree}"]);
    let other = git.run(&["commit-tree", "-m", "side", "-p", "main~1", "main^{tree}"]);
    let merge = ["commit-tree", "-m", "merge", "-p", "main", "-p", &other, "main^{tree}"];
    let merge = git.run(&merge);
    git.run(&["update-ref", "refs/heads/main", &merge]);
    let before = commits(&server);
    for undo in [OnWiki::revert, OnWiki::restore] {
        let wiki = operator.on("garden");
        for unknown in [NOBODYS, &*blob, &*elsewhere] {
            assert_eq!(undo(&wiki, unknown).await.status(), 404, "{unknown}");
            undo(&wiki, unknown).await.problem("unknown_revision");
        }
        for malformed in ["HEAD", "main", "", &known[..8], &known.to_uppercase(), "--all"] {
            let answer = undo(&wiki, malformed).await;
            assert_eq!(answer.status(), 422, "{malformed}");
            assert_eq!(answer.problem("invalid_revision")["errors"][0]["pointer"], "/revision");
        }
    }
    let refused = wiki.revert(&merge).await;
    assert_eq!(refused.status(), 422);
    refused.problem("reverts_merge");
    assert_eq!(commits(&server), before);
}

#[tokio::test]
async fn editors_undo_changes_and_admins_restore_wikis() {
    let (server, operator, editor) = TestServer::with_garden().await;
    let wrong = changed(&editor.on("garden"), "roses", "red\n", "blue\n").await;
    let reader = operator.token("garden", "reader").await;
    let admin = operator.token("garden", "admin").await;
    let statuses = async |user: &User, key: &str| {
        let wiki = user.on("garden");
        let mut statuses = Vec::new();
        for call in [wiki.revert(&wrong), wiki.restore(&wrong)] {
            let call = call.query("dry_run", true);
            statuses.push(call.clone().await.status());
            // Nor does anybody get another's answer by guessing at a key.
            assert_eq!(
                call.header("idempotency-key", key).await.status(),
                statuses[statuses.len() - 1]
            );
        }
        statuses
    };
    assert_eq!(statuses(&operator, "k").await, [200, 200]);
    assert_eq!(statuses(&admin, "k").await, [200, 200]);
    assert_eq!(statuses(&editor, "k").await, [200, 403]);
    assert_eq!(statuses(&reader, "k").await, [403, 403]);
    assert_eq!(statuses(&server.anonymous(), "k").await, [404, 404]);
}

#[tokio::test]
async fn an_undo_says_who_and_why() {
    let (server, operator, editor) = TestServer::with_garden().await;
    let wrong = changed(&editor.on("garden"), "roses", "red\n", "blue\n").await;
    let body = json!({ "revision": wrong, "message": "Blue roses?\n\nNo.",
        "author": { "name": "Ann", "email": "ann@example.org" } });
    editor.on("garden").revert(&wrong).json(body.clone()).await.problem("act_as_required");
    let bridge = json!({ "name": "bridge", "role": "editor", "act_as": true });
    let bridge = operator.token_with("garden", bridge).await;
    bridge.on("garden").revert(&wrong).json(body).await.good();
    let shown = server.git("garden").run(&["show", "-s", "--format=%an <%ae>%n%B", "main"]);
    assert_eq!(shown, "Ann <ann@example.org>\nBlue roses?\n\nNo.");
}

#[tokio::test]
async fn a_request_that_is_sent_again_is_done_once() {
    let (server, operator, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    let wrong = changed(&wiki, "roses", "red\n", "blue\n").await;
    let keyed = |call: Call| call.header("idempotency-key", "k-1");
    // What fails isn't remembered.
    keyed(wiki.revert(NOBODYS)).await.problem("unknown_revision");
    let at_once = (0..16).map(|_| keyed(wiki.revert(&wrong)).into_future());
    let answers = futures_util::future::join_all(at_once).await;
    for answer in &answers {
        assert_eq!((answer.status(), answer.text()), (201, answers[0].text()));
        assert_eq!(answer.header("content-type"), "application/json");
    }
    assert_eq!(commits(&server), 3);
    // Although doing it again would do something.
    let etag = wiki.read("roses").await.good().etag().to_owned();
    wiki.save("roses", &etag, "blue\n").await.good();
    let again = keyed(wiki.revert(&wrong)).await;
    assert_eq!((again.status(), again.text()), (201, answers[0].text()));
    assert_eq!(text(&wiki, "roses").await, "blue\n");

    let another = keyed(wiki.revert(&revision(&answers[0]))).await;
    assert_eq!(another.status(), 422);
    another.problem("idempotency_key_reused");
    keyed(wiki.revert(&wrong).query("dry_run", true)).await.problem("idempotency_key_reused");
    let too_long = wiki.revert(&wrong).header("idempotency-key", "k".repeat(300)).await;
    too_long.problem("invalid_idempotency_key");
    assert_eq!(commits(&server), 4);
    // A key belongs to a caller, a route and a wiki.
    keyed(operator.on("garden").revert(NOBODYS)).await.problem("unknown_revision");
    assert_eq!(undone(&keyed(operator.on("garden").revert(&wrong)).await).changes.len(), 1);
    assert_eq!(undone(&keyed(operator.on("garden").restore(&wrong)).await).changes.len(), 1);
    operator.create_wiki("kitchen").await.good();
    operator.on("kitchen").create("roses", "red\n").await.good();
    keyed(operator.on("kitchen").revert(&wrong)).await.problem("unknown_revision");
}

/// From the embedding app, too; and those who listen hear of it, once it is done.
#[tokio::test]
async fn an_undo_is_told_like_a_save() {
    let grove = Grove::with(["garden"]).start().await;
    let wiki = grove.wiki("garden", user("alice").with_role(Role::Editor)).await.unwrap();
    let first = wiki.save("roses", "red", Base::New).await.unwrap();
    let wrong = wiki.save("roses", "blue", Base::Version(first.etag)).await.unwrap();
    let mut changes = grove.changes();
    let plan = UndoOptions { dry_run: true, ..UndoOptions::default() };
    assert_eq!(wiki.revert(wrong.revision, plan).await.unwrap().changes.len(), 1);
    let done = wiki.revert(wrong.revision, UndoOptions::default()).await.unwrap();
    let told = changes.next().await.unwrap().unwrap();
    assert_eq!((Some(told.revision), told.paths), (done.revision, vec!["roses".to_owned()]));
    assert_eq!(told.author, *wiki.caller().author());
    let restored = wiki.restore(wrong.revision, UndoOptions::default()).await;
    assert!(restored.unwrap_err().is_denied());
    let admin = grove.on("garden").await;
    let restored = admin.restore(wrong.revision, UndoOptions::default()).await.unwrap();
    assert_eq!(Some(changes.next().await.unwrap().unwrap().revision), restored.revision);
    assert_eq!(wiki.read("roses").await.unwrap().content, "blue");
    // What can't be undone any more says with what it collides.
    let error = wiki.revert(first.revision, UndoOptions::default()).await.unwrap_err();
    assert_eq!(error.conflict().unwrap().path, "roses");
}

/// A wiki that has the name of one that was deleted doesn't answer for it.
#[tokio::test]
async fn a_key_is_forgotten_with_its_wiki() {
    let (server, operator, _) = TestServer::with_garden().await;
    let wrong = changed(&operator.on("garden"), "roses", "red\n", "blue\n").await;
    let call = || operator.on("garden").revert(&wrong).header("idempotency-key", "k");
    call().await.good();
    operator.delete_wiki("garden").await.good();
    operator.create_wiki("garden").await.good();
    operator.on("garden").create("home", "new\n").await.good();
    call().await.problem("unknown_revision");
    assert_eq!(commits(&server), 1);
}

/// What the lists must say of a state, by git.
fn listed_by_git(git: &Git) -> BTreeMap<String, String> {
    let tree = git.run(&["ls-tree", "-r", "-z", "master"]);
    let entries = tree.split('\0').filter_map(|line| line.split_once('\t'));
    let pages = entries.filter_map(|(entry, file)| {
        let is_file = entry.starts_with("100");
        Some((file.strip_suffix(".md").filter(|_| is_file)?, entry.split(' ').nth(2)?))
    });
    pages.map(|(path, id)| (path.to_owned(), id.to_owned())).collect()
}

fn listed(pages: &[Value]) -> BTreeMap<String, String> {
    let text = |page: &Value, name: &str| page[name].as_str().unwrap().to_owned();
    pages.iter().map(|page| (text(page, "path"), text(page, "etag"))).collect()
}

/// Lists, histories and searches say what git says of the newest state.
async fn assert_right(wiki: &OnWiki, git: &Git, last: &str) {
    let pages = wiki.pages().await;
    assert_eq!(listed(&pages), listed_by_git(git));
    for page in pages.iter().step_by(29) {
        let path = page["path"].as_str().unwrap();
        let file = format!("{path}.md");
        let by_git = git.run(&["log", "-1", "--format=%H", "master", "--", &file]);
        assert_eq!(page["revision"], by_git, "{path}");
        assert_eq!(wiki.read(path).await.good().etag(), page["etag"], "{path}");
    }
    // Once the log has it.
    assert_eq!(wiki.changes().await[0]["revision"], last);
    assert_search_finds_what_grep_finds(wiki, git).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_wiki_goes_a_thousand_commits_back_and_forth() {
    let scratch = testkit::scratch();
    let (program, server) = rfcs(scratch.path());
    let git = program.git("rfcs");
    let wiki = server.operator().on("rfcs");
    let log = wiki.changes().await;
    let (now, then) = (log[0]["revision"].as_str().unwrap(), &log[1000]["revision"]);
    let then = then.as_str().unwrap();
    let tree = |revision: &str| git.run(&["rev-parse", &format!("{revision}^{{tree}}")]);
    let before = listed(&wiki.pages().await);
    for goal in [then, now] {
        let plan = wiki.restore(goal).query("dry_run", true).await.good();
        let done = wiki.restore(goal).await.good();
        assert_eq!(plan.json()["changes"], done.json()["changes"]);
        let told = undone(&done);
        let head = git.run(&["rev-parse", "master"]);
        let files = ["diff-tree", "-r", "--no-renames", "--name-only", "master~1", "master"];
        let changed = git.run(&files).lines().count();
        assert_eq!((told.changes.len(), told.truncated), (changed.min(500), changed > 500));
        assert_eq!((revision(&done), tree("master")), (head.clone(), tree(goal)));
        assert_right(&wiki, &git, &head).await;
        assert_eq!(undone(&wiki.restore(goal).await).revision, None);
    }
    assert_eq!(listed(&wiki.pages().await), before);
    assert_eq!(git.run(&["rev-list", "--count", "master"]), (log.len() + 2).to_string());
    git.fsck();
    server.stop();
}
