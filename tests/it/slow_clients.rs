//! One wiki's slow clients, and the others'.

use std::time::{Duration, Instant};

use testkit::{OnWiki, ServerSetup};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// How long the slowest but one of a hundred reads takes.
async fn slowest_of_a_hundred(wiki: &OnWiki) -> Duration {
    let mut durations = Vec::new();
    for _ in 0..100 {
        let started = Instant::now();
        wiki.read("home").await.good();
        durations.push(started.elapsed());
    }
    durations.sort_unstable();
    durations[98]
}

/// http-010
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_slow_connections_to_one_wiki_leave_another_alone() {
    let setup = ServerSetup::default().limits(|limits| limits.in_flight_per_wiki = 900);
    let (server, operator) = setup.start().await;
    for wiki in ["slow", "other"] {
        operator.create_wiki(wiki).await.good();
        operator.on(wiki).create("home", "text").await.good();
    }
    let other = operator.on("other");
    let before = slowest_of_a_hundred(&other).await;

    // Each promises a body that it never sends.
    let token = operator.token("slow", "editor").await;
    let head = format!(
        "PUT /w/slow/api/v1/pages/home HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\nif-match: \"{}\"\r\ncontent-length: 1000\r\n\r\n{{",
        token.secret(),
        "0".repeat(40)
    );
    let mut slow = Vec::new();
    for _ in 0..1000 {
        let mut stream = TcpStream::connect(server.public_address()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    // Those for whom there is no place are told so, and so is whoever comes after them.
    let mut is_full = false;
    for _ in 0..1000 {
        is_full = operator.on("slow").read("home").await.status() == 503;
        if is_full {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(is_full);
    operator.on("slow").read("home").await.problem("busy");

    let during = slowest_of_a_hundred(&other).await;
    assert!(during < before * 5 + Duration::from_millis(50), "{during:?} after {before:?}");

    // Once they have gone there are places again.
    drop(slow);
    let mut is_back = false;
    for _ in 0..1000 {
        is_back = operator.on("slow").read("home").await.status() == 200;
        if is_back {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(is_back);
}
