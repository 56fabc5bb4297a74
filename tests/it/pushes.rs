//! Receiving a push, as whoever serves git does it.

use std::path::PathBuf;
use std::time::Duration;

use testkit::{Git, Grove, slug, user};
use wikigrove_tenant::{
    Base, Caller, Incoming, NewTenant, Origin, Platform, PreferenceValue, Revision, Role,
    TenantUpdate, Wiki,
};

/// A clone of a wiki with one commit more in it, which is pushed into `incoming`.
fn push(wiki: &Wiki, incoming: &Incoming, file: &str) -> Revision {
    let dir = tempfile::tempdir().unwrap();
    let clone = Git::init(dir.path().join("clone"));
    let repository = wiki.repository().unwrap();
    clone.run(&["pull", "-q", repository.to_str().unwrap(), "main"]);
    clone.write(file, "pushed").commit("A push");
    clone.run(&["push", "-q", incoming.dir().to_str().unwrap(), "HEAD:refs/heads/main"]);
    clone.run(&["rev-parse", "HEAD"]).parse().unwrap()
}

fn spaces(grove: &Grove) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(grove.dir().join("incoming")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// What is dropped is removed in the background.
async fn wait_for_no_space(grove: &Grove) {
    for _ in 0..1000 {
        if spaces(grove).is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?}", spaces(grove));
}

async fn garden() -> (Grove, Wiki) {
    let grove = Grove::with(["garden", "kitchen"])
        .member("garden", "ann", Role::Admin)
        .member("garden", "bob", Role::Reader)
        .start()
        .await;
    let wiki = grove.user("ann", "garden").await.unwrap();
    wiki.save("home", "hello", Base::New).await.unwrap();
    (grove, wiki)
}

#[tokio::test]
async fn a_push_is_taken_over_and_told_like_a_save() {
    let (grove, wiki) = garden().await;
    let mut changes = grove.changes();
    let incoming = wiki.begin_push().await.unwrap();
    let new = push(&wiki, &incoming, "roses.md");
    let received = wiki.receive(&incoming, new, std::future::pending()).await.unwrap();
    assert_eq!((received.new, received.commits), (new, 1));
    assert_eq!(wiki.read("roses").await.unwrap().content, "pushed");
    let change = changes.next().await.unwrap().unwrap();
    assert_eq!((change.revision, change.origin), (new, Origin::Git));
    assert_eq!(
        (change.paths, change.author),
        (vec!["roses".to_owned()], wiki.caller().author().clone())
    );
    drop(incoming);
    wait_for_no_space(&grove).await;
    Git::at(wiki.repository().unwrap()).fsck();
}

#[tokio::test]
async fn only_who_may_write_pushes_and_only_where_git_is_wanted() {
    let (grove, wiki) = garden().await;
    let bob = grove.user("bob", "garden").await.unwrap();
    assert!(bob.begin_push().await.unwrap_err().is_denied());
    let incoming = wiki.begin_push().await.unwrap();
    let new = push(&wiki, &incoming, "roses.md");
    assert!(bob.receive(&incoming, new, std::future::pending()).await.unwrap_err().is_denied());
    let kitchen = grove.on("kitchen").await;
    assert!(
        kitchen.receive(&incoming, new, std::future::pending()).await.unwrap_err().is_not_found()
    );
    let off = [("git_enabled".to_owned(), Some(PreferenceValue::Flag(false)))];
    wiki.change_preferences(off.into_iter().collect()).await.unwrap();
    let error = wiki.begin_push().await.unwrap_err();
    assert_eq!((error.code(), error.status().as_u16()), ("git_disabled", 404));
    // Whoever was made less meanwhile is asked again.
    grove.set_member(&slug("garden"), "ann", Role::Reader).await.unwrap();
    assert!(wiki.receive(&incoming, new, std::future::pending()).await.unwrap_err().is_denied());
    assert!(wiki.read("roses").await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_push_that_is_refused_leaves_nothing_and_says_why() {
    let (grove, wiki) = garden().await;
    let before = wiki.storage().unwrap().head().unwrap();
    let incoming = wiki.begin_push().await.unwrap();
    let new = push(&wiki, &incoming, "a\tb.md");
    let error = wiki.receive(&incoming, new, std::future::pending()).await.unwrap_err();
    assert_eq!(error.code(), "push_refused");
    assert!(error.push_refused().unwrap().iter().any(|line| line.contains("b.md")), "{error}");
    let update = TenantUpdate { max_pages: Some(Some(1)), ..TenantUpdate::default() };
    grove.update(&slug("garden"), update).await.unwrap();
    let incoming = wiki.begin_push().await.unwrap();
    let new = push(&wiki, &incoming, "roses.md");
    let error = wiki.receive(&incoming, new, std::future::pending()).await.unwrap_err();
    assert_eq!(error.code(), "quota_exceeded");
    assert_eq!(wiki.storage().unwrap().head().unwrap(), before);
    // Nobody knows the commit either.
    assert!(wiki.read_at("roses", new).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn what_a_crash_left_of_a_push_is_swept() {
    let grove = Grove::with(["garden"]).on_disk().start().await;
    let left = grove.dir().join("incoming/0123");
    let grove = grove
        .restarted(|_| {
            std::fs::create_dir_all(left.join("objects/pack")).unwrap();
            std::fs::write(left.join("objects/pack/tmp_pack_x"), "x").unwrap();
            std::fs::write(left.with_file_name("stray"), "x").unwrap();
        })
        .await;
    assert!(spaces(&grove).is_empty());
    let wiki = grove.wiki("garden", user("cid").with_role(Role::Editor)).await.unwrap();
    let incoming = wiki.begin_push().await.unwrap();
    assert!(incoming.dir().join("HEAD").exists());
    assert_eq!(spaces(&grove).len(), 1);
    drop(incoming);
    wait_for_no_space(&grove).await;
    assert!(grove.wiki("garden", Caller::anonymous()).await.unwrap_err().is_not_found());
}

/// git runs inside the repository of the push, so that a path from somewhere else leads nowhere.
#[tokio::test]
async fn a_large_push_arrives_where_the_data_directory_is_relative() {
    let dir = tempfile::tempdir().unwrap();
    let here = std::env::current_dir().unwrap();
    let up: PathBuf = here.components().skip(1).map(|_| "..").collect();
    let data = up.join(dir.path().join("data").strip_prefix("/").unwrap());
    assert!(data.is_relative());
    let platform = Platform::open(&data).await.unwrap();
    assert!(platform.dir().is_absolute());
    platform.create_tenant(NewTenant::new(slug("garden"))).await.unwrap();
    let wiki = platform.wiki("garden", Caller::operator()).await.unwrap();
    wiki.save("home", "hello", Base::New).await.unwrap();
    let incoming = wiki.begin_push().await.unwrap();
    let clone = Git::init(dir.path().join("clone"));
    clone.run(&["pull", "-q", wiki.repository().unwrap().to_str().unwrap(), "main"]);
    for n in 0..1100 {
        clone.write(&format!("many/{n}.md"), n.to_string());
    }
    clone.commit("Many");
    clone.run(&["push", "-q", incoming.dir().to_str().unwrap(), "HEAD:refs/heads/main"]);
    // An object that nothing names, so that the others are packed anew.
    clone.write("unnamed", "unnamed");
    let to = format!("--git-dir={}", incoming.dir().display());
    clone.run(&[to.as_str(), "hash-object", "-w", "unnamed"]);
    let new = clone.run(&["rev-parse", "HEAD"]).parse().unwrap();
    let received = wiki.receive(&incoming, new, std::future::pending()).await.unwrap();
    assert_eq!(received.new, new);
    assert_eq!(wiki.read("many/7").await.unwrap().content, "7");
}
