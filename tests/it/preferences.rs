//! Settings of a wiki: typed, validated, and kept as the wiki came.

use serde_json::{Value, json};
use testkit::{TestServer, test_data};

/// What a wiki says of which nothing was set.
fn defaults() -> Value {
    json!({
        "site_name": null, "site_description": null, "site_lang": "en", "site_logo": null,
        "site_icon": null, "hide_logo": false, "robots_txt": "allow", "home_page": "home",
        "commit_message": "optional", "default_commit_message": null,
        "wikilink_style": "link_title", "open_links_in_new_tab": false,
        "retain_page_name_case": true, "treat_underscore_as_space_for_titles": false,
        "sidebar_custom_menu": null, "sidebar_shortcuts": null, "sidebar_menutree_mode": null,
        "sidebar_menutree_focus": null, "sidebar_menutree_maxdepth": null,
        "sidebar_menutree_ignore_case": false, "legacy_urls": "off", "external_images": true, "links_by_name": true, "git_enabled": true, "git_force_push": false,
    })
}

/// The defaults but for these.
fn with(changes: Value) -> Value {
    let mut all = defaults();
    all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    all
}

#[tokio::test]
async fn settings_are_read_and_changed_by_admins() {
    let (server, operator, editor) = TestServer::with_garden().await;
    let reader = operator.token("garden", "reader").await;
    let admin = operator.token("garden", "admin").await;
    assert_eq!(admin.on("garden").preferences().await.good().json(), defaults());
    let change = json!({ "site_name": "Roses", "sidebar_menutree_maxdepth": 3 });
    for user in [&reader, &editor] {
        user.on("garden").preferences().await.problem("forbidden");
        let refused = user.on("garden").change_preferences(change.clone()).await;
        assert_eq!(refused.status(), 403);
        refused.problem("forbidden");
    }
    server.anonymous().on("garden").preferences().await.problem("unknown_wiki");
    let changed = admin.on("garden").change_preferences(change.clone()).await.good();
    assert_eq!(changed.json(), with(change));
    let patch = json!({ "site_name": null, "hide_logo": true });
    operator.on("garden").change_preferences(patch).await.good();
    let now = admin.on("garden").preferences().await.good().json();
    assert_eq!(now, with(json!({ "sidebar_menutree_maxdepth": 3, "hide_logo": true })));
    // What was answered can be sent back.
    let again = admin.on("garden").change_preferences(now.clone()).await.good().json();
    assert_eq!(again, now);
}

#[tokio::test]
async fn what_cannot_be_set_is_named_and_nothing_is_changed() {
    let (_server, operator, _) = TestServer::with_garden().await;
    let garden = operator.on("garden");
    for (name, value, code, of_it) in [
        ("theme", json!("dark"), "unknown_preference", "unknown_preference"),
        ("READ_ACCESS", json!("ANONYMOUS"), "unknown_preference", "unknown_preference"),
        ("read_access", json!(null), "unknown_preference", "unknown_preference"),
        ("secret_key", json!("x"), "unknown_preference", "unknown_preference"),
        ("a/b", json!(1), "unknown_preference", "unknown_preference"),
        ("", json!("x"), "unknown_preference", "unknown_preference"),
        ("hide_logo", json!("True"), "invalid_preference", "wrong_type"),
        ("site_name", json!({ "a": "b" }), "invalid_preference", "wrong_type"),
        ("sidebar_menutree_maxdepth", json!(1.5), "invalid_preference", "wrong_type"),
        ("sidebar_menutree_maxdepth", json!(0), "invalid_preference", "invalid_value"),
        ("commit_message", json!("sometimes"), "invalid_preference", "invalid_value"),
        ("home_page", json!("a/../b"), "invalid_preference", "invalid_value"),
        ("site_lang", json!("<script>"), "invalid_preference", "invalid_value"),
        ("site_name", json!("x".repeat(257)), "invalid_preference", "invalid_value"),
        ("sidebar_custom_menu", json!("x".repeat(70_000)), "invalid_preference", "invalid_value"),
    ] {
        let refused =
            garden.change_preferences(json!({ name: value, "site_description": "new" })).await;
        assert_eq!(refused.status(), 422, "{name}");
        let problem = refused.problem(code);
        let pointer = format!("/{}", name.replace('/', "~1"));
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
        assert_eq!(problem["errors"][0]["code"], of_it, "{problem}");

        let wiki = json!({ "slug": "shed", "preferences": { name: value } });
        let refused = operator.create_wiki("shed").json(wiki).await;
        assert_eq!(refused.status(), 422, "{name}");
        let problem = refused.problem(code);
        assert_eq!(problem["errors"][0]["pointer"], format!("/preferences{pointer}"), "{problem}");
    }
    garden.change_preferences(json!([])).await.problem("invalid_value");
    assert_eq!(garden.preferences().await.good().json(), defaults());
    assert_eq!(operator.wikis().await.len(), 1);
    operator.create_wiki("shed").await.good();
}

#[tokio::test]
async fn a_wiki_that_requires_messages_takes_no_change_without() {
    let (server, operator, editor) = TestServer::with_garden().await;
    let garden = editor.on("garden");
    let admin = operator.on("garden");
    let first = garden.create("home", "one").await.good();
    admin.change_preferences(json!({ "commit_message": "required" })).await.good();
    for call in [
        garden.create("new", "text"),
        garden.save("home", first.etag(), "two"),
        garden.delete("home", first.etag()),
        garden.create("new", "").json(json!({ "content": "text", "message": "  " })),
    ] {
        let refused = call.await;
        assert_eq!(refused.status(), 422);
        assert_eq!(refused.problem("message_required")["errors"][0]["pointer"], "/message");
    }
    let said = json!({ "content": "two", "message": "because" });
    let second = garden.save("home", first.etag(), "").json(said).await.good();

    let patch = json!({ "commit_message": null, "default_commit_message": "edit %P" });
    admin.change_preferences(patch).await.good();
    garden.save("home", second.etag(), "three").await.good();
    admin.change_preferences(json!({ "commit_message": "disabled" })).await.good();
    let said = json!({ "content": "text", "message": "my words" });
    garden.create("a/b", "").json(said).await.good();
    let log = server.git("garden").run(&["log", "--reverse", "--format=%s", "main"]);
    assert_eq!(log.trim(), "Create home\nbecause\nedit home\nedit a/b");
}

/// The table of a real wiki: the settings hold at once, what isn't ours is neither shown nor lost.
#[tokio::test]
async fn an_adopted_wikis_settings_hold_and_go_back_unchanged() {
    let unpacked = testkit::scratch();
    let archive = test_data("otterwiki-lower.tar.gz");
    let tar = std::process::Command::new("tar")
        .args([std::ffi::OsStr::new("-xzf"), archive.as_os_str(), "-C".as_ref()])
        .arg(unpacked.path())
        .status();
    assert!(tar.unwrap().success());
    let source = unpacked.path().join("otterwiki-lower/db.sqlite");

    let (server, operator) = TestServer::start().await;
    operator.create_wiki("garden").await.good();
    let adopted = server.dir().join("wikis/garden/wiki.db");
    std::fs::copy(&source, &adopted).unwrap();
    let garden = operator.on("garden");
    let of_the_wiki = json!({
        "site_name": "Fixture Wiki", "site_description": "A fixture", "site_lang": "de",
        "robots_txt": "disallow", "hide_logo": true, "default_commit_message": "edit %P",
        "wikilink_style": "link_title", "retain_page_name_case": false,
        "sidebar_custom_menu": r#"[{"link": "Home", "title": "Start", "icon": ""}]"#,
        "sidebar_shortcuts": "home", "sidebar_menutree_mode": "SORTED",
        "sidebar_menutree_focus": "SUBTREE",
    });
    assert_eq!(garden.preferences().await.good().json(), with(of_the_wiki.clone()));

    let before = rows(&source);
    assert_eq!(rows(&adopted), before);
    let patch = json!({ "hide_logo": false, "commit_message": "required", "git_enabled": false });
    garden.change_preferences(patch).await.good();
    let mut expected = before;
    for (name, text) in
        [("HIDE_LOGO", "False"), ("COMMIT_MESSAGE", "REQUIRED"), ("GIT_ENABLED", "False")]
    {
        expected.insert(name.to_owned(), Some(text.to_owned()));
    }
    assert_eq!(rows(&adopted), expected);
}

fn rows(db: &std::path::Path) -> std::collections::BTreeMap<String, Option<String>> {
    let db = rusqlite::Connection::open(db).unwrap();
    let mut select = db.prepare("select name, value from preferences").unwrap();
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}
