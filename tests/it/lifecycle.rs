//! A wiki from its creation to the trash, also when a crash comes in between.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use futures_util::future::join_all;
use rusqlite::{Connection, params};
use testkit::{Grove, slug};
use wikigrove_tenant::storage::{Options, Resources, Wiki as Files};
use wikigrove_tenant::{
    Base, Caller, Error, ExistingPath, NewTenant, Platform, State, TenantId, TenantUpdate,
    Visibility,
};

/// Set in a process that is to play a part in a test.
const DATA_DIR: &str = "WIKIGROVE_TEST_DATA_DIR";

fn slugs(wikis: Vec<wikigrove_tenant::Tenant>) -> Vec<String> {
    wikis.into_iter().map(|tenant| tenant.slug.to_string()).collect()
}

/// Every file and directory below, with its mode.
fn tree(dir: &Path) -> Vec<(PathBuf, u32)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let metadata = entry.metadata().unwrap();
        found.push((entry.path(), metadata.permissions().mode() & 0o777));
        if metadata.is_dir() {
            found.extend(tree(&entry.path()));
        }
    }
    found
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn wikis_are_created_and_listed_by_page() {
    let grove = Grove::with(["kitchen", "attic", "garden"]).start().await;
    assert_eq!(slugs(grove.wikis(None, 2).await.unwrap()), ["attic", "garden"]);
    assert_eq!(slugs(grove.wikis(Some(&slug("garden")), 2).await.unwrap()), ["kitchen"]);
    for (name, code) in
        [("garden", "slug_taken"), ("admin", "reserved_slug"), ("../up", "invalid_slug")]
    {
        assert_eq!(grove.create(name).await.unwrap_err().code(), code);
    }
    assert_eq!(names(&grove.dir().join("wikis")), ["attic", "garden", "kitchen"]);
}

#[tokio::test]
async fn of_many_who_create_the_same_wiki_one_does() {
    let grove = Grove::empty().start().await;
    let made = join_all((0..10).map(|_| grove.create("garden"))).await;
    let (good, bad): (Vec<_>, Vec<_>) = made.into_iter().partition(Result::is_ok);
    assert_eq!(good.len(), 1);
    assert!(bad.into_iter().all(|error| error.unwrap_err().code() == "slug_taken"));
    grove.save("garden", "home", "text").await.unwrap();
}

#[tokio::test]
async fn a_suspended_wiki_tells_its_reason_and_nothing_else() {
    let grove = Grove::with(["garden"]).visible(Visibility::PublicWrite).start().await;
    let held = grove.on("garden").await;
    held.save("home", "text", Base::New).await.unwrap();
    let storage = held.storage().unwrap();
    grove.suspend(&slug("garden"), "unpaid").await.unwrap();

    let refused = [
        grove.wiki("garden", Caller::anonymous()).await.map(drop),
        held.read("home").await.map(drop),
        held.read_raw("home").await.map(drop),
        held.save("home", "more", Base::New).await.map(drop),
        held.pages("", None, 10).await.map(drop),
        held.changes_since(None).await.map(drop),
        held.head().await.map(drop),
        held.storage().map(drop),
        held.app_db().map(drop),
        held.db(|_| Ok(())).await,
        storage.read(&ExistingPath::new("home").unwrap()).map(drop),
        storage.head().map(drop),
    ];
    for (number, refusal) in refused.into_iter().enumerate() {
        let error = refusal.expect_err(&format!("{number} is refused"));
        assert!(error.is_suspended() && error.to_string().contains("unpaid"), "{number}: {error}");
    }
    // Whoever runs the platform can mend the settings, and so has to see them.
    assert!(held.preferences().await.is_ok());
    grove.resume(&slug("garden")).await.unwrap();
    assert_eq!(held.read("home").await.unwrap().content, "text");
    assert_eq!(storage.head().unwrap(), held.head().await.unwrap());
}

#[tokio::test]
async fn a_read_only_wiki_can_be_read() {
    let grove = Grove::with(["garden"]).start().await;
    let held = grove.on("garden").await;
    let saved = held.save("home", "text", Base::New).await.unwrap();
    let update = TenantUpdate { state: Some(State::ReadOnly), ..TenantUpdate::default() };
    grove.update(&slug("garden"), update).await.unwrap();
    assert_eq!(held.read("home").await.unwrap().content, "text");
    let base = Base::Version(saved.etag);
    assert_eq!(held.save("home", "more", base).await.unwrap_err().code(), "wiki_read_only");
    grove.resume(&slug("garden")).await.unwrap();
    held.save("home", "more", base).await.unwrap();
}

#[tokio::test]
async fn a_deleted_wiki_is_in_the_trash_and_its_successor_shows_nothing_of_it() {
    let grove = Grove::empty().start().await;
    let mut new = NewTenant::new(slug("garden"));
    new.preferences = [("SITE_LANG".to_owned(), "de".to_owned())].into();
    new.owner = Some("alice".to_owned());
    grove.create_tenant(new).await.unwrap();
    let old = grove.on("garden").await;
    old.save("home", "old text", Base::New).await.unwrap();
    let storage = old.storage().unwrap();
    let app_db = old.app_db().unwrap();
    std::fs::write(&app_db, "the app's own").unwrap();

    grove.delete(&slug("garden")).await.unwrap();
    assert!(grove.wiki("garden", Caller::operator()).await.unwrap_err().is_not_found());
    assert!(grove.delete(&slug("garden")).await.unwrap_err().is_not_found());
    assert!(grove.wikis(None, 10).await.unwrap().is_empty());
    let trash = grove.dir().join("trash").join(old.id().to_string());
    assert_eq!(std::fs::read_to_string(trash.join("app.db")).unwrap(), "the app's own");

    let new = grove.create("garden").await.unwrap();
    assert_ne!(new.id(), old.id());
    assert!(new.read("home").await.unwrap_err().is_not_found());
    assert!(new.pages("", None, 10).await.unwrap().is_empty());
    assert_eq!(new.preferences().await.unwrap().site_lang(), "en");
    assert!(grove.members(&slug("garden"), None, 10).await.unwrap().is_empty());
    assert!(!app_db.exists());
    new.save("home", "new text", Base::New).await.unwrap();
    new.save("secret", "new text", Base::New).await.unwrap();

    let refused = [
        old.read("home").await.map(drop),
        old.read_raw("secret").await.map(drop),
        old.save("home", "late", Base::New).await.map(drop),
        old.pages("", None, 10).await.map(drop),
        old.changes_since(None).await.map(drop),
        old.head().await.map(drop),
        old.preferences().await.map(drop),
        old.storage().map(drop),
        old.app_db().map(drop),
        old.db(|_| Ok(())).await,
        old.for_caller(Caller::operator()).await.map(drop),
        storage.head().map(drop),
        storage.changes_since(None).map(drop),
        storage.read(&ExistingPath::new("secret").unwrap()).map(drop),
    ];
    for (number, refusal) in refused.into_iter().enumerate() {
        let error = refusal.expect_err(&format!("{number} is refused"));
        assert!(error.is_not_found() && error.code() == "unknown_wiki", "{number}: {error}");
    }
    assert_eq!(new.read("home").await.unwrap().content, "new text");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_save_that_was_acknowledged_before_the_deletion_is_in_the_trash() {
    let grove = Grove::with(["garden"]).start().await;
    let wiki = grove.on("garden").await;
    let savers = (0..8).map(|saver| {
        let wiki = wiki.clone();
        wikigrove_tenant::spawn(async move {
            let mut saved = Vec::new();
            for number in 0.. {
                let page = format!("page-{saver}-{number}");
                match wiki.save(&page, "text", Base::New).await {
                    Ok(_) => saved.push(page),
                    Err(error) => {
                        assert!(error.is_not_found(), "{error}");
                        break;
                    }
                }
            }
            saved
        })
    });
    let savers: Vec<_> = savers.collect();
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    grove.delete(&slug("garden")).await.unwrap();
    let successor = grove.create("garden").await.unwrap();
    successor.save("home", "new", Base::New).await.unwrap();

    let saved: Vec<String> = join_all(savers).await.into_iter().flat_map(Result::unwrap).collect();
    assert!(saved.len() > 8, "{}", saved.len());
    let trash = grove.dir().join("trash").join(wiki.id().to_string());
    let files =
        Files::open(&trash, Options::new(wiki.id().to_string()), &Resources::default()).unwrap();
    for page in &saved {
        files.read(&ExistingPath::new(page).unwrap()).unwrap();
    }
    assert_eq!(files.pages("", None, 100_000).unwrap().len(), saved.len());
    assert_eq!(successor.pages("", None, 100_000).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deleting_and_creating_in_a_circle_confuses_nobody() {
    let grove = Grove::with(["garden"]).start().await;
    let users = (0..4).map(|_| {
        let platform = (*grove).clone();
        wikigrove_tenant::spawn(async move {
            for _ in 0..150 {
                let Ok(wiki) = platform.wiki("garden", Caller::operator()).await else { continue };
                let id = wiki.id().to_string();
                // Whatever happens meanwhile, a wiki never shows another one's text.
                match wiki.save(&format!("page-{id}"), id.as_str(), Base::New).await {
                    Ok(_) => {}
                    Err(error) => assert!(error.is_not_found(), "{error}"),
                }
                let pages = wiki.pages("", None, 10).await.unwrap_or_default();
                assert!(pages.iter().all(|page| page.path == format!("page-{id}")), "{pages:?}");
            }
        })
    });
    let users: Vec<_> = users.collect();
    for _ in 0..20 {
        let garden = slug("garden");
        let both = join_all([grove.delete(&garden), grove.delete(&garden)]).await;
        assert!(both.iter().any(Result::is_ok));
        assert!(both.iter().flat_map(|one| one.as_ref().err()).all(Error::is_not_found));
        grove.create("garden").await.unwrap();
    }
    for user in users {
        user.await.unwrap();
    }
    assert_eq!(names(&grove.dir().join("wikis")), ["garden"]);
    assert_eq!(names(&grove.dir().join("trash")).len(), 20);
}

#[tokio::test]
async fn a_creation_that_fails_or_panics_leaves_nothing() {
    let grove = Grove::empty().start().await;
    let new = || NewTenant::new(slug("garden"));
    let failing = |dir: &Path, _: &wikigrove_tenant::Tenant| {
        std::fs::create_dir(dir).unwrap();
        Err(wikigrove_tenant::storage::Error::DiskFull)
    };
    let error = grove.create_with(new(), failing).await.unwrap_err();
    assert_eq!(error.code(), "disk_full");
    let platform = (*grove).clone();
    let panicking = wikigrove_tenant::spawn(async move {
        let make = |dir: &Path, _: &wikigrove_tenant::Tenant| {
            std::fs::create_dir(dir).unwrap();
            panic!("while making")
        };
        platform.create_with(NewTenant::new(slug("garden")), make).await
    });
    assert!(panicking.await.unwrap_err().is_panic());
    assert!(names(&grove.dir().join("wikis")).is_empty());
    grove.create("garden").await.unwrap();
}

#[tokio::test]
async fn a_directory_without_a_row_is_neither_taken_nor_removed() {
    let grove = Grove::empty().start().await;
    let found = grove.dir().join("wikis/garden");
    std::fs::create_dir(&found).unwrap();
    std::fs::write(found.join("somebodys"), "data").unwrap();
    assert!(grove.wiki("garden", Caller::operator()).await.unwrap_err().is_not_found());
    grove.create("garden").await.unwrap_err();
    assert_eq!(names(&found), ["somebodys"]);
    assert!(grove.wiki("garden", Caller::operator()).await.unwrap_err().is_not_found());
    std::fs::remove_dir_all(&found).unwrap();
    grove.create("garden").await.unwrap();
}

/// Puts a row of platform.db where a crash would have left it.
fn set_state(data: &Path, id: TenantId, state: &str) {
    let catalog = Connection::open(data.join("platform.db")).unwrap();
    let changed = catalog
        .execute("update wikis set state = ?2 where id = ?1", params![id.to_string(), state])
        .unwrap();
    assert_eq!(changed, 1);
}

#[tokio::test]
async fn a_creation_cut_short_is_finished_or_undone_at_the_next_start() {
    let grove = Grove::with(["row-only", "half-made", "complete"]).on_disk().start().await;
    let mut ids = Vec::new();
    for name in ["row-only", "half-made", "complete"] {
        ids.push(grove.on(name).await.id());
    }
    let half_made = format!(".new-{}", ids[1]);
    let grove = grove.restarted(|data| {
        let wikis = data.join("wikis");
        std::fs::remove_dir_all(wikis.join("row-only")).unwrap();
        std::fs::rename(wikis.join("half-made"), wikis.join(&half_made)).unwrap();
        std::fs::remove_file(wikis.join(&half_made).join("repo/HEAD")).unwrap();
        ids.iter().for_each(|id| set_state(data, *id, "creating"));
    });
    let grove = grove.await;
    assert_eq!(slugs(grove.wikis(None, 10).await.unwrap()), ["complete"]);
    assert_eq!(names(&grove.dir().join("wikis")), ["complete"]);
    assert_eq!(grove.on("complete").await.id(), ids[2]);
    for name in ["row-only", "half-made"] {
        assert_ne!(grove.create(name).await.unwrap().id(), ids[0]);
    }
    for name in ["row-only", "half-made", "complete"] {
        grove.save(name, "home", "text").await.unwrap();
    }
}

#[tokio::test]
async fn a_deletion_cut_short_is_finished_at_the_next_start() {
    let grove = Grove::with(["not-moved", "moved", "stays"]).on_disk().start().await;
    for name in ["not-moved", "moved", "stays"] {
        grove.save(name, "home", name).await.unwrap();
    }
    let ids = [grove.on("not-moved").await.id(), grove.on("moved").await.id()];
    let grove = grove.restarted(|data| {
        let trash = data.join("trash").join(ids[1].to_string());
        std::fs::rename(data.join("wikis/moved"), trash).unwrap();
        ids.iter().for_each(|id| set_state(data, *id, "deleting"));
    });
    let grove = grove.await;
    assert_eq!(slugs(grove.wikis(None, 10).await.unwrap()), ["stays"]);
    assert_eq!(names(&grove.dir().join("wikis")), ["stays"]);
    let mut expected = ids.map(|id| id.to_string());
    expected.sort();
    assert_eq!(names(&grove.dir().join("trash")), expected);
    for name in ["not-moved", "moved"] {
        let again = grove.create(name).await.unwrap();
        assert!(again.read("home").await.unwrap_err().is_not_found());
    }
}

#[tokio::test]
async fn a_wiki_that_cannot_be_finished_keeps_no_other_from_starting() {
    let grove = Grove::with(["stuck", "garden"]).on_disk().start().await;
    let id = grove.on("stuck").await.id();
    let grove = grove.restarted(|data| {
        set_state(data, id, "deleting");
        // Where it should be moved to there is something already.
        std::fs::create_dir(data.join("trash").join(id.to_string())).unwrap();
    });
    let grove = grove.await;
    grove.save("garden", "home", "text").await.unwrap();
    assert!(grove.wiki("stuck", Caller::operator()).await.unwrap_err().is_not_found());
    assert_eq!(grove.create("stuck").await.unwrap_err().code(), "slug_taken");
}

#[tokio::test]
async fn looking_for_wikis_that_never_were_creates_nothing() {
    let grove = Grove::with(["garden"]).start().await;
    let before = tree(grove.dir()).len();
    for number in 0..10_000 {
        let wiki = grove.wiki(&format!("never-{number}"), Caller::operator()).await;
        assert!(wiki.unwrap_err().is_not_found());
    }
    assert_eq!(tree(grove.dir()).len(), before);
}

#[tokio::test]
async fn what_was_saved_is_there_after_a_crash_of_the_platform() {
    let grove = Grove::of(3).on_disk().start().await;
    for number in 0..3 {
        grove.save(&format!("wiki-{number}"), "home", "text").await.unwrap();
    }
    let grove = grove.restarted(|_| ()).await;
    for number in 0..3 {
        let wiki = grove.on(&format!("wiki-{number}")).await;
        assert_eq!(wiki.read("home").await.unwrap().content, "text");
        assert_eq!(wiki.pages("", None, 10).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_data_directory_has_one_owner() {
    let grove = Grove::empty().on_disk().start().await;
    let output = in_another_process("part_opening_the_directory", grove.dir(), "");
    assert!(String::from_utf8_lossy(&output.stdout).contains("opened: in use"), "{output:?}");
    let dir = grove.dir().to_owned();
    let grove = grove.restarted(|_| {
        let output = in_another_process("part_opening_the_directory", &dir, "");
        assert!(String::from_utf8_lossy(&output.stdout).contains("opened: yes"), "{output:?}");
    });
    grove.await.create("garden").await.unwrap();
}

#[tokio::test]
async fn a_second_platform_in_this_process_is_told_to_be_a_clone_whatever_path_it_came_by() {
    let home = tempfile::tempdir().unwrap();
    let (dir, link) = (home.path().join("data"), home.path().join("link"));
    let platform = Platform::open(&dir).await.unwrap();
    std::os::unix::fs::symlink(&dir, &link).unwrap();
    let depth = std::env::current_dir().unwrap().components().count() - 1;
    let relative = Path::new(&"../".repeat(depth)).join(dir.strip_prefix("/").unwrap());
    for path in [&dir, &link, &link.join("."), &link.join("wikis/.."), &relative] {
        let error = Platform::open(path).await.unwrap_err();
        let named = std::path::absolute(path).unwrap();
        assert!(matches!(&error, Error::AlreadyOpen { dir } if *dir == named), "{error}");
        assert_eq!((error.code(), error.status().as_u16()), ("already_open", 409));
        assert!(error.to_string().contains("clone that `Platform`"), "{error}");
    }
    platform.create("garden").await.unwrap();
    // It opens as soon as the first one is gone, closed or just dropped.
    platform.close().await;
    drop(platform);
    let platform = Platform::open(&relative).await.unwrap();
    platform.wiki("garden", Caller::operator()).await.unwrap();
    drop(platform);
    drop(Platform::open(&link).await.unwrap());
}

#[tokio::test]
async fn a_program_that_keeps_the_lock_is_another_process() {
    let dir = tempfile::tempdir().unwrap();
    let platform = Platform::open(dir.path()).await.unwrap();
    let lock = platform.lock_for_child().unwrap();
    let mut program = Command::new("sleep").arg("60").stdin(lock).spawn().unwrap();
    drop(platform);
    let error = Platform::open(dir.path()).await.unwrap_err();
    program.kill().unwrap();
    program.wait().unwrap();
    assert!(matches!(&error, Error::InUse { .. }), "{error}");
    assert_eq!((error.code(), error.status().as_u16()), ("data_in_use", 409));
    Platform::open(dir.path()).await.unwrap();
}

#[tokio::test]
async fn files_are_private_whatever_the_umask() {
    let dir = tempfile::tempdir().unwrap();
    let output = in_another_process("part_making_wikis", &dir.path().join("data"), "umask 0;");
    assert!(output.status.success(), "{output:?}");
    let found = tree(dir.path());
    let ending = |name: &str| found.iter().filter(|(path, _)| path.ends_with(name)).count();
    for name in ["platform.db", "lock", "garden/wiki.db", "garden/repo/HEAD", "trash"] {
        assert_eq!(ending(name), 1, "{name}");
    }
    for (path, mode) in &found {
        // What git writes is below directories that nobody else can enter.
        if !path.components().any(|part| part.as_os_str() == "repo") {
            assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
        }
    }
    let repo = found.iter().find(|(path, _)| path.ends_with("garden/repo")).unwrap();
    assert_eq!(repo.1, 0o700);
}

/// Runs one test of this binary in a process of its own.
fn in_another_process(test: &str, dir: &Path, before: &str) -> Output {
    let script = format!("{before} exec \"$0\" --exact --nocapture lifecycle::{test}");
    let program = std::env::current_exe().unwrap();
    Command::new("sh").args(["-c", &script]).arg(program).env(DATA_DIR, dir).output().unwrap()
}

/// Set in the other process only: where it isn't, a part of a test has nothing to do.
fn given_dir() -> Option<PathBuf> {
    std::env::var_os(DATA_DIR).map(PathBuf::from)
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the other process reads it")]
async fn part_opening_the_directory() {
    let Some(dir) = given_dir() else { return };
    match Platform::open(&dir).await {
        Ok(_) => println!("opened: yes"),
        Err(Error::InUse { .. }) => println!("opened: in use"),
        Err(error) => println!("opened: {error}"),
    }
}

#[tokio::test]
async fn part_making_wikis() {
    let Some(dir) = given_dir() else { return };
    let platform = Platform::open(&dir).await.unwrap();
    for name in ["garden", "old"] {
        let wiki = platform.create(name).await.unwrap();
        wiki.save("folder/home", "text", Base::New).await.unwrap();
    }
    platform.delete(&slug("old")).await.unwrap();
}
