//! Clients that ask for much and read nothing: what they cost is bounded, and others are served meanwhile.

use std::time::Duration;

use http::Method;
use serde_json::json;
use testkit::{OnWiki, Running, Scrape, Unread, User};

/// How many ask at once.
const CLIENTS: usize = 30;
/// How many megabytes they may cost together. The budget is 128, and what answers are made from isn't in it.
const MEGABYTES: u64 = 250;

/// The resident memory of a server, in megabytes.
fn resident(server: &Running) -> u64 {
    let pid = server.pid().as_raw_nonzero();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// Bytes that a server holds for clients now.
async fn held(operator: &User) -> u64 {
    Scrape::of(operator).await.sum("in_flight_bytes", &[]) as u64
}

/// Requests of the wikis' listener that have no answer yet.
async fn unanswered(operator: &User) -> f64 {
    Scrape::of(operator).await.sum("http_requests_in_flight", &[("listener", "wikis")])
}

/// Sends thirty requests that nobody reads the answers of, one for each of `paths` in turn, and returns how many
/// were answered with 200; the others are 503. `wiki` is read by somebody else meanwhile.
async fn leave_unread(server: &Running, wiki: &OnWiki, secret: &str, paths: &[String]) -> usize {
    let operator = server.operator();
    let before = resident(server);
    let authorization = format!("authorization: Bearer {secret}");
    let mut unread = Vec::new();
    for path in paths.iter().cycle().take(CLIENTS) {
        let line = format!("GET {path} HTTP/1.1");
        unread.push(Unread::send(server.public_address(), &[&line, &authorization]).await);
    }
    while unanswered(&operator).await > 0.0 {
        wiki.read("home").await.good();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let grown = resident(server).saturating_sub(before);
    assert!(grown < MEGABYTES, "{grown} MB for {paths:?}");
    assert!(held(&operator).await <= 128 << 20);
    wiki.read("home").await.good();
    let mut good = 0;
    for client in &mut unread {
        match client.status().await {
            200 => good += 1,
            status => assert_eq!(status, 503, "{paths:?}"),
        }
    }
    drop(unread);
    for _ in 0..1000 {
        if held(&operator).await == 0 {
            return good;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} bytes are held for nobody", held(&operator).await);
}

/// A server with a wiki `garden`, whose editor comes with it, and another one that somebody else reads.
struct Setup {
    server: Running,
    garden: OnWiki,
    secret: String,
    other: OnWiki,
    _data: tempfile::TempDir,
}

async fn setup() -> Setup {
    let data = testkit::scratch();
    let server = crate::program(data.path()).serve();
    let operator = server.operator();
    for wiki in ["garden", "other"] {
        operator.create_wiki(wiki).await.good();
    }
    operator.on("other").create("home", "text").await.good();
    let editor = operator.token("garden", "editor").await;
    let (garden, secret) = (editor.on("garden"), editor.secret().to_owned());
    Setup { server, garden, secret, other: operator.on("other"), _data: data }
}

impl Setup {
    async fn leave_unread(&self, paths: &[String]) -> usize {
        leave_unread(&self.server, &self.other, &self.secret, paths).await
    }
}

fn api(path: &str) -> String {
    format!("/w/garden/api/v1{path}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_many_leave_unread_is_in_memory_once_and_many_pages_are_bounded() {
    let setup = setup().await;
    let mut paths = Vec::new();
    for n in 0..CLIENTS {
        // In JSON three times as large.
        let text = format!("{n}{}", "\"\\\t\u{1}".repeat(600_000));
        setup.garden.create(&format!("p{n}"), &text).await.good();
        paths.push(api(&format!("/pages/p{n}")));
    }
    assert_eq!(setup.leave_unread(&paths[..1]).await, CLIENTS);
    assert!(setup.leave_unread(&paths).await < 8);
    setup.server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn drafts_that_nobody_reads_are_bounded() {
    let setup = setup().await;
    let draft = json!({ "content": "\u{1}".repeat(1_000_000) });
    setup.garden.api(Method::PUT, "/drafts/p").json(draft).await.good();
    assert!(setup.leave_unread(&[api("/drafts/p")]).await <= 5);
    setup.server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_many_send_at_once_are_bounded_and_others_save_meanwhile() {
    let setup = setup().await;
    let (operator, before) = (setup.server.operator(), resident(&setup.server));
    let mut senders = Vec::new();
    for n in 0..CLIENTS {
        let line = format!("PUT {} HTTP/1.1", api(&format!("/pages/p{n}")));
        let authorization = format!("authorization: Bearer {}", setup.secret);
        let head = [
            &*line,
            &authorization,
            "content-type: application/json",
            "if-none-match: *",
            "content-length: 10000000",
        ];
        let mut sender = Unread::send(setup.server.public_address(), &head).await;
        // The server may have answered already.
        let _ = sender.write(&[b'['; 9_000_000]).await;
        senders.push(sender);
    }
    let held = held(&operator).await;
    assert!(held > 20_000_000 && held <= 32 << 20, "{held}");
    let grown = resident(&setup.server).saturating_sub(before);
    assert!(grown < MEGABYTES, "{grown} MB");
    setup.other.create("other", "text").await.good();
    drop(senders);
    setup.server.stop();
}
