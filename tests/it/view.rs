//! A wiki in a browser: pages to be read, lists to go through, and nothing that runs.

use http::Method;
use serde_json::{Value, json};
use testkit::{Answer, Call, ServerSetup, TestServer, User, encode, test_data};

/// What browsers send.
const ACCEPT: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

fn open(user: &User, path: impl std::fmt::Display) -> Call {
    user.public(Method::GET, path).header("accept", ACCEPT)
}

/// A wiki that everybody may read, with these pages.
async fn garden_with(pages: &[(&str, &str)]) -> (TestServer, User, User) {
    let (server, operator, editor) = TestServer::with_garden().await;
    operator.change_wiki("garden", json!({ "visibility": "public_read" })).await.good();
    for (path, text) in pages {
        editor.on("garden").create(path, text).await.good();
    }
    (server, operator, editor)
}

/// The HTML of an answer, which must be as safe as all of the view is.
#[track_caller]
fn html(answer: &Answer) -> &str {
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8", "{answer}");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    let policy = answer.header("content-security-policy");
    for part in ["default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("script-src") && !policy.contains("unsafe"), "{policy}");
    let html = answer.text();
    assert_nothing_runs(html);
    html
}

/// Fails if an element or an attribute could run something or isn't one of the view's own or of
/// rendered pages.
#[track_caller]
fn assert_nothing_runs(html: &str) {
    for tag in html.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').unwrap_or_else(|| panic!("`<{tag}` is left open"));
        let name: String =
            tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
        for bad in ["script", "iframe", "object", "embed", "svg", "math", "style", "base"] {
            assert_ne!(name.to_ascii_lowercase(), bad, "<{tag}>");
        }
        // What stands between quotes is text.
        let outside: String = tag.split('"').step_by(2).collect();
        let outside = outside.to_ascii_lowercase();
        assert!(!outside.contains(" on") && !outside.contains("style="), "<{tag}>");
    }
    let lower = html.to_ascii_lowercase();
    for scheme in ["href=\"javascript:", "href=\"data:", "src=\"data:", "href=\"//", "src=\"//"] {
        assert!(!lower.contains(scheme), "{scheme} in {html}");
    }
}

/// The addresses that some HTML leads to.
fn links(html: &str) -> Vec<String> {
    let hrefs = html.split("href=\"").skip(1).filter_map(|rest| rest.split_once('"'));
    hrefs.map(|(href, _)| href.replace("&#38;", "&").replace("&amp;", "&")).collect()
}

#[tokio::test]
async fn a_browser_finds_its_way_through_a_small_wiki() {
    let (_server, operator, editor) = garden_with(&[
        ("home", "# Welcome\n\nSee [[roses]] and [soil](garden/soil.md)."),
        ("roses", "Red ones. ![p](photo.png)"),
        ("garden/soil", "# Soil\n\n<script>alert(1)</script>"),
        ("roses/pruning", "# Pruning"),
    ])
    .await;
    editor.on("garden").create_attachment("roses/photo.png", "png").await.good();
    let anyone = operator.without_token();
    let home = open(&anyone, "/w/garden/").await.good();
    assert!(html(&home).contains("<title>Welcome – garden</title>"), "{}", home.text());
    assert!(links(home.text()).contains(&"/w/garden/garden/soil".to_owned()));

    let roses = open(&anyone, "/w/garden/roses").await.good();
    let text = html(&roses);
    // It has no heading of its own.
    assert_eq!(text.matches("<h1>").count(), 1);
    for expected in [
        "<h1>roses</h1>",
        "src=\"/w/garden/api/v1/attachments/roses/photo.png\"",
        "href=\"/w/garden/roses/pruning\">Pruning</a>",
        "href=\"/w/garden/-/history/roses\"",
        "<html lang=\"en\">",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    // Whatever a reader can click on is there.
    let (mut seen, mut left) = (std::collections::BTreeSet::new(), vec!["/w/garden/".to_owned()]);
    while let Some(address) = left.pop() {
        if address.starts_with('#') || !seen.insert(address.clone()) {
            continue;
        }
        let answer = open(&anyone, &address).await;
        assert_eq!(answer.status(), 200, "{address}: {answer}");
        if answer.header("content-type").starts_with("text/html") {
            left.extend(links(html(&answer)));
        }
    }
    assert!(seen.len() > 15, "{seen:?}");
    for address in ["/w/garden/garden/soil", "/w/garden/-/changes", "/w/garden/-/style.css"] {
        assert!(seen.contains(address), "{address}");
    }
}

#[tokio::test]
async fn a_page_can_be_read_as_it_was_and_as_it_is_stored() {
    let (_server, operator, editor) = garden_with(&[("roses", "# Old <b>")]).await;
    let wiki = editor.on("garden");
    let old = wiki.read("roses").await.good().json();
    wiki.save("roses", old["etag"].as_str().unwrap(), "# New").await.good();
    let anyone = operator.without_token();
    let at = old["revision"].as_str().unwrap();
    let then = open(&anyone, format!("/w/garden/roses?at={at}")).await.good();
    assert!(html(&then).contains(at) && then.text().contains("name=\"robots\""));
    assert!(then.text().contains("Old") && !then.text().contains("New"));
    let source = open(&anyone, format!("/w/garden/-/source/roses?at={at}")).await.good();
    assert_eq!(source.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(source.text(), "# Old <b>");
    assert!(source.header("content-security-policy").contains("sandbox"));
    let history = open(&anyone, "/w/garden/-/history/roses?limit=1").await.good();
    let next = links(html(&history)).into_iter().find(|link| link.contains("cursor=")).unwrap();
    let older = open(&anyone, &next).await.good();
    assert!(links(html(&older)).contains(&format!("/w/garden/roses?at={at}")), "{}", older.text());
    for (path, status) in [
        ("/roses?at=HEAD", 422),
        ("/-/source/roses?at=x", 422),
        ("/-/history/tulips", 404),
        ("/-/pages?limit=0", 422),
        ("/-/changes?cursor=x", 422),
        ("/-/nothing", 404),
        ("/-/", 404),
        ("/a%2Fb", 422),
        ("/%ff", 400),
    ] {
        let answer = open(&anyone, format!("/w/garden{path}")).await;
        assert_eq!(answer.status(), status, "{path}: {answer}");
    }
}

#[tokio::test]
async fn search_shows_where_the_words_are() {
    let (_server, operator, _) =
        garden_with(&[("roses", "sun & <i>water</i> for roses"), ("soil", "loam")]).await;
    let anyone = operator.without_token();
    let found = open(&anyone, "/w/garden/-/search?q=water").await.good();
    assert!(html(&found).contains("<mark>water</mark>"), "{}", found.text());
    assert!(found.text().contains("value=\"water\""));
    let none = open(&anyone, "/w/garden/-/search?q=%22%3E%3Cscript%3Ex").await.good();
    assert!(html(&none).contains("Nothing was found"));
    html(&open(&anyone, "/w/garden/-/search").await.good());
}

#[tokio::test]
async fn hostile_names_stay_text_wherever_they_are_shown() {
    let entries = std::fs::read_to_string(test_data("bad_inputs.json")).unwrap();
    let entries: Vec<Value> = serde_json::from_str(&entries).unwrap();
    let (_server, operator, editor) = garden_with(&[]).await;
    let by = json!({ "name": "by others", "role": "editor", "act_as": true });
    let speaker = operator.token_with("garden", by).await;
    let mut inputs: Vec<&str> =
        entries.iter().filter_map(|entry| entry["input"].as_str()).collect();
    let breaking = "\"'><img src=x onerror=alert(1)></title><script>alert(1)</script>";
    inputs.push(breaking);
    let mut pages = 0;
    for (number, input) in inputs.iter().enumerate() {
        let line: String = input.chars().filter(|c| !c.is_control()).take(150).collect();
        let author: String = line.chars().filter(|c| !"<>".contains(*c)).collect();
        let body = json!({
            "content": format!("# {line}\n\n{input}\n\n[[{input}]] ![x]({input})\n"),
            "message": format!("about {line}"),
            "author": { "name": format!("x{}", author.trim()), "email": "" },
        });
        let path = format!("p{number}");
        let put = speaker.on("garden").api(Method::PUT, format!("/pages/{path}"));
        if put.header("if-none-match", "*").json(body).await.status() != 201 {
            let text = format!("# {line}\n\n{input}\n");
            if editor.on("garden").create(&path, &text).await.status() != 201 {
                continue;
            }
        }
        pages += 1;
        let anyone = operator.without_token();
        html(&open(&anyone, format!("/w/garden/{path}")).await.good());
        // As a page, too, whether or not there can be one; and as what is looked for.
        if line.len() < 500 {
            let _ = editor.on("garden").create(&line, &line).await;
            let address = encode(&line);
            for path in [format!("/w/garden/{address}"), format!("/w/garden/-/history/{address}")] {
                let answer = open(&anyone, &path).await;
                if answer.header("content-type").starts_with("text/html") {
                    html(&answer);
                }
            }
            let found = open(&anyone, "/w/garden/-/search").query("q", &line).await;
            html(&found);
        }
    }
    assert!(pages > 200, "{pages}");
    let anyone = operator.without_token();
    for list in ["pages", "changes"] {
        let mut next = Some(format!("/w/garden/-/{list}?limit=100"));
        while let Some(address) = next {
            let answer = open(&anyone, &address).await.good();
            next = links(html(&answer)).into_iter().find(|link| link.contains("cursor="));
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_as_it_is_read() {
    let (_server, operator, _) = garden_with(&[("home", "x")]).await;
    operator.create_wiki("shed").await.good();
    let anyone = operator.without_token();
    let missing = open(&anyone, "/w/garden/%3Cb%3Etulips").await;
    assert_eq!(missing.status(), 404);
    assert!(html(&missing).contains("/w/garden/\""), "{missing}");
    // Programs get what the API says.
    anyone.public(Method::GET, "/w/garden/tulips").await.problem("page_not_found");
    for path in ["/w/garden/api/v2/x", "/w/garden/api/v1/nothing"] {
        open(&anyone, path).await.problem("not_found");
    }
    let put = anyone.public(Method::PUT, "/w/garden/home").json(json!({})).await;
    put.problem("method_not_allowed");
    // A private wiki and none are the same.
    let without_ids = |answer: &Answer| {
        let id = answer.header("x-request-id").to_owned();
        let mut headers = answer.headers().clone();
        headers.remove("x-request-id");
        headers.remove("date");
        (answer.status(), headers, answer.text().replace(&id, "").replace("shed", "none"))
    };
    for path in ["", "/", "/home", "/-/pages", "/-/style.css", "/-/search?q=x", "/api/v1/pages"] {
        let private = open(&anyone, format!("/w/shed{path}")).await;
        let unknown = open(&anyone, format!("/w/none{path}")).await;
        assert_eq!(private.status(), 404, "{path}");
        assert_eq!(without_ids(&private), without_ids(&unknown), "{path}");
    }
    let denied = open(&operator.with_token("wrong"), "/w/garden/home").await;
    assert_eq!(denied.status(), 401);
    assert!(denied.header("www-authenticate").starts_with("Bearer"));
    html(&denied);
}

#[tokio::test]
async fn a_private_wiki_is_shown_to_its_readers_only_and_not_kept_by_caches() {
    let (_server, operator, editor) = TestServer::with_garden().await;
    editor.on("garden").create("home", "# Secret").await.good();
    let reader = operator.token("garden", "reader").await;
    let shown = open(&reader, "/w/garden/").await.good();
    assert!(html(&shown).contains("Secret"));
    assert_eq!(shown.header("cache-control"), "private, no-cache");
    assert!(shown.header("vary").contains("authorization"));
    let stranger = open(&reader.without_token(), "/w/garden/").await;
    assert_eq!(stranger.status(), 404);
    assert!(!stranger.text().contains("Secret") && !stranger.text().contains("garden"));
}

#[tokio::test]
async fn a_browser_that_has_a_page_is_told_so() {
    let (_server, operator, editor) = garden_with(&[("roses", "See [[tulips]].")]).await;
    let anyone = operator.without_token();
    for path in ["/roses", "/-/pages", "/-/style.css", "/-/source/roses"] {
        let address = format!("/w/garden{path}");
        let first = open(&anyone, &address).await.good();
        let tag = first.header("etag").to_owned();
        let again = open(&anyone, &address).header("if-none-match", &tag).await;
        assert_eq!((again.status(), again.bytes().len()), (304, 0), "{path}");
        assert_eq!(again.header("etag"), tag);
        let head = anyone.public(Method::HEAD, &address).header("accept", ACCEPT).await.good();
        assert_eq!((head.header("etag"), head.bytes().len()), (&*tag, 0), "{path}");
    }
    let before = open(&anyone, "/w/garden/roses").await.good();
    editor.on("garden").create("tulips", "x").await.good();
    let changed = open(&anyone, "/w/garden/roses").header("if-none-match", before.header("etag"));
    assert_eq!(changed.await.status(), 200);
    let missing = anyone.public(Method::HEAD, "/w/garden/nothing").header("accept", ACCEPT).await;
    assert_eq!((missing.status(), missing.bytes().len()), (404, 0));
}

#[tokio::test]
async fn the_base_without_a_slash_leads_to_the_one_with_it() {
    let (_server, operator, _) = garden_with(&[]).await;
    let anyone = operator.without_token();
    let answer = open(&anyone, "/w/garden?x=1").await;
    assert_eq!((answer.status(), answer.header("location")), (308, "/w/garden/?x=1"));
    // An empty wiki has no home but a list.
    let empty = open(&anyone, "/w/garden/").await.good();
    assert!(html(&empty).contains("<h1 lang=\"en\">Pages</h1>"));
}

#[tokio::test]
async fn preferences_say_where_to_begin_and_how_to_read() {
    let (_server, operator, editor) =
        garden_with(&[("home", "# Home"), ("start", "[[roses|Titel]]"), ("roses", "x")]).await;
    let admin = operator.token("garden", "admin").await;
    let anyone = operator.without_token();
    let change = json!({
        "home_page": "start", "site_lang": "de", "site_name": "<Garten>", "robots_txt": "disallow"
    });
    admin.on("garden").change_preferences(change).await.good();
    let start = open(&anyone, "/w/garden/").await.good();
    let text = html(&start);
    assert!(text.contains("<html lang=\"de\">") && text.contains("content=\"noindex\""), "{text}");
    assert!(text.contains("&#60;Garten&#62;") && text.contains("/w/garden/roses\""), "{text}");
    admin.on("garden").change_preferences(json!({ "wikilink_style": "title_link" })).await.good();
    let start = open(&anyone, "/w/garden/start").await.good();
    assert!(html(&start).contains("/w/garden/Titel\""), "{}", start.text());
    let api = editor.on("garden").rendered("start").await.good().json();
    assert_eq!(api["links"][0]["target"], "Titel");
}

#[tokio::test]
async fn a_wikis_own_host_shows_that_wiki_at_its_root() {
    let (server, operator) = ServerSetup::default().base_domain("wikis.example").start().await;
    for (slug, visibility) in [("garden", "public_read"), ("shed", "private")] {
        operator.create_wiki(slug).await.good();
        operator.change_wiki(slug, json!({ "visibility": visibility })).await.good();
        operator.on(slug).create("home", "# Home\n\n[[roses]]").await.good();
    }
    let anyone = server.anonymous();
    let at = |host: &str, path: &str| {
        open(&anyone, path).header("host", format!("{host}.wikis.example"))
    };
    let home = at("garden", "/").await.good();
    assert!(html(&home).contains("href=\"/roses\"") && home.text().contains("\"/-/style.css\""));
    assert!(
        at("garden", "/-/style.css").await.good().header("content-type").starts_with("text/css")
    );
    assert_eq!(at("garden", "/tulips").await.status(), 404);
    at("garden", "/openapi.json").await.good();
    operator.on("garden").create("robots.txt", "Disallow: /roses").await.good();
    let robots = at("garden", "/robots.txt").await.good();
    assert_eq!(robots.text(), "User-agent: *\nDisallow: /-/\n");
    assert!(robots.header("content-type").starts_with("text/plain"));
    for path in ["/", "/home", "/-/pages"] {
        let (private, unknown) = (at("shed", path).await, at("none", path).await);
        assert_eq!((private.status(), unknown.status()), (404, 404));
        assert!(!html(&private).contains("Home"));
    }
    // However many slashes, nobody is sent to another host.
    let token = operator.token("garden", "admin").await;
    let wanted = json!({ "legacy_urls": "otterwiki" });
    token.on("garden").change_preferences(wanted).await.good();
    let old = at("garden", "//Home//history").await;
    assert_eq!((old.status(), old.header("location")), (308, "/-/history/home"));
    for path in ["//evil.example/", "//evil.example/home", "//evil.example/history"] {
        let answer = at("garden", path).await;
        assert!(answer.header("location").is_empty(), "{path}: {answer}");
        assert!(matches!(answer.status(), 404 | 422), "{path}: {answer}");
    }
    // No wiki has the host that all share.
    let nothing = open(&anyone, "/").header("host", "wikis.example").await;
    assert_eq!(nothing.status(), 404);
    html(&nothing);
}

#[tokio::test]
async fn html_written_by_hand_finds_the_files_beside_its_page() {
    let text = "<img src=\"photo.png\"> <a href=\"soil.md\">soil</a>";
    let (_server, operator, editor) =
        garden_with(&[("garden/roses", text), ("garden/soil", "x")]).await;
    editor.on("garden").create_attachment("garden/photo.png", "png").await.good();
    let anyone = operator.without_token();
    let shown = open(&anyone, "/w/garden/garden/roses").await.good();
    assert!(html(&shown).contains("src=\"photo.png\""));
    for (from, to) in [
        ("photo.png", "/w/garden/api/v1/attachments/garden/photo.png"),
        ("soil.md", "/w/garden/garden/soil"),
    ] {
        let answer = open(&anyone, format!("/w/garden/garden/{from}")).await;
        assert_eq!((answer.status(), answer.header("location")), (308, to));
    }
    assert_eq!(open(&anyone, "/w/garden/garden/Soil").await.status(), 404);
}

#[tokio::test]
async fn addresses_of_otterwiki_lead_to_the_same_things() {
    let (_server, operator, editor) = garden_with(&[
        ("home", "# Home"),
        ("guide/getting started", "# Getting started"),
        ("guide/history", "a page of its own"),
    ])
    .await;
    let wiki = editor.on("garden");
    wiki.create_attachment("guide/getting started/Photo 1.png", "png").await.good();
    let at = wiki.read("home").await.good().json()["revision"].as_str().unwrap().to_owned();
    let anyone = operator.without_token();
    let open = |path: &str| open(&anyone, format!("/w/garden{path}"));
    // Only where the wiki wants it.
    for path in ["/Home", "/Home/history", "/-/changelog", "/-/index"] {
        assert_eq!(open(path).await.status(), 404, "{path}");
    }
    let admin = operator.token("garden", "admin").await;
    let wanted = json!({ "legacy_urls": "otterwiki", "retain_page_name_case": false });
    admin.on("garden").change_preferences(wanted).await.good();
    let page = "/guide/getting%20started";
    let file = format!("/api/v1/attachments{page}/Photo%201.png");
    for (from, to) in [
        ("/Home".to_owned(), "/home".to_owned()),
        ("/Home/".to_owned(), "/home".to_owned()),
        ("//Home".to_owned(), "/home".to_owned()),
        ("/Guide/Getting%20Started".to_owned(), page.to_owned()),
        ("/Guide/Getting%20Started.md".to_owned(), page.to_owned()),
        ("/Guide/Getting%20Started/view".to_owned(), page.to_owned()),
        ("/Guide/Getting%20Started/edit".to_owned(), page.to_owned()),
        (format!("/Home/view/{at}"), format!("/home?at={at}")),
        (format!("/Home/view?revision={at}"), format!("/home?at={at}")),
        (format!("/Home?revision={at}"), format!("/home?at={at}")),
        ("/Home/view/12ab34".to_owned(), "/-/history/home".to_owned()),
        ("/Guide/Getting%20Started/history".to_owned(), format!("/-/history{page}")),
        ("/Home/blame".to_owned(), "/-/history/home".to_owned()),
        ("/Home/blame/".to_owned(), "/-/history/home".to_owned()),
        ("/Home/blame/12ab34".to_owned(), "/-/history/home".to_owned()),
        ("/Home/diff/12ab34/56cd78".to_owned(), "/-/history/home".to_owned()),
        ("/Home/source".to_owned(), "/-/source/home".to_owned()),
        (format!("/Home/source/{at}"), format!("/-/source/home?at={at}")),
        ("/Guide/Getting%20Started/attachments".to_owned(), format!("/-/attachments{page}")),
        ("/Guide/Getting%20Started/a/Photo%201.png".to_owned(), file.clone()),
        ("/Guide/Getting%20Started/t/Photo%201.png/80".to_owned(), file.clone()),
        ("/Guide/Getting%20Started/Photo%201.png".to_owned(), file.clone()),
        (format!("/Guide/Getting%20Started/a/Photo%201.png/{at}"), format!("{file}?at={at}")),
        (
            "/Guide/Getting%20Started/a/Photo%201.png/12ab".to_owned(),
            format!("/-/attachments{page}"),
        ),
        ("/-/changelog".to_owned(), "/-/changes".to_owned()),
        ("/-/log/12ab34".to_owned(), "/-/changes".to_owned()),
        ("/-/commit/12ab34".to_owned(), "/-/changes".to_owned()),
        ("/-/index".to_owned(), "/-/pages".to_owned()),
        ("/-/search/red%20%26%20white".to_owned(), "/-/search?q=red+%26+white".to_owned()),
    ] {
        let answer = open(&from).await;
        assert_eq!(answer.status(), 308, "{from}: {answer}");
        assert_eq!(answer.header("location"), format!("/w/garden{to}"), "{from}");
    }
    // A page goes before an address.
    assert!(html(&open("/guide/history").await.good()).contains("a page of its own"));
    for missing in [
        "/Tulips",
        "/Tulips/history",
        "/Home/a/none.png",
        "/-/changelog/feed.rss",
        "/-/login",
        "/history",
        "/Home/rename",
        "//evil.example/history",
        "/%5Cevil.example",
        "/Home/view/%0D%0Ax:y",
    ] {
        let answer = open(missing).await;
        assert!(
            answer.header("location").is_empty()
                || answer.header("location").starts_with("/w/garden/"),
            "{missing}: {answer}"
        );
        assert!(matches!(answer.status(), 404 | 308 | 422), "{missing}: {answer}");
    }
}
