//! The title of a page is the same wherever it is told.

use http::Method;

use super::super::case;
use super::garden_with;

/// The title that the page has in JSON, in the list, in the search, when it is rendered and in a browser.
async fn titles(text: &str) -> Vec<String> {
    let (_server, _, editor) = garden_with(&[("page", text)]).await;
    let wiki = editor.on("garden");
    let title = |value: &serde_json::Value| value["title"].as_str().unwrap().to_owned();
    let list = wiki.api(Method::GET, "/pages").await.good().json();
    let search = wiki.api(Method::GET, "/search?q=page").await.good().json();
    let view = editor.public(Method::GET, "/w/garden/page").header("accept", "text/html").await;
    let shown =
        view.good().text().split_once("<title>").unwrap().1.split_once(" – ").unwrap().0.to_owned();
    let titles = vec![
        title(&wiki.read("page").await.good().json()),
        title(&list["items"][0]),
        title(&search["items"][0]),
        title(&wiki.rendered("page").await.good().json()),
        shown,
    ];
    titles
}

#[tokio::test]
async fn a_comment_in_front_matter_is_no_title() {
    let yaml = "---\n# generated\na: 1\n---\n# Real\n".to_owned();
    assert!(case("title-front-matter-comment").input.contains(&yaml.escape_default().to_string()));
    let toml = yaml.replace("---", "+++").replace("a: 1", "a = 1");
    let crlf = yaml.replace('\n', "\r\n");
    let scalar = yaml.replace("a: 1", "a: |\n  # x");
    for text in [yaml, toml, crlf, scalar] {
        assert_eq!(titles(&text).await, ["Real"; 5], "{text:?}");
    }
}

#[tokio::test]
async fn the_title_in_front_matter_is_the_title() {
    let text = case("title-in-front-matter").content();
    assert_eq!(titles(&text).await, ["Real"; 5]);
    assert_eq!(titles("+++\ntitle = \"Real\"\n+++\n# Other\n").await, ["Real"; 5]);
}

#[tokio::test]
async fn a_heading_is_found_behind_a_long_beginning() {
    assert!(case("h1-after-16k").input.contains("20 KiB"));
    let text = format!("{}\n\n# Real\n", "some words ".repeat(1900));
    assert_eq!(titles(&text).await, ["Real"; 5]);
}
