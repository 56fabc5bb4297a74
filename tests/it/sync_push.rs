//! What is saved in a wiki comes to its remote, and nothing else does.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use testkit::{Fault, Linked};

#[tokio::test]
async fn a_save_is_on_the_remote_within_seconds_and_leaves_the_queue_only_then() {
    let linked = Linked::start().await;
    linked.synced().await;
    linked.create("roses", "# Roses\n").await;
    assert_eq!(linked.link().await["queue_length"], 1);
    let link = linked.synced().await;
    assert_eq!(linked.tip(), linked.head());
    assert_eq!(link["verified_revision"], linked.head());
    assert_eq!(link["last_error"], Value::Null);
}

#[tokio::test]
async fn a_burst_of_saves_is_pushed_in_a_few_pushes() {
    let linked = Linked::start().await;
    linked.synced().await;
    let (ann, ben) = (
        linked.operator.token("garden", "editor").await,
        linked.operator.token("garden", "editor").await,
    );
    for number in 0..50 {
        let user = [&linked.editor, &ann, &ben][number % 3];
        user.on("garden").create(&format!("page{number}"), "text").await.good();
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    linked.synced().await;
    assert_eq!(linked.tip(), linked.head());
    assert_eq!(linked.remote.git().run(&["rev-list", "--count", "main"]), "50");
    let pushes = linked.remote.pushes();
    assert!((1..=3).contains(&pushes), "{pushes} pushes");
}

#[tokio::test]
async fn a_look_that_finds_nothing_new_pushes_nothing_and_commits_nothing() {
    let linked = Linked::start().await;
    linked.create("roses", "red").await;
    let before = linked.run_synced().await;
    let (head, _) = (linked.head(), linked.remote.seen());
    let after = linked.run_synced().await;
    assert_eq!(linked.remote.pushes(), 0);
    assert_eq!(linked.head(), head);
    assert_ne!(before["next_run"], Value::Null);
    assert_eq!(after["verified_revision"], head);
}

#[tokio::test]
async fn a_push_that_landed_unheard_is_not_made_again() {
    let linked = Linked::start().await;
    linked.synced().await;
    linked.remote.order("/git-receive-pack", Fault::CutAfter, 1);
    linked.create("roses", "red").await;
    linked.synced().await;
    assert_eq!(linked.remote.git().run(&["rev-list", "--count", "main"]), "1");
    assert_eq!(linked.remote.pushes(), 1);
    assert_eq!(linked.tip(), linked.head());
}

#[tokio::test]
async fn a_push_that_was_lost_is_made_again_and_the_queue_waits() {
    let linked = Linked::start().await;
    linked.synced().await;
    linked.remote.order("/git-receive-pack", Fault::CutBefore, 2);
    linked.create("roses", "red").await;
    linked.until("waits", |link| link["state"] == "backoff" && link["queue_length"] == 1).await;
    linked.synced().await;
    assert_eq!(linked.tip(), linked.head());
}

#[tokio::test]
async fn somebody_who_pushes_between_fetch_and_push_is_merged_with() {
    let linked = Linked::start().await;
    linked.create("roses", "red").await;
    linked.run_synced().await;
    let peer = linked.remote.clone_beside("peer");
    peer.write("tulips.md", "yellow").commit("from elsewhere");
    linked.remote.order("service=git-receive-pack", Fault::Delay(Duration::from_secs(2)), 1);
    linked.create("lilies", "white").await;
    linked.until("pushes", |link| link["state"] == "pushing").await;
    peer.run(&["push", "-q", "origin", "HEAD:main"]);
    linked.synced().await;
    assert_eq!(linked.tip(), linked.head());
    assert_eq!(linked.pages().await, ["lilies", "roses", "tulips"]);
    let theirs = peer.run(&["rev-parse", "HEAD"]);
    linked.server.git("garden").run(&["merge-base", "--is-ancestor", &theirs, "main"]);
}

#[tokio::test]
async fn a_remote_that_refuses_is_left_alone_after_three_tries_and_says_why() {
    let linked = Linked::start().await;
    linked.create("roses", "red").await;
    linked.run_synced().await;
    linked.remote.seen();
    linked.remote.hook("pre-receive", "echo 'the branch is protected' >&2; exit 1");
    linked.create("lilies", "white").await;
    let link = linked.state("paused", Some("rejected")).await;
    assert!(link["last_error"].as_str().unwrap().contains("the branch is protected"), "{link}");
    assert_eq!(linked.remote.pushes(), 3);
    // Saving goes on, and waits; pulling goes on, too.
    linked.create("tulips", "yellow").await;
    let peer = linked.remote.clone_beside("peer");
    let peer_dir = peer.dir().to_owned();
    peer.write("asters.md", "blue").commit("from elsewhere");
    std::fs::remove_file(linked.remote.git().dir().join("hooks/pre-receive")).unwrap();
    testkit::Git::at(peer_dir).run(&["push", "-q", "origin", "HEAD:main"]);
    linked.run().await;
    linked.until("pulls", |link| link["state"] == "paused" && link["queue_length"] != 0).await;
    linked.operator.control(Method::POST, linked.path("/resume")).await.good();
    linked.synced().await;
    assert_eq!(linked.tip(), linked.head());
    assert_eq!(linked.pages().await, ["asters", "lilies", "roses", "tulips"]);
}

#[tokio::test]
async fn a_locked_branch_is_waited_for() {
    let linked = Linked::start().await;
    linked.create("roses", "red").await;
    linked.run_synced().await;
    let lock = linked.remote.git().dir().join("refs/heads/main.lock");
    std::fs::write(&lock, "").unwrap();
    linked.create("lilies", "white").await;
    linked.state("backoff", None).await;
    std::fs::remove_file(lock).unwrap();
    linked.synced().await;
    assert_eq!(linked.tip(), linked.head());
}

#[tokio::test]
async fn three_hundred_saves_made_offline_are_one_push_with_all_their_history() {
    let linked = Linked::with(json!({ "offline": true })).await;
    assert_eq!(linked.link().await["state"], "offline");
    for number in 0..300 {
        linked.editor.on("garden").create(&format!("page{number}"), "text").await.good();
    }
    assert_eq!(linked.link().await["queue_length"], 300);
    assert!(linked.remote.seen().is_empty(), "nothing leaves the machine");
    linked.change(json!({ "offline": false })).await;
    linked.synced().await;
    assert_eq!(linked.remote.pushes(), 1);
    let log = ["log", "--format=%H %an %ad %s", "main"];
    assert_eq!(linked.remote.git().run(&log), linked.server.git("garden").run(&log));
    assert_eq!(linked.remote.git().run(&["rev-list", "--count", "main"]), "300");
}

#[tokio::test]
async fn a_mirror_that_somebody_wrote_into_is_asked_about_and_never_overwritten() {
    let linked = Linked::with(json!({ "mode": "push" })).await;
    linked.create("roses", "red").await;
    linked.run_synced().await;
    let peer = linked.remote.clone_beside("peer");
    peer.write("tulips.md", "yellow").commit("foreign").run(&["push", "-q", "origin", "HEAD:main"]);
    let tip = linked.tip();
    linked.create("lilies", "white").await;
    linked.state("needs_decision", Some("foreign_commits")).await;
    assert_eq!(linked.tip(), tip);
    let question =
        linked.operator.control(Method::GET, linked.path("/decision")).await.good().json();
    assert_eq!(question["revision"], tip);
    let choices: Vec<_> = question["choices"].as_array().unwrap().iter().collect();
    assert_eq!(choices.len(), 3, "{question}");
    assert_eq!(choices[0]["preview"]["conflicts"], 0, "{question}");
    linked.decide_as_shown("both").await;
    assert_eq!(linked.pages().await, ["lilies", "roses", "tulips"]);
    linked.remote.git().run(&["merge-base", "--is-ancestor", &tip, "main"]);
}
