//! Networks that lie, hang, redirect, or aren't there.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::{Fault, Linked, ServerSetup, TestRemote};
use wikigrove_server::remote::Resolver;
use wikigrove_server::remote::address::Resolving;

#[derive(Debug)]
struct Rebinding;

impl Resolver for Rebinding {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> Resolving<'a> {
        Box::pin(async { Ok(vec![IpAddr::from([127, 0, 0, 1])]) })
    }
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_followed() {
    let setup = ServerSetup::default().sync(|sync| sync.resolver = Arc::new(Rebinding));
    let settings = json!({ "url": "https://git.example.org/x.git" });
    let linked = Linked::on(setup, TestRemote::start().await, settings).await;
    linked.state("paused", Some("blocked_address")).await;
    assert!(linked.remote.seen().is_empty());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let linked = Linked::with(json!({ "offline": true })).await;
    let elsewhere = vec![("location", "http://169.254.169.254/x.git/info/refs".to_owned())];
    linked.remote.order("info/refs", Fault::Status(302, elsewhere), 9);
    linked.change(json!({ "offline": false })).await;
    linked.state("paused", Some("blocked_address")).await;
    assert_eq!(linked.remote.seen().len(), 1);
}

#[tokio::test]
async fn a_remote_that_answers_by_drops_is_given_up_and_others_go_on() {
    let setup = ServerSetup::default().sync(|sync| sync.wire.listing = Duration::from_secs(2));
    let linked = Linked::on(setup, TestRemote::start().await, json!({ "offline": true })).await;
    linked.remote.order("info/refs", Fault::Trickle, 1);
    linked.create("roses", "red").await;
    let other = TestRemote::start().await;
    linked.operator.create_wiki("kitchen").await.good();
    linked.change(json!({ "offline": false })).await;
    let began = Instant::now();
    testkit::link(&linked.operator, "kitchen", &other, json!({})).await;
    linked.state("backoff", None).await;
    assert!(began.elapsed() < Duration::from_secs(30));
    linked.synced().await;
    assert!(!other.seen().is_empty(), "the other wiki's link looked meanwhile");
}

#[tokio::test]
async fn a_host_that_asks_for_time_gets_it() {
    let linked = Linked::with(json!({ "offline": true })).await;
    let later = Fault::Status(429, vec![("retry-after", "600".to_owned())]);
    linked.remote.order("info/refs", later, 1);
    linked.change(json!({ "offline": false })).await;
    let link = linked.state("backoff", None).await;
    let next = link["next_run"].as_str().unwrap();
    let format = &time::format_description::well_known::Rfc3339;
    let wait = time::OffsetDateTime::parse(next, format).unwrap() - time::OffsetDateTime::now_utc();
    assert!(wait.whole_seconds() > 550, "{wait}");
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
        linked.operator.control(http::Method::POST, linked.path("/test")).await.problem(reason);
    }
}
