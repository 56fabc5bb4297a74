//! Moves, deletions of everything below a page, and links, over HTTP.

use http::Method;
use serde_json::{Value, json};
use testkit::{OnWiki, TestServer};
use wikigrove_server::openapi::{Links, Moved};

fn order(from: &str, to: &str) -> Value {
    json!({ "from": from, "to": to, "update_links": true })
}

async fn paths(wiki: &OnWiki) -> Vec<String> {
    let pages = wiki.pages().await;
    pages.iter().map(|page| page["path"].as_str().unwrap().to_owned()).collect()
}

async fn links(wiki: &OnWiki, page: &str) -> Links {
    let answer = wiki.api(Method::GET, format!("/links/{page}")).await.good();
    serde_json::from_value(answer.json()).unwrap()
}

async fn garden(wiki: &OnWiki) {
    wiki.create("garden", "# Garden\n\n[roses](garden/roses.md)\n").await.good();
    wiki.create("garden/roses", "[[garden]]\n").await.good();
    wiki.create("home", "See [[garden/roses|the roses]] and [[nothing]].\n").await.good();
    wiki.create_attachment("garden/plan.png", "png").await.good();
}

#[tokio::test]
async fn a_page_moves_with_all_that_belongs_to_it() {
    let (server, _, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    garden(&wiki).await;
    let before = wiki.changes().await.len();
    let answer = wiki.api(Method::POST, "/moves").json(order("garden", "park")).await.good();
    let moved: Moved = serde_json::from_value(answer.json()).unwrap();
    assert_eq!(paths(&wiki).await, ["home", "park", "park/roses"]);
    assert_eq!(wiki.attachment("park/plan.png").await.good().text(), "png");
    let home = wiki.read("home").await.good().json();
    assert_eq!(home["content"], "See [[park/roses|the roses]] and [[nothing]].\n");
    let log = wiki.changes().await;
    assert_eq!((log.len(), &log[0]["revision"]), (before + 1, &json!(moved.revision)));
    assert_eq!(log[0]["changes"][1]["old_path"], "garden");
    server.git("garden").fsck();

    let home = links(&wiki, "home").await;
    assert_eq!(
        (home.outgoing[0].path.as_str(), home.broken[0].target.as_str()),
        ("park/roses", "nothing")
    );
    let roses = links(&wiki, "park/roses").await;
    let incoming: Vec<_> = roses.incoming.iter().map(|link| link.path.as_str()).collect();
    assert_eq!(incoming, ["home", "park"]);
    wiki.api(Method::GET, "/links/none").await.problem("page_not_found");
}

#[tokio::test]
async fn what_a_move_may_not_do() {
    let (_server, operator, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    garden(&wiki).await;
    let head = wiki.changes().await[0].clone();
    let refused = |body: Value| wiki.api(Method::POST, "/moves").json(body);
    refused(order("garden", "home")).await.problem("path_collision");
    refused(order("none", "x")).await.problem("page_not_found");
    refused(order("garden", "../x")).await.problem("invalid_path");
    refused(order("garden", "")).await.problem("invalid_path");
    refused(json!({ "from": "garden" })).await.problem("invalid_value");
    refused(json!({ "from": "garden", "to": "x", "force": true })).await.problem("invalid_value");
    let reader = operator.token("garden", "reader").await.on("garden");
    reader.api(Method::POST, "/moves").json(order("garden", "x")).await.problem("forbidden");
    assert_eq!(wiki.changes().await[0], head);
}

#[tokio::test]
async fn a_page_is_deleted_with_all_below_it() {
    let (_server, _, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    garden(&wiki).await;
    let page = wiki.read("garden").await.good();
    let deleted = wiki.delete("garden", page.etag()).query("recursive", "true").await.good();
    assert_eq!(deleted.json()["others"], json!(["garden/plan.png", "garden/roses"]));
    assert_eq!(paths(&wiki).await, ["home"]);
    wiki.attachment("garden/plan.png").await.problem("attachment_not_found");
}
