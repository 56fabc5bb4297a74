//! The remote's history is replaced, missing, or has nothing in common with the wiki's.

use http::Method;
use serde_json::json;
use testkit::{Git, Linked, ServerSetup, TestRemote};

/// A wiki and its remote with three commits, and somebody else's clone.
async fn three_commits(settings: serde_json::Value) -> (Linked, Git) {
    let linked = Linked::with(settings).await;
    for page in ["one", "two", "three"] {
        linked.create(page, page).await;
    }
    linked.run_synced().await;
    let peer = linked.remote.clone_beside("peer");
    (linked, peer)
}

fn rewind(peer: &Git) {
    peer.run(&["reset", "-q", "--hard", "HEAD~2"]);
    peer.write("other.md", "another history").commit("Another history");
    peer.run(&["push", "-q", "--force", "origin", "HEAD:main"]);
}

fn backups(linked: &Linked) -> String {
    linked.server.git("garden").run(&["for-each-ref", "--format=%(objectname)", "refs/wiki/backup"])
}

#[tokio::test]
async fn a_replaced_history_is_asked_about_and_the_old_one_kept() {
    let (linked, peer) = three_commits(json!({})).await;
    let old = linked.head();
    rewind(&peer);
    linked.run().await;
    linked.state("needs_decision", Some("force_pushed")).await;
    assert_eq!(linked.pages().await, ["one", "three", "two"]);
    assert_eq!(backups(&linked), old);
    let question =
        linked.operator.control(Method::GET, linked.path("/decision")).await.good().json();
    assert_eq!(question["reason"], "force_pushed");
    let remote = question["choices"].as_array().unwrap().iter().find(|c| c["choice"] == "remote");
    assert_eq!(remote.unwrap()["preview"]["deleted"], 2, "{question}");
    let stale = json!({ "choice": "remote", "revision": "1".repeat(40) });
    let path = linked.path("/decision");
    linked.operator.control(Method::POST, &path).json(stale).await.problem("another_decision");
    let unknown = json!({ "choice": "force" });
    linked.operator.control(Method::POST, &path).json(unknown).await.any_problem();
    linked.decide_as_shown("remote").await;
    assert_eq!(linked.pages().await, ["one", "other"]);
    linked.server.git("garden").run(&["merge-base", "--is-ancestor", &old, "main"]);
    linked.operator.control(Method::GET, &path).await.problem("nothing_to_decide");
}

#[tokio::test]
async fn a_replaced_history_is_followed_where_that_is_wanted() {
    let (linked, peer) = three_commits(json!({ "on_rewrite": "follow" })).await;
    let old = linked.head();
    rewind(&peer);
    linked.run_synced().await;
    assert_eq!(linked.pages().await, ["one", "other"]);
    assert_eq!(backups(&linked), old);
}

#[tokio::test]
async fn commits_of_the_wiki_survive_whatever_is_decided() {
    for (choice, pages) in [
        ("remote", ["mine", "one", "other"].as_slice()),
        ("wiki", &["mine", "one", "three", "two"]),
        ("both", &["mine", "one", "other", "three", "two"]),
    ] {
        let (linked, peer) = three_commits(json!({ "on_rewrite": "follow" })).await;
        linked.change(json!({ "offline": true })).await;
        linked.create("mine", "mine").await;
        let mine = linked.head();
        rewind(&peer);
        let theirs = linked.tip();
        linked.change(json!({ "offline": false })).await;
        linked.state("needs_decision", Some("force_pushed")).await;
        linked.decide_as_shown(choice).await;
        assert_eq!(linked.pages().await, pages, "{choice}");
        for kept in [&mine, &theirs] {
            linked.server.git("garden").run(&["merge-base", "--is-ancestor", kept, "main"]);
            linked.remote.git().run(&["merge-base", "--is-ancestor", kept, "main"]);
        }
    }
}

#[tokio::test]
async fn histories_with_nothing_in_common_are_asked_about_or_joined_as_was_said() {
    for (first_run, choice, pages) in [
        ("ask", Some("both"), ["roses", "theirs"].as_slice()),
        ("ask", Some("wiki"), &["roses"]),
        ("ask", Some("remote"), &["theirs"]),
        ("merge", None, &["roses", "theirs"]),
        ("import", None, &["theirs"]),
    ] {
        let remote = TestRemote::start().await;
        let other = remote.clone_beside("other");
        other.write("theirs.md", "text").commit("Theirs").run(&[
            "push",
            "-q",
            "origin",
            "HEAD:main",
        ]);
        let settings = json!({ "offline": true, "first_run": first_run });
        let linked = Linked::on(ServerSetup::default(), remote, settings).await;
        linked.create("roses", "red").await;
        let (mine, theirs) = (linked.head(), linked.tip());
        linked.change(json!({ "offline": false })).await;
        if let Some(choice) = choice {
            linked.state("needs_decision", Some("unrelated")).await;
            linked.decide_as_shown(choice).await;
        }
        linked.synced().await;
        assert_eq!(linked.pages().await, pages, "{first_run} {choice:?}");
        for kept in [mine, theirs] {
            linked.remote.git().run(&["merge-base", "--is-ancestor", &kept, "main"]);
        }
    }
}

#[tokio::test]
async fn a_branch_that_is_gone_is_not_made_again() {
    let (linked, _) = three_commits(json!({})).await;
    linked.remote.git().run(&["branch", "-m", "main", "trunk"]);
    linked.run().await;
    linked.state("paused", Some("branch_missing")).await;
    linked.create("four", "four").await;
    assert_eq!(linked.remote.git().run(&["branch", "--format=%(refname:short)"]), "trunk");
    let test = linked.operator.control(Method::POST, linked.path("/test")).await.good().json();
    assert_eq!((&test["ok"], &test["has_branch"]), (&json!(false), &json!(false)), "{test}");
    linked.change(json!({ "branch": "trunk" })).await;
    linked.synced().await;
    assert_eq!(linked.remote.git().run(&["rev-parse", "trunk"]), linked.head());
}

#[tokio::test]
async fn a_repository_that_is_gone_is_waited_for_and_its_queue_kept() {
    let (linked, _) = three_commits(json!({})).await;
    let dir = linked.remote.git().dir().to_owned();
    let aside = dir.with_extension("aside");
    std::fs::rename(&dir, &aside).unwrap();
    linked.create("four", "four").await;
    linked.run().await;
    linked.state("backoff", None).await;
    assert_eq!(linked.link().await["queue_length"], 1);
    std::fs::rename(aside, dir).unwrap();
    linked.run().await;
    linked.synced().await;
    assert_eq!(linked.tip(), linked.head());
}

#[tokio::test]
async fn a_remote_of_another_format_is_refused_in_words() {
    let linked = Linked::with(json!({ "offline": true })).await;
    let dir = linked.remote.git().dir().to_owned();
    std::fs::remove_dir_all(&dir).unwrap();
    let parent = Git::at(dir.parent().unwrap());
    parent.run(&["init", "-q", "--bare", "-b", "main", "--object-format=sha256", "x.git"]);
    parent.run(&["clone", "-q", "x.git", "sha256"]);
    let other = Git::at(dir.parent().unwrap().join("sha256"));
    other.write("a.md", "a").commit("a").run(&["push", "-q", "origin", "HEAD:main"]);
    linked.change(json!({ "offline": false })).await;
    let link = linked.state("paused", Some("unsupported")).await;
    assert!(link["last_error"].as_str().unwrap().contains("SHA-256"), "{link}");
}

#[tokio::test]
async fn a_history_that_is_cut_off_is_refused_in_words() {
    let linked = Linked::with(json!({ "offline": true })).await;
    let dir = linked.remote.git().dir().to_owned();
    let peer = linked.remote.clone_beside("peer");
    for text in ["one", "two", "three"] {
        peer.write("a.md", text).commit(text);
    }
    peer.run(&["push", "-q", "origin", "HEAD:main"]);
    let whole = dir.with_file_name("whole.git");
    std::fs::rename(&dir, &whole).unwrap();
    let url = format!("file://{}", whole.display());
    Git::clone_with(&url, &dir, &["--bare", "--depth=1"]);
    linked.change(json!({ "offline": false })).await;
    let link = linked.state("paused", Some("unsupported")).await;
    assert!(link["last_error"].as_str().unwrap().contains("shallow"), "{link}");
    assert!(linked.pages().await.is_empty());
}
