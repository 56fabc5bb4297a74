//! Between a wiki and its remote: names that lie, hosts that stall, and a git program that isn't there.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};
use testkit::{Fault, Linked, Program, ServerSetup, TestRemote, Tie, scratch};
use wikigrove_server::remote::Resolver;
use wikigrove_server::remote::address::Resolving;

/// A resolver that answers every question alike.
#[derive(Debug)]
struct Always(Vec<IpAddr>);

impl Resolver for Always {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> Resolving<'a> {
        let found = self.0.clone();
        Box::pin(async move { Ok(found) })
    }
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_followed_whatever_else_it_says() {
    for addresses in [["127.0.0.1"].as_slice(), &["93.184.216.34", "127.0.0.1"], &["fd00::1"]] {
        let found = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let setup = ServerSetup::default().sync(|sync| sync.resolver = Arc::new(Always(found)));
        let (server, operator) = setup.start().await;
        operator.create_wiki("garden").await.good();
        let editor = operator.token("garden", "editor").await;
        editor.on("garden").create("roses", "red").await.good();
        let tie = Tie::new(&operator, "garden", "https://git.example/x.git", json!({})).await;
        tie.run().await;
        let link = tie.state("paused", Some("blocked_address")).await;
        assert!(link["last_error"].as_str().unwrap().contains("open internet"), "{link}");
        editor.on("garden").create("lilies", "white").await.good();
        drop(server);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_wherever_it_leads() {
    let inside = TestRemote::start().await;
    let remote = TestRemote::start().await;
    let to = inside.url("127.0.0.1");
    remote.order("info/refs", Fault::Status(302, vec![("location", format!("{to}/info/refs"))]), 9);
    let linked = Linked::on(ServerSetup::default(), remote, json!({})).await;
    let link = linked.state("paused", Some("blocked_address")).await;
    assert!(link["last_error"].as_str().unwrap().contains("redirect"), "{link}");
    assert!(inside.seen().is_empty(), "nobody went there");
    assert_eq!(linked.remote.seen().len(), 1);
}

/// How many processes have this text among their arguments.
fn processes_with(text: &str) -> usize {
    let names = std::fs::read_dir("/proc").unwrap();
    let said = names.filter_map(|entry| std::fs::read(entry.unwrap().path().join("cmdline")).ok());
    said.filter(|said| String::from_utf8_lossy(said).contains(text)).count()
}

#[tokio::test]
async fn a_host_that_sends_a_byte_a_second_is_given_up_and_others_get_their_turn() {
    let setup = ServerSetup::default().sync(|sync| {
        sync.wire.listing = Duration::from_secs(2);
        sync.limits.total = 1;
    });
    let linked = Linked::on(setup, TestRemote::start().await, json!({ "offline": true })).await;
    linked.create("roses", "red").await;
    linked.operator.create_wiki("kitchen").await.good();
    let other = TestRemote::start().await;
    linked.remote.order("info/refs", Fault::Trickle, 1);
    linked.change(json!({ "offline": false })).await;
    let host = format!("127.0.0.1:{}", linked.remote.port());
    linked.until("is at it", |_| processes_with(&host) > 0).await;
    // The only slot is taken; this one waits for it.
    let kitchen = Tie::new(&linked.operator, "kitchen", &other.url("127.0.0.1"), json!({})).await;
    let cook = linked.operator.token("kitchen", "editor").await;
    cook.on("kitchen").create("soup", "hot").await.good();
    let began = Instant::now();
    kitchen.run_synced().await;
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let link = linked.link().await;
    assert!(link["last_error"].as_str().is_some_and(|said| said.contains("too long")), "{link}");
    linked.synced().await;
    assert_eq!(processes_with(&host), 0, "nothing of it is left");
    assert_eq!(linked.tip(), linked.head());
}

#[tokio::test]
async fn a_host_that_asks_to_come_later_is_left_alone_for_so_long() {
    for (status, asked) in [(429, "120"), (503, "120")] {
        let remote = TestRemote::start().await;
        let later = vec![("retry-after", asked.to_owned())];
        remote.order("info/refs", Fault::Status(status, later), 1);
        let linked = Linked::on(ServerSetup::default(), remote, json!({})).await;
        let link = linked.state("backoff", None).await;
        let next = &link["next_run"];
        let waits = seconds_until(next);
        assert!((100..=123).contains(&waits), "{next}: {waits} s");
        linked.create("roses", "red").await;
        tokio::time::sleep(Duration::from_millis(2500)).await;
        assert_eq!(linked.link().await["next_run"], *next, "a save changes nothing");
        assert_eq!(linked.remote.seen().len(), 1);
        linked.run_synced().await;
        assert_eq!(linked.tip(), linked.head());
    }
}

fn seconds_until(time: &Value) -> i64 {
    use time::format_description::well_known::Rfc3339;
    let time = time::OffsetDateTime::parse(time.as_str().unwrap(), &Rfc3339).unwrap();
    (time - time::OffsetDateTime::now_utc()).whole_seconds()
}

/// The program in a place where another file stands where git is.
fn with_another_git(program: Program, other: &Path) -> Program {
    let script = r#"for dir in /usr/local/bin /usr/bin /bin; do
            test ! -e $dir/git || mount --bind "$0" $dir/git || exit
        done
        exec "$@""#;
    program.after(&format!("set -- unshare --mount sh -c '{script}' '{}' \"$@\"", other.display()))
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_git_that_is_new_enough_links_rest_and_say_so_and_the_wiki_works() {
    let may = std::process::Command::new("unshare").args(["--mount", "true"]).status();
    if !may.is_ok_and(|status| status.success()) {
        let required = std::env::var_os("WIKIGROVE_REQUIRE_ALL_TESTS").is_some();
        assert!(!required, "this test has to hide git, which takes root");
        eprintln!("LEFT OUT: this test has to hide git, which takes root");
        return;
    }
    let remote = TestRemote::start().await;
    let dir = scratch();
    let program = crate::program(&dir.path().join("data"));
    let running = program.serve_with(&["--sync-allow", "127.0.0.1"]);
    let url = remote.url("127.0.0.1");
    let tie = Tie::new(&running.operator(), "welcome", &url, json!({})).await;
    tie.synced().await;
    running.stop();
    remote.seen();

    let old = dir.path().join("git");
    std::fs::write(&old, "#!/bin/sh\necho git version 2.30.2\n").unwrap();
    std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o755)).unwrap();
    for (other, reason) in [(Path::new("/dev/null"), "git_missing"), (&old, "git_too_old")] {
        let program = with_another_git(program.clone(), other);
        let running = program.serve_with(&["--sync-allow", "127.0.0.1"]);
        let operator = running.operator();
        let tie = Tie { operator: operator.clone(), ..tie.clone() };
        operator.on("welcome").create(reason, "text").await.good();
        tie.run().await;
        let link = tie.state("offline", Some(reason)).await;
        assert_ne!(link["queue_length"], 0, "{link}");
        assert!(link["last_error"].as_str().unwrap().contains("needs"), "{link}");
        operator.control(Method::POST, tie.path("/test")).await.problem(reason);
        running.stop();
    }
    assert!(remote.seen().is_empty());
    // With git everything goes on.
    let running = program.serve_with(&["--sync-allow", "127.0.0.1"]);
    Tie { operator: running.operator(), ..tie }.run_synced().await;
    let head = program.git("welcome").run(&["rev-parse", "main"]);
    assert_eq!(remote.git().run(&["rev-parse", "main"]), head);
    running.stop();
}

#[tokio::test]
async fn without_the_network_nothing_leaves_and_everything_waits() {
    for (reason, offline) in [("server_offline", true), ("sync_disabled", false)] {
        let setup = ServerSetup::default().sync(|sync| {
            sync.offline = offline;
            sync.enabled = offline;
        });
        let linked = Linked::on(setup, TestRemote::start().await, json!({})).await;
        linked.create("roses", "red").await;
        let link = linked.run().await;
        assert_eq!(
            (&link["state"], &link["reason"]),
            (&json!("offline"), &json!(reason)),
            "{link}"
        );
        assert_eq!(linked.link().await["queue_length"], 1);
        assert!(linked.remote.seen().is_empty());
        linked.operator.control(Method::POST, linked.path("/test")).await.problem(reason);
    }
}
