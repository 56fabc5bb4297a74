//! The Atom feed of a wiki's changes, read back with a library that reads feeds.

use atom_syndication::Feed;
use http::Method;
use serde_json::json;
use testkit::{OnWiki, TestServer};

async fn feed(wiki: &OnWiki) -> (testkit::Good, Feed) {
    let answer = wiki.api(Method::GET, "/changes.atom").await.good();
    let feed = Feed::read_from(answer.bytes()).unwrap();
    (answer, feed)
}

#[tokio::test]
async fn the_feed_has_the_newest_changes() {
    let (server, _, editor) = TestServer::with_garden().await;
    let garden = editor.on("garden");
    let (empty, read) = feed(&garden).await;
    assert!(read.entries.is_empty() && read.id.starts_with("urn:wikigrove:wiki:"));
    let titles = ["<b>&\"", "]]>", "a &amp; b", "käse 🧀", "'; --"];
    for (number, title) in titles.iter().enumerate() {
        let page = json!({ "content": "x", "message": format!("{title}\n\nmore") });
        let path = format!("/pages/page-{number}");
        garden.api(Method::PUT, path).json(page).header("if-none-match", "*").await.good();
    }
    let (answer, read) = feed(&garden).await;
    assert_ne!(answer.etag(), empty.etag());
    assert_eq!(answer.header("content-type"), "application/atom+xml; charset=utf-8");
    assert_eq!(answer.header("cache-control"), "private, no-cache");
    let read_titles: Vec<_> = read.entries.iter().rev().map(|e| e.title.value.as_str()).collect();
    assert_eq!(read_titles, titles);
    let links: Vec<_> = read.links.iter().map(|l| (l.rel.as_str(), l.href.as_str())).collect();
    let site = format!("http://{}", server.public_address());
    let home = format!("{site}/w/garden/");
    let this = format!("{home}api/v1/changes.atom");
    assert_eq!(links, [("alternate", &*home), ("self", &*this)]);
    let newest = garden.changes().await[0].clone();
    let entry = &read.entries[0];
    assert_eq!(entry.id, format!("{}:revision:{}", read.id, newest["revision"].as_str().unwrap()));
    assert_eq!(entry.authors[0].name, newest["author"]["name"].as_str().unwrap());
    assert_eq!(entry.authors[0].email, None);
    assert_eq!(entry.summary.as_ref().unwrap().value, "added page-4");
    assert_eq!(read.updated, entry.updated);

    let again = garden.api(Method::GET, "/changes.atom");
    let same = again.clone().header("if-none-match", format!("\"{}\"", answer.etag())).await;
    assert_eq!((same.status(), same.bytes().len(), same.etag()), (304, 0, answer.etag()));
    for number in 0..50 {
        garden.create(&format!("more-{number}"), "x").await.good();
    }
    let changed = again.header("if-none-match", format!("\"{}\"", answer.etag())).await.good();
    let read = Feed::read_from(changed.bytes()).unwrap();
    assert_eq!(read.entries.len(), 50);
    assert!(read.entries.iter().all(|entry| entry.title.value != "'; --"));
}

#[tokio::test]
async fn the_feed_is_for_those_who_may_read() {
    let (_server, operator, editor) = TestServer::with_garden().await;
    let nobody = editor.without_token().on("garden");
    nobody.api(Method::GET, "/changes.atom").await.problem("unknown_wiki");
    operator.change_wiki("garden", json!({ "visibility": "public_read" })).await.good();
    let (answer, _) = feed(&nobody).await;
    assert_eq!(answer.header("cache-control"), "no-cache");
}
