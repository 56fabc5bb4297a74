//! Clients that ask for much and read nothing: what they cost is bounded, and others are served meanwhile.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use testkit::{Git, OnWiki, Running, Scrape, ServerSetup, Unread, User};
use wikigrove_server::openapi::{Blame, Diff};

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
            status => {
                let refusal = client.some().await;
                assert!(status == 503 && refusal.contains("too many bytes"), "{refusal}");
            }
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
    git: Git,
    garden: OnWiki,
    secret: String,
    other: OnWiki,
    _data: tempfile::TempDir,
}

async fn setup() -> Setup {
    let data = testkit::scratch();
    let program = crate::program(data.path());
    let (server, git) = (program.serve(), program.git("garden"));
    let operator = server.operator();
    for wiki in ["garden", "other"] {
        operator.create_wiki(wiki).await.good();
    }
    operator.on("other").create("home", "text").await.good();
    let editor = operator.token("garden", "editor").await;
    let (garden, secret) = (editor.on("garden"), editor.secret().to_owned());
    Setup { server, git, garden, secret, other: operator.on("other"), _data: data }
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
        if n == 1 {
            assert_eq!(setup.leave_unread(&paths).await, CLIENTS);
        }
        // In JSON three times as large.
        let text = format!("{n}{}", "\"\\\t\u{1}".repeat(600_000));
        setup.garden.create(&format!("p{n}"), &text).await.good();
        paths.push(api(&format!("/pages/p{n}")));
    }
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

/// Lines that are empty on one side: each would take fifty bytes of an answer, in each of its two forms.
#[tokio::test(flavor = "multi_thread")]
async fn a_diff_of_millions_of_lines_is_cut() {
    let setup = setup().await;
    let garden = &setup.garden;
    let created = garden.create("p", &"\n".repeat(5_000_000)).await.good();
    garden.save("p", created.etag(), &"a\n".repeat(2_500_000)).await.good();
    let answer = garden.diff("p").await.good();
    assert!(answer.text().len() < 4_000_000, "{}", answer.text().len());
    let diff: Diff = serde_json::from_value(answer.json()).unwrap();
    assert!(diff.truncated && diff.hunks.len() == 1 && !diff.hunks[0].lines.is_empty());
    let patch = garden.diff("p").header("accept", "text/x-diff").await.good();
    assert_eq!(patch.header("x-truncated"), "true");
    assert!(patch.text().ends_with("\n# more differs than is shown here\n"));
    assert!(patch.text().len() < 2_000_000);
    let small = garden.create("q", "a\n").await.good();
    let diff = garden.diff("q").query("to", small.json()["revision"].as_str().unwrap());
    assert!(diff.await.good().json().get("truncated").is_none());
    setup.leave_unread(&[api("/diff/p")]).await;
    setup.server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blame_of_very_many_lines_is_cut() {
    let setup = setup().await;
    setup.garden.create("p", &"\u{1}a line\n".repeat(90_000)).await.good();
    let blame: Blame = serde_json::from_value(setup.garden.blame("p").await.good().json()).unwrap();
    assert!(blame.truncated && blame.ranges.len() == 1 && blame.commits.len() == 1);
    let lines = blame.ranges[0].lines.len();
    assert!((10_000..=20_000).contains(&lines), "{lines}");
    setup.leave_unread(&[api("/blame/p")]).await;
    setup.server.stop();
}

/// As text that has to be escaped, and as Markdown of many elements.
#[tokio::test(flavor = "multi_thread")]
async fn rendered_pages_that_nobody_reads_are_bounded() {
    let setup = setup().await;
    let large = [("plain", "\"".repeat(4_900_000)), ("marked", "- *a* `b`\n".repeat(20_000))];
    for (page, text) in large {
        setup.garden.create(page, &text).await.good();
        // So that it is in the cache, as a page is that many read.
        setup.garden.api(Method::GET, format!("/render/{page}")).await.good();
        for path in [api(&format!("/render/{page}")), format!("/w/garden/{page}")] {
            setup.leave_unread(&[path]).await;
        }
    }
    setup.server.stop();
}

/// Commits with messages of so many bytes.
fn import_messages(git: &Git, commits: usize, bytes: usize) {
    let mut stream = String::new();
    for n in 0..commits {
        let message = format!("{n} {}", "\u{1}".repeat(bytes));
        stream += &format!(
            "commit refs/heads/main\ncommitter Ann <ann@example.org> {} +0000\ndata {}\n{message}\n\
             M 100644 inline long.md\ndata 5\n{n:>4}\n\n",
            1_600_000_000 + n,
            message.len()
        );
    }
    let mut import = git.command();
    let mut import = import.args(["fast-import", "--quiet"]).stdin(Stdio::piped()).spawn().unwrap();
    import.stdin.take().unwrap().write_all(stream.as_bytes()).unwrap();
    assert!(import.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_the_log_are_bounded_in_bytes() {
    const COMMITS: usize = 100;
    let setup = setup().await;
    import_messages(&setup.git, COMMITS, 100_000);
    let changes = || setup.garden.api(Method::GET, "/changes");
    // The index is made in the background.
    let is_made = |list: Value| list.get("index").is_none() && list["items"][0].is_object();
    while !is_made(changes().await.good().json()) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for route in ["/changes", "/history/long"] {
        let (mut revisions, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut call = setup.garden.api(Method::GET, route).query("limit", "500");
            if let Some(cursor) = &cursor {
                call = call.query("cursor", cursor);
            }
            let answer = call.await.good();
            assert!(answer.text().len() < 1_200_000, "{route}: {}", answer.text().len());
            let json = answer.json();
            let items = json["items"].as_array().unwrap();
            assert!(!items.is_empty(), "{route}");
            revisions.extend(items.iter().map(|item| item["revision"].to_string()));
            cursor = json["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(revisions.len(), COMMITS, "{route}");
        revisions.sort();
        revisions.dedup();
        assert_eq!(revisions.len(), COMMITS, "{route}");
    }
    let user = setup.server.operator();
    let view = user.public(Method::GET, "/w/garden/-/changes?limit=500").await.good();
    assert!(view.text().len() < 2_000_000, "{}", view.text().len());
    let feed = setup.garden.api(Method::GET, "/changes.atom").await.good();
    assert!(feed.text().len() < 2_000_000, "{}", feed.text().len());
    for path in [
        "/api/v1/changes?limit=500",
        "/api/v1/history/long?limit=500",
        "/-/changes?limit=500",
        "/api/v1/changes.atom",
    ] {
        setup.leave_unread(&[format!("/w/garden{path}")]).await;
    }
    let log = setup.git.run(&["rev-list", "--reverse", "main"]);
    let first = log.lines().next().unwrap();
    setup.leave_unread(&[api(&format!("/events?last_event_id={first}"))]).await;
    let mut events = setup.garden.events(Some(first)).listen().await;
    assert_eq!(events.take(COMMITS - 1).await.len(), COMMITS - 1);
    setup.server.stop();
}

/// Two texts of nearly five megabytes that have nothing in common but their beginning.
#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_of_large_texts_names_what_there_is_room_for() {
    let setup = setup().await;
    let garden = &setup.garden;
    let text = |c: &str| format!("begin\n{}\n", c.repeat(4_800_000));
    let base = garden.create("p", "begin\nmiddle\n").await.good();
    garden.save("p", base.etag(), &text("a")).await.good();
    let answer = garden.save("p", base.etag(), &text("b")).await;
    assert_eq!(answer.status(), 409);
    assert!(answer.text().len() < 100_000, "{}", answer.text().len());
    let problem = answer.problem("edit_conflict");
    let conflict = &problem["conflict"];
    assert_eq!(conflict["truncated"], true);
    assert_eq!(conflict["base"], "begin\nmiddle\n");
    assert_eq!((&conflict["ours"], &conflict["theirs"]), (&Value::Null, &Value::Null));
    assert!(conflict["etag"].is_string());
    // Of small texts all is there.
    let base = garden.create("q", "one\n").await.good();
    garden.save("q", base.etag(), "two\n").await.good();
    let problem = garden.save("q", base.etag(), "three\n").await.problem("edit_conflict");
    assert_eq!(problem["conflict"]["theirs"], "three\n");
    assert!(problem["conflict"].get("truncated").is_none());
    setup.server.stop();
}

/// The client has the answer, as far as the wiki is concerned: what is left to be sent is in memory, or open.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_unread_keeps_no_wiki_open() {
    let (server, operator) = ServerSetup::default().settings(|s| s.open_wikis = 1).start().await;
    for wiki in ["one", "two"] {
        operator.create_wiki(wiki).await.good();
        operator.on(wiki).create("page", &"x".repeat(4_000_000)).await.good();
        let put = operator.on(wiki).api(Method::PUT, "/attachments/page/large.bin");
        let body = (0..4_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8);
        let put = put.body("application/octet-stream", body.collect::<Vec<_>>());
        put.header("if-none-match", "*").await.good();
    }
    let authorization = format!("authorization: Bearer {}", operator.secret());
    let mut unread = Vec::new();
    for path in ["pages/page", "attachments/page/large.bin", "events"] {
        let line = format!("GET /w/one/api/v1/{path} HTTP/1.1");
        let mut client = Unread::send(server.public_address(), &[&line, &authorization]).await;
        assert_eq!(client.status().await, 200);
        unread.push(client);
    }
    operator.on("two").read("page").await.good();
    let line = "GET /w/one/api/v1/attachments/page/large.bin HTTP/1.1";
    let lines = [line, &authorization, "connection: close"];
    let (status, bytes) = Unread::send(server.public_address(), &lines).await.read().await;
    assert!(status == 200 && bytes > 4_000_000, "{bytes}");
    drop(unread);
    server.stop().await;
}
