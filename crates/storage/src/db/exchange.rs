//! Replaces the file of an open database: a deleted file by a copy, a damaged one by a rebuilt one.
//!
//! SQLite finds the log of a file by name, and the last connection to a file removes the log. So every connection to
//! the old file must be closed before the new file gets its name.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLockReadGuard, TryLockError};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;

use super::copy::copy_into;
use super::held::{Fate, Held, with_suffix};
use super::{Database, DbError, How, Open, lock};
use crate::files::{self, At as _};

/// Maximum time that an exchange waits for running work on the database.
const PATIENCE: Duration = Duration::from_secs(5);
/// Interval at which an exchange checks whether the running work has ended.
const LOOK: Duration = Duration::from_millis(2);

/// Reasons why a database needs repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// SQLite found damage.
    Damaged,
    /// The file was replaced or removed.
    Replaced,
}

impl Database {
    /// Returns the detected problem that isn't repaired yet.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        *lock(&self.trouble)
    }

    pub(super) fn report(&self, trouble: Trouble) {
        *lock(&self.trouble) = Some(trouble);
    }

    /// Returns `true` if SQLite's checks of the entire file pass.
    ///
    /// # Errors
    /// The file can't be read at present.
    pub(crate) fn is_sound(&self) -> Result<bool, DbError> {
        let answer = self.read(|connection| {
            for check in ["pragma quick_check(1)", "pragma integrity_check(1)"] {
                let answer: String = connection.query_row(check, [], |row| row.get(0))?;
                if answer != "ok" {
                    return Ok(false);
                }
            }
            Ok(true)
        });
        match answer {
            Err(DbError::Corrupt { .. }) => Ok(false),
            answer => answer,
        }
    }

    /// Clears a false alarm.
    pub(crate) fn dismiss(&self) {
        *lock(&self.trouble) = None;
    }

    /// Closes all connections, runs `work`, which puts another file in place, and continues with that file.
    ///
    /// # Errors
    /// The error that `work` returns; users of the file don't finish in time. The trouble remains.
    pub(crate) fn exchange<E: From<DbError>>(
        &self,
        work: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        let mut worked = Ok(());
        let opened = self.exclusively(|open| {
            open.close(&self.how)?;
            worked = work();
            *open = Open::new(&self.path, &self.how)?;
            Ok(())
        });
        worked?;
        opened?;
        self.dismiss();
        Ok(())
    }

    /// Checks that the database still has its name. A removed file is written again.
    ///
    /// # Errors
    /// Another file has the name.
    pub(super) fn regain(&self, held: &Arc<Held>, fate: Fate) -> Result<(), DbError> {
        match fate {
            Fate::Held => Ok(()),
            Fate::Lost => self.restore(held),
            Fate::Replaced => {
                self.report(Trouble::Replaced);
                Err(DbError::Replaced { path: self.path.clone() })
            }
        }
    }

    /// Writes a copy of the open file under its old name.
    fn restore(&self, lost: &Arc<Held>) -> Result<(), DbError> {
        self.exclusively(|open| {
            if !Arc::ptr_eq(lost, &open.held) {
                // Another thread restored the file already.
                return Ok(());
            }
            let Some(connection) = open.pool.try_get() else {
                self.report(Trouble::Replaced);
                return Err(DbError::Replaced { path: self.path.clone() });
            };
            let copy = files::temporary_beside(&self.path);
            let named = copy_into(&connection, &copy).and_then(|()| {
                drop(connection);
                open.close(&self.how)?;
                Ok(std::fs::rename(&copy, &self.path).at("rename into place", &self.path)?)
            });
            if let Err(error) = named {
                let _ = std::fs::remove_file(&copy);
                return Err(error);
            }
            // The copy contains everything in the old log, which would otherwise be replayed into the copy.
            for suffix in ["-wal", "-shm"] {
                files::remove_if_there(&with_suffix(&self.path, suffix))?;
            }
            files::sync_dir(self.path.parent().unwrap_or(Path::new(".")))?;
            *open = Open::new(&self.path, &self.how)?;
            // Open a connection at once: the file may be removed again before one is needed.
            drop(self.connection(open)?);
            tracing::error!(
                file = %self.path.display(),
                "a database or its log was removed while it was open; it was written once more, and nothing is lost"
            );
            Ok(())
        })
    }

    /// Drops the page caches of all connections.
    #[cfg(test)]
    pub(crate) fn forget_pages(&self) {
        let open = self.enter();
        let mut connections = Vec::new();
        while let Some(connection) = open.pool.try_get() {
            connection.release_memory().unwrap();
            connections.push(connection);
        }
    }

    /// Runs `work` while nothing else uses the file.
    fn exclusively<T>(
        &self,
        work: impl FnOnce(&mut Open) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        let _one = lock(&self.one_exchange);
        let _closed = Closed::new(&self.exchanging);
        let start = Instant::now();
        loop {
            match self.open.try_write() {
                Ok(mut open) => return work(&mut open),
                Err(TryLockError::Poisoned(open)) => return work(&mut open.into_inner()),
                Err(TryLockError::WouldBlock) if start.elapsed() < PATIENCE => {
                    std::thread::sleep(LOOK);
                }
                Err(TryLockError::WouldBlock) => {
                    let detail = "its file can't be exchanged while it is used".to_owned();
                    return Err(DbError::Busy { path: self.path.clone(), detail });
                }
            }
        }
    }

    /// Waits while the file is being exchanged. Nested work waits, too, and so may make the exchange time out; then
    /// both continue.
    pub(super) fn enter(&self) -> RwLockReadGuard<'_, Open> {
        while self.exchanging.load(Ordering::Acquire) {
            std::thread::sleep(LOOK);
        }
        self.open.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Blocks new work as long as it lives.
struct Closed<'a>(&'a AtomicBool);

impl<'a> Closed<'a> {
    fn new(door: &'a AtomicBool) -> Self {
        door.store(true, Ordering::Release);
        Self(door)
    }
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Open {
    /// Closes the connections, all of which are idle, without writing or removing any file.
    fn close(&mut self, how: &How) -> Result<(), DbError> {
        let mut connections = Vec::new();
        while let Some(connection) = self.pool.try_get() {
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            connections.push(connection);
        }
        self.pool = how.pool(self.held.clone());
        // The old pool is dropped with the last of its connections.
        drop(connections);
        // The scheduler's thread may be opening another connection right now.
        how.scheduler.wait_for_what_is_queued();
        Ok(())
    }
}
