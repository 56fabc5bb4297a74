//! Pages and clients with other line ends than the one beside them.

use serde_json::json;
use testkit::{Linked, OnWiki, TestServer};

const BASE: &str = "one\ntwo\nthree\nfour\nfive\n";
const STORED: &str = "ONE\ntwo\nthree\nfour\nfive\n";
const SENT: &str = "one\ntwo\nthree\nfour\nFIVE\nsix\n";
const BOTH: &str = "ONE\ntwo\nthree\nfour\nFIVE\nsix\n";

fn windows(text: &str) -> String {
    text.replace('\n', "\r\n")
}

/// A page that was `base` when a client read it, and is `stored` now; returns the first etag.
async fn changed(wiki: &OnWiki, page: &str, base: &str, stored: &str) -> String {
    let etag = |saved: serde_json::Value| saved["etag"].as_str().unwrap().to_owned();
    let begun = etag(wiki.create(page, base).await.good().json());
    wiki.save(page, &begun, stored).await.good();
    begun
}

#[tokio::test]
async fn a_save_is_merged_line_by_line_and_keeps_the_stored_pages_ends() {
    super::super::case("crlf-client");
    let (_server, _, editor) = TestServer::with_garden().await;
    let garden = editor.on("garden");
    let (base, stored, sent) = (windows(BASE), windows(STORED), windows(SENT));
    for (page, base, stored, sent, expected) in [
        ("lf-to-crlf", base.as_str(), stored.as_str(), SENT, windows(BOTH)),
        ("crlf-to-lf", BASE, STORED, sent.as_str(), BOTH.to_owned()),
        ("changed-to-crlf", BASE, stored.as_str(), SENT, windows(BOTH)),
        ("changed-to-lf", base.as_str(), STORED, sent.as_str(), BOTH.to_owned()),
    ] {
        let begun = changed(&garden, page, base, stored).await;
        let saved = garden.save(page, &begun, sent).await.good().json();
        assert_eq!(saved["merged"], true, "{page}: {saved:#}");
        let read = garden.markdown(page).await.good();
        assert_eq!(std::str::from_utf8(read.bytes()).unwrap(), expected, "{page}");
    }
    // The same line changed twice is a conflict, of that line and no other.
    let begun = changed(&garden, "both", &base, &stored).await;
    let refused = garden.save("both", &begun, "uno\ntwo\nthree\nfour\nfive\n").await;
    let problem = refused.problem("edit_conflict");
    let hunks = problem["conflict"]["hunks"].as_array().unwrap();
    assert_eq!((hunks.len(), &hunks[0]["base"]), (1, &json!("one\n")), "{problem:#}");
}

#[tokio::test]
async fn two_ends_with_other_line_ends_are_merged_too() {
    let linked = Linked::with(json!({})).await;
    linked.create("home", BASE).await;
    linked.run_synced().await;
    let peer = linked.remote.clone_beside("peer");
    peer.write("home.md", windows(SENT)).commit("Windows");
    peer.run(&["push", "-q", "origin", "HEAD:main"]);
    linked.save("home", STORED).await;
    linked.run_synced().await;
    assert!(linked.conflicts().await.is_empty());
    // The other end chose the ends of the whole page.
    assert_eq!(linked.text("home").await.unwrap(), windows(BOTH));
}
