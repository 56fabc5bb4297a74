//! A link that covers a part: a directory of the repository there, or some pages of the wiki.

use http::Method;
use serde_json::{Value, json};
use testkit::{Git, Linked, ServerSetup, TestRemote};

/// A project with code and, if wanted, documentation; and a wiki that is linked with its `docs`.
async fn documented(docs: &[(&str, &str)]) -> (Linked, Git) {
    let remote = TestRemote::start().await;
    let project = remote.clone_beside("project");
    project.write("code/main.rs", "fn main() {}\n");
    for (file, text) in docs {
        project.write(&format!("docs/{file}"), text);
    }
    push(&project, "The project");
    let settings = json!({ "subdirectory": "docs" });
    let linked = Linked::on(ServerSetup::default(), remote, settings).await;
    (linked, project)
}

fn push(project: &Git, message: &str) {
    project.commit(message).run(&["push", "-q", "origin", "HEAD:main"]);
}

fn tree(git: &Git, path: &str) -> String {
    git.run(&["rev-parse", &format!("main:{path}")])
}

#[tokio::test]
async fn a_directory_of_a_project_is_the_wiki_and_nothing_else_of_it_is_touched() {
    let (linked, project) =
        documented(&[("home.md", "# Home\n"), ("deep/page.md", "deep\n")]).await;
    linked.synced().await;
    assert_eq!(linked.pages().await, ["deep/page", "home"]);
    let files = linked.server.git("garden").run(&["ls-tree", "-r", "--name-only", "main"]);
    assert_eq!(files, "deep/page.md\nhome.md");

    let (before, code) = (linked.tip(), tree(&linked.remote.git(), "code"));
    linked.create("roses", "red\n").await;
    linked.synced().await;
    let remote = linked.remote.git();
    assert_eq!(remote.run(&["rev-parse", "main^"]), before, "on top of what was there");
    assert_eq!(remote.run(&["diff", "--name-only", "main^", "main"]), "docs/roses.md");
    assert_eq!(tree(&remote, "code"), code);
    assert_eq!(tree(&remote, "docs"), tree(&linked.server.git("garden"), ""));
    let message = remote.run(&["log", "-1", "--format=%B", "main"]);
    assert!(message.contains(&linked.head()), "it names the commit it stands for: {message}");
    remote.fsck();

    // Our own push comes back: nothing is made of it.
    let (head, tip) = (linked.head(), linked.tip());
    linked.run_synced().await;
    assert_eq!((linked.head(), linked.tip()), (head.clone(), tip));

    // What changes beside the directory is nobody's news here.
    let mut events = linked.editor.on("garden").events(None).listen().await;
    project.run(&["pull", "-q", "origin", "main"]);
    project.write("code/main.rs", "fn main() { println!() }\n");
    push(&project, "Only code");
    linked.run_synced().await;
    assert_eq!(linked.head(), head);
    project.write("docs/home.md", "# Home, again\n");
    push(&project, "And documentation");
    linked.run_synced().await;
    assert_eq!(linked.text("home").await.unwrap(), "# Home, again\n");
    let first = loop {
        let event = events.next().await.unwrap();
        if event.kind == "change" {
            break event.id;
        }
    };
    assert_eq!(first, linked.head(), "what changed beside it is no event");
    assert_eq!(linked.tip(), project.run(&["rev-parse", "HEAD"]), "nothing had to be pushed");
}

#[tokio::test]
async fn both_ends_of_a_part_change_and_the_same_line_is_kept_twice() {
    let (linked, project) = documented(&[("home.md", "one\n"), ("other.md", "other\n")]).await;
    linked.synced().await;
    project.write("docs/home.md", "theirs\n").write("docs/new.md", "new\n");
    project.write("code/main.rs", "fn other() {}\n");
    push(&project, "Both");
    linked.save("home", "ours\n").await;
    linked.save("other", "changed\n").await;
    linked.run_synced().await;
    assert_eq!(linked.text("home").await.unwrap(), "ours\n");
    let conflicts = linked.conflicts().await;
    let [conflict] = &conflicts[..] else { panic!("one conflict: {conflicts:?}") };
    assert_eq!(conflict["kind"], "both_changed");
    let beside = conflict["conflict_path"].as_str().unwrap();
    assert_eq!(linked.text(beside).await.unwrap(), "theirs\n");
    let remote = linked.remote.git();
    assert_eq!(tree(&remote, "docs"), tree(&linked.server.git("garden"), ""));
    assert_eq!(remote.run(&["show", "main:code/main.rs"]), "fn other() {}");
    remote.run(&["merge-base", "--is-ancestor", &project.run(&["rev-parse", "HEAD"]), "main"]);
}

#[tokio::test]
async fn a_directory_that_is_not_there_yet_is_made_and_one_that_was_deleted_is_asked_about() {
    let (linked, project) = documented(&[]).await;
    linked.synced().await;
    for number in 0..30 {
        linked.create(&format!("page{number:02}"), "text\n").await;
    }
    linked.run().await;
    linked.synced().await;
    let remote = linked.remote.git();
    assert_eq!(tree(&remote, "docs"), tree(&linked.server.git("garden"), ""));

    project.run(&["pull", "-q", "origin", "main"]);
    project.run(&["rm", "-q", "-r", "docs"]);
    push(&project, "Without documentation");
    linked.run().await;
    linked.state("needs_decision", Some("mass_delete")).await;
    assert_eq!(linked.pages().await.len(), 30);
    linked.decide("wiki").await;
    linked.synced().await;
    assert_eq!(linked.pages().await.len(), 30);
    assert_eq!(tree(&remote, "docs"), tree(&linked.server.git("garden"), ""));
}

#[tokio::test]
async fn what_is_no_directory_there_is_asked_about_and_left_alone() {
    for link in [false, true] {
        let (linked, project) = documented(&[]).await;
        linked.synced().await;
        if link {
            std::os::unix::fs::symlink("code", project.dir().join("docs")).unwrap();
        } else {
            project.write("docs", "a file\n");
        }
        push(&project, "In the way");
        let tip = linked.tip();
        linked.create("roses", "red\n").await;
        linked.run().await;
        linked.state("needs_decision", Some("mapping")).await;
        assert_eq!(linked.tip(), tip);
        let path = linked.path("/decision");
        let question = linked.operator.control(Method::GET, path).await.good().json();
        let offered: Vec<&Value> =
            question["choices"].as_array().unwrap().iter().map(|offer| &offer["choice"]).collect();
        assert_eq!(offered, [&json!("retry")], "{question}");
        project.run(&["rm", "-q", "docs"]);
        push(&project, "Out of the way");
        linked.decide("retry").await;
        linked.synced().await;
        assert_eq!(linked.remote.git().run(&["show", "main:docs/roses.md"]), "red");
        assert_eq!(linked.pages().await, ["roses"]);
    }
}

#[tokio::test]
async fn of_a_wiki_only_the_pages_of_a_group_leave_it() {
    let linked = Linked::with(json!({ "filter": "public" })).await;
    linked.create("secret", "never to be pushed\n").await;
    linked.create("publicity", "nor this\n").await;
    linked.create("public", "# The group\n").await;
    linked.create("public/roses", "red\n").await;
    linked.run().await;
    linked.synced().await;
    let remote = linked.remote.git();
    let files = || remote.run(&["ls-tree", "-r", "--name-only", "main"]);
    assert_eq!(files(), "public.md\npublic/roses.md");
    // Not in the history, nor anywhere else in what was sent.
    let objects = ["cat-file", "--batch-all-objects", "--batch"];
    let sent = String::from_utf8_lossy(&remote.bytes(&objects)).into_owned();
    assert!(
        sent.contains("The group") && !sent.contains("never to be") && !sent.contains("nor this")
    );

    // A save outside the group is no push, and waits for nobody.
    let tip = linked.tip();
    linked.save("secret", "still not\n").await;
    linked.synced().await;
    assert_eq!(linked.tip(), tip);

    // What others put beside the group doesn't come in.
    let peer = linked.remote.clone_beside("peer");
    peer.write("intruder.md", "not wanted\n").write("public/tulips.md", "yellow\n");
    push(&peer, "Both");
    linked.run_synced().await;
    assert_eq!(
        linked.pages().await,
        ["public", "public/roses", "public/tulips", "publicity", "secret"]
    );
}
