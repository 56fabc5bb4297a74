//! Work that takes long: it is interrupted, and nobody else waits for it.

use std::time::Duration;

use testkit::{Grove, OnWiki, TestServer};
use wikigrove_tenant::Error;

/// How long anything may take that ends by itself or is interrupted.
const PATIENCE: Duration = Duration::from_secs(20);

/// Counts for ever.
const ENDLESS: &str =
    "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n";

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_equal_words_is_found_while_others_save() {
    let (server, operator) = TestServer::start().await;
    operator.create_wiki("garden").await.good();
    let garden = operator.on("garden");
    garden.create("log", &"error ".repeat(800_000)).await.good();
    let searches = (0..3).map(|_| search(&garden));
    let searching = futures_util::future::join_all(searches);
    let saving = async {
        for n in 0..5 {
            garden.create(&format!("page-{n}"), "text").await.good();
        }
    };
    let both = async { tokio::join!(searching, saving) };
    let (found, ()) = tokio::time::timeout(PATIENCE, both).await.unwrap();
    assert!(found.iter().all(|snippet| snippet.starts_with("<mark>error</mark> <mark>")));
    server.stop().await;
}

async fn search(wiki: &OnWiki) -> String {
    let found = wiki.search("error").await;
    found[0]["snippet"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_statement_ends_when_its_result_is_not_awaited_any_more() {
    let grove = Grove::with(["garden"]).start().await;
    let garden = grove.on("garden").await;
    garden.save("home", "text", wikigrove_tenant::Base::New).await.unwrap();
    // More than there are connections, so that one that went on would be missed.
    for _ in 0..8 {
        let endless = garden.db(|db| db.query_row(ENDLESS, [], |row| row.get::<_, i64>(0)));
        assert!(tokio::time::timeout(Duration::from_millis(50), endless).await.is_err());
    }
    let counted =
        garden.db(|db| db.query_row("select count(*) from page", [], |row| row.get::<_, i64>(0)));
    assert_eq!(tokio::time::timeout(PATIENCE, counted).await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn closing_the_platform_ends_what_is_going_on() {
    let grove = Grove::with(["garden"]).start().await;
    let garden = grove.on("garden").await;
    let counting = garden.clone();
    let counting = wikigrove_tenant::spawn(async move {
        counting.db(|db| db.query_row(ENDLESS, [], |row| row.get::<_, i64>(0))).await
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    tokio::time::timeout(PATIENCE, grove.close()).await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, counting).await.unwrap().unwrap();
    assert!(matches!(ended, Err(Error::Busy(_))), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blame_of_lines_without_end_is_refused_and_says_why() {
    let (server, operator) = TestServer::start().await;
    operator.create_wiki("garden").await.good();
    let garden = operator.on("garden");
    let text = |seed: u32| -> String {
        let bit = |n: u32| {
            if (n.wrapping_mul(2_654_435_761) ^ seed).count_ones().is_multiple_of(2) {
                "a\n"
            } else {
                "b\n"
            }
        };
        (0..400_000).map(bit).collect()
    };
    let etag = garden.create("noise", &text(1)).await.good().etag().to_owned();
    garden.save("noise", &etag, &text(7)).await.good();
    let blamed = tokio::time::timeout(PATIENCE, garden.blame("noise")).await.unwrap();
    let problem = blamed.problem("too_large_to_compare");
    assert!(problem["detail"].as_str().unwrap().contains("100000 lines"), "{problem}");
    server.stop().await;
}
