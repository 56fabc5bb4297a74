use std::sync::Barrier;

use refinery_core::Migration;

use super::*;

const SIZING: Sizing = Sizing { connections: 4, cache_kib: 256 };

fn schema(steps: &[(&str, &str)]) -> Schema {
    Schema::new(steps.iter().map(|(name, sql)| Migration::unapplied(name, sql).unwrap()).collect())
}

fn one() -> Schema {
    schema(&[("V1__notes", "create table note (text text not null)")])
}

fn two() -> Schema {
    schema(&[
        ("V1__notes", "create table note (text text not null)"),
        ("V2__stars", "alter table note add column stars integer not null default 0"),
    ])
}

fn version(path: &Path) -> i64 {
    Connection::open(path).unwrap().pragma_query_value(None, "user_version", |r| r.get(0)).unwrap()
}

pub(super) fn notes(db: &Database) -> i64 {
    db.read::<_, DbError>(|c| Ok(c.query_row("select count(*) from note", [], |r| r.get(0))?))
        .unwrap()
}

pub(super) fn scratch() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wiki.db");
    (dir, path)
}

pub(super) fn create_one(path: &Path) -> Database {
    Database::open_or_create(path, &one(), &Scheduler::default(), SIZING, |c| {
        c.execute("insert into note values ('seed')", []).map(drop)
    })
    .unwrap()
}

#[test]
fn a_pool_says_how_much_of_it_is_in_use() {
    let (_dir, path) = scratch();
    let db = create_one(&path);
    assert_eq!(db.pool_use(), PoolUse::default());
    let seen = db.read::<_, DbError>(|_| Ok(db.pool_use())).unwrap();
    assert_eq!(seen.busy, 1);
    assert!(seen.connections >= 1);
    let PoolUse { connections, busy } = db.pool_use();
    assert_eq!((connections >= 1, busy), (true, 0));
}

#[test]
fn a_connection_that_comes_back_in_a_transaction_is_not_used_again() {
    let (_dir, path) = scratch();
    let db = create_one(&path);
    let fail = |sql: &str| db.read::<_, DbError>(|c| Ok(c.execute_batch(sql)?)).unwrap_err();
    let leave_a_row = || {
        let panics = || {
            db.read::<(), DbError>(|c| {
                c.execute_batch("begin immediate; insert into note values ('lost')")?;
                panic!("in the middle")
            })
        };
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).unwrap_err();
    };
    for _ in 0..3 {
        let said = fail("begin immediate; insert into missing values (1); commit").to_string();
        assert_eq!(said, "no such table: missing");
        leave_a_row();
        db.write::<_, DbError>(|t| Ok(t.execute("update note set text = 'x'", [])?)).unwrap();
    }
    assert_eq!(notes(&db), 1);
}

#[test]
fn a_new_file_is_seeded_migrated_and_in_wal_mode() {
    let (dir, path) = scratch();
    let db = create_one(&path);
    assert_eq!(notes(&db), 1);
    assert_eq!(version(&path), 1);
    let mode: String = db
        .read::<_, DbError>(|c| Ok(c.pragma_query_value(None, "journal_mode", |r| r.get(0))?))
        .unwrap();
    assert_eq!(mode, "wal");
    let leftovers = std::fs::read_dir(dir.path())
        .unwrap()
        .filter(|e| files::is_leftover(&e.as_ref().unwrap().file_name().to_string_lossy()))
        .count();
    assert_eq!(leftovers, 0);
}

#[test]
fn looking_for_a_file_does_not_create_it() {
    let (_dir, path) = scratch();
    Database::open(&path, &one(), &Scheduler::default(), SIZING).unwrap_err();
    assert!(!path.exists());
}

#[test]
fn an_older_file_is_migrated_and_keeps_its_rows() {
    let (_dir, path) = scratch();
    drop(create_one(&path));
    let db = Database::open(&path, &two(), &Scheduler::default(), SIZING).unwrap();
    assert_eq!(notes(&db), 1);
    assert_eq!(version(&path), 2);
}

#[test]
fn a_newer_file_is_refused_and_not_touched() {
    let (_dir, path) = scratch();
    drop(create_one(&path));
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = Database::open(&path, &two(), &Scheduler::default(), SIZING).unwrap_err();
    assert!(matches!(error, DbError::TooNew { found: 99, known: 2, .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_failing_migration_leaves_the_file_as_it_was() {
    let (_dir, path) = scratch();
    drop(create_one(&path));
    let broken = schema(&[
        ("V1__notes", "create table note (text text not null)"),
        ("V2__half", "create table half (x integer); insert into nowhere values (1);"),
    ]);
    let error = Database::open(&path, &broken, &Scheduler::default(), SIZING).unwrap_err();
    assert!(matches!(error, DbError::Migration { .. }), "{error}");
    assert_eq!(version(&path), 1);
    let db = Database::open(&path, &two(), &Scheduler::default(), SIZING).unwrap();
    assert_eq!(notes(&db), 1);
}

#[test]
fn a_migration_for_which_there_is_no_room_says_so() {
    let (_dir, path) = scratch();
    drop(create_one(&path));
    let mut connection = Connection::open(&path).unwrap();
    let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
    let larger = schema(&[
        ("V1__notes", "create table note (text text not null)"),
        ("V2__more", "create table more (x); create table most (y);"),
    ]);
    let error = migrate::ensure(&mut connection, &larger).unwrap_err();
    assert!(error.is_disk_full(), "{error}");
}

#[test]
fn a_migration_that_would_orphan_rows_is_rolled_back() {
    let (_dir, path) = scratch();
    drop(create_one(&path));
    let orphaning = schema(&[
        ("V1__notes", "create table note (text text not null)"),
        (
            "V2__child",
            "create table p (id integer primary key); create table c (p references p (id)); insert into c values (7);",
        ),
    ]);
    let error = Database::open(&path, &orphaning, &Scheduler::default(), SIZING).unwrap_err();
    assert!(error.to_string().contains("refer to nothing"), "{error}");
    assert_eq!(version(&path), 1);
}

#[test]
fn a_hundred_first_opens_make_one_file() {
    let (_dir, path) = scratch();
    let schema = two();
    let scheduler = Scheduler::default();
    let start = Barrier::new(100);
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                start.wait();
                let seed = |c: &Connection| {
                    c.execute("insert into note (text) values ('seed')", []).map(drop)
                };
                Database::open_or_create(&path, &schema, &scheduler, SIZING, seed).unwrap();
            });
        }
    });
    assert_eq!(notes(&Database::open(&path, &schema, &scheduler, SIZING).unwrap()), 1);
}

#[test]
fn text_in_place_of_a_database_is_called_corrupt() {
    let (_dir, path) = scratch();
    std::fs::write(&path, "this is a shopping list, not a database at all".repeat(100)).unwrap();
    let error = Database::open(&path, &one(), &Scheduler::default(), SIZING).unwrap_err();
    assert!(matches!(error, DbError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("wiki.db"), "{error}");
}

#[test]
fn a_failed_transaction_leaves_no_trace() {
    let (_dir, path) = scratch();
    let db = create_one(&path);
    let result: Result<(), DbError> = db.write(|tx| {
        tx.execute("insert into note values ('gone')", [])?;
        tx.execute("insert into nowhere values (1)", [])?;
        Ok(())
    });
    result.unwrap_err();
    assert_eq!(notes(&db), 1);
}

#[test]
fn a_starved_pool_says_busy_and_recovers() {
    let (_dir, path) = scratch();
    let db = create_one(&path);
    let open = db.enter();
    let held: Vec<_> = (0..SIZING.connections).map(|_| db.connection(&open).unwrap()).collect();
    assert!(db.read::<_, DbError>(|_| Ok(())).unwrap_err().is_busy());
    drop(held);
    assert_eq!(notes(&db), 1);
}

fn add_note(db: &Database, text: &str) -> Result<(), DbError> {
    db.write(|tx| Ok(tx.execute("insert into note values (?1)", [text]).map(drop)?))
}

#[test]
fn a_file_or_a_log_that_is_removed_while_it_is_open_is_written_once_more() {
    for suffixes in [&[""][..], &["-wal"], &["", "-wal"]] {
        let (dir, path) = scratch();
        let db = create_one(&path);
        add_note(&db, "before").unwrap();
        assert!(!held::with_suffix(&path, "-shm").exists(), "nothing is mapped that could be cut");
        for round in 0..2 {
            for suffix in suffixes {
                std::fs::remove_file(held::with_suffix(&path, suffix)).unwrap();
            }
            add_note(&db, "after").unwrap();
            // Another program sees everything that was written.
            let other = Connection::open(&path).unwrap();
            let count: i64 =
                other.query_row("select count(*) from note", [], |row| row.get(0)).unwrap();
            assert_eq!((count, notes(&db)), (3 + round, 3 + round), "{suffixes:?}");
        }
        drop(db);
        assert_eq!(notes(&create_one(&path)), 4);
        let names = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(names.into_iter().all(|name| name.to_string_lossy().starts_with("wiki.db")));
    }
}

#[test]
fn what_is_written_into_a_file_that_was_replaced_is_not_acknowledged() {
    let (dir, path) = scratch();
    let db = create_one(&path);
    add_note(&db, "old").unwrap();
    let other = dir.path().join("other.db");
    drop(create_one(&other));
    std::fs::rename(&other, &path).unwrap();
    assert!(matches!(add_note(&db, "lost"), Err(DbError::Replaced { .. })));
    assert_eq!(db.trouble(), Some(Trouble::Replaced));
    let _ = std::fs::remove_file(held::with_suffix(&path, "-wal"));
    db.exchange(|| Ok::<_, DbError>(())).unwrap();
    assert_eq!((db.trouble(), notes(&db)), (None, 1));
    add_note(&db, "new").unwrap();
    drop(db);
    assert_eq!(notes(&create_one(&path)), 2);
}

/// A connection to the old file that is closed later would remove the log of the new one.
#[test]
fn readers_and_writers_go_on_while_a_file_is_exchanged_again_and_again() {
    use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
    let (_dir, path) = scratch();
    let db = create_one(&path);
    let (over, written) = (AtomicBool::new(false), AtomicI64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !over.load(SeqCst) {
                    notes(&db);
                    add_note(&db, "note").unwrap();
                    written.fetch_add(1, SeqCst);
                }
            });
        }
        let wait_for_writers = || {
            let enough = written.load(SeqCst) + 6;
            let start = std::time::Instant::now();
            while written.load(SeqCst) < enough && start.elapsed().as_secs() < 60 {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        };
        for _ in 0..10 {
            wait_for_writers();
            std::fs::remove_file(&path).unwrap();
        }
        wait_for_writers();
        over.store(true, SeqCst);
    });
    drop(db);
    assert_eq!(notes(&create_one(&path)), written.load(SeqCst) + 1);
}

#[test]
fn damage_is_noted_whatever_becomes_of_the_error() {
    let (_dir, path) = scratch();
    let db = create_one(&path);
    let text = "x".repeat(3000);
    for _ in 0..50 {
        add_note(&db, &text).unwrap();
    }
    db.checkpoint().unwrap();
    drop(db);
    let mut bytes = std::fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes[half..half + 4096].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let db = Database::open(&path, &one(), &Scheduler::default(), SIZING).unwrap();
    assert_eq!(db.trouble(), None);
    let swallowed = db.read::<_, DbError>(|c| {
        let read = || -> Result<i64, DbError> {
            Ok(c.query_row("select sum(length(text)) from note", [], |row| row.get(0))?)
        };
        Ok(read().is_err())
    });
    assert_eq!((swallowed.unwrap(), db.trouble()), (true, Some(Trouble::Damaged)));
    assert!(!db.is_sound().unwrap());
}

#[test]
fn another_program_is_told_that_the_file_is_in_use() {
    const FILE: &str = "WIKIGROVE_OTHER_PROGRAM";
    const NAME: &str = "db::tests::another_program_is_told_that_the_file_is_in_use";
    if let Some(file) = std::env::var_os(FILE) {
        let other = Connection::open(file).unwrap();
        other.busy_timeout(Duration::ZERO).unwrap();
        let count = other.query_row("select count(*) from note", [], |row| row.get::<_, i32>(0));
        std::process::exit(match count.map_err(DbError::from) {
            Err(DbError::Busy { .. }) => 70,
            counted => counted.unwrap(),
        });
    }
    let (_dir, path) = scratch();
    let db = create_one(&path);
    add_note(&db, "text").unwrap();
    let other = || {
        let mut program = std::process::Command::new(std::env::current_exe().unwrap());
        let output = program.args(["--exact", NAME]).env(FILE, &path).output().unwrap();
        output.status.code()
    };
    assert_eq!(other(), Some(70));
    drop(db);
    assert_eq!(other(), Some(2));
}
