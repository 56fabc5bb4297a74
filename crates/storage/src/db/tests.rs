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
    let held: Vec<_> = (0..SIZING.connections).map(|_| db.connection().unwrap()).collect();
    assert!(db.read::<_, DbError>(|_| Ok(())).unwrap_err().is_busy());
    drop(held);
    assert_eq!(notes(&db), 1);
}
