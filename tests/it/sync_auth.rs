//! How a link gets in, and what becomes of it when it doesn't.

use http::Method;
use serde_json::{Value, json};
use testkit::{Linked, ServerSetup, TestRemote};

const CANARY: &str = "canary-7d1f-not-to-be-seen";

async fn closed(token: &str) -> Linked {
    let remote = TestRemote::start().await;
    remote.require("x-access-token", CANARY);
    Linked::on(ServerSetup::default(), remote, json!({ "credential": { "token": token } })).await
}

#[tokio::test]
async fn a_wrong_token_is_tried_once_and_a_new_one_at_once() {
    let linked = closed("wrong").await;
    linked.create("roses", "red").await;
    let link = linked.state("paused", Some("auth")).await;
    assert_eq!(link["credential"], "token");
    assert!(!link.to_string().contains("wrong"), "{link}");
    let asked = linked.remote.seen().len();
    linked.create("lilies", "white").await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    linked.run().await;
    assert_eq!(linked.remote.seen().len(), 0, "{asked} requests, and no more");
    let changed = linked.change(json!({ "credential": { "token": CANARY } })).await;
    assert!(!changed.to_string().contains(CANARY), "{changed}");
    linked.synced().await;
    assert_eq!(linked.tip(), linked.head());
}

#[tokio::test]
async fn a_token_is_found_in_no_answer_file_or_log_of_the_remotes() {
    let linked = closed(CANARY).await;
    linked.create("roses", "red").await;
    linked.run_synced().await;
    assert!(!linked.made.to_string().contains(CANARY));
    assert!(!linked.link().await.to_string().contains(CANARY));
    let audit =
        linked.operator.control(Method::GET, "/admin/v1/audit?limit=500").await.good().json();
    assert!(!audit.to_string().contains(CANARY));
    let mut dirs = vec![linked.server.dir().to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                let found = bytes.windows(CANARY.len()).any(|part| part == CANARY.as_bytes());
                assert!(!found, "{}", path.display());
            }
        }
    }
}

#[tokio::test]
async fn a_key_that_may_only_read_still_pulls() {
    let linked = Linked::start().await;
    linked.create("roses", "red").await;
    linked.run_synced().await;
    let peer = linked.remote.clone_beside("peer");
    let forbidden = testkit::Fault::Status(403, Vec::new());
    linked.remote.order("service=git-receive-pack", forbidden, 100);
    linked.create("lilies", "white").await;
    linked.run().await;
    linked.state("paused", Some("auth")).await;
    peer.write("tulips.md", "yellow").commit("x").run(&["push", "-q", "origin", "HEAD:main"]);
    linked.run().await;
    linked
        .until("pulls", |link| link["last_error"] != Value::Null && link["state"] == "paused")
        .await;
    for _ in 0..500 {
        if linked.text("tulips").await.is_some() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("what others wrote never came");
}

#[tokio::test]
async fn credentials_and_places_that_do_not_fit_are_refused_before_anything_is_kept() {
    let linked = Linked::start().await;
    let path = "/admin/v1/wikis/garden/remotes";
    for (body, pointer) in [
        (json!({ "url": "https://user:pass@git.example.org/x" }), "/url"),
        (json!({ "url": "file:///etc" }), "/url"),
        (json!({ "url": "https://10.0.0.1/x.git" }), "/url"),
        (json!({ "url": "http://git.example.org/x.git" }), "/url"),
        (json!({ "url": "https://git.example.org/x", "branch": "-x" }), "/branch"),
        (json!({ "url": "https://git.example.org/x", "subdirectory": "../up" }), "/subdirectory"),
        (json!({ "url": "https://git.example.org/x", "interval_seconds": 1 }), "/interval_seconds"),
        (json!({ "url": "ssh://git@git.example.org/x" }), "/credential"),
        (
            json!({ "url": "https://git.example.org/x", "credential": { "deploy_key": true } }),
            "/credential",
        ),
        (json!({ "url": "https://git.example.org/x", "credential": {} }), "/credential"),
        (
            json!({ "url": "https://git.example.org/x", "credential": { "token_file": "/etc/passwd" } }),
            "/credential",
        ),
    ] {
        let problem =
            linked.operator.control(Method::POST, path).json(body.clone()).await.any_problem();
        assert_eq!(problem["status"], 422, "{body}: {problem}");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}: {problem}");
    }
    let unknown = json!({ "url": "https://git.example.org/x", "force": true });
    linked.operator.control(Method::POST, path).json(unknown).await.problem("invalid_value");
    let list = linked.operator.control(Method::GET, path).await.good().json();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_deploy_key_shows_its_public_half_and_waits_for_a_host_that_is_known() {
    let linked = Linked::start().await;
    let body = json!({
        "url": "ssh://git@127.0.0.1:1/x.git", "credential": { "deploy_key": true }, "interval_seconds": 3600,
    });
    let path = "/admin/v1/wikis/garden/remotes";
    let made = linked.operator.control(Method::POST, path).json(body).await.good().json();
    assert!(made["public_key"].as_str().unwrap().starts_with("ssh-ed25519 "), "{made}");
    assert!(!made.to_string().contains("PRIVATE"), "{made}");
    assert_eq!(made["state"], "idle", "there is time to put the key where it belongs");
    let own = format!("{path}/{}", made["id"].as_str().unwrap());
    linked.operator.control(Method::POST, format!("{own}/runs")).await.good();
    for _ in 0..500 {
        let link = linked.operator.control(Method::GET, &own).await.good().json();
        if link["reason"] == "host_key_changed" {
            let keys = linked.operator.control(Method::GET, format!("{own}/host-key")).await;
            keys.problem("remote_unreachable");
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the link never asks for the host's key");
}

#[tokio::test]
async fn a_link_is_its_wikis_and_goes_with_all_that_belongs_to_it() {
    let linked = Linked::start().await;
    linked.synced().await;
    linked.operator.create_wiki("kitchen").await.good();
    let elsewhere = format!("/admin/v1/wikis/kitchen/remotes/{}", linked.id);
    linked.operator.control(Method::GET, &elsewhere).await.problem("unknown_remote");
    linked.operator.control(Method::DELETE, &elsewhere).await.problem("unknown_remote");
    linked.editor.control(Method::GET, linked.path("")).await.problem("forbidden");
    let all =
        linked.operator.control(Method::GET, "/admin/v1/remotes?state=idle").await.good().json();
    assert_eq!(all["items"][0]["wiki"], "garden");
    linked.operator.control(Method::GET, "/admin/v1/remotes?state=asleep").await.any_problem();
    linked.operator.control(Method::DELETE, linked.path("")).await.good();
    linked.operator.control(Method::GET, linked.path("")).await.problem("unknown_remote");
    linked.create("roses", "red").await;
    assert!(
        linked.remote.git().output(&["rev-parse", "--verify", "main"]).status.code() != Some(0)
    );
}
