//! Pages in a browser, and the feed.

use atom_syndication::Feed;
use http::Method;
use serde_json::json;
use testkit::{Call, Git, TestServer, User};

use super::super::case;
use super::{garden_with, rendered};

fn open(user: &User, path: &str) -> Call {
    user.public(Method::GET, path).header("accept", "text/html")
}

#[tokio::test]
async fn a_slash_at_the_end_leads_to_the_page() {
    assert_eq!(case("view-trailing-slash").input, "page a");
    let (_server, _, editor) = garden_with(&[("a", "x"), ("people/mary", "x")]).await;
    for (path, to) in [
        ("/a/", "/w/garden/a"),
        ("/a//?at=x", "/w/garden/a?at=x"),
        ("/people/mary/", "/w/garden/people/mary"),
        ("/people/", "/w/garden/people"),
        ("/people", "/w/garden/-/pages?prefix=people%2F"),
    ] {
        let answer = open(&editor, &format!("/w/garden{path}")).await;
        assert!(answer.status() == 307 || answer.status() == 308, "{path}: {answer}");
        assert_eq!(answer.header("location"), to, "{path}");
    }
    let below = open(&editor, "/w/garden/-/pages?prefix=people%2F").await.good();
    assert!(below.text().contains("/w/garden/people/mary"));
    for path in ["//evil.example/", "/none/..%2f/", "//"] {
        let answer = open(&editor, &format!("/w/garden{path}")).await;
        assert!(answer.status() >= 400, "{path}: {answer}");
    }
    assert_eq!(open(&editor, "/w/garden/none").await.status(), 404);
}

#[tokio::test]
async fn images_of_other_sites_are_shown_if_the_wiki_wants_them() {
    let (_server, operator, editor) =
        garden_with(&[("page", &case("external-images").input)]).await;
    let policies = async || {
        let view = open(&editor, "/w/garden/page").await.good();
        assert!(view.text().contains("src=\"https://host.example/p.png\""));
        let html = editor.on("garden").rendered("page").header("accept", "text/html").await.good();
        [view, html].map(|answer| answer.header("content-security-policy").to_owned())
    };
    for policy in policies().await {
        assert!(policy.contains("img-src 'self' https: http:;"), "{policy}");
    }
    operator.on("garden").change_preferences(json!({ "external_images": false })).await.good();
    for policy in policies().await {
        assert!(policy.contains("img-src 'self';"), "{policy}");
    }
}

#[tokio::test]
async fn the_feed_has_whole_addresses_and_each_entry_its_own() {
    assert_eq!(case("atom-relative").input, "-");
    let (server, _, editor) = garden_with(&[("a", "x"), ("b", "y")]).await;
    let answer = editor.on("garden").api(Method::GET, "/changes.atom").await.good();
    let feed = Feed::read_from(answer.bytes()).unwrap();
    let site = format!("http://{}", server.public_address());
    assert!(feed.links.iter().all(|link| link.href.starts_with(&format!("{site}/w/garden/"))));
    for (entry, page) in feed.entries.iter().zip(["b", "a"]) {
        let address = entry.links[0].href.strip_prefix(&site).unwrap();
        let change = open(&editor, address).await.good();
        assert_eq!(change.text().matches("class=\"message\"").count(), 1, "{}", change.text());
        assert!(change.text().contains(&format!(">{page}</a>")), "{}", change.text());
    }
    for unknown in ["0".repeat(40), "x".to_owned()] {
        assert_eq!(open(&editor, &format!("/w/garden/-/change/{unknown}")).await.status(), 404);
    }
}

/// Pages that git brings.
fn push(server: &TestServer, pages: &[(&str, Vec<u8>)]) {
    let scratch = testkit::scratch();
    let repo = server.git("garden");
    let from = repo.dir().to_str().unwrap();
    Git::at(scratch.path()).run(&["clone", "-q", "-b", "main", from, "clone"]);
    let work = Git::at(scratch.path().join("clone"));
    for (path, content) in pages {
        work.write(path, content);
    }
    work.commit("pages");
    work.run(&["push", "-q", "origin", "main"]);
}

#[tokio::test]
async fn a_page_that_is_not_utf_8_is_shown_as_well_as_it_can_be() {
    assert!(case("non-utf8-page").input.contains("GBK, Shift-JIS, Latin-1 or UTF-16"));
    let (server, _, editor) = garden_with(&[("home", "x")]).await;
    let utf_16 = "# Caf\u{e9}\n".encode_utf16().flat_map(u16::to_le_bytes);
    let gbk = b"# \xc3\xb5\xb9\xe5\n\n\xce\xd2\xc3\xc7\xd4\xda\xbb\xa8\xd4\xb0\xc0\xef\xd6\xd6\xc1\xcb\xba\xdc\xb6\xe0\xc3\xb5\xb9\xe5\n";
    let shift_jis = b"# \x83o\x83\x89\n\n\x92\xeb\x82\xc9\x82\xcd\x82\xbd\x82\xad\x82\xb3\x82\xf1\x82\xcc\x83o\x83\x89\x82\xaa\x82\xa0\x82\xe8\x82\xdc\x82\xb7\x81B\n";
    let pages = [
        ("latin.md", b"# Caf\xe9\n\nun caf\xe9 tr\xe8s fort\n".to_vec()),
        ("gbk.md", gbk.to_vec()),
        ("sjis.md", shift_jis.to_vec()),
        ("utf16.md", b"\xff\xfe".iter().copied().chain(utf_16).collect()),
    ];
    push(&server, &pages);
    for ((file, content), (title, encoding)) in pages.iter().zip([
        ("Café", "windows-1252"),
        ("玫瑰", "GBK"),
        ("バラ", "Shift_JIS"),
        ("Café", "UTF-16LE"),
    ]) {
        let path = file.trim_end_matches(".md");
        let page = rendered(&editor, path).await;
        assert_eq!((&page["title"], &page["encoding"]), (&json!(title), &json!(encoding)));
        let heading = format!(">{title}</h1>");
        assert!(page["html"].as_str().unwrap().contains(&heading), "{page}");
        let view = open(&editor, &format!("/w/garden/{path}")).await.good();
        assert!(
            view.text().contains(&heading) && view.text().contains(encoding),
            "{}",
            view.text()
        );
        assert_eq!(editor.on("garden").read(path).await.status(), 406);
        assert_eq!(editor.on("garden").markdown(path).await.good().bytes(), content);
    }
    assert!(rendered(&editor, "home").await["encoding"].is_null());
}
