//! Pages over HTTP: list, read, create, change, delete; and the settings of a wiki.
//!
//! One long file, as it is one resource: a section for each thing that is done to a page.

use http::Method;
use serde_json::{Value, json};
use testkit::{Git, TestServer, User, encode};

/// A message that no commit can have.
const TOO_LONG: usize = 10_000_000;

fn paths(items: &Value) -> Vec<&str> {
    items["items"].as_array().unwrap().iter().map(|item| item["path"].as_str().unwrap()).collect()
}

/// The number of commits of a wiki.
fn commits(server: &TestServer) -> usize {
    server.git("garden").run(&["rev-list", "--count", "main"]).parse().unwrap()
}

/// Moves the wiki's branch to a commit made with plain git on top of it, of files of any name.
fn push(server: &TestServer, files: &[(&str, &[u8])]) {
    let scratch = testkit::scratch();
    let repo = server.git("garden");
    let clone = scratch.path().join("clone");
    Git::at(scratch.path()).run(&["clone", "-q", repo.dir().to_str().unwrap(), "clone"]);
    let work = Git::at(&clone);
    work.run(&["checkout", "-q", "-B", "main"]);
    for (file, content) in files {
        work.write(file, content);
    }
    work.commit("from outside");
    work.run(&["push", "-q", "origin", "main"]);
}

async fn garden_with(pages: &[(&str, &str)]) -> (TestServer, User, User) {
    let (server, operator, editor) = TestServer::with_garden().await;
    for (path, text) in pages {
        editor.on("garden").create(path, text).await.good();
    }
    (server, operator, editor)
}

#[tokio::test]
async fn an_empty_wiki_has_an_empty_list() {
    let (_server, _, editor) = TestServer::with_garden().await;
    let list = editor.on("garden").list().await.good().json();
    assert_eq!(list, json!({ "items": [], "next_cursor": null }));
}

#[tokio::test]
async fn the_list_says_of_each_page_what_reading_it_says() {
    let (server, _, editor) =
        garden_with(&[("roses", "# Roses\nred\n"), ("a/b", "plain"), ("a", "below")]).await;
    let list = editor.on("garden").list().await.good().json();
    assert_eq!(paths(&list), ["a", "a/b", "roses"]);
    assert_eq!(list["next_cursor"], Value::Null);
    for item in list["items"].as_array().unwrap() {
        let page = editor.on("garden").read(item["path"].as_str().unwrap()).await.good().json();
        for field in ["path", "title", "etag", "revision", "author", "modified"] {
            assert_eq!(item[field], page[field], "{field}");
        }
        assert_eq!(item["size"], page["content"].as_str().unwrap().len());
        let file = format!("{}.md", page["path"].as_str().unwrap());
        let last = server.git("garden").run(&["log", "-1", "--format=%H", "main", "--", &file]);
        assert_eq!(item["revision"], last.as_str());
        let blob = server.git("garden").run(&["rev-parse", &format!("main:{file}")]);
        assert_eq!(item["etag"], blob.as_str());
    }
    assert_eq!(list["items"][2]["title"], "Roses");
    assert_eq!(list["items"][1]["title"], "b");
}

#[tokio::test]
async fn a_prefix_narrows_the_list() {
    let pages = [("a", "1"), ("a/b", "2"), ("ab", "3"), ("b", "4"), ("é", "5")];
    let (_server, _, editor) = garden_with(&pages).await;
    let wiki = editor.on("garden");
    for (prefix, expected) in [
        ("", &["a", "a/b", "ab", "b", "é"][..]),
        ("a", &["a", "a/b", "ab"]),
        ("a/", &["a/b"]),
        ("é", &["é"]),
        ("c", &[]),
        ("%", &[]),
        ("_", &[]),
        ("' or 1=1 --", &[]),
    ] {
        let list = wiki.list().query("prefix", prefix).await.good().json();
        assert_eq!(paths(&list), expected, "{prefix}");
    }
    wiki.list().query("prefix", "a").query("prefix", "b").await.problem("invalid_value");
}

#[tokio::test]
async fn cursors_lead_through_the_whole_list_however_small_the_parts() {
    let names: Vec<String> = (0..7).map(|n| format!("page-{n}")).collect();
    let pages: Vec<_> = names.iter().map(|name| (name.as_str(), "x")).collect();
    let (_server, _, editor) = garden_with(&pages).await;
    for limit in [1, 2, 3, 7, 500] {
        let (mut found, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut call = editor.on("garden").list().query("limit", limit).query("prefix", "page");
            if let Some(cursor) = &cursor {
                call = call.query("cursor", cursor);
            }
            let list = call.await.good().json();
            found.extend(paths(&list).into_iter().map(str::to_owned));
            match list["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => break,
            }
        }
        assert_eq!(found, names, "{limit} at a time");
    }
}

#[tokio::test]
async fn limits_and_cursors_that_make_no_sense_are_refused() {
    let (_server, _, editor) = garden_with(&[("a", "1")]).await;
    for limit in ["0", "501", "-1", "ten", "1000000000", ""] {
        let problem = editor.on("garden").list().query("limit", limit).await;
        assert_eq!(problem.status(), 422, "{limit}");
        assert_eq!(problem.problem("invalid_value")["errors"][0]["parameter"], "limit");
    }
    for cursor in ["!", "a", "YQ==", "_w"] {
        let problem = editor.on("garden").list().query("cursor", cursor).await;
        assert_eq!(problem.status(), 422, "{cursor}");
        problem.problem("invalid_cursor");
    }
}

#[tokio::test]
async fn a_page_is_read_as_json_or_as_its_bytes() {
    let text = "# Roses \u{1F339}\r\nno newline at the end";
    let (server, operator, editor) = garden_with(&[("g/roses", text)]).await;
    let page = editor.on("garden").read("g/roses").await.good();
    assert_eq!(page.status(), 200);
    assert_eq!(page.header("content-type"), "application/json");
    let json = page.json();
    assert_eq!(json["path"], "g/roses");
    assert_eq!(json["title"], "Roses \u{1F339}");
    assert_eq!(json["content"], text);
    assert_eq!(json["etag"], page.etag());
    assert_eq!(json["author"]["name"], "editor");
    assert!(json["author"]["email"].as_str().unwrap().ends_with("@users.invalid"), "{json}");
    assert_eq!(json["revision"], server.git("garden").run(&["rev-parse", "main"]).as_str());
    assert!(json["modified"].as_str().unwrap().ends_with('Z'), "{json}");

    let bytes = editor.on("garden").markdown("g/roses").await.good();
    assert_eq!(bytes.header("content-type"), "text/markdown; charset=utf-8");
    assert_eq!(bytes.bytes(), text.as_bytes());
    assert_eq!(bytes.etag(), page.etag());
    assert_eq!(bytes.bytes(), server.git("garden").bytes(&["show", "main:g/roses.md"]));
    drop(operator);
}

#[tokio::test]
async fn head_says_what_get_says_without_the_body() {
    let (_server, _, editor) = garden_with(&[("roses", "red")]).await;
    let wiki = editor.on("garden");
    for path in ["/pages/roses", "/pages", "/preferences", "/pages/none", "/none"] {
        for accept in ["*/*", "text/markdown"] {
            let get = wiki.api(Method::GET, path).header("accept", accept).await;
            let head = wiki.api(Method::HEAD, path).header("accept", accept).await;
            assert_eq!(head.status(), get.status(), "{path}");
            assert!(head.bytes().is_empty(), "{path}: {head}");
            for name in ["content-type", "content-length", "etag", "vary", "cache-control"] {
                assert_eq!(head.header(name), get.header(name), "{path} {name}");
            }
        }
    }
}

#[tokio::test]
async fn whoever_has_the_version_is_not_sent_it_again() {
    let (_server, _, editor) = garden_with(&[("roses", "red")]).await;
    let wiki = editor.on("garden");
    let page = wiki.read("roses").await.good();
    let etag = page.etag();
    for known in
        [format!("\"{etag}\""), format!("W/\"{etag}\""), format!("\"x\", \"{etag}\""), "*".into()]
    {
        let same = wiki.read("roses").header("if-none-match", &known).await;
        assert_eq!(same.status(), 304, "{known}");
        assert!(same.bytes().is_empty());
        for name in ["etag", "vary", "cache-control"] {
            assert_eq!(same.header(name), page.header(name), "{name}");
        }
    }
    for other in ["\"x\"", etag, ""] {
        let fresh = wiki.read("roses").header("if-none-match", other).await.good();
        assert_eq!(fresh.status(), 200, "{other}");
    }
}

#[tokio::test]
async fn what_caches_may_keep_depends_on_who_may_read() {
    let (_server, operator, editor) = garden_with(&[("roses", "red")]).await;
    let private = editor.on("garden").read("roses").await.good();
    assert_eq!(private.header("cache-control"), "private, no-cache");
    let vary = private.header("vary").to_ascii_lowercase();
    assert!(vary.contains("accept") && vary.contains("authorization"), "{vary}");
    assert_eq!(editor.on("garden").list().await.good().header("cache-control"), "no-store");

    operator.change_wiki("garden", json!({ "visibility": "public_read" })).await.good();
    let public = operator.without_token().on("garden").read("roses").await.good();
    assert_eq!(public.header("cache-control"), "no-cache");
    assert_eq!(public.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let (_server, _, editor) = garden_with(&[("a/b", "1")]).await;
    let wiki = editor.on("garden");
    for missing in ["a", "a/b/c", "a/b.md", "roses", "A/b"] {
        let problem = wiki.read(missing).await;
        assert_eq!(problem.status(), 404, "{missing}");
        problem.problem("page_not_found");
    }
    wiki.api(Method::GET, "/nothing").await.problem("not_found");
    wiki.api(Method::POST, "/pages").await.problem("method_not_allowed");
    editor.public(Method::GET, "/").await.problem("not_found");
    assert_eq!(editor.public(Method::GET, "/w/garden").await.header("location"), "/w/garden/");
}

#[tokio::test]
async fn a_page_is_created_once() {
    let (server, _, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    let created = wiki.create("roses", "red").await.good();
    assert_eq!(created.status(), 201);
    let answer = created.json();
    assert_eq!(answer["path"], "roses");
    assert_eq!(answer["merged"], false);
    assert_eq!(answer["etag"], created.etag());
    assert_eq!(answer["revision"], server.git("garden").run(&["rev-parse", "main"]).as_str());
    assert!(answer.get("content").is_none());
    assert_eq!(answer.as_object().unwrap().len(), 4, "{answer}");

    let again = wiki.create("roses", "white").await;
    assert_eq!(again.status(), 412);
    assert_eq!(again.problem("page_exists")["etag"], created.etag());

    // http-030: a client that didn't hear the first answer sends it once more.
    let same = wiki.create("roses", "red").await.good();
    assert_eq!((same.status(), same.etag()), (200, created.etag()));
    assert_eq!(commits(&server), 1);
}

#[tokio::test]
async fn a_change_names_the_version_it_was_made_from() {
    let (server, _, editor) = garden_with(&[("roses", "red")]).await;
    let wiki = editor.on("garden");
    let first = wiki.read("roses").await.good();
    let changed = wiki.save("roses", first.etag(), "white").await.good();
    assert_eq!(changed.status(), 200);
    assert_ne!(changed.etag(), first.etag());
    assert_eq!(changed.json()["merged"], false);
    assert_eq!(wiki.read("roses").await.good().json()["content"], "white");

    // What is stored already takes no commit, whatever it is based on.
    for base in [changed.etag(), first.etag()] {
        let same = wiki.save("roses", base, "white").await.good();
        assert_eq!((same.status(), same.etag()), (200, changed.etag()));
        assert_eq!(same.json()["revision"], changed.json()["revision"]);
    }
    assert_eq!(commits(&server), 2);
}

#[tokio::test]
async fn a_write_that_names_no_version_is_refused() {
    let (server, _, editor) = garden_with(&[("roses", "red")]).await;
    let wiki = editor.on("garden");
    let etag = wiki.read("roses").await.good().etag().to_owned();
    let write = || wiki.put("roses", "white");
    assert_eq!(write().await.status(), 428);
    write().await.problem("precondition_required");
    // header-033
    let any = write().header("if-match", "*").await;
    assert_eq!(any.status(), 428);
    any.problem("precondition_required");

    // header-032, and a version that can't be one.
    for never in ["stale", "W/\"x\"", &"0".repeat(40)] {
        let value = if never.contains('"') { never.to_owned() } else { format!("\"{never}\"") };
        let refused = write().header("if-match", value).await;
        assert_eq!(refused.status(), 412, "{never}");
        refused.problem("precondition_failed");
    }
    let zero = write().header("if-match", format!("\"{}\"", "0".repeat(40))).await;
    assert_eq!(zero.problem("precondition_failed")["etag"], etag.as_str());
    let weak = write().header("if-match", format!("W/\"{etag}\"")).await;
    assert_eq!(weak.status(), 412);

    let both = write().header("if-match", format!("\"{etag}\"")).header("if-none-match", "*").await;
    assert_eq!(both.status(), 400);
    both.problem("invalid_precondition");
    for (name, value) in [
        ("if-match", etag.clone()),
        ("if-match", format!("\"{etag}\", \"{etag}\"")),
        ("if-none-match", format!("\"{etag}\"")),
        ("if-match", String::new()),
    ] {
        let refused = write().header(name, &value).await;
        assert_eq!(refused.status(), 422, "{name}: {value}");
        refused.problem("invalid_precondition");
    }
    let delete = wiki.api(Method::DELETE, "/pages/roses");
    assert_eq!(delete.clone().await.status(), 428);
    delete.header("if-none-match", "*").await.problem("precondition_required");
    assert_eq!(commits(&server), 1);
    assert_eq!(wiki.read("roses").await.good().etag(), etag);
}

#[tokio::test]
async fn a_version_of_another_page_is_no_base() {
    let (server, _, editor) = garden_with(&[("roses", "red"), ("tulips", "yellow")]).await;
    let wiki = editor.on("garden");
    let tulips = wiki.read("tulips").await.good();
    let refused = wiki.save("roses", tulips.etag(), "pink").await;
    assert_eq!(refused.status(), 412);
    refused.problem("precondition_failed");
    wiki.save("new", tulips.etag(), "pink").await.problem("precondition_failed");
    wiki.delete("roses", tulips.etag()).await.problem("precondition_failed");
    assert_eq!(commits(&server), 2);
}

const POEM: &str = "one\n\ntwo\n\nthree\n\nfour\n\nfive\n";

#[tokio::test]
async fn edits_in_different_places_are_merged_into_one_ordinary_commit() {
    let (server, operator, editor) = garden_with(&[("poem", POEM)]).await;
    let other = operator.token("garden", "editor").await;
    let base = editor.on("garden").read("poem").await.good();
    let theirs = POEM.replace("one", "ONE");
    other.on("garden").save("poem", base.etag(), &theirs).await.good();

    let merged =
        editor.on("garden").save("poem", base.etag(), &POEM.replace("five", "FIVE")).await.good();
    let expected = theirs.replace("five", "FIVE");
    assert_eq!(merged.status(), 200);
    assert_eq!(merged.json()["merged"], true);
    assert_eq!(merged.json()["content"], expected.as_str());
    let page = editor.on("garden").read("poem").await.good();
    assert_eq!(
        (page.json()["content"].as_str().unwrap(), page.etag()),
        (&*expected, merged.etag())
    );
    assert_eq!(commits(&server), 3);
    let parents = server.git("garden").run(&["log", "-1", "--format=%P", "main"]);
    assert_eq!(parents.split(' ').count(), 1, "{parents}");
}

#[tokio::test]
async fn edits_in_the_same_place_are_a_conflict_that_carries_everything() {
    let (server, _, editor) = garden_with(&[("poem", POEM)]).await;
    let wiki = editor.on("garden");
    let base = wiki.read("poem").await.good();
    let ours = wiki.save("poem", base.etag(), &POEM.replace("two", "2")).await.good();
    let theirs = POEM.replace("two", "deux");
    let refused = wiki.save("poem", base.etag(), &theirs).await;
    assert_eq!(refused.status(), 409);
    let problem = refused.problem("edit_conflict");
    let conflict = &problem["conflict"];
    assert_eq!(conflict["base"], POEM);
    assert_eq!(conflict["ours"], POEM.replace("two", "2").as_str());
    assert_eq!(conflict["theirs"], theirs.as_str());
    assert_eq!(conflict["etag"], ours.etag());
    assert_eq!(conflict["hunks"].as_array().unwrap().len(), 1, "{conflict}");
    assert!(conflict["hunks"].to_string().contains("deux"), "{conflict}");
    assert!(problem.get("moved_to").is_none());
    assert_eq!(commits(&server), 2);

    // The answer has all it takes to try again.
    let etag = conflict["etag"].as_str().unwrap();
    wiki.save("poem", etag, &POEM.replace("two", "2 deux")).await.good();
}

#[tokio::test]
async fn who_asks_not_to_merge_is_told_of_any_change() {
    let (server, _, editor) = garden_with(&[("poem", POEM)]).await;
    let wiki = editor.on("garden");
    let base = wiki.read("poem").await.good();
    let now = wiki.save("poem", base.etag(), &POEM.replace("one", "1")).await.good();
    let mine = POEM.replace("five", "5");
    let refused = wiki.save("poem", base.etag(), &mine).query("merge", "never").await;
    assert_eq!(refused.status(), 412);
    assert_eq!(refused.problem("precondition_failed")["etag"], now.etag());
    wiki.save("poem", base.etag(), &mine).query("merge", "maybe").await.problem("invalid_value");
    wiki.save("poem", now.etag(), &mine).query("merge", "never").await.good();
    assert_eq!(commits(&server), 3);
}

#[tokio::test]
async fn a_page_that_was_deleted_meanwhile_is_a_conflict_with_nothing() {
    let (server, _, editor) = garden_with(&[("roses", "red")]).await;
    let wiki = editor.on("garden");
    let base = wiki.read("roses").await.good();
    let deleted = wiki.delete("roses", base.etag()).await.good();
    assert_eq!(deleted.status(), 200);
    let body = deleted.json();
    assert_eq!(body["path"], "roses");
    assert_eq!(body["revision"], server.git("garden").run(&["rev-parse", "main"]).as_str());
    wiki.read("roses").await.problem("page_not_found");
    assert!(wiki.pages().await.is_empty());

    let refused = wiki.save("roses", base.etag(), "white").await;
    assert_eq!(refused.status(), 409);
    let problem = refused.problem("edit_conflict");
    assert_eq!(problem["conflict"]["ours"], Value::Null);
    assert_eq!(problem["conflict"]["base"], "red");
    assert_eq!(problem["conflict"]["theirs"], "white");
    assert!(problem.get("moved_to").is_none(), "{problem}");
    wiki.create("roses", "white").await.good();
}

#[tokio::test]
async fn a_page_that_moved_meanwhile_is_a_conflict_that_says_where_to() {
    let (server, _, editor) = garden_with(&[("roses", "red\nand\nthorny\n")]).await;
    let wiki = editor.on("garden");
    let base = wiki.read("roses").await.good();
    let scratch = testkit::scratch();
    let repo = server.git("garden");
    Git::at(scratch.path()).run(&["clone", "-q", repo.dir().to_str().unwrap(), "clone"]);
    let work = Git::at(scratch.path().join("clone"));
    work.run(&["mv", "roses.md", "flowers.md"]);
    work.commit("move").run(&["push", "-q", "origin", "main"]);

    let refused = wiki.save("roses", base.etag(), "white\nand\nthorny\n").await;
    assert_eq!(refused.status(), 409);
    let problem = refused.problem("edit_conflict");
    assert_eq!(problem["moved_to"], "flowers");
    assert_eq!(problem["conflict"]["ours"], Value::Null);
    // Renames are followed: what was read as `roses` is a base of `flowers`.
    wiki.save("flowers", base.etag(), "white\nand\nthorny\n").await.good();
}

#[tokio::test]
async fn a_delete_names_the_version_it_deletes() {
    let (server, _, editor) = garden_with(&[("roses", "red"), ("tulips", "yellow")]).await;
    let wiki = editor.on("garden");
    let first = wiki.read("roses").await.good();
    let second = wiki.save("roses", first.etag(), "white").await.good();
    let refused = wiki.delete("roses", first.etag()).await;
    assert_eq!(refused.status(), 409);
    let conflict = refused.problem("edit_conflict")["conflict"].clone();
    assert_eq!((&conflict["ours"], &conflict["theirs"]), (&json!("white"), &Value::Null));
    assert_eq!(conflict["etag"], second.etag());
    wiki.delete("none", first.etag()).await.problem("page_not_found");

    wiki.delete("roses", second.etag()).json(json!({ "message": "faded" })).await.good();
    assert_eq!(server.git("garden").run(&["log", "-1", "--format=%s", "main"]), "faded");
    wiki.delete("roses", second.etag()).await.problem("page_not_found");
    let tulips = wiki.read("tulips").await.good();
    let unknown = wiki.delete("tulips", tulips.etag()).json(json!({ "why": "x" })).await;
    assert_eq!(unknown.problem("invalid_value")["errors"][0]["code"], "unknown_field");
}

#[tokio::test]
async fn an_earlier_state_is_read_by_its_revision() {
    let (server, operator, editor) = garden_with(&[("roses", "red"), ("tulips", "yellow")]).await;
    let wiki = editor.on("garden");
    let first = wiki.read("roses").await.good();
    let old = server.git("garden").run(&["rev-parse", "main"]);
    wiki.save("roses", first.etag(), "white").await.good();

    let then = wiki.read("roses").query("at", &old).await.good();
    assert_eq!((then.json()["content"].as_str().unwrap(), then.etag()), ("red", first.etag()));
    let bytes = wiki.markdown("roses").query("at", &old).await.good();
    assert_eq!(bytes.text(), "red");
    let same = wiki
        .read("roses")
        .query("at", &old)
        .header("if-none-match", format!("\"{}\"", first.etag()));
    assert_eq!(same.await.status(), 304);

    // Not part of the history: nothing, a blob, a tree, a commit of nobody's branch.
    let git = server.git("garden");
    let blob = git.run(&["rev-parse", "main:roses.md"]);
    let tree = git.run(&["rev-parse", "main^{tree}"]);
    let loose = git.run(&["commit-tree", "-m", "loose", &tree]);
    for unknown in ["0".repeat(40), blob, tree, loose] {
        let refused = wiki.read("roses").query("at", &unknown).await;
        assert_eq!(refused.status(), 404, "{unknown}");
        refused.problem("unknown_revision");
    }
    for malformed in
        ["HEAD", "main", "deadbeef", "", &old[..39], &old.to_uppercase(), "--help", "@{-1}"]
    {
        let refused = wiki.read("roses").query("at", malformed).await;
        assert_eq!(refused.status(), 422, "{malformed}");
        refused.problem("invalid_revision");
    }
    let first_commit = git.run(&["rev-list", "--max-parents=0", "main"]);
    wiki.read("tulips").query("at", &first_commit).await.problem("page_not_found");

    // Another wiki's commits are nobody's business here.
    operator.create_wiki("kitchen").await.good();
    let there = operator.on("kitchen").create("roses", "secret").await.good().json();
    let revision = there["revision"].as_str().unwrap();
    wiki.read("roses").query("at", revision).await.problem("unknown_revision");
}

#[tokio::test]
async fn an_author_is_named_only_by_tokens_made_for_it() {
    let (server, operator, editor) = TestServer::with_garden().await;
    let bot = operator
        .token_with("garden", json!({ "name": "bot", "role": "editor", "act_as": true }))
        .await;
    let write = |user: &User, path: &str, author: Value| {
        user.on("garden").create(path, "x").json(json!({ "content": "x", "author": author }))
    };
    let ann = json!({ "name": "Ann", "email": "ann@example.org" });
    write(&bot, "by-ann", ann.clone()).await.good();
    let git = server.git("garden");
    assert_eq!(git.run(&["log", "-1", "--format=%an <%ae>", "main"]), "Ann <ann@example.org>");
    let page = bot.on("garden").read("by-ann").await.good().json();
    assert_eq!(page["author"], ann);

    write(&bot, "by-bob", json!({ "name": "Bob" })).await.good();
    assert_eq!(git.run(&["log", "-1", "--format=%an", "main"]), "Bob");
    let etag = page["etag"].as_str().unwrap();
    bot.on("garden").delete("by-ann", etag).json(json!({ "author": ann })).await.good();
    assert_eq!(git.run(&["log", "-1", "--format=%an", "main"]), "Ann");

    let refused = write(&editor, "new", ann).await;
    assert_eq!(refused.status(), 403);
    refused.problem("act_as_required");

    // json-030
    for (author, pointer) in [
        (json!({ "name": "x\nparent 000", "email": "" }), "/author/name"),
        (json!({ "name": "x <y>", "email": "" }), "/author/name"),
        (json!({ "name": "", "email": "" }), "/author/name"),
        (json!({ "name": "x\u{0}", "email": "" }), "/author/name"),
        (json!({ "name": "x", "email": "a\nb" }), "/author/email"),
        (json!({ "name": "x", "email": "a>b" }), "/author/email"),
    ] {
        let refused = write(&bot, "new", author.clone()).await;
        assert_eq!(refused.status(), 422, "{author}");
        let problem = refused.problem("invalid_author");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{author}");
    }
    write(&bot, "new", json!("Ann")).await.problem("invalid_value");
    write(&bot, "new", json!({ "name": "x", "id": 1 })).await.problem("invalid_value");
    assert_eq!(commits(&server), 3);
}

#[tokio::test]
async fn a_commit_says_why_or_what() {
    let (server, _, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    let subject = || server.git("garden").run(&["log", "-1", "--format=%s", "main"]);
    let first = wiki.create("g/roses", "red").await.good();
    assert_eq!(subject(), "Create g/roses");
    let message = json!({ "content": "white", "message": " They faded.\n\nAll of them. " });
    let second = wiki.save("g/roses", first.etag(), "").json(message).await.good();
    let body = server.git("garden").run(&["log", "-1", "--format=%B", "main"]);
    assert_eq!(body.trim_end(), "They faded.\n\nAll of them.");
    let blank = json!({ "content": "pink", "message": "  " });
    let third = wiki.save("g/roses", second.etag(), "").json(blank).await.good();
    assert_eq!(subject(), "Update g/roses");
    wiki.delete("g/roses", third.etag()).await.good();
    assert_eq!(subject(), "Delete g/roses");

    // json-031
    for message in ["x".repeat(TOO_LONG), "a\0b".to_owned()] {
        let refused =
            wiki.create("new", "").json(json!({ "content": "x", "message": message })).await;
        assert_eq!(refused.status(), 422);
        refused.problem("invalid_message");
    }
    assert_eq!(commits(&server), 4);
}

#[tokio::test]
async fn names_that_one_file_system_would_take_for_one_collide() {
    let (server, _, editor) = garden_with(&[("home", "1"), ("straße", "2"), ("a/b", "3")]).await;
    let wiki = editor.on("garden");
    for (path, existing) in
        [("Home", "home.md"), ("STRASSE", "straße.md"), ("A/c", "a"), ("a/B", "a/b.md")]
    {
        let refused = wiki.create(path, "x").await;
        assert_eq!(refused.status(), 409, "{path}");
        assert_eq!(refused.problem("path_collision")["existing"], existing, "{path}");
    }
    assert_eq!(commits(&server), 3);
    // Free again once the other is gone.
    let home = wiki.read("home").await.good();
    wiki.delete("home", home.etag()).await.good();
    wiki.create("Home", "x").await.good();
}

#[tokio::test]
async fn a_page_and_pages_below_it_live_side_by_side() {
    let (_server, _, editor) = garden_with(&[("home", "1")]).await;
    let wiki = editor.on("garden");
    wiki.create("home/sub", "2").await.good();
    // The file of `a` is `a.md`; a directory of that name is another matter.
    wiki.create("a", "3").await.good();
    let below = wiki.create("a.md/child", "4").await;
    assert_eq!(below.status(), 409);
    assert_eq!(below.problem("path_collision")["existing"], "a.md");
    wiki.create("b.md/child", "5").await.good();
    wiki.create("b", "6").await.problem("path_collision");
    wiki.create("c.md", "7").await.good();
    assert_eq!(wiki.read("c.md").await.good().json()["content"], "7");
    wiki.read("c").await.problem("page_not_found");
    let list = wiki.list().await.good().json();
    assert_eq!(paths(&list), ["a", "b.md/child", "c.md", "home", "home/sub"]);
}

#[tokio::test]
async fn a_name_is_one_page_however_its_accents_are_typed() {
    let (server, _, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    let created = wiki.create("cafe\u{301}", "1").await.good();
    assert_eq!(created.json()["path"], "caf\u{e9}");
    for spelling in ["cafe\u{301}", "caf\u{e9}"] {
        assert_eq!(wiki.read(spelling).await.good().json()["path"], "caf\u{e9}");
        wiki.create(spelling, "2").await.problem("page_exists");
    }
    let saved = wiki.save("cafe\u{301}", created.etag(), "3").await.good();
    assert_eq!(wiki.pages().await.len(), 1);
    assert_eq!(
        server.git("garden").run(&["ls-tree", "--name-only", "-z", "main"]),
        "caf\u{e9}.md\0"
    );
    wiki.delete("cafe\u{301}", saved.etag()).await.good();
    assert!(wiki.pages().await.is_empty());
}

#[tokio::test]
async fn pages_with_odd_names_are_read_changed_and_deleted_but_not_created() {
    let (server, _, editor) = garden_with(&[("a", "1")]).await;
    let odd = [".hidden", "a:b", "what?", "aux", "dir /page", "x\u{202e}y", "cafe\u{301}"];
    let files: Vec<_> = odd.iter().map(|path| (format!("{path}.md"), path.as_bytes())).collect();
    let files: Vec<_> = files.iter().map(|(file, content)| (file.as_str(), *content)).collect();
    push(&server, &files);
    let wiki = editor.on("garden");
    let listed = wiki.pages().await;
    for path in odd {
        assert!(listed.iter().any(|page| page["path"] == path), "{path}");
        let page = wiki.read(path).await.good();
        assert_eq!(page.json()["content"], path);
        assert_eq!(page.json()["path"], path);
        assert_eq!(wiki.markdown(path).await.good().text(), path);
        let saved = wiki.save(path, page.etag(), "new").await.good();
        assert_eq!(saved.json()["path"], path);
        wiki.delete(path, saved.etag()).await.good();
        wiki.read(path).await.problem("page_not_found");
        if path != "cafe\u{301}" {
            let refused = wiki.create(path, "new").await;
            assert_eq!(refused.status(), 422, "{path}");
            refused.problem("invalid_path");
        }
    }
    assert_eq!(wiki.pages().await.len(), 1);
}

#[tokio::test]
async fn a_page_that_is_not_text_is_read_as_bytes_only() {
    let (server, _, editor) = garden_with(&[("a", "1")]).await;
    push(&server, &[("latin.md", b"caf\xe9\n")]);
    let wiki = editor.on("garden");
    let refused = wiki.read("latin").await;
    assert_eq!(refused.status(), 406);
    refused.problem("not_text");
    let bytes = wiki.markdown("latin").await.good();
    assert_eq!(bytes.bytes(), b"caf\xe9\n");
    assert_eq!(wiki.pages().await.len(), 2);
    // It can be replaced by text.
    wiki.save("latin", bytes.etag(), "café\n").await.good();
    assert_eq!(wiki.read("latin").await.good().json()["content"], "café\n");
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_read() {
    let (server, _, editor) = garden_with(&[("a", "1")]).await;
    let wiki = editor.on("garden");
    let largest = "x".repeat(5_000_000);
    let created = wiki.create("largest", &largest).await.good();
    assert_eq!(wiki.markdown("largest").await.good().bytes().len(), largest.len());
    let refused = wiki.save("largest", created.etag(), &(largest + "x")).await;
    assert_eq!(refused.status(), 413);
    assert_eq!(refused.problem("page_too_large")["limit"], 5_000_000);

    let announced = server
        .raw(format!(
            "PUT /w/garden/api/v1/pages/b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
             If-None-Match: *\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\
             Connection: close\r\n\r\n{{",
            editor.secret()
        ))
        .await;
    assert!(announced.starts_with("HTTP/1.1 413 "), "{announced}");
    assert!(announced.contains("\"code\":\"body_too_large\""), "{announced}");
    assert_eq!(commits(&server), 2);
}

#[tokio::test]
async fn unknown_and_wrong_fields_are_named() {
    let (server, _, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    for (body, pointer, code) in [
        (json!({ "content": "x", "conten": "y" }), "/conten", "unknown_field"),
        (json!({ "contents": "x" }), "/contents", "unknown_field"),
        (json!({}), "/content", "missing_field"),
        (json!({ "content": 1 }), "/content", "wrong_type"),
        (json!({ "content": null }), "/content", "wrong_type"),
        (json!({ "content": "x", "message": 1 }), "/message", "wrong_type"),
    ] {
        let refused = wiki.create("new", "").json(body.clone()).await;
        assert_eq!(refused.status(), 422, "{body}");
        let error = &refused.problem("invalid_value")["errors"][0];
        assert_eq!((&error["pointer"], &error["code"]), (&json!(pointer), &json!(code)), "{body}");
    }
    let text = wiki.create("new", "").body("text/plain", r#"{"content":"x"}"#).await;
    assert_eq!(text.status(), 415);
    text.problem("unsupported_media_type");
    wiki.create("new", "").body("application/json", "{").await.problem("invalid_json");
    assert!(server.git("garden").run(&["for-each-ref"]).is_empty());
}

#[tokio::test]
async fn a_path_has_one_spelling_in_a_url() {
    let (_server, _, editor) = garden_with(&[("a/b", "1"), ("100% & more", "2")]).await;
    let wiki = editor.on("garden");
    let encoded = wiki.api(Method::GET, "/pages/a%2Fb").await;
    assert_eq!(encoded.status(), 422);
    encoded.problem("invalid_path");
    wiki.api(Method::GET, "/pages/a%").await.problem("invalid_encoding");
    wiki.api(Method::GET, "/pages/%FF").await.problem("invalid_utf8");
    wiki.api(Method::GET, "/pages/%61/%62").await.good();
    assert_eq!(encode("100% & more"), "100%25%20%26%20more");
    wiki.api(Method::GET, "/pages/100%25%20%26%20more").await.good();
    wiki.api(Method::GET, "/pages/").await.any_problem();
}
