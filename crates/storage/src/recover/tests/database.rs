//! wiki.db damaged, emptied, removed or replaced, while the wiki is closed and while it is open.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use crate::testing::{Scratch, ada};
use crate::*;

fn kept(scratch: &Scratch) -> Vec<String> {
    let names = fs::read_dir(scratch.dir()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut kept: Vec<_> = names
        .filter(|name| {
            name.starts_with("wiki.db.") && !name.ends_with("-wal") && !name.ends_with("-shm")
        })
        .collect();
    kept.sort();
    kept
}

/// Makes a wiki with rows in every table, all of them in the database file and none in its log.
fn full() -> Scratch {
    let scratch = Scratch::new();
    for n in 0..40 {
        scratch.create(&format!("d/page-{n:02}"), &format!("{} [[page]] {n}", "word ".repeat(200)));
    }
    put_draft(&scratch, "kept");
    let color = [("COLOR".to_owned(), "red".to_owned())];
    scratch.wiki().set_raw_preferences(&color.into()).unwrap();
    scratch.wiki().checkpoint().unwrap();
    scratch.wiki().database().unwrap().checkpoint().unwrap();
    scratch
}

fn put_draft(scratch: &Scratch, content: &str) {
    let path = PagePath::new("draft").unwrap();
    let (owner, base, cursor) = ("ann", DraftBase::Kept, None);
    scratch
        .wiki()
        .put_draft(&NewDraft { owner, path: &path, content, base, cursor, is_guest: false })
        .unwrap();
}

fn draft(scratch: &Scratch) -> Option<String> {
    let path = ExistingPath::new("draft").unwrap();
    Some(scratch.wiki().draft("ann", &path).ok()?.content)
}

/// Returns offset and size of the first page of a table or an index.
fn root(path: &Path, name: &str) -> (u64, u64) {
    let db = Connection::open(path).unwrap();
    let size: i64 = db.pragma_query_value(None, "page_size", |row| row.get(0)).unwrap();
    let root: i64 = db
        .query_row("select rootpage from sqlite_schema where name = ?1", [name], |row| row.get(0))
        .unwrap();
    (((root - 1) * size) as u64, size as u64)
}

fn overwrite(path: &Path, (at, size): (u64, u64), with: u8) {
    use std::io::{Seek as _, SeekFrom, Write as _};
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&vec![with; size as usize]).unwrap();
}

/// Does what users do. Returns how often that failed with an error that asks for a retry.
fn use_it(scratch: &Scratch, n: usize) -> usize {
    let mut failed = 0;
    let mut again = |work: &dyn Fn() -> Result<(), Error>| loop {
        match work() {
            Ok(()) => return,
            Err(error) if error.is_busy() && failed < 10 => failed += 1,
            Err(error) => panic!("{error}"),
        }
    };
    let wiki = scratch.wiki();
    let name = format!("new-{n}");
    let path = ExistingPath::new(&name).unwrap();
    again(&|| scratch.save(&name, "text", Base::New).map(drop));
    again(&|| wiki.pages("", None, 100).map(drop));
    again(&|| wiki.update_index(|_| ()));
    again(&|| wiki.search("word", "", 0, 10).map(drop));
    again(&|| wiki.drafts("ann", None, 10).map(drop));
    again(&|| wiki.history(&path, None, crate::Most::items(10)).map(drop));
    again(&|| wiki.raw_preferences().map(drop));
    let base = scratch.page(&name).summary.etag;
    again(&|| wiki.delete(&Delete { path: &path, base, author: &ada(), message: None }).map(drop));
    failed
}

#[test]
fn damage_anywhere_is_mended_once_it_is_met() {
    for is_open in [true, false] {
        for (name, with) in [
            ("page", 0),
            ("page_by_key", 0),
            ("change", 0xff),
            ("revision", 0),
            ("link", 0),
            ("search_data", 0xff),
            ("search_idx", 0),
            ("redo", 0),
            ("wiki", 0),
            ("drafts", 0),
            ("preferences", 0xff),
        ] {
            let mut scratch = full();
            let path = scratch.dir().join("wiki.db");
            let place = root(&path, name);
            if is_open {
                // SQLite doesn't read cached pages again, so drop them.
                scratch.wiki().database().unwrap().forget_pages();
                overwrite(&path, place, with);
            } else {
                scratch.wiki().close().unwrap();
                overwrite(&path, place, with);
                scratch.open().unwrap();
            }
            for n in 0..3 {
                use_it(&scratch, n);
            }
            assert_eq!(use_it(&scratch, 3), 0, "{name}");
            let kept = kept(&scratch);
            assert!(kept.len() == 1 && kept[0].starts_with("wiki.db.corrupt-"), "{name}: {kept:?}");
            assert_eq!(scratch.paths().len(), 40, "{name}");
            if name != "drafts" {
                assert_eq!(draft(&scratch).as_deref(), Some("kept"), "{name}");
            }
            if name != "preferences" {
                assert_eq!(scratch.wiki().raw_preferences().unwrap()["COLOR"], "red", "{name}");
            }
            scratch.open().unwrap();
            assert_eq!(use_it(&scratch, 4), 0);
            scratch.git(&["fsck", "--strict"]);
        }
    }
}

#[test]
fn saves_that_only_wiki_db_has_survive_its_damage() {
    let mut scratch = full();
    let saved = scratch.create("last", "text");
    scratch.wiki().database().unwrap().checkpoint().unwrap();
    let path = scratch.dir().join("wiki.db");
    overwrite(&path, root(&path, "search_data"), 0xff);
    // A power cut loses the save's objects.
    let parent = scratch.git(&["rev-parse", "main^"]);
    for id in scratch.git(&["rev-list", "--objects", "--no-object-names", "main^..main"]).lines() {
        fs::remove_file(scratch.repo().join("objects").join(&id[..2]).join(&id[2..])).unwrap();
    }
    fs::write(scratch.repo().join("refs/heads/main"), format!("{parent}\n")).unwrap();
    scratch.open().unwrap();
    assert_eq!(scratch.wiki().head().unwrap(), Some(saved.revision));
    use_it(&scratch, 0);
    use_it(&scratch, 1);
    assert_eq!(scratch.text("last"), "text");
    scratch.git(&["fsck", "--strict"]);
}

#[test]
fn a_process_that_dies_while_it_sets_a_file_aside_loses_nothing() {
    for step in 0..4 {
        let mut scratch = full();
        let saved = scratch.create("last", "text");
        let parent = scratch.git(&["rev-parse", "main^"]);
        let path = |name: &str| scratch.dir().join(name);
        fs::copy(path("wiki.db-wal"), path("kept-wal")).unwrap();
        fs::copy(path("wiki.db"), path("kept")).unwrap();
        scratch.wiki().close().unwrap();
        fs::write(scratch.repo().join("refs/heads/main"), format!("{parent}\n")).unwrap();
        fs::remove_file(path("wiki.db")).unwrap();
        let _ = fs::remove_file(path("wiki.db-shm"));
        let _ = fs::remove_file(path("wiki.db-wal"));
        fs::rename(path("kept"), path("wiki.db.damaged")).unwrap();
        match step {
            // The file was moved, its log wasn't.
            0 => fs::rename(path("kept-wal"), path("wiki.db-wal")).unwrap(),
            _ => fs::rename(path("kept-wal"), path("wiki.db.damaged-wal")).unwrap(),
        }
        if step == 2 {
            // Half of the new file was written.
            fs::write(path(".wiki.db.0123456789abcdef.tmp"), "half").unwrap();
        }
        if step == 3 {
            scratch.open().unwrap();
            // Only the final rename of the old file is missing.
            let aside = kept(&scratch).remove(0);
            fs::rename(scratch.dir().join(aside), scratch.dir().join("wiki.db.damaged")).unwrap();
        }
        scratch.open().unwrap();
        assert_eq!(scratch.wiki().head().unwrap(), Some(saved.revision));
        assert_eq!(draft(&scratch).as_deref(), Some("kept"));
        assert_eq!(scratch.wiki().raw_preferences().unwrap()["COLOR"], "red");
        assert!(kept(&scratch).iter().all(|name| name.starts_with("wiki.db.corrupt-")));
        scratch.wiki().update_index(|_| ()).unwrap();
        assert_eq!(scratch.paths().len(), 41);
    }
}

#[test]
fn an_empty_file_is_not_a_new_one() {
    let mut scratch = full();
    scratch.wiki().close().unwrap();
    fs::write(scratch.dir().join("wiki.db"), "").unwrap();
    scratch.open().unwrap();
    assert_eq!(kept(&scratch).len(), 1);
    use_it(&scratch, 0);
    assert_eq!(scratch.paths().len(), 40);
}

#[test]
fn a_file_that_is_missing_is_made_anew_beside_its_old_log() {
    let mut scratch = full();
    scratch.create("last", "text");
    let wal = fs::read(scratch.dir().join("wiki.db-wal")).unwrap();
    scratch.wiki().close().unwrap();
    fs::remove_file(scratch.dir().join("wiki.db")).unwrap();
    fs::write(scratch.dir().join("wiki.db-wal"), &wal).unwrap();
    scratch.open().unwrap();
    use_it(&scratch, 0);
    assert_eq!(scratch.paths().len(), 41);
    assert_eq!(fs::read(scratch.dir().join("wiki.db.lost-wal")).unwrap(), wal);
}

#[test]
fn an_open_wiki_whose_file_is_removed_or_replaced_goes_on() {
    for file in ["wiki.db", "wiki.db-wal"] {
        let mut scratch = full();
        let path = scratch.dir().join("wiki.db");
        let backup = fs::read(&path).unwrap();
        put_draft(&scratch, "before");
        fs::remove_file(scratch.dir().join(file)).unwrap();
        put_draft(&scratch, "after");
        let saved = scratch.create("last", "text");
        let parent = scratch.git(&["rev-parse", "main^"]);
        // The process was killed, and the repository lost everything that wasn't synced.
        fs::write(scratch.repo().join("refs/heads/main"), format!("{parent}\n")).unwrap();
        scratch.open().unwrap();
        assert_eq!(draft(&scratch).as_deref(), Some("after"));
        assert_eq!(scratch.wiki().head().unwrap(), Some(saved.revision));

        // A backup replaces the file.
        fs::write(scratch.dir().join("backup"), &backup).unwrap();
        fs::rename(scratch.dir().join("backup"), &path).unwrap();
        let _ = fs::remove_file(scratch.dir().join("wiki.db-wal"));
        let refused = scratch.save("refused", "text", Base::New).unwrap_err();
        assert!(refused.is_busy() && refused.to_string().contains("replaced"), "{refused}");
        let again = scratch.save("refused", "text", Base::New).unwrap();
        assert_eq!(draft(&scratch).as_deref(), Some("kept"));
        assert_eq!(scratch.wiki().head().unwrap(), Some(again.revision));
        use_it(&scratch, 1);
        scratch.open().unwrap();
        assert_eq!(scratch.text("last"), "text");
        assert_eq!(scratch.paths().len(), 42);
        scratch.git(&["fsck", "--strict"]);
    }
}

#[test]
fn a_change_that_stays_invisible_is_seen_nowhere_and_comes_with_the_next_one() {
    let scratch = full();
    files::failing::NEXT_LOCKS.set(1);
    scratch.create("at-once", "text");
    assert_eq!((scratch.text("at-once"), scratch.paths().len()), ("text".to_owned(), 41));
    files::failing::NEXT_LOCKS.set(2);
    assert!(scratch.save("waits", "text", Base::New).unwrap_err().is_disk_full());
    assert!(!scratch.paths().contains(&"waits".to_owned()));
    assert!(scratch.wiki().read(&ExistingPath::new("waits").unwrap()).unwrap_err().is_not_found());
    scratch.create("next", "text");
    assert_eq!((scratch.text("waits"), scratch.paths().len()), ("text".to_owned(), 43));
    assert!(scratch.paths().contains(&"waits".to_owned()));
}
