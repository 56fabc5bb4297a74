//! Drafts: each caller's own, kept until they become a save.

use http::Method;
use serde_json::{Value, json};
use testkit::{Grove, TestServer, scratch};
use wikigrove_tenant::{Author, Caller, DraftBase, Role};

#[tokio::test]
async fn a_draft_is_written_read_listed_and_removed() {
    let (server, _, editor) = TestServer::with_garden().await;
    let garden = editor.on("garden");
    let draft = json!({ "content": "# Ro", "cursor": { "line": 1, "column": 4 } });
    let first = garden.put_draft("a/roses", "").json(draft).await.good();
    assert_eq!(first.status(), 201);
    let kept = first.json();
    assert_eq!((&kept["path"], &kept["base"]), (&json!("a/roses"), &Value::Null));
    assert_eq!(kept["stale"], false);

    let read = garden.draft("a/roses").await.good();
    assert_eq!(read.header("cache-control"), "private, no-cache");
    assert_eq!(read.header("vary"), "authorization");
    assert_eq!(
        read.json(),
        json!({
            "path": "a/roses", "content": "# Ro", "base": null, "stale": false, "current": null,
            "cursor": { "line": 1, "column": 4 }, "updated": kept["updated"],
        })
    );
    let second = garden.put_draft("a/roses", "# Roses").await.good();
    assert_eq!(second.status(), 200);
    let list = garden.api(Method::GET, "/drafts").await.good().json();
    assert_eq!(
        list["items"],
        json!([{ "path": "a/roses", "base": null, "stale": false, "size": 7, "updated": second.json()["updated"] }])
    );
    assert_eq!(garden.draft("a/roses").await.good().json()["cursor"], Value::Null);
    let removed = garden.delete_draft("a/roses").await.good();
    assert_eq!(removed.status(), 204);
    for call in [garden.delete_draft("a/roses"), garden.draft("a/roses")] {
        let gone = call.await;
        assert_eq!(gone.status(), 404);
        gone.problem("draft_not_found");
    }
    // Nothing of it was ever content.
    assert!(server.git("garden").run(&["for-each-ref"]).is_empty());
    assert!(garden.pages().await.is_empty());
}

#[tokio::test]
async fn drafts_are_listed_in_parts() {
    let (_server, _, editor) = TestServer::with_garden().await;
    let garden = editor.on("garden");
    for name in ["c", "a", "b/x", "é", "b"] {
        garden.put_draft(name, name).await.good();
    }
    let mut seen = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut call = garden.api(Method::GET, "/drafts").query("limit", 2);
        if let Some(cursor) = &cursor {
            call = call.query("cursor", cursor);
        }
        let part = call.await.good().json();
        let items = part["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        seen.extend(items.iter().map(|item| item["path"].as_str().unwrap().to_owned()));
        match part["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(seen, ["a", "b", "b/x", "c", "é"]);
}

#[tokio::test]
async fn a_draft_says_whether_the_page_changed_meanwhile() {
    let (_server, operator, editor) = TestServer::with_garden().await;
    let (garden, other) = (editor.on("garden"), operator.on("garden"));
    let first = garden.create("home", "one").await.good().etag().to_owned();
    let kept = garden.put_draft("home", "mine").await.good().json();
    assert_eq!((&kept["base"], &kept["stale"]), (&json!(first), &json!(false)));
    let second = other.save("home", &first, "two").await.good().etag().to_owned();
    let is = |draft: &Value| (draft["base"].clone(), draft["stale"].clone());
    let read = garden.draft("home").await.good().json();
    assert_eq!(is(&read), (json!(first), json!(true)));
    assert_eq!(read["current"], json!(second));
    // What it was begun from stays, until its author has looked.
    let kept = garden.put_draft("home", "mine, too").await.good().json();
    assert_eq!(is(&kept), (json!(first), json!(true)));
    let seen = json!({ "content": "both", "base": second });
    let kept = garden.put_draft("home", "").json(seen).await.good().json();
    assert_eq!(is(&kept), (json!(second), json!(false)));
    let unseen = json!({ "content": "all new", "base": null });
    let kept = garden.put_draft("home", "").json(unseen).await.good().json();
    assert_eq!(is(&kept), (json!(null), json!(true)));
}

/// header-032, concurrency-001: whoever loses an edit conflict still has their text.
#[tokio::test]
async fn a_save_ends_its_authors_draft_and_a_conflict_does_not() {
    let (_server, operator, editor) = TestServer::with_garden().await;
    let (garden, other) = (editor.on("garden"), operator.on("garden"));
    let first = garden.create("home", "a\nb\nc\n").await.good().etag().to_owned();
    for wiki in [&garden, &other] {
        wiki.put_draft("home", "draft").await.good();
        wiki.put_draft("else", "draft").await.good();
    }
    other.save("home", &first, "A\nb\nc\n").await.good();
    assert_eq!(other.drafts().await, ["else"]);
    assert_eq!(garden.drafts().await, ["else", "home"]);

    garden.save("home", &first, "X\nb\nc\n").await.problem("edit_conflict");
    let refused = garden.save("home", &first, "a\nb\nC\n").query("merge", "never").await;
    refused.problem("precondition_failed");
    garden.save("home", &"0".repeat(40), "text").await.problem("precondition_failed");
    assert_eq!(garden.draft("home").await.good().json()["content"], "draft");

    let merged = garden.save("home", &first, "a\nb\nC\n").await.good();
    assert_eq!(merged.json()["merged"], true);
    assert_eq!(garden.drafts().await, ["else"]);
    // The same text again changes nothing, and ends the draft nevertheless.
    garden.put_draft("home", "draft").await.good();
    garden.save("home", merged.etag(), "A\nb\nC\n").await.good();
    assert_eq!(garden.drafts().await, ["else"]);
    // A page that is deleted takes no draft along.
    garden.put_draft("home", "draft").await.good();
    garden.delete("home", merged.etag()).await.good();
    let left = garden.draft("home").await.good().json();
    assert_eq!((&left["stale"], &left["current"]), (&json!(true), &Value::Null));
}

#[tokio::test]
async fn drafts_are_seen_by_nobody_else() {
    let (server, operator) = TestServer::start().await;
    for slug in ["garden", "kitchen"] {
        operator.create_wiki(slug).await.good();
    }
    let (one, two) =
        (operator.token("garden", "editor").await, operator.token("garden", "editor").await);
    let admin = operator.token("garden", "admin").await;
    let reader = operator.token("garden", "reader").await;
    one.on("garden").put_draft("home", "mine").await.good();
    for other in [&two, &admin, &operator, &reader] {
        other.on("garden").draft("home").await.problem("draft_not_found");
        assert!(other.on("garden").drafts().await.is_empty());
    }
    for other in [&two, &operator] {
        other.on("garden").delete_draft("home").await.problem("draft_not_found");
    }
    operator.on("kitchen").draft("home").await.problem("draft_not_found");
    // A reader has nothing to draft.
    for call in
        [reader.on("garden").put_draft("home", "x"), reader.on("garden").delete_draft("home")]
    {
        let refused = call.await;
        assert_eq!(refused.status(), 403);
        refused.problem("forbidden");
    }
    let stranger = operator.token("kitchen", "editor").await;
    stranger.on("garden").draft("home").await.problem("unknown_wiki");
    server.anonymous().on("garden").draft("home").await.problem("unknown_wiki");
    assert_eq!(one.on("garden").draft("home").await.good().json()["content"], "mine");

    // slug-043: nor by those of another wiki that has the name later.
    operator.on("garden").put_draft("home", "the operator's").await.good();
    operator.delete_wiki("garden").await.good();
    operator.create_wiki("garden").await.good();
    assert!(operator.on("garden").drafts().await.is_empty());
}

#[tokio::test]
async fn nobody_in_particular_has_no_drafts() {
    let (server, operator) = TestServer::start().await;
    let open = json!({ "slug": "garden", "visibility": "public_write" });
    operator.create_wiki("garden").json(open).await.good();
    let anyone = server.anonymous().on("garden");
    anyone.create("home", "text").await.good();
    for call in [
        anyone.api(Method::GET, "/drafts"),
        anyone.draft("home"),
        anyone.put_draft("home", "text"),
        anyone.delete_draft("home"),
    ] {
        let refused = call.await;
        assert_eq!(refused.status(), 403);
        refused.problem("identity_required");
    }
}

#[tokio::test]
async fn a_read_only_wiki_gives_drafts_back_and_takes_none() {
    let (_server, operator, editor) = TestServer::with_garden().await;
    let garden = editor.on("garden");
    garden.put_draft("home", "mine").await.good();
    operator.change_wiki("garden", json!({ "state": "read_only" })).await.good();
    garden.put_draft("home", "more").await.problem("wiki_read_only");
    garden.delete_draft("home").await.problem("wiki_read_only");
    assert_eq!(garden.draft("home").await.good().json()["content"], "mine");
}

#[tokio::test]
async fn what_no_draft_can_be_is_refused() {
    let (_server, _, editor) = TestServer::with_garden().await;
    let garden = editor.on("garden");
    for path in ["a//b", ".git/config", "a\\b", "con", "x."] {
        let refused = garden.put_draft(path, "text").await;
        assert_eq!(refused.status(), 422, "{path}");
        refused.problem("invalid_path");
    }
    garden.api(Method::GET, "/drafts/a%2Fb").await.problem("invalid_path");
    for (body, pointer) in [
        (json!({}), "/content"),
        (json!({ "content": 1 }), "/content"),
        (json!({ "content": "x", "base": "HEAD" }), "/base"),
        (json!({ "content": "x", "base": 7 }), "/base"),
        (json!({ "content": "x", "cursor": { "line": -1, "column": 0 } }), "/cursor/line"),
        (json!({ "content": "x", "cursor": { "line": 1 } }), "/cursor/column"),
        (json!({ "content": "x", "owner": "ann" }), "/owner"),
    ] {
        let refused = garden.put_draft("home", "").json(body.clone()).await;
        assert_eq!(refused.status(), 422, "{body}");
        let problem = refused.problem("invalid_value");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    let refused = garden.put_draft("home", &"x".repeat(5_000_001)).await;
    assert_eq!(refused.status(), 413);
    assert_eq!(refused.problem("page_too_large")["limit"], 5_000_000);
    assert!(garden.drafts().await.is_empty());
}

/// A killed process has lost nothing that it answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_draft_survives_a_kill() {
    let data = scratch();
    let server = super::program(data.path()).serve();
    let operator = server.operator();
    operator.create_wiki("garden").await.good();
    let base = operator.on("garden").create("home", "text").await.good().etag().to_owned();
    operator.on("garden").put_draft("home", "mine").await.good();
    operator.on("garden").put_draft("gone", "x").await.good();
    operator.on("garden").create("gone", "text").await.good();
    server.kill();
    let server = super::program(data.path()).serve();
    let garden = server.operator().on("garden");
    assert_eq!(garden.drafts().await, ["home"]);
    let draft = garden.draft("home").await.good().json();
    assert_eq!((&draft["content"], &draft["base"]), (&json!("mine"), &json!(base)));
}

/// A person is who their subject says, whatever they are called.
#[tokio::test]
async fn drafts_follow_the_subject_on_each_platform_by_itself() {
    let grove = || Grove::with(["garden"]).member("garden", "ann", Role::Editor).start();
    let (left, right) = (grove().await, grove().await);
    let kept = DraftBase::Kept;
    let ann = left.user("ann", "garden").await.unwrap();
    ann.put_draft("home", "mine".to_owned(), kept, None).await.unwrap();
    assert!(right.user("ann", "garden").await.unwrap().drafts(None, 10).await.unwrap().is_empty());

    let renamed = Caller::user("ann", Author::new("Ann B.", "new@example.org"));
    let renamed = left.wiki("garden", renamed).await.unwrap();
    assert_eq!(renamed.draft("home").await.unwrap().content, "mine");
    let namesake = Caller::user("other", testkit::author("ann")).with_role(Role::Editor);
    let namesake = left.wiki("garden", namesake).await.unwrap();
    assert!(namesake.draft("home").await.unwrap_err().is_not_found());
    let nobody = left.wiki("garden", Caller::anonymous().with_role(Role::Editor)).await.unwrap();
    assert_eq!(nobody.drafts(None, 10).await.unwrap_err().code(), "identity_required");
}
