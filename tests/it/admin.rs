//! The control plane: wikis, tokens, health; and who may do what with which token.
//!
//! One long file, as it is one listener: wikis first, then tokens, then who gets in.

use http::Method;
use serde_json::{Value, json};
use testkit::{Answer, ServerSetup, TestServer, User, entries};

const LONG_AGO: &str = "2001-01-01T00:00:00Z";

fn slugs(wikis: &[Value]) -> Vec<&str> {
    wikis.iter().map(|wiki| wiki["slug"].as_str().unwrap()).collect()
}

/// Creates a wiki with more than a name.
async fn create(operator: &User, wiki: Value) -> Answer {
    operator.admin(Method::POST, "/wikis").json(wiki).await
}

#[tokio::test]
async fn a_new_wiki_is_private_and_usable_at_once() {
    let (server, operator) = TestServer::start().await;
    let created = operator.create_wiki("garden").await.good();
    assert_eq!(created.status(), 201);
    let wiki = created.json();
    assert_eq!(wiki["slug"], "garden");
    assert_eq!(wiki["title"], "garden");
    assert_eq!(wiki["state"], "active");
    assert_eq!(wiki["visibility"], "private");
    assert_eq!(wiki["owner"], Value::Null);
    assert!(wiki["created"].as_str().unwrap().ends_with('Z'), "{wiki}");
    assert!(!wiki["id"].as_str().unwrap().is_empty(), "{wiki}");
    assert!(wiki["url"].as_str().unwrap().ends_with("/w/garden"), "{wiki}");
    assert!(wiki["git_url"].as_str().unwrap().ends_with("/w/garden/git"), "{wiki}");
    assert_eq!(operator.admin(Method::GET, "/wikis/garden").await.good().json(), wiki);
    assert_eq!(operator.wikis().await, [wiki]);
    operator.on("garden").create("home", "hello").await.good();
    server.anonymous().on("garden").read("home").await.problem("unknown_wiki");
}

#[tokio::test]
async fn a_wiki_is_created_with_all_that_is_said_of_it() {
    let (server, operator) = TestServer::start().await;
    let wiki = json!({
        "slug": "garden", "title": " <img src=x onerror=alert(1)> ", "owner": "ann",
        "visibility": "public_write", "preferences": { "site_lang": "de", "hide_logo": true, "site_name": null },
    });
    let created = create(&operator, wiki).await.good().json();
    // json-033: text is text.
    assert_eq!(created["title"], "<img src=x onerror=alert(1)>");
    assert_eq!(created["owner"], "ann");
    assert_eq!(created["visibility"], "public_write");
    let anyone = server.anonymous();
    anyone.on("garden").create("home", "hello").await.good();
    let settings = operator.on("garden").preferences().await.good().json();
    assert_eq!((&settings["site_lang"], &settings["hide_logo"]), (&json!("de"), &json!(true)));
    assert_eq!(settings["site_name"], Value::Null);
    anyone.on("garden").preferences().await.problem("forbidden");
    anyone.on("garden").change_preferences(json!({ "site_lang": "fr" })).await.problem("forbidden");
}

#[tokio::test]
async fn wikis_are_listed_in_parts() {
    let (_server, operator) = TestServer::start().await;
    let names = ["alder", "birch", "cedar", "elm", "fir"];
    for name in ["cedar", "alder", "fir", "birch", "elm"] {
        operator.create_wiki(name).await.good();
    }
    assert_eq!(slugs(&operator.wikis().await), names);
    let part = |cursor: Option<&str>| {
        let call = operator.admin(Method::GET, "/wikis").query("limit", 2);
        match cursor {
            Some(cursor) => call.query("cursor", cursor),
            None => call,
        }
    };
    let first = part(None).await.good().json();
    let second = part(first["next_cursor"].as_str()).await.good().json();
    let third = part(second["next_cursor"].as_str()).await.good().json();
    for (part, expected) in [(&first, &names[..2]), (&second, &names[2..4]), (&third, &names[4..])]
    {
        assert_eq!(slugs(part["items"].as_array().unwrap()), expected);
    }
    assert_eq!(third["next_cursor"], Value::Null);
    // A wiki whose turn came is not seen twice when another one is deleted.
    operator.delete_wiki("birch").await.good();
    let next = part(first["next_cursor"].as_str()).await.good().json();
    assert_eq!(slugs(next["items"].as_array().unwrap()), ["cedar", "elm"]);
    for cursor in ["!", "Li4vLi4"] {
        part(Some(cursor)).await.problem("invalid_cursor");
    }
    operator.admin(Method::GET, "/wikis").query("limit", 0).await.problem("invalid_value");
}

#[tokio::test]
async fn what_no_wiki_can_be_called_is_refused_and_leaves_nothing() {
    let (server, operator) = TestServer::start().await;
    operator.create_wiki("garden").await.good();
    let before = entries(server.dir());
    for (slug, status, code) in [
        ("garden", 409, "slug_taken"),
        ("Garden", 422, "invalid_slug"),
        ("../x", 422, "invalid_slug"),
        ("", 422, "invalid_slug"),
        ("admin", 422, "reserved_slug"),
        ("nul", 422, "reserved_slug"),
    ] {
        let refused = operator.create_wiki(slug).await;
        assert_eq!(refused.status(), status, "{slug}");
        refused.problem(code);
    }
    for (wiki, pointer) in [
        (json!({}), "/slug"),
        (json!({ "slug": 1 }), "/slug"),
        (json!({ "slug": "new", "titel": "x" }), "/titel"),
        (json!({ "slug": "new", "title": "" }), "/title"),
        (json!({ "slug": "new", "title": "a\u{1b}[0m" }), "/title"),
        (json!({ "slug": "new", "title": "x".repeat(1001) }), "/title"),
        (json!({ "slug": "new", "owner": "\n" }), "/owner"),
        (json!({ "slug": "new", "visibility": "secret" }), "/visibility"),
        (json!({ "slug": "new", "state": "active" }), "/state"),
        (json!({ "slug": "new", "preferences": ["a"] }), "/preferences"),
    ] {
        let refused = create(&operator, wiki.clone()).await;
        assert_eq!(refused.status(), 422, "{wiki}");
        let error = &refused.problem("invalid_value")["errors"][0];
        assert_eq!(error["pointer"], pointer, "{wiki}");
    }
    assert_eq!(slugs(&operator.wikis().await), ["garden"]);
    assert_eq!(entries(server.dir()), before);
}

#[tokio::test]
async fn preferences_that_cannot_be_stored_are_refused_when_a_wiki_is_created() {
    let (server, operator) = TestServer::start().await;
    let before = entries(server.dir());
    for (preferences, code) in [
        (json!({ "": "x" }), "unknown_preference"),
        (json!({ "READ_ACCESS": "ANONYMOUS" }), "unknown_preference"),
        (json!({ "git_enabled": "yes" }), "invalid_preference"),
        (json!({ "sidebar_custom_menu": "x".repeat(70_000) }), "invalid_preference"),
    ] {
        let refused = create(&operator, json!({ "slug": "new", "preferences": preferences })).await;
        assert_eq!(refused.status(), 422, "{refused}");
        refused.problem(code);
    }
    assert!(operator.wikis().await.is_empty());
    assert_eq!(entries(server.dir()), before);
}

#[tokio::test]
async fn a_wiki_that_is_not_there_is_not_found() {
    let (_server, operator) = TestServer::start().await;
    for slug in ["nobodys", "%2e%2e", "Garden", "con"] {
        for (method, path) in [
            (Method::GET, format!("/wikis/{slug}")),
            (Method::DELETE, format!("/wikis/{slug}")),
            (Method::GET, format!("/wikis/{slug}/tokens")),
            (Method::DELETE, format!("/wikis/{slug}/tokens/x")),
        ] {
            let refused = operator.admin(method, &path).await;
            let expected = if slug == "%2e%2e" { 400 } else { 404 };
            assert_eq!(refused.status(), expected, "{path}");
            refused.any_problem();
        }
        let token = json!({ "name": "x", "role": "reader" });
        let refused =
            operator.admin(Method::POST, format!("/wikis/{slug}/tokens")).json(token).await;
        assert!(matches!(refused.status(), 400 | 404), "{refused}");
        let refused = operator.change_wiki(slug, json!({ "title": "x" })).await;
        assert!(matches!(refused.status(), 400 | 404), "{refused}");
    }
}

#[tokio::test]
async fn a_wiki_is_changed_field_by_field() {
    let (_server, operator) = TestServer::start().await;
    operator.create_wiki("garden").await.good();
    let changed = operator.change_wiki("garden", json!({ "title": "Roses" })).await.good().json();
    assert_eq!((&changed["title"], &changed["visibility"]), (&json!("Roses"), &json!("private")));
    let changed = operator.change_wiki("garden", json!({ "visibility": "public_read" })).await;
    let changed = changed.good().json();
    assert_eq!(
        (&changed["title"], &changed["visibility"]),
        (&json!("Roses"), &json!("public_read"))
    );
    let same = operator.change_wiki("garden", json!({})).await.good().json();
    assert_eq!(same, changed);
    for wrong in [
        json!({ "title": "" }),
        json!({ "state": "deleted" }),
        json!({ "state": "suspended" }),
        json!({ "reason": "x" }),
        json!({ "state": "active", "reason": "x" }),
        json!({ "state": "suspended", "reason": "" }),
        json!({ "id": "x" }),
        json!({ "visibility": "hidden" }),
        json!([]),
    ] {
        let refused = operator.change_wiki("garden", wrong.clone()).await;
        assert_eq!(refused.status(), 422, "{wrong}");
        refused.problem("invalid_value");
    }
    assert_eq!(operator.admin(Method::GET, "/wikis/garden").await.good().json(), changed);
}

#[tokio::test]
async fn a_suspended_wiki_tells_whoever_may_see_it_why() {
    let (server, operator, editor) = TestServer::with_garden().await;
    let page = editor.on("garden").create("home", "hello").await.good();
    let suspended = json!({ "state": "suspended", "reason": "unpaid <since> March" });
    let shown = operator.change_wiki("garden", suspended).await.good().json();
    assert_eq!(shown["state"], "suspended");
    assert_eq!(shown["reason"], "unpaid <since> March");
    let wiki = editor.on("garden");
    for call in [
        wiki.read("home"),
        wiki.list(),
        wiki.create("new", "x"),
        wiki.save("home", page.etag(), "x"),
        wiki.delete("home", page.etag()),
        wiki.preferences(),
        operator.on("garden").read("home"),
    ] {
        let refused = call.await;
        assert_eq!(refused.status(), 423);
        assert_eq!(refused.problem("wiki_suspended")["reason"], "unpaid <since> March");
    }
    // Who may not see it learns nothing of it.
    server.anonymous().on("garden").read("home").await.problem("unknown_wiki");
    let resumed = operator.change_wiki("garden", json!({ "state": "active" })).await.good().json();
    assert!(resumed.get("reason").is_none(), "{resumed}");
    wiki.save("home", page.etag(), "hello again").await.good();
}

#[tokio::test]
async fn a_read_only_wiki_is_read_and_not_written() {
    let (_server, operator, editor) = TestServer::with_garden().await;
    let page = editor.on("garden").create("home", "hello").await.good();
    operator.change_wiki("garden", json!({ "state": "read_only" })).await.good();
    let wiki = editor.on("garden");
    wiki.read("home").await.good();
    assert_eq!(wiki.pages().await.len(), 1);
    for call in [
        wiki.create("new", "x"),
        wiki.save("home", page.etag(), "x"),
        wiki.delete("home", page.etag()),
        operator.on("garden").create("new", "x"),
    ] {
        let refused = call.await;
        assert_eq!(refused.status(), 423);
        refused.problem("wiki_read_only");
    }
    let reader = operator.token("garden", "reader").await;
    reader.on("garden").create("new", "x").await.problem("forbidden");
    operator.change_wiki("garden", json!({ "state": "active" })).await.good();
    wiki.create("new", "x").await.good();
}

#[tokio::test]
async fn a_deleted_wiki_is_gone_and_its_name_is_free_for_another() {
    let (server, operator, editor) = TestServer::with_garden().await;
    let page = editor.on("garden").create("home", "old").await.good();
    operator.admin(Method::PATCH, "/wikis/garden").json(json!({ "title": "Old" })).await.good();
    assert_eq!(operator.delete_wiki("garden").await.good().status(), 204);
    assert!(operator.wikis().await.is_empty());
    operator.admin(Method::GET, "/wikis/garden").await.problem("unknown_wiki");
    operator.delete_wiki("garden").await.problem("unknown_wiki");
    operator.on("garden").read("home").await.problem("unknown_wiki");
    assert!(!server.dir().join("wikis/garden").exists());

    // slug-043: nothing of the old one is seen in the new one, by nobody.
    operator.create_wiki("garden").await.good();
    let wiki = operator.on("garden");
    assert!(wiki.pages().await.is_empty());
    wiki.read("home").await.problem("page_not_found");
    let revision = page.json()["revision"].as_str().unwrap().to_owned();
    wiki.read("home").query("at", revision).await.problem("unknown_revision");
    wiki.save("home", page.etag(), "x").await.problem("precondition_failed");
    let old = editor.on("garden").read("home").await;
    assert!(matches!(old.status(), 401 | 404), "{old}");
    assert_eq!(operator.wikis().await[0]["title"], "garden");
}

#[tokio::test]
async fn a_post_sent_twice_is_done_once() {
    let (server, operator) = TestServer::start().await;
    let post = |path: &str, key: &str, body: Value| {
        operator.admin(Method::POST, path).header("idempotency-key", key).json(body)
    };
    let garden = json!({ "slug": "garden" });
    let first = post("/wikis", "k1", garden.clone()).await.good();
    let second = post("/wikis", "k1", garden.clone()).await.good();
    assert_eq!((first.status(), second.status()), (201, 201));
    assert_eq!(first.json(), second.json());
    let other = post("/wikis", "k1", json!({ "slug": "kitchen" })).await;
    assert_eq!(other.status(), 422);
    other.problem("idempotency_key_reused");
    post("/wikis", "k2", garden.clone()).await.problem("slug_taken");
    assert_eq!(slugs(&operator.wikis().await), ["garden"]);
    // A failure isn't kept: what stood in the way may be gone.
    operator.delete_wiki("garden").await.good();
    post("/wikis", "k2", garden).await.good();

    let token = json!({ "name": "bot", "role": "editor" });
    let path = "/wikis/garden/tokens";
    let made = post(path, "k1", token.clone()).await.good().json();
    let again = post(path, "k1", token).await.good().json();
    assert_eq!(made["id"], again["id"]);
    assert!(made["token"].is_string());
    assert!(again.get("token").is_none(), "the secret is told once: {again}");
    let tokens = operator.admin(Method::GET, path).await.good().json();
    assert_eq!(tokens["items"].as_array().unwrap().len(), 1);
    let kept = std::fs::read(server.dir().join("platform.db")).unwrap();
    let secret = made["token"].as_str().unwrap();
    assert!(!kept.windows(secret.len()).any(|window| window == secret.as_bytes()));

    for key in ["", &"x".repeat(256)] {
        let refused = post("/wikis", key, json!({ "slug": "third" })).await;
        assert_eq!(refused.status(), 422);
        refused.problem("invalid_idempotency_key");
    }
}

#[tokio::test]
async fn two_requests_with_one_key_at_the_same_time_make_one_wiki() {
    let (_server, operator) = TestServer::start().await;
    let post = || {
        let body = json!({ "slug": "garden" });
        operator.admin(Method::POST, "/wikis").header("idempotency-key", "k").json(body)
    };
    let (one, other) = tokio::join!(post(), post());
    let mut statuses = [one.status(), other.status()];
    statuses.sort_unstable();
    assert!(matches!(statuses, [201, 201 | 409]), "{one} {other}");
    assert_eq!(operator.wikis().await.len(), 1);
    post().await.good();
}

#[tokio::test]
async fn a_token_is_shown_once_listed_without_its_secret_and_revoked_at_once() {
    let (_server, operator) = TestServer::start().await;
    operator.create_wiki("garden").await.good();
    let path = "/wikis/garden/tokens";
    let body = json!({ "name": "bot", "role": "editor", "expires_at": "2999-01-01T00:00:00Z" });
    let made = operator.admin(Method::POST, path).json(body).await.good();
    assert_eq!(made.status(), 201);
    let made = made.json();
    assert_eq!((&made["name"], &made["role"]), (&json!("bot"), &json!("editor")));
    assert_eq!(
        (&made["act_as"], &made["expires_at"]),
        (&json!(false), &json!("2999-01-01T00:00:00Z"))
    );
    let secret = made["token"].as_str().unwrap();
    let listed = operator.admin(Method::GET, path).await.good();
    assert!(!listed.text().contains(secret), "{listed:?}");
    let mut without = made.clone();
    without.as_object_mut().unwrap().remove("token");
    assert_eq!(listed.json()["items"], json!([without]));

    let bot = operator.with_token(secret);
    bot.on("garden").create("home", "hello").await.good();
    let id = made["id"].as_str().unwrap();
    let revoke = || operator.admin(Method::DELETE, format!("{path}/{id}"));
    assert_eq!(revoke().await.good().status(), 204);
    let refused = bot.on("garden").read("home").await;
    assert_eq!(refused.status(), 401);
    refused.problem("unauthenticated");
    assert_eq!(revoke().await.status(), 404);
    revoke().await.problem("token_not_found");
    assert_eq!(operator.admin(Method::GET, path).await.good().json()["items"], json!([]));
}

#[tokio::test]
async fn tokens_are_listed_in_parts() {
    let (_server, operator) = TestServer::start().await;
    operator.create_wiki("garden").await.good();
    for n in 0..5 {
        operator.token_with("garden", json!({ "name": format!("t{n}"), "role": "reader" })).await;
    }
    let (mut names, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let mut call = operator.admin(Method::GET, "/wikis/garden/tokens").query("limit", 2);
        if let Some(cursor) = &cursor {
            call = call.query("cursor", cursor);
        }
        let list = call.await.good().json();
        for token in list["items"].as_array().unwrap() {
            names.push(token["name"].as_str().unwrap().to_owned());
        }
        match list["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    names.sort();
    assert_eq!(names, ["t0", "t1", "t2", "t3", "t4"]);
}

#[tokio::test]
async fn tokens_that_make_no_sense_are_refused() {
    let (_server, operator) = TestServer::start().await;
    operator.create_wiki("garden").await.good();
    for token in [
        json!({ "name": "x" }),
        json!({ "role": "reader" }),
        json!({ "name": "", "role": "reader" }),
        json!({ "name": "a\nb", "role": "reader" }),
        json!({ "name": "x", "role": "owner" }),
        json!({ "name": "x", "role": "operator" }),
        json!({ "name": "x", "role": "root" }),
        json!({ "name": "x", "role": "reader", "expires_at": "tomorrow" }),
        json!({ "name": "x", "role": "reader", "expires_at": 5 }),
        json!({ "name": "x", "role": "reader", "scope": "all" }),
    ] {
        let made = operator.admin(Method::POST, "/wikis/garden/tokens").json(token.clone()).await;
        assert_eq!(made.status(), 422, "{token}");
        made.problem("invalid_value");
    }
    let wiki_role = json!({ "name": "x", "role": "admin" });
    operator.admin(Method::POST, "/tokens").json(wiki_role).await.problem("invalid_value");
}

#[tokio::test]
async fn roles_allow_what_they_should_and_no_more() {
    let (_server, operator) = TestServer::start().await;
    operator.create_wiki("garden").await.good();
    let page = operator.on("garden").create("home", "hello").await.good();
    let etag = page.etag();
    for (role, may_write, may_administer) in
        [("reader", false, false), ("editor", true, false), ("admin", true, true)]
    {
        let user = operator.token("garden", role).await;
        let wiki = user.on("garden");
        wiki.read("home").await.good();
        wiki.list().await.good();
        let seen = wiki.preferences().await.status();
        assert_eq!(seen, if may_administer { 200 } else { 403 }, "{role}");
        let new = wiki.create(role, "x").await;
        assert_eq!(new.status(), if may_write { 201 } else { 403 }, "{role}: {new}");
        let same = wiki.save("home", etag, "hello").await;
        assert_eq!(same.status(), if may_write { 200 } else { 403 }, "{role}: {same}");
        if !may_write {
            wiki.delete("home", etag).await.problem("forbidden");
        }
        let settings = wiki.change_preferences(json!({ "site_description": role })).await;
        assert_eq!(settings.status(), if may_administer { 200 } else { 403 }, "{role}: {settings}");
        // No token of a wiki gets into the control plane, not even for its own wiki.
        for path in ["/wikis", "/wikis/garden", "/wikis/garden/tokens", "/tokens"] {
            let refused = user.admin(Method::GET, path).await;
            assert_eq!(refused.status(), 403, "{role} {path}");
            refused.problem("forbidden");
        }
    }
}

#[tokio::test]
async fn a_token_is_worth_nothing_in_another_wiki() {
    let (_server, operator, editor) = TestServer::with_garden().await;
    operator.create_wiki("kitchen").await.good();
    let page = operator.on("kitchen").create("home", "secret").await.good();
    let unknown = editor.on("nobodys").read("home").await;
    for call in [
        editor.on("kitchen").read("home"),
        editor.on("kitchen").list(),
        editor.on("kitchen").create("new", "x"),
        editor.on("kitchen").delete("home", page.etag()),
        editor.on("kitchen").preferences(),
    ] {
        let refused = call.await;
        assert_eq!(refused.status(), 404);
        // Word for word what a wiki that doesn't exist says.
        assert_eq!(
            refused.problem("unknown_wiki")["detail"],
            unknown.problem("unknown_wiki")["detail"]
        );
    }
    operator.change_wiki("kitchen", json!({ "visibility": "public_read" })).await.good();
    editor.on("kitchen").read("home").await.good();
    let refused = editor.on("kitchen").create("new", "x").await;
    assert_eq!(refused.status(), 403);
    refused.problem("forbidden");
}

#[tokio::test]
async fn credentials_that_are_none_are_all_refused_alike() {
    let (_server, operator, editor) = TestServer::with_garden().await;
    let expired = json!({ "name": "old", "role": "admin", "expires_at": LONG_AGO });
    let expired = operator.token_with("garden", expired).await;
    let revoked = operator.token("garden", "admin").await;
    let tokens = operator.admin(Method::GET, "/wikis/garden/tokens").await.good().json();
    let newest = tokens["items"].as_array().unwrap().iter().find(|t| t["name"] == "admin").unwrap();
    let path = format!("/wikis/garden/tokens/{}", newest["id"].as_str().unwrap());
    operator.admin(Method::DELETE, path).await.good();

    let anonymous = operator.without_token();
    let bearer = |user: &User| format!("Bearer {}", user.secret()).into_bytes();
    let mut details = Vec::new();
    for credential in [
        bearer(&expired),
        bearer(&revoked),
        b"Bearer nobodys".to_vec(),
        b"Bearer".to_vec(),
        b"Bearer ".to_vec(),
        b"nonsense".to_vec(),
        // header-026
        b"Basic \xff\xfe".to_vec(),
        b"Basic AGE6Yg==".to_vec(),
        [bearer(&editor), b", ".to_vec(), bearer(&operator)].concat(),
    ] {
        for call in [
            anonymous.on("garden").read("home"),
            anonymous.on("nobodys").read("home"),
            anonymous.admin(Method::GET, "/wikis"),
        ] {
            let refused = call.header("authorization", &credential).await;
            assert_eq!(refused.status(), 401);
            assert!(refused.header("www-authenticate").starts_with("Bearer"), "{refused:?}");
            details.push(refused.problem("unauthenticated")["detail"].clone());
        }
    }
    // http-019: which it was is not told.
    details.dedup();
    assert_eq!(details.len(), 1, "{details:?}");
    let twice = editor.on("garden").list().header("authorization", bearer(&operator)).await;
    twice.problem("unauthenticated");
    let lower = anonymous
        .on("garden")
        .list()
        .header("authorization", format!("bearer {}", editor.secret()));
    lower.await.good();
}

#[tokio::test]
async fn without_a_token_a_private_wiki_is_like_none() {
    let (server, operator, editor) = TestServer::with_garden().await;
    editor.on("garden").create("home", "hello").await.good();
    let anyone = server.anonymous();
    for wiki in ["garden", "nobodys"] {
        for call in [
            anyone.on(wiki).read("home"),
            anyone.on(wiki).read("none"),
            anyone.on(wiki).list(),
            anyone.on(wiki).create("new", "x"),
            anyone.on(wiki).put("new", "x"),
            anyone.on(wiki).preferences(),
            anyone.on(wiki).change_preferences(json!({})),
        ] {
            let refused = call.await;
            assert_eq!(refused.status(), 404, "{wiki}");
            refused.problem("unknown_wiki");
        }
    }
    for path in ["/wikis", "/wikis/garden", "/tokens"] {
        let refused = anyone.admin(Method::GET, path).await;
        assert_eq!(refused.status(), 401, "{path}");
        assert!(refused.header("www-authenticate").starts_with("Bearer"));
    }
    operator.change_wiki("garden", json!({ "visibility": "public_read" })).await.good();
    anyone.on("garden").read("home").await.good();
    anyone.on("garden").create("new", "x").await.problem("forbidden");
    operator.change_wiki("garden", json!({ "visibility": "public_write" })).await.good();
    anyone.on("garden").create("new", "x").await.good();
    operator.change_wiki("garden", json!({ "visibility": "private" })).await.good();
    anyone.on("garden").read("home").await.problem("unknown_wiki");
}

#[tokio::test]
async fn the_operator_is_admin_everywhere_on_both_listeners() {
    let (_server, operator) = TestServer::start().await;
    let made = operator
        .admin(Method::POST, "/tokens")
        .json(json!({ "name": "second", "role": "operator" }))
        .await
        .good()
        .json();
    assert_eq!(made["role"], "operator");
    let second = operator.with_token(made["token"].as_str().unwrap());
    second.create_wiki("garden").await.good();
    for user in [&operator, &second] {
        user.on("garden").create(&format!("by-{}", user.secret().len()), "x").await.good();
        user.on("garden").change_preferences(json!({ "site_lang": "fr" })).await.good();
        assert_eq!(user.wikis().await.len(), 1);
    }
    let listed = operator.admin(Method::GET, "/tokens").await.good();
    assert!(!listed.text().contains(second.secret()));
    assert_eq!(listed.json()["items"].as_array().unwrap().len(), 1);
    let id = made["id"].as_str().unwrap();
    // Of the platform, so it is not found among a wiki's.
    let elsewhere = operator.admin(Method::DELETE, format!("/wikis/garden/tokens/{id}")).await;
    elsewhere.problem("token_not_found");
    operator.admin(Method::DELETE, format!("/tokens/{id}")).await.good();
    second.admin(Method::GET, "/wikis").await.problem("unauthenticated");
    second.on("garden").list().await.problem("unauthenticated");
}

#[tokio::test]
async fn probes_need_no_token() {
    let (server, operator) = TestServer::start().await;
    let probe = server.anonymous();
    let live = probe.admin(Method::GET, "/health/live").await.good().json();
    assert_eq!(live["status"], "live");
    let ready = probe.admin(Method::GET, "/health/ready").await.good().json();
    assert_eq!((&ready["status"], &ready["open_wikis"]), (&json!("ready"), &json!(0)));
    operator.create_wiki("garden").await.good();
    operator.on("garden").list().await.good();
    let ready = probe.admin(Method::GET, "/health/ready").await.good().json();
    assert_eq!(ready["open_wikis"], 1);
}

#[tokio::test]
async fn the_two_listeners_share_no_route() {
    let (_server, operator) = TestServer::start().await;
    operator.create_wiki("garden").await.good();
    for path in ["/admin/v1/wikis", "/admin/v1/tokens", "/admin/v1/health/live", "/wikis"] {
        operator.public(Method::GET, path).await.problem("not_found");
    }
    let new = json!({ "slug": "kitchen" });
    operator.public(Method::POST, "/admin/v1/wikis").json(new).await.problem("not_found");
    for path in ["/w/garden/api/v1/pages", "/api/v1/pages", "/w/garden/api/v1/pages/home"] {
        operator.control(Method::GET, path).await.problem("not_found");
    }
    let own = ServerSetup::default().base_domain("wikis.example").start().await;
    let (_server, operator) = own;
    operator.create_wiki("garden").await.good();
    let host = "garden.wikis.example";
    let call = |path: &str| operator.public(Method::GET, path).header("host", host);
    call("/api/v1/pages").await.good();
    call("/w/garden/api/v1/pages").await.problem("unknown_wiki");
    call("/admin/v1/wikis").await.any_problem();
}

#[tokio::test]
async fn the_documents_name_every_route_and_no_other_listeners() {
    let (server, _) = TestServer::start().await;
    let anyone = server.anonymous();
    let wikis = anyone.public(Method::GET, "/openapi.json").await.good().json();
    let control = anyone.control(Method::GET, "/openapi.json").await.good().json();
    let paths = |document: &Value| -> Vec<String> {
        document["paths"].as_object().unwrap().keys().cloned().collect()
    };
    assert!(paths(&wikis).contains(&"/api/v1/pages/{path}".to_owned()), "{:?}", paths(&wikis));
    assert!(
        paths(&control).iter().all(|path| path.starts_with("/admin/v1/")),
        "{:?}",
        paths(&control)
    );
}
