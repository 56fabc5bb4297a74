//! Remotes with branches and names of their own habits.

use serde_json::{Value, json};
use testkit::{Git, TestRemote, TestServer, Tie, User};

async fn tied(operator: &User, wiki: &str, remote: &TestRemote, settings: Value) -> Tie {
    operator.create_wiki(wiki).await.good();
    Tie::new(operator, wiki, &remote.url("127.0.0.1"), settings).await
}

/// A remote with these branches, each of one page, whose HEAD names one of them or none.
async fn with_branches(names: &[&str], head: &str) -> TestRemote {
    let remote = TestRemote::start().await;
    for name in names {
        let git = remote.clone_beside(&format!("of-{}", name.replace('/', "-")));
        git.write("home.md", format!("# {name}\n")).commit(name);
        git.run(&["push", "-q", "origin", &format!("HEAD:refs/heads/{name}")]);
    }
    remote.git().run(&["symbolic-ref", "HEAD", &format!("refs/heads/{head}")]);
    remote
}

#[tokio::test]
async fn without_a_branch_it_is_the_one_that_the_remote_shows() {
    super::super::case("remote-default-branch");
    let (server, operator) = TestServer::start().await;
    let chosen: [(&[&str], &str, &str); 5] = [
        (&["master"], "master", "master"),
        (&["master"], "main", "master"),
        (&["main", "trunk"], "trunk", "trunk"),
        (&["gh-pages", "main"], "none", "main"),
        (&["docs/v2"], "docs/v2", "docs/v2"),
    ];
    for (at, (branches, head, expected)) in chosen.into_iter().enumerate() {
        let remote = with_branches(branches, head).await;
        let wiki = format!("wiki-{at}");
        let tie = tied(&operator, &wiki, &remote, json!({})).await;
        assert_eq!(tie.made["branch"], Value::Null);
        let link = tie.run_synced().await;
        assert_eq!(link["branch"], expected);
        let tip = remote.git().run(&["rev-parse", expected]);
        assert_eq!(server.git(&wiki).run(&["rev-parse", "main"]), tip);
        operator.on(&wiki).create("ours", "ours\n").await.good();
        assert_eq!(tie.run_synced().await["branch"], expected);
        assert_eq!(remote.git().run(&["rev-parse", &format!("{expected}~")]), tip);
        // It stays that branch, whichever the remote shows later.
        remote.git().run(&["symbolic-ref", "HEAD", "refs/heads/other"]);
        assert_eq!(tie.run_synced().await["branch"], expected);
    }
}

#[tokio::test]
async fn a_remote_that_shows_no_branch_is_asked_about_and_an_empty_one_gets_main() {
    let (_server, operator) = TestServer::start().await;
    let remote = with_branches(&["one", "two"], "none").await;
    let tie = tied(&operator, "many", &remote, json!({})).await;
    tie.run().await;
    let link = tie.state("paused", Some("branch_missing")).await;
    assert_eq!(link["branch"], Value::Null);
    tie.change(json!({ "branch": "two" })).await;
    assert_eq!(tie.run_synced().await["branch"], "two");

    let remote = TestRemote::start().await;
    let tie = tied(&operator, "empty", &remote, json!({})).await;
    tie.run_synced().await;
    operator.on("empty").create("home", "x\n").await.good();
    tie.run_synced().await;
    assert_eq!(remote.git().run(&["branch", "--format=%(refname:short)"]), "main");
    assert_eq!(tie.run_synced().await["branch"], "main");
    let scratch = testkit::scratch();
    let url = remote.git().dir().to_str().unwrap().to_owned();
    let clone = Git::clone(&url, scratch.path().join("clone"));
    assert_eq!(clone.run(&["rev-list", "--count", "HEAD"]), "1");
}

#[tokio::test]
async fn names_that_differ_in_case_are_carried_and_pushed_as_they_are() {
    super::super::case("first-sync-renames");
    for own in [&[][..], &["notes"]] {
        let (server, operator) = TestServer::start().await;
        operator.create_wiki("garden").await.good();
        let garden = operator.on("garden");
        for page in own {
            garden.create(page, "ours\n").await.good();
        }
        let remote = TestRemote::start().await;
        let peer = remote.clone_beside("peer");
        peer.write("README.md", "large\n").write("readme.md", "small\n").commit("two");
        peer.run(&["push", "-q", "origin", "HEAD:main"]);
        let url = remote.url("127.0.0.1");
        let tie = Tie::new(&operator, "garden", &url, json!({ "first_run": "merge" })).await;
        tie.run_synced().await;
        assert_eq!(garden.markdown("README").await.good().bytes(), b"large\n");
        assert_eq!(garden.markdown("readme").await.good().bytes(), b"small\n");
        let names = remote.git().run(&["ls-tree", "-r", "--name-only", "main"]);
        assert!(names.starts_with("README.md\n") && names.ends_with("readme.md"), "{names}");
        assert_eq!(names.lines().count(), 2 + own.len());
        let told = garden.api(http::Method::GET, "/conflicts").await.good().json();
        let kinds: Vec<_> = told["items"].as_array().unwrap().iter().map(|c| &c["kind"]).collect();
        assert_eq!(kinds, ["same_name"], "{told:#}");
        tie.run_synced().await;
        assert_eq!(
            server.git("garden").run(&["rev-parse", "main"]),
            remote.git().run(&["rev-parse", "main"])
        );
    }
}
