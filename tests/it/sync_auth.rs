//! Remotes that want to know who is there, and hosts that have to show who they are.

use std::time::Duration;

use http::{Method, header};
use serde_json::{Value, json};
use testkit::{Fault, Linked, Notices, ServerSetup, TestRemote, TestSshd, Tie};

const TOKEN: &str = "canary-token-that-is-right";
const WRONG: &str = "canary-token-that-is-wrong";

/// A remote that only those get into who show `token`.
async fn guarded(token: &str) -> TestRemote {
    let remote = TestRemote::start().await;
    remote.require("git", token);
    remote
}

fn credential(token: &str) -> Value {
    json!({ "credential": { "token": token, "user": "git" } })
}

/// A wiki that is linked by ssh with a key of its own.
async fn by_ssh(setup: ServerSetup) -> Option<(Linked, TestSshd)> {
    // The key is made with the link, and the server needs to know some key before.
    let sshd = TestSshd::start("")?;
    let linked = Linked::on(setup, TestRemote::start().await, json!({ "mode": "off" })).await;
    let settings = json!({ "credential": { "deploy_key": true } });
    let tie = Tie::new(&linked.operator, "garden", &sshd.url("127.0.0.1"), settings).await;
    sshd.force("", tie.made["public_key"].as_str().unwrap());
    Some((linked.tied(tie), sshd))
}

#[tokio::test]
async fn a_wrong_token_is_shown_once_and_another_one_goes_on_at_once() {
    let notices = Notices::start().await;
    let setup = ServerSetup::default().telling(notices.channel());
    let settings = json!({ "offline": true, "credential": { "token": WRONG, "user": "git" } });
    let linked = Linked::on(setup, guarded(TOKEN).await, settings).await;
    linked.create("roses", "red").await;
    linked.change(json!({ "offline": false })).await;
    let link = linked.state("paused", Some("auth")).await;
    assert_eq!(link["credential"], "token");
    assert!(!link.to_string().contains("canary"), "{link}");
    let told = notices.of("sync.paused").await;
    assert_eq!(told["data"]["detail"]["reason"], "auth");
    assert!(!told.to_string().contains("canary"), "{told}");

    // Nobody is locked out by wikis that try again and again.
    linked.create("lilies", "white").await;
    linked.text("lilies").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(linked.remote.seen().len(), 1);
    assert_eq!(linked.link().await["queue_length"], 2);
    // Who orders a run gets one, and nobody is told once more that it failed.
    linked.run().await;
    linked.state("paused", Some("auth")).await;
    assert_eq!(linked.remote.seen().len(), 1);

    linked.change(credential(TOKEN)).await;
    linked.synced().await;
    assert_eq!(linked.tip(), linked.head());
    assert_eq!(notices.kinds(), ["sync.paused"]);
}

#[tokio::test]
async fn a_token_is_not_taken_along_to_another_host() {
    let linked = Linked::on(ServerSetup::default(), guarded(TOKEN).await, credential(TOKEN)).await;
    linked.synced().await;
    let other = TestRemote::start().await;
    let moved = json!({ "url": other.url("127.0.0.1") });
    let patch = || linked.operator.control(Method::PATCH, linked.path(""));
    patch().json(moved.clone()).await.problem("invalid_value");
    assert_eq!(linked.link().await["url"], linked.remote.url("127.0.0.1"));
    assert!(other.seen().is_empty());
    // Whoever gives one for it, or none, is understood.
    let mut told = moved.clone();
    told["credential"] = Value::Null;
    linked.change(told).await;
    linked.synced().await;
    assert!(other.seen().iter().all(|seen| !seen.headers.contains_key(header::AUTHORIZATION)));
}

#[tokio::test]
async fn a_push_that_is_asked_twice_answers_twice() {
    let settings = json!({ "credential": { "token": TOKEN, "user": "git" } });
    let linked = Linked::on(ServerSetup::default(), guarded(TOKEN).await, settings).await;
    linked.synced().await;
    linked.remote.seen();
    linked.create("roses", "red").await;
    linked.synced().await;
    assert_eq!(linked.tip(), linked.head());
    let seen = linked.remote.seen();
    let pushed = seen.iter().filter(|seen| seen.target.contains("git-receive-pack"));
    let shown = pushed.map(|seen| seen.headers.contains_key(header::AUTHORIZATION));
    assert_eq!(shown.collect::<Vec<_>>(), [true, true], "what is there, and the push");
}

#[tokio::test]
async fn a_credential_that_may_only_read_goes_on_reading() {
    let linked = Linked::start().await;
    linked.create("roses", "red").await;
    linked.run_synced().await;
    linked.remote.order("git-receive-pack", Fault::Status(403, Vec::new()), 100);
    linked.create("lilies", "white").await;
    linked.until("stops pushing", |link| link["last_error"] != Value::Null).await;
    let link = linked.state("paused", Some("auth")).await;
    assert_eq!(link["queue_length"], 1);
    let peer = linked.remote.clone_beside("peer");
    peer.write("tulips.md", "yellow").commit("Tulips").run(&["push", "-q", "origin", "HEAD:main"]);
    linked.run().await;
    linked.until("pulls", |link| link["state"] == "paused" && link["queue_length"] == 2).await;
    assert_eq!(linked.pages().await, ["lilies", "roses", "tulips"]);
}

#[tokio::test]
async fn a_hosts_key_is_confirmed_by_somebody_and_no_other_is_taken() {
    let Some((linked, mut sshd)) = by_ssh(ServerSetup::default()).await else { return };
    linked.create("roses", "red").await;
    linked.change(json!({ "interval_seconds": 7200 })).await;
    linked.state("paused", Some("host_key_changed")).await;
    assert!(!sshd.log().contains("Accepted"), "nothing was tried: {}", sshd.log());

    // Somebody looks, compares and confirms. To look is not to trust.
    let path = linked.path("/host-key");
    let look = async || linked.operator.control(Method::GET, &path).await.good().json();
    let keys = look().await;
    assert_eq!(keys["confirmed"], json!([]));
    let shown = keys["shown"][0]["fingerprint"].as_str().unwrap().to_owned();
    let last = if shown.ends_with('A') { 'E' } else { 'A' };
    let wrong = json!({ "fingerprint": format!("{}{last}", &shown[..shown.len() - 1]) });
    let confirm = |body: Value| linked.operator.control(Method::POST, &path).json(body);
    confirm(wrong).await.problem("host_key_differs");
    linked.run().await;
    linked.state("paused", Some("host_key_changed")).await;
    confirm(json!({ "fingerprint": shown })).await.good();
    linked.synced().await;
    let pushed = || sshd.git().run(&["rev-parse", "main"]);
    assert_eq!(pushed(), linked.head());
    assert_eq!(look().await["confirmed"][0]["fingerprint"], shown);

    // The host is another one now, or somebody is in between.
    sshd.renew_host_key();
    linked.create("lilies", "white").await;
    let link = linked.state("paused", Some("host_key_changed")).await;
    let other = look().await["shown"][0]["fingerprint"].as_str().unwrap().to_owned();
    assert_ne!(other, shown);
    assert!(link["last_error"].as_str().unwrap().contains(&other), "{link}");
    assert!(!sshd.log().contains("Accepted"), "nothing was sent: {}", sshd.log());
    assert_eq!(link["queue_length"], 1);
    let confirm = |body: Value| linked.operator.control(Method::POST, &path).json(body);
    confirm(json!({ "fingerprint": other })).await.good();
    linked.synced().await;
    assert_eq!(sshd.git().run(&["rev-parse", "main"]), linked.head());
}

#[tokio::test]
async fn a_deploy_key_that_may_only_read_pulls_on() {
    let Some((linked, sshd)) = by_ssh(ServerSetup::default()).await else { return };
    let path = linked.path("/host-key");
    let keys = linked.operator.control(Method::GET, &path).await.good().json();
    let body = json!({ "fingerprint": keys["shown"][0]["fingerprint"] });
    linked.operator.control(Method::POST, &path).json(body).await.good();
    linked.create("roses", "red").await;
    linked.run_synced().await;
    let only_read = "command=\"case \\\"$SSH_ORIGINAL_COMMAND\\\" in git-upload-pack*) eval \\\"$SSH_ORIGINAL_COMMAND\\\";; \
        *) echo 'ERROR: The key you are authenticating with has been marked as read only.' >&2; exit 1;; esac\"";
    sshd.force(only_read, linked.made["public_key"].as_str().unwrap());
    linked.create("lilies", "white").await;
    let link = linked.state("paused", Some("auth")).await;
    assert!(link["last_error"].as_str().unwrap().contains("read only"), "{link}");
    let dir = sshd.git().dir().to_owned();
    let peer = testkit::Git::clone(dir.to_str().unwrap(), dir.with_file_name("peer"));
    peer.write("tulips.md", "yellow").commit("Tulips").run(&["push", "-q", "origin", "HEAD:main"]);
    linked.run().await;
    linked.until("pulls", |link| link["state"] == "paused" && link["queue_length"] == 2).await;
    assert_eq!(linked.pages().await, ["lilies", "roses", "tulips"]);
}

#[tokio::test]
async fn two_wikis_at_work_at_once_show_each_its_own_token() {
    let tokens = ["canary-token-of-the-garden", "canary-token-of-the-kitchen"];
    let settings = json!({ "credential": { "token": tokens[0], "user": "git" } });
    let linked = Linked::on(ServerSetup::default(), guarded(tokens[0]).await, settings).await;
    linked.operator.create_wiki("kitchen").await.good();
    let remote = guarded(tokens[1]).await;
    let settings = json!({ "credential": { "token": tokens[1], "user": "git" } });
    let kitchen = Tie::new(&linked.operator, "kitchen", &remote.url("127.0.0.1"), settings).await;
    let cook = linked.operator.token("kitchen", "editor").await;
    for remote in [&linked.remote, &remote] {
        remote.order("git-upload-pack", Fault::Delay(Duration::from_millis(700)), 1);
    }
    linked.create("roses", "red").await;
    cook.on("kitchen").create("soup", "hot").await.good();
    linked.run().await;
    kitchen.run().await;
    linked.synced().await;
    kitchen.synced().await;
    for (remote, token) in [(&linked.remote, tokens[0]), (&remote, tokens[1])] {
        let basic = data_encoding::BASE64.encode(format!("git:{token}").as_bytes());
        let seen = remote.seen();
        assert!(seen.len() >= 4, "{seen:?}");
        for request in seen {
            assert_eq!(request.headers[header::AUTHORIZATION], format!("Basic {basic}").as_str());
        }
    }
    assert_eq!(linked.tip(), linked.head());
}

#[tokio::test]
async fn a_token_is_found_in_no_answer_file_or_log_of_the_remotes() {
    let settings = credential(TOKEN);
    let linked = Linked::on(ServerSetup::default(), guarded(TOKEN).await, settings).await;
    linked.create("roses", "red").await;
    linked.run_synced().await;
    assert!(!linked.made.to_string().contains(TOKEN));
    assert!(!linked.link().await.to_string().contains(TOKEN));
    let audit =
        linked.operator.control(Method::GET, "/admin/v1/audit?limit=500").await.good().json();
    assert!(!audit.to_string().contains(TOKEN));
    let mut dirs = vec![linked.server.dir().to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                let found = bytes.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes());
                assert!(!found, "{}", path.display());
            }
        }
    }
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
    let stands = (made["state"].as_str(), made["reason"].as_str());
    assert_eq!(stands, (Some("paused"), Some("auth")), "time to put the key where it belongs");
    assert!(made["last_error"].as_str().unwrap().contains("add its public half"), "{made}");
    // Whatever happens meanwhile.
    linked.create("roses", "red").await;
    linked.text("roses").await;
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
