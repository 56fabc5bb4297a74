//! Opening wikis in every state of damage.

mod database;

use std::fs;
use std::os::unix::fs::symlink;

use crate::testing::Scratch;
use crate::*;

fn corrupt(scratch: &Scratch) {
    fs::write(scratch.dir().join("wiki.db"), "not a database ".repeat(1000)).unwrap();
}

fn open_error(scratch: &mut Scratch) -> Error {
    scratch.open().map(drop).unwrap_err()
}

#[test]
fn an_adopted_database_keeps_its_rows() {
    let mut scratch = Scratch::new();
    let db = rusqlite::Connection::open(scratch.dir().join("wiki.db")).unwrap();
    db.execute_batch(
        "create table preferences (name varchar(256) not null, value text, primary key (name));
         insert into preferences values ('SITE_NAME', 'Old wiki');
         create table user (id integer not null, name varchar(128), email varchar(128), primary key (id));
         insert into user values (1, 'Ada', 'ada@example.org');",
    )
    .unwrap();
    drop(db);
    scratch.open().unwrap();
    assert_eq!(scratch.wiki().preferences().unwrap().site_name(), Some("Old wiki"));
    scratch.create("home", "text");
    let users: i64 = scratch
        .wiki()
        .database()
        .unwrap()
        .read(|c| c.query_row("select count(*) from user", [], |r| r.get(0)).map_err(DbError::from))
        .unwrap();
    assert_eq!(users, 1);
}

#[test]
fn a_corrupt_database_is_set_aside_and_rebuilt_from_git() {
    let mut scratch = Scratch::new();
    scratch.create("home", "one");
    scratch.wiki().close().unwrap();
    corrupt(&scratch);
    scratch.open().unwrap();
    assert_eq!(scratch.paths(), ["home"]);
    scratch.update("home", "two");
    let aside = fs::read_dir(scratch.dir()).unwrap().filter(|e| {
        e.as_ref().unwrap().file_name().to_string_lossy().starts_with("wiki.db.corrupt-")
    });
    assert_eq!(aside.count(), 1);
}

#[test]
fn what_can_be_read_of_a_corrupt_database_is_carried_over() {
    let mut scratch = Scratch::new();
    scratch.create("home", "one");
    scratch.wiki().set_raw_preferences(&[("COLOR".to_owned(), "red".to_owned())].into()).unwrap();
    let saved = scratch.update("home", "two");
    // An acknowledged save that is only in the redo rows…
    let parent = scratch.git(&["rev-parse", "main^"]);
    fs::write(scratch.repo().join("refs/heads/main"), format!("{parent}\n")).unwrap();
    // …and damage in a table that is read on every open.
    let db = rusqlite::Connection::open(scratch.dir().join("wiki.db")).unwrap();
    db.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(())).unwrap();
    let page: i64 = db
        .query_row("select rootpage from sqlite_schema where name = 'wiki'", [], |r| r.get(0))
        .unwrap();
    let size: i64 = db.pragma_query_value(None, "page_size", |r| r.get(0)).unwrap();
    drop(db);
    let mut bytes = fs::read(scratch.dir().join("wiki.db")).unwrap();
    let at = ((page - 1) * size) as usize;
    bytes[at..at + 64].fill(0xff);
    fs::write(scratch.dir().join("wiki.db"), bytes).unwrap();
    scratch.open().unwrap();
    assert_eq!(scratch.wiki().raw_preferences().unwrap()["COLOR"], "red");
    assert_eq!(scratch.wiki().head().unwrap(), Some(saved.revision));
    assert_eq!(scratch.text("home"), "two");
}

#[test]
fn a_newer_database_is_refused_and_not_touched() {
    let mut scratch = Scratch::new();
    scratch.create("home", "one");
    scratch.wiki().close().unwrap();
    let db = rusqlite::Connection::open(scratch.dir().join("wiki.db")).unwrap();
    db.pragma_update(None, "user_version", 1000).unwrap();
    drop(db);
    let error = open_error(&mut scratch);
    assert!(error.to_string().contains("use a newer version"), "{error}");
}

#[test]
fn a_directory_of_another_wiki_is_refused() {
    let mut scratch = Scratch::new();
    scratch.create("home", "one");
    let dir = scratch.dir();
    scratch.open().unwrap();
    let error =
        Wiki::open(&dir, Options::new("another"), &Resources::default()).map(drop).unwrap_err();
    assert!(matches!(&error, Error::WrongWiki { found, .. } if found == "scratch"), "{error}");
}

#[test]
fn links_out_of_the_wiki_are_refused() {
    let mut scratch = Scratch::new();
    scratch.create("home", "one");
    let elsewhere = scratch.dir().join("elsewhere");
    fs::rename(scratch.repo(), &elsewhere).unwrap();
    symlink(&elsewhere, scratch.repo()).unwrap();
    assert!(matches!(open_error(&mut scratch), Error::Damaged { .. }));
    fs::remove_file(scratch.repo()).unwrap();
    fs::rename(&elsewhere, scratch.repo()).unwrap();
    scratch.open().unwrap();

    fs::create_dir_all(scratch.repo().join("objects/info")).unwrap();
    fs::write(scratch.repo().join("objects/info/alternates"), "/tmp\n").unwrap();
    assert!(open_error(&mut scratch).to_string().contains("alternates"));
    fs::remove_file(scratch.repo().join("objects/info/alternates")).unwrap();

    let db = scratch.dir().join("wiki.db");
    fs::rename(&db, scratch.dir().join("other.db")).unwrap();
    symlink(scratch.dir().join("other.db"), &db).unwrap();
    assert!(matches!(open_error(&mut scratch), Error::Damaged { .. }));
}

#[test]
fn a_flipped_bit_is_an_error_for_that_page_only() {
    let scratch = Scratch::new();
    let saved = scratch.create("home", &"some text ".repeat(100));
    scratch.create("other", "fine");
    let hex = saved.etag.to_string();
    let path = scratch.repo().join("objects").join(&hex[..2]).join(&hex[2..]);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    let error = scratch.wiki().read(&ExistingPath::new("home").unwrap()).unwrap_err();
    assert!(error.to_string().contains(&hex), "{error}");
    assert_eq!(scratch.text("other"), "fine");
}

#[test]
fn wiki_db_is_born_when_it_is_needed_and_with_its_preferences() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("wiki");
    Wiki::create(&dir).unwrap();
    let options = Options {
        preferences: [("SITE_NAME".to_owned(), "Garden".to_owned())].into(),
        ..Options::new("g")
    };
    let wiki = Wiki::open(&dir, options, &Resources::default()).unwrap();
    assert_eq!(wiki.preferences().unwrap().site_name(), Some("Garden"));
    assert!(wiki.pages("", None, 10).unwrap().is_empty());
    assert!(!dir.join("wiki.db").exists());
    std::thread::scope(|scope| {
        for n in 0..20 {
            let wiki = &wiki;
            scope.spawn(move || {
                crate::testing::save(wiki, &format!("p{n}"), "text", Base::New).unwrap()
            });
        }
    });
    assert_eq!(wiki.preferences().unwrap().site_name(), Some("Garden"));
    assert_eq!(wiki.pages("", None, 100).unwrap().len(), 20);
}

#[test]
fn saves_that_wait_are_not_put_on_another_branch() {
    let mut scratch = Scratch::new();
    scratch.create("home", "one");
    scratch.git(&["symbolic-ref", "HEAD", "refs/heads/other"]);
    let error = open_error(&mut scratch);
    assert!(error.to_string().contains("git symbolic-ref HEAD refs/heads/main"), "{error}");
    scratch.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
    scratch.open().unwrap();
    assert_eq!(scratch.text("home"), "one");
}

#[test]
fn a_lost_branch_is_found_even_while_the_index_is_being_built() {
    let mut scratch = Scratch::new();
    scratch.create("home", "one");
    scratch.update("home", "two");
    scratch.wiki().close().unwrap();
    let forget = |t: &rusqlite::Transaction<'_>| {
        Ok::<_, crate::DbError>(t.execute_batch("update wiki set indexed = null").map(drop)?)
    };
    scratch.wiki().database().unwrap().write(forget).unwrap();
    fs::write(scratch.repo().join("refs/heads/main"), "").unwrap();
    scratch.open().unwrap();
    assert_eq!(scratch.text("home"), "two");
}

#[test]
fn a_branch_that_vanishes_or_is_damaged_while_the_wiki_is_open_comes_back() {
    let missing = "1111111111111111111111111111111111111111\n";
    for damage in [None, Some(""), Some("garbage\n"), Some(missing)] {
        for is_read_first in [true, false] {
            for is_checkpointed in [true, false] {
                let scratch = Scratch::new();
                scratch.create("home", "one");
                let head = scratch.update("home", "two").revision;
                if is_checkpointed {
                    scratch.wiki().checkpoint().unwrap();
                }
                let branch = scratch.repo().join("refs/heads/main");
                match damage {
                    Some(damage) => fs::write(&branch, damage).unwrap(),
                    None => fs::remove_dir_all(scratch.repo().join("refs")).unwrap(),
                }
                if is_read_first {
                    assert_eq!(scratch.text("home"), "two");
                    assert_eq!(scratch.wiki().head().unwrap(), Some(head));
                    assert_eq!(scratch.paths(), ["home"]);
                }
                scratch.create("more", "text");
                assert_eq!(scratch.git(&["rev-list", "--count", "main"]), "3");
                assert_eq!(scratch.paths(), ["home", "more"]);
                scratch.git(&["fsck", "--strict"]);
            }
        }
    }
}

#[test]
fn a_branch_that_vanishes_is_not_forgotten_by_a_checkpoint() {
    let mut scratch = Scratch::new();
    let head = scratch.create("home", "one").revision;
    fs::remove_file(scratch.repo().join("refs/heads/main")).unwrap();
    scratch.wiki().close().unwrap();
    scratch.open().unwrap();
    assert_eq!(scratch.wiki().head().unwrap(), Some(head));
}

#[test]
fn readers_of_a_branch_that_vanished_wait_for_no_writer() {
    let scratch = Scratch::new();
    scratch.create("home", "one");
    assert_eq!(scratch.text("home"), "one");
    let writer = scratch.wiki().lock_writer().unwrap();
    fs::remove_file(scratch.repo().join("refs/heads/main")).unwrap();
    assert_eq!(scratch.text("home"), "one");
    assert!(!scratch.repo().join("refs/heads/main").exists());
    drop(writer);
    scratch.create("more", "text");
    assert_eq!(scratch.git(&["rev-list", "--count", "main"]), "2");
}

/// git prefers the branch's own file to packed-refs, which therefore goes out of date.
#[test]
fn an_older_commit_in_packed_refs_never_takes_the_place_of_a_branch_that_vanished() {
    for is_open in [true, false] {
        let mut scratch = Scratch::new();
        scratch.create("home", "one");
        scratch.git(&["pack-refs", "--all"]);
        let head = scratch.update("home", "two").revision;
        if is_open {
            assert_eq!(scratch.text("home"), "two");
        } else {
            scratch.wiki().close().unwrap();
        }
        fs::remove_file(scratch.repo().join("refs/heads/main")).unwrap();
        if !is_open {
            scratch.open().unwrap();
        }
        assert_eq!(scratch.text("home"), "two");
        assert_eq!(scratch.wiki().head().unwrap(), Some(head));
        scratch.update("home", "three");
        assert_eq!(scratch.git(&["rev-list", "--count", "main"]), "3");
        // After packing again, packed-refs has the newest commit.
        scratch.wiki().close().unwrap();
        scratch.git(&["pack-refs", "--all"]);
        scratch.open().unwrap();
        assert_eq!(scratch.text("home"), "three");
        assert!(!scratch.repo().join("refs/heads/main").exists());
    }
}

/// Older commits are in other packs; the newest ones return when their pack does.
#[test]
fn a_branch_whose_pack_is_missing_is_not_set_back() {
    let mut scratch = Scratch::new();
    scratch.create("home", "one");
    scratch.wiki().checkpoint().unwrap();
    let older = scratch.wiki().head().unwrap().unwrap();
    let tree = scratch.clone_with_git();
    let pushed = crate::testing::commit(&tree, "pushed.md", "pushed");
    scratch.push(&tree, &PushRules::default()).unwrap();
    scratch.wiki().close().unwrap();
    fs::write(scratch.dir().join("list"), format!("{pushed}\n")).unwrap();
    let script = format!(
        "git pack-objects -q objects/pack/pack < '{}' && git prune-packed",
        scratch.dir().join("list").display()
    );
    let packed =
        std::process::Command::new("sh").current_dir(scratch.repo()).args(["-c", &script]).output();
    assert!(packed.unwrap().status.success());
    let pack = fs::read_dir(scratch.repo().join("objects/pack"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().unwrap() == "pack")
        .unwrap();
    let elsewhere = scratch.dir().join("elsewhere");
    fs::rename(&pack, &elsewhere).unwrap();
    let error = open_error(&mut scratch);
    assert!(
        error.to_string().contains(&pushed) && error.to_string().contains("set-aside"),
        "{error}"
    );
    fs::rename(&elsewhere, &pack).unwrap();
    scratch.open().unwrap();
    assert_eq!(scratch.wiki().head().unwrap().unwrap().to_string(), pushed);
    assert_ne!(older.to_string(), pushed);
    assert_eq!(scratch.text("pushed"), "pushed");
}

#[test]
fn damage_that_a_save_meets_is_mended_by_the_next() {
    let scratch = Scratch::new();
    scratch.create("home", "one");
    scratch.wiki().checkpoint().unwrap();
    scratch.wiki().repack_everything();
    // The pack loses its index…
    let pack = scratch.wiki().repo().packs().unwrap().remove(0);
    fs::remove_file(pack.with_extension("idx")).unwrap();
    scratch.wiki().repo().look_for_packs();
    let _ = scratch.save("a", "text", Base::New);
    scratch.save("a", "text", Base::New).unwrap();
    // …and then a loose object that wasn't checkpointed.
    let tree = scratch.git(&["rev-parse", "main^{tree}"]);
    let file = scratch.repo().join("objects").join(&tree[..2]).join(&tree[2..]);
    fs::remove_file(&file).unwrap();
    fs::write(&file, "").unwrap();
    assert!(matches!(scratch.save("b", "text", Base::New), Err(Error::Damaged { .. })));
    scratch.create("b", "text");
    assert_eq!(scratch.paths(), ["a", "b", "home"]);
    scratch.git(&["fsck", "--strict"]);
}
