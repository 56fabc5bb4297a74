//! Logs left by a killed process, intact and damaged.

use std::fs;
use std::path::PathBuf;

use rusqlite::Connection;

use super::*;

/// A database whose process was killed after twenty transactions, with or without a checkpoint after ten.
fn killed(checkpointed: bool) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let living = dir.path().join("living.db");
    let db = Connection::open(&living).unwrap();
    db.execute_batch("pragma journal_mode = wal; create table a (b)").unwrap();
    for n in 0..20 {
        if n == 10 && checkpointed {
            db.query_row("pragma wal_checkpoint(restart)", [], |_| Ok(())).unwrap();
        }
        db.execute("insert into a values (?1)", ["text ".repeat(200)]).unwrap();
    }
    let path = dir.path().join("killed.db");
    for suffix in ["", "-wal", "-shm"] {
        fs::copy(with_suffix(&living, suffix), with_suffix(&path, suffix)).unwrap();
    }
    (dir, path)
}

#[test]
fn a_log_of_a_process_that_was_killed_lacks_nothing() {
    for checkpointed in [false, true] {
        let (_dir, path) = killed(checkpointed);
        assert_eq!(loss(&path).unwrap(), None);
        let log = fs::read(with_suffix(&path, "-wal")).unwrap();
        // The process was killed in the middle of a frame.
        fs::write(with_suffix(&path, "-wal"), [&log[..], &[1; 100]].concat()).unwrap();
        assert_eq!(loss(&path).unwrap(), None);
        fs::remove_file(with_suffix(&path, "-shm")).unwrap();
        assert_eq!(loss(&path).unwrap(), None);
    }
    let (_dir, path) = killed(false);
    let db = Connection::open(&path).unwrap();
    let count: i64 = db.query_row("select count(*) from a", [], |row| row.get(0)).unwrap();
    drop(db);
    assert_eq!((count, loss(&path).unwrap()), (20, None));
}

#[test]
fn what_is_missing_or_damaged_shows() {
    let harms: [fn(&mut Vec<u8>); 7] = [
        |log| log.clear(),
        |log| log.truncate(log.len() / 2),
        |log| log.truncate(log.len() - 1),
        |log| log[..4096].fill(0),
        |log| {
            let middle = log.len() / 2;
            log[middle..middle + 4096].fill(0);
        },
        |log| {
            let last = log.len() - 4096;
            log[last..].fill(0);
        },
        |log| {
            let middle = log.len() / 2;
            log[middle] ^= 0x10;
        },
    ];
    for harm in harms {
        let (_dir, path) = killed(false);
        let log = with_suffix(&path, "-wal");
        let mut bytes = fs::read(&log).unwrap();
        harm(&mut bytes);
        fs::write(&log, bytes).unwrap();
        assert!(loss(&path).unwrap().is_some());
    }
    let (_dir, path) = killed(false);
    fs::remove_file(with_suffix(&path, "-wal")).unwrap();
    assert!(loss(&path).unwrap().is_some());
}
