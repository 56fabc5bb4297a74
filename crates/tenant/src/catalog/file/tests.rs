use super::*;
use crate::catalog::Catalog;
use crate::catalog::tests::{garden, scratch, settled};

/// Copies a file, or removes the copy if the file doesn't exist.
fn put(from: &Path, to: &Path) {
    match std::fs::copy(from, to) {
        Ok(_) => {}
        Err(_) => drop(std::fs::remove_file(to)),
    }
}

/// A copy of the files as a process that is killed now would leave them.
fn killed(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in ["platform.db", "platform.db-wal"] {
        put(&dir.join(name), &copy.path().join(name));
    }
    copy
}

fn opened(dir: &Path) -> Result<Catalog, CatalogError> {
    Catalog::open(dir, &Scheduler::default())
}

fn refused(dir: &Path) -> String {
    let log = std::fs::read(dir.join("platform.db-wal")).unwrap_or_default();
    let error = opened(dir).unwrap_err();
    assert!(matches!(error, CatalogError::Lost(_)), "{error}");
    assert_eq!(std::fs::read(dir.join("platform.db-wal")).unwrap_or_default(), log, "touched");
    error.to_string()
}

#[test]
fn what_a_killed_process_left_is_taken_with_its_log() {
    let (dir, catalog) = scratch();
    garden(&catalog);
    let copy = killed(dir.path());
    assert!(!is_empty(&copy.path().join("platform.db-wal")).unwrap());
    let again = opened(copy.path()).unwrap();
    settled(&again, "kitchen");
    let copy = killed(copy.path());
    let again = opened(copy.path()).unwrap();
    assert!(again.by_slug(&"garden".parse().unwrap()).unwrap().is_some());
    assert!(again.by_slug(&"kitchen".parse().unwrap()).unwrap().is_some());
}

#[test]
fn a_log_that_was_partly_written_back_is_taken() {
    let (dir, catalog) = scratch();
    garden(&catalog);
    catalog
        .db
        .0
        .read::<_, CatalogError>(|c| {
            Ok(c.query_row("pragma wal_checkpoint(passive)", [], |_| Ok(()))?)
        })
        .unwrap();
    opened(killed(dir.path()).path()).unwrap();
    settled(&catalog, "kitchen");
    opened(killed(dir.path()).path()).unwrap();
}

#[test]
fn the_log_of_another_catalog_is_refused_and_left_alone() {
    let (dir, catalog) = scratch();
    garden(&catalog);
    let copy = killed(dir.path());
    let (other, catalog) = scratch();
    garden(&catalog);
    put(&other.path().join("platform.db-wal"), &copy.path().join("platform.db-wal"));
    let why = refused(copy.path());
    assert!(why.contains("platform.db-wal") && why.contains("backup"), "{why}");
}

#[test]
fn a_log_is_refused_beside_an_older_or_a_newer_state_of_its_file() {
    let (dir, catalog) = scratch();
    let born = killed(dir.path());
    garden(&catalog);
    let first_log = killed(dir.path());
    drop(catalog);
    // Closing wrote the whole log back.
    let closed = killed(dir.path());
    let catalog = opened(dir.path()).unwrap();
    settled(&catalog, "kitchen");
    let second_log = killed(dir.path());
    let log = |from: &tempfile::TempDir, to: &tempfile::TempDir| {
        put(&from.path().join("platform.db-wal"), &to.path().join("platform.db-wal"));
    };
    log(&second_log, &born);
    refused(born.path());
    settled(&catalog, "cellar");
    drop(catalog);
    let newest = killed(dir.path());
    log(&first_log, &newest);
    refused(newest.path());
    log(&second_log, &closed);
    opened(closed.path()).unwrap();
}

#[test]
fn the_log_of_a_wiki_is_refused() {
    let (dir, catalog) = scratch();
    garden(&catalog);
    drop(catalog);
    let wiki = tempfile::tempdir().unwrap();
    let path = wiki.path().join("wiki.db");
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch("pragma journal_mode = wal; create table page (path text); insert into page values ('a');")
        .unwrap();
    put(&log_of(&path), &dir.path().join("platform.db-wal"));
    refused(dir.path());
}

#[test]
fn a_log_without_its_file_is_refused() {
    let (dir, catalog) = scratch();
    garden(&catalog);
    let copy = killed(dir.path());
    for lost in [false, true] {
        let file = copy.path().join("platform.db");
        if lost { std::fs::remove_file(file) } else { std::fs::write(file, "") }.unwrap();
        let why = refused(copy.path());
        assert!(why.contains("platform.db` is missing or empty"), "{why}");
    }
}

#[test]
fn a_catalog_without_wikis_is_refused_where_there_are_wikis() {
    for place in ["wikis/garden", "trash/00"] {
        let (dir, catalog) = scratch();
        drop(catalog);
        std::fs::create_dir_all(dir.path().join(place).join("repo")).unwrap();
        let why = refused(dir.path());
        assert!(why.contains(place) && why.contains("knows no wiki"), "{why}");
        for emptied in [false, true] {
            let file = dir.path().join("platform.db");
            if emptied { std::fs::write(file, "") } else { std::fs::remove_file(file) }.unwrap();
            let why = refused(dir.path());
            assert!(why.contains(place) && why.contains("from a backup"), "{why}");
        }
    }
}

#[test]
fn what_is_no_wiki_doesnt_make_a_directory_old() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("wikis/lost+found")).unwrap();
    std::fs::create_dir_all(dir.path().join("wikis/.new-00/repo")).unwrap();
    opened(dir.path()).unwrap();
}

#[test]
fn a_damaged_catalog_is_refused_with_what_to_do() {
    let (dir, catalog) = scratch();
    garden(&catalog);
    drop(catalog);
    std::fs::write(dir.path().join("platform.db"), "no database".repeat(1000)).unwrap();
    assert!(refused(dir.path()).contains("from a backup"));
}
