//! A link that covers a part: a directory of the repository there, or some pages of the wiki.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use testkit::{Git, Linked, ServerSetup, TestRemote};

/// A project with code and, if wanted, documentation; and a wiki that is linked with its `docs`.
async fn documented(docs: &[(&str, &str)]) -> (Linked, Git) {
    documented_with(json!({}), docs).await
}

async fn documented_with(mut settings: Value, docs: &[(&str, &str)]) -> (Linked, Git) {
    let remote = TestRemote::start().await;
    let project = remote.clone_beside("project");
    project.write("code/main.rs", "fn main() {}\n");
    for (file, text) in docs {
        project.write(&format!("docs/{file}"), text);
    }
    push(&project, "The project");
    settings["subdirectory"] = json!("docs");
    let linked = Linked::on(ServerSetup::default(), remote, settings).await;
    (linked, project)
}

fn push(project: &Git, message: &str) {
    project.commit(message).run(&["push", "-q", "origin", "HEAD:main"]);
}

/// Sees that the link does what it should, and that nothing but the directory is touched.
async fn goes_on(linked: &Linked) {
    let (before, remote) = (linked.tip(), linked.remote.git());
    let code = tree(&remote, "code");
    linked.create("later", "later\n").await;
    linked.synced().await;
    assert_eq!(remote.run(&["diff", "--name-only", &before, "main"]), "docs/later.md");
    assert_eq!(remote.run(&["rev-parse", "main^"]), before);
    assert_eq!(tree(&remote, "code"), code);
    assert_eq!(tree(&remote, "docs"), tree(&linked.server.git("garden"), ""));
    assert_eq!(linked.link().await["verified_revision"], linked.tip());
    remote.fsck();
}

fn is_part(git: &Git, commit: &str) -> bool {
    git.run(&["merge-base", commit, "main"]) == commit
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
    linked.decide_as_shown("wiki").await;
    assert_eq!(linked.pages().await.len(), 30);
    assert_eq!(tree(&remote, "docs"), tree(&linked.server.git("garden"), ""));
    goes_on(&linked).await;
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

/// A wiki with two pages more than its project began with. Somebody replaces the project's history by
/// one without them while the wiki saves a third.
async fn replaced(settings: Value) -> (Linked, Git) {
    let (linked, project) = documented_with(settings, &[("home.md", "# Home\n")]).await;
    linked.synced().await;
    for page in ["one", "two"] {
        linked.create(page, page).await;
    }
    linked.synced().await;
    linked.change(json!({ "offline": true })).await;
    project.write("docs/other.md", "another history\n").write("code/main.rs", "fn other() {}\n");
    project.commit("Another history").run(&["push", "-q", "--force", "origin", "HEAD:main"]);
    (linked, project)
}

#[tokio::test]
async fn a_replaced_history_of_a_project_is_asked_about_and_every_choice_keeps_all_that_was_written()
 {
    for (choice, pages) in [
        ("remote", ["home", "mine", "other"].as_slice()),
        ("wiki", &["home", "mine", "one", "two"]),
        ("both", &["home", "mine", "one", "other", "two"]),
    ] {
        let (linked, project) = replaced(json!({ "on_rewrite": "follow" })).await;
        let old = linked.head();
        linked.create("mine", "mine\n").await;
        let (mine, theirs) = (linked.head(), linked.tip());
        linked.change(json!({ "offline": false })).await;
        linked.state("needs_decision", Some("force_pushed")).await;
        assert_eq!(linked.pages().await, ["home", "mine", "one", "two"], "{choice}");
        linked.decide_as_shown(choice).await;
        assert_eq!(linked.pages().await, pages, "{choice}");
        let (wiki, remote) = (linked.server.git("garden"), linked.remote.git());
        assert_eq!(tree(&remote, "docs"), tree(&wiki, ""), "{choice}");
        assert_eq!(tree(&remote, "code"), tree(&project, "code"), "{choice}");
        assert!(is_part(&wiki, &old) && is_part(&wiki, &mine), "{choice}");
        assert!(is_part(&remote, &theirs), "nothing is forced: {choice}");
        let refs = ["for-each-ref", "--format=%(objectname)", "refs/wiki/backup"];
        assert_eq!(wiki.run(&refs), old, "{choice}");
        let told = remote.run(&["log", "--format=%s", "main"]);
        assert!(told.contains("Create mine"), "{choice}: {told}");
        assert_eq!(told.contains("Create one"), choice != "remote", "{choice}: {told}");
        goes_on(&linked).await;
    }
}

#[tokio::test]
async fn a_replaced_history_of_a_project_is_followed_where_that_is_wanted() {
    let (linked, _) = replaced(json!({ "on_rewrite": "follow" })).await;
    let (old, theirs) = (linked.head(), linked.tip());
    linked.change(json!({ "offline": false })).await;
    linked.synced().await;
    assert_eq!(linked.pages().await, ["home", "other"]);
    assert_eq!(linked.tip(), theirs, "there is nothing to tell");
    assert!(is_part(&linked.server.git("garden"), &old));
    goes_on(&linked).await;
}

#[tokio::test]
async fn a_history_that_was_replaced_beside_the_directory_is_built_upon() {
    let (linked, project) = documented(&[("home.md", "# Home\n")]).await;
    linked.synced().await;
    let head = linked.head();
    project.write("code/main.rs", "fn other() {}\n");
    project.run(&["commit", "-q", "--amend", "-a", "-m", "Amended"]);
    project.run(&["push", "-q", "--force", "origin", "HEAD:main"]);
    linked.run_synced().await;
    assert_eq!(linked.head(), head);
    assert_eq!(linked.tip(), project.run(&["rev-parse", "HEAD"]));
    goes_on(&linked).await;
}

#[tokio::test]
async fn most_of_a_directory_goes_if_somebody_says_so() {
    let names: Vec<String> = (0..30).map(|number| format!("page{number:02}.md")).collect();
    let docs: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
    let (linked, project) = documented(&docs).await;
    linked.synced().await;
    let old = linked.head();
    project.run(&["rm", "-q", "docs/page0*", "docs/page1*"]);
    project.run(&["rm", "-q", "docs/page20.md"]);
    push(&project, "Without most of the documentation");
    linked.run().await;
    linked.state("needs_decision", Some("mass_delete")).await;
    linked.decide_as_shown("remote").await;
    assert_eq!(linked.pages().await.len(), 9);
    assert_eq!(linked.tip(), project.run(&["rev-parse", "HEAD"]));
    assert!(is_part(&linked.server.git("garden"), &old));
    goes_on(&linked).await;
}

#[tokio::test]
async fn a_directory_that_nobody_has_met_is_asked_about() {
    for (choice, pages) in [
        ("remote", ["home", "theirs"].as_slice()),
        ("wiki", &["home", "mine"]),
        ("both", &["home", "home (conflict ", "mine", "theirs"]),
    ] {
        let docs = [("home.md", "their home\n"), ("theirs.md", "theirs\n")];
        let (linked, project) = documented_with(json!({ "offline": true }), &docs).await;
        linked.create("home", "our home\n").await;
        linked.create("mine", "mine\n").await;
        let (mine, theirs) = (linked.head(), linked.tip());
        linked.change(json!({ "offline": false })).await;
        linked.state("needs_decision", Some("unrelated")).await;
        linked.decide_as_shown(choice).await;
        let there = linked.pages().await;
        let is_as_wanted =
            there.len() == pages.len() && there.iter().zip(pages).all(|(a, b)| a.starts_with(b));
        assert!(is_as_wanted, "{choice}: {there:?}");
        let kept = if choice == "remote" { "their home\n" } else { "our home\n" };
        assert_eq!(linked.text("home").await.unwrap(), kept, "{choice}");
        let (wiki, remote) = (linked.server.git("garden"), linked.remote.git());
        assert_eq!(tree(&remote, "docs"), tree(&wiki, ""), "{choice}");
        assert_eq!(tree(&remote, "code"), tree(&project, "code"), "{choice}");
        assert!(is_part(&wiki, &mine) && is_part(&remote, &theirs), "{choice}");
        goes_on(&linked).await;
    }
}

#[tokio::test]
async fn a_directory_that_is_a_mirror_asks_about_foreign_pages_and_not_about_foreign_code() {
    for (choice, pages) in
        [("wiki", ["home", "roses"].as_slice()), ("both", &["home", "roses", "theirs"])]
    {
        let settings = json!({ "mode": "push", "winner": "stable" });
        let (linked, project) = documented_with(settings, &[]).await;
        linked.create("home", "# Home\n").await;
        linked.run_synced().await;
        project.run(&["pull", "-q", "origin", "main"]);
        project.write("code/main.rs", "fn other() {}\n");
        push(&project, "Only code");
        linked.create("roses", "red\n").await;
        linked.run_synced().await;
        let remote = linked.remote.git();
        assert_eq!(remote.run(&["rev-parse", "main^"]), project.run(&["rev-parse", "HEAD"]));

        project.run(&["pull", "-q", "origin", "main"]);
        project.write("docs/theirs.md", "theirs\n");
        push(&project, "Into the mirror");
        let theirs = linked.tip();
        linked.run().await;
        linked.state("needs_decision", Some("foreign_commits")).await;
        assert_eq!(linked.tip(), theirs);
        linked.decide_as_shown(choice).await;
        assert_eq!(linked.pages().await, pages, "{choice}");
        assert_eq!(tree(&remote, "docs"), tree(&linked.server.git("garden"), ""), "{choice}");
        assert!(is_part(&remote, &theirs), "{choice}");
        goes_on(&linked).await;
    }
}

#[tokio::test]
async fn a_directory_that_is_only_pulled_never_gets_anything() {
    let settings = json!({ "mode": "pull" });
    let (linked, project) = documented_with(settings, &[("home.md", "# Home\n")]).await;
    linked.synced().await;
    linked.create("mine", "mine\n").await;
    project.write("docs/theirs.md", "theirs\n").write("docs/home.md", "# Home, again\n");
    push(&project, "More");
    let theirs = linked.tip();
    linked.run_synced().await;
    assert_eq!(linked.pages().await, ["home", "mine", "theirs"]);
    assert_eq!(linked.text("home").await.unwrap(), "# Home, again\n");
    assert_eq!(linked.tip(), theirs);

    // What of it was taken back isn't known to be gone from the wiki's own: somebody has to say so.
    project.run(&["reset", "-q", "--hard", "HEAD~1"]);
    project.run(&["push", "-q", "--force", "origin", "HEAD:main"]);
    linked.run().await;
    linked.state("needs_decision", Some("force_pushed")).await;
    let mine = linked.head();
    linked.decide_as_shown("remote").await;
    assert_eq!(linked.pages().await, ["home"]);
    assert!(is_part(&linked.server.git("garden"), &mine));
    project.write("docs/new.md", "new\n");
    push(&project, "And on");
    linked.run_synced().await;
    assert_eq!(linked.pages().await, ["home", "new"]);
    assert_eq!(linked.tip(), project.run(&["rev-parse", "HEAD"]));
}

/// SY-015, SY-063.
#[tokio::test]
async fn news_of_our_own_commit_in_a_project_is_none() {
    let (linked, _) = documented(&[("home.md", "# Home\n")]).await;
    linked.synced().await;
    linked.create("roses", "red\n").await;
    linked.synced().await;
    let tip = linked.tip();
    assert_eq!(linked.link().await["verified_revision"], tip);
    linked.remote.seen();
    let told = |after: &str| json!({ "ref": "refs/heads/main", "after": after }).to_string();
    linked.hook("own", &told(&tip)).await.good();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(linked.link().await["state"], "idle");
    assert!(linked.remote.seen().is_empty(), "nobody looks");
    linked.hook("other", &told(&"1".repeat(40))).await.good();
    linked.until("has looked", |_| !linked.remote.seen().is_empty()).await;
}

#[tokio::test]
async fn a_group_without_a_page_waits_for_nobody_and_asks_for_nothing() {
    let linked = Linked::with(json!({ "filter": "public" })).await;
    linked.create("secret", "never to be pushed\n").await;
    for _ in 0..2 {
        linked.run_synced().await;
    }
    linked.create("public/roses", "red\n").await;
    linked.run_synced().await;
    assert_eq!(linked.remote.git().run(&["show", "main:public/roses.md"]), "red");
}

#[tokio::test]
async fn a_link_that_comes_to_cover_another_directory_takes_nothing_away_there() {
    let (linked, project) = documented(&[("home.md", "# Home\n")]).await;
    linked.synced().await;
    project.write("manual/page.md", "theirs\n");
    push(&project, "A manual");
    linked.run_synced().await;
    linked.change(json!({ "subdirectory": "manual" })).await;
    linked.state("needs_decision", Some("unrelated")).await;
    linked.decide_as_shown("both").await;
    assert_eq!(linked.pages().await, ["home", "page"]);
    let files = linked.remote.git().run(&["ls-tree", "-r", "--name-only", "main"]);
    assert_eq!(files, "code/main.rs\ndocs/home.md\nmanual/home.md\nmanual/page.md");
}
