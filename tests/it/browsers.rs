//! What browsers may do, and what they are told.

use http::Method;
use testkit::{ServerSetup, TestServer};

const APP: &str = "https://app.example.org";

/// header-029
#[tokio::test]
async fn a_page_of_another_site_changes_nothing() {
    let (_server, operator, editor) = TestServer::with_garden().await;
    let garden = editor.on("garden");
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        garden.create("roses", "text").header(name, value).await.problem("cross_site_request");
        let create = operator.create_wiki("shed").header(name, value);
        create.await.problem("cross_site_request");
        // Looking changes nothing, and without this site's word no page can read it.
        let read = garden.api(Method::GET, "/pages").header(name, value).await.good();
        assert_eq!(read.header("access-control-allow-origin"), "");
    }
    assert!(garden.pages().await.is_empty() && operator.wikis().await.len() == 1);
    garden.create("roses", "text").header("sec-fetch-site", "same-origin").await.good();
    let own = format!("http://{}", _server.public_address());
    garden.create("tulips", "text").header("origin", own).await.good();
}

/// Nothing in a cookie is ever looked at.
#[tokio::test]
async fn a_cookie_proves_nothing() {
    let (_server, _operator, editor) = TestServer::with_garden().await;
    let secret = editor.secret();
    for cookie in
        [format!("token={secret}"), format!("authorization=Bearer {secret}"), secret.to_owned()]
    {
        let read = editor.without_token().on("garden").api(Method::GET, "/pages");
        read.header("cookie", cookie).await.problem("unknown_wiki");
    }
}

#[tokio::test]
async fn a_site_on_the_list_may_do_and_read_what_its_user_may() {
    let (_server, operator) = ServerSetup::default().cors_origin(APP).start().await;
    operator.create_wiki("garden").await.good();
    let garden = operator.on("garden");
    let saved = garden.create("roses", "text").header("origin", APP);
    let saved = saved.header("sec-fetch-site", "cross-site").await.good();
    assert_eq!(saved.header("access-control-allow-origin"), APP);
    let read = saved.header("access-control-expose-headers");
    for name in ["etag", "location", "x-request-id", "retry-after"] {
        assert!(read.split(", ").any(|header| header == name), "{name} in {read}");
    }
    assert_eq!(saved.header("access-control-allow-credentials"), "");
    // Errors as well, or an app couldn't tell what is wrong.
    let missing = garden.read("none").header("origin", APP).await;
    assert_eq!(missing.header("access-control-allow-origin"), APP);
    missing.problem("page_not_found");

    let asks = |origin: &str| {
        let call = operator.without_token().public(Method::OPTIONS, "/w/garden/api/v1/pages/roses");
        call.header("origin", origin).header("access-control-request-method", "PUT")
    };
    let preflight = asks(APP).header("access-control-request-headers", "if-match").await.good();
    assert_eq!(preflight.status(), 204);
    assert_eq!(preflight.header("access-control-allow-origin"), APP);
    assert!(preflight.header("access-control-allow-methods").contains("PUT"));
    assert!(preflight.header("access-control-allow-headers").contains("if-match"));
    for other in
        ["https://evil.example", "null", "http://app.example.org", "https://app.example.org.evil"]
    {
        let answer = asks(other).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{other}");
        assert!(answer.status() >= 400, "{other}: {answer}");
        let read = garden.read("roses").header("origin", other).await.good();
        assert_eq!(read.header("access-control-allow-origin"), "", "{other}");
        let varies = read.headers().get_all("vary").iter();
        assert!(varies.into_iter().any(|vary| vary == "origin"), "{:?}", read.headers());
        let changed = garden.create("tulips", "text").header("origin", other).await;
        changed.problem("cross_site_request");
    }
    // The control plane has no list.
    let create = operator.create_wiki("shed").header("origin", APP).await;
    create.problem("cross_site_request");
}

#[tokio::test]
async fn every_answer_says_what_a_browser_may_do_with_it() {
    let setup = ServerSetup::default().public_url("https://wiki.example.org");
    let (_server, operator) = setup.start().await;
    operator.create_wiki("garden").await.good();
    let host = ("host", "wiki.example.org");
    let garden = operator.on("garden");
    garden.create("roses", "text").header(host.0, host.1).await.good();
    let answers = [
        garden.read("roses").header(host.0, host.1).await,
        garden.read("none").header(host.0, host.1).await,
        operator.without_token().public(Method::GET, "/w/none/").header(host.0, host.1).await,
        operator.public(Method::GET, "/openapi.json").header(host.0, host.1).await,
        operator.public(Method::GET, "/../x").header(host.0, host.1).await,
    ];
    for answer in &answers {
        assert_eq!(
            answer.header("content-security-policy"),
            "default-src 'none'; frame-ancestors 'none'"
        );
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin");
        assert_eq!(answer.header("strict-transport-security"), "max-age=31536000");
    }
    let view = operator.public(Method::GET, "/w/garden/roses").header(host.0, host.1);
    let view = view.header("accept", "text/html").await.good();
    assert!(view.header("content-security-policy").contains("style-src 'self'"));
    assert_eq!(view.header("referrer-policy"), "same-origin");
    let control = operator.admin(Method::GET, "/wikis").await.good();
    assert_eq!(control.header("strict-transport-security"), "");
    for answer in answers.iter().chain([&*view, &*control]) {
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("x-frame-options"), "DENY");
    }
}

/// What anybody may read, any site may show.
#[tokio::test]
async fn a_picture_of_a_public_wiki_may_be_shown_elsewhere() {
    let (_server, operator, editor) = TestServer::with_garden().await;
    editor.on("garden").create_attachment("roses/photo.png", "x").await.good();
    let policy = async || {
        let answer = editor.on("garden").attachment("roses/photo.png").await.good();
        answer.header("cross-origin-resource-policy").to_owned()
    };
    assert_eq!(policy().await, "same-origin");
    let change = serde_json::json!({ "visibility": "public_read" });
    operator.change_wiki("garden", change).await.good();
    assert_eq!(policy().await, "cross-origin");
}
