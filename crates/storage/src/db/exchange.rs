//! Exchanging the file of an open database: one that lost its name for a copy of it, one that is damaged for one
//! that was built again.
//!
//! SQLite finds the log of a file by name, and the last connection to a file removes that. So no connection to
//! the old file may be left when the new one gets its name.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLockReadGuard, TryLockError};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;

use super::copy::copy_into;
use super::held::{Fate, Held, with_suffix};
use super::{Database, DbError, How, Open, lock};
use crate::files::{self, At as _};

/// How long the work on a database may go on before its file is exchanged.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether that has ended.
const LOOK: Duration = Duration::from_millis(2);

/// Why a database can't go on as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// SQLite found damage.
    Damaged,
    /// Another file has its name, or none has.
    Replaced,
}

impl Database {
    /// What was noticed and isn't mended yet.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        *lock(&self.trouble)
    }

    pub(super) fn report(&self, trouble: Trouble) {
        *lock(&self.trouble) = Some(trouble);
    }

    /// Whether SQLite finds the file in order, reading all of it.
    ///
    /// # Errors
    /// It can't be read at present.
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

    /// Forgets the trouble: it was none.
    pub(crate) fn dismiss(&self) {
        *lock(&self.trouble) = None;
    }

    /// Closes all connections, lets `work` put another file in the place of this one, and goes on with that.
    ///
    /// # Errors
    /// What `work` says; what the file is used for doesn't end in time. The trouble remains.
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

    /// Whether it has its name, or has it again: a file that was removed is written once more.
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

    /// Writes a copy of what is open and gives it the name.
    fn restore(&self, lost: &Arc<Held>) -> Result<(), DbError> {
        self.exclusively(|open| {
            if !Arc::ptr_eq(lost, &open.held) {
                // Others noticed it, too, and were here before.
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
            // The old log holds nothing that the copy hasn't, but would be replayed into it.
            for suffix in ["-wal", "-shm"] {
                files::remove_if_there(&with_suffix(&self.path, suffix))?;
            }
            files::sync_dir(self.path.parent().unwrap_or(Path::new(".")))?;
            *open = Open::new(&self.path, &self.how)?;
            // It may be removed again before it is needed.
            drop(self.connection(open)?);
            tracing::error!(
                file = %self.path.display(),
                "a database or its log was removed while it was open; it was written once more, and nothing is lost"
            );
            Ok(())
        })
    }

    /// Lets all connections forget what they have read.
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

    /// Waits while the file is being exchanged. Work within other work waits, too, and so may keep the exchange
    /// from happening; then both go on.
    pub(super) fn enter(&self) -> RwLockReadGuard<'_, Open> {
        while self.exchanging.load(Ordering::Acquire) {
            std::thread::sleep(LOOK);
        }
        self.open.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps new work out for as long as it lives.
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
    /// Closes the connections, all of which are idle. Nothing is written or removed by that.
    fn close(&mut self, how: &How) -> Result<(), DbError> {
        let mut connections = Vec::new();
        while let Some(connection) = self.pool.try_get() {
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            connections.push(connection);
        }
        self.pool = how.pool(self.held.clone());
        // With the last of them their pool goes.
        drop(connections);
        // The thread that connects may just be making one more.
        how.scheduler.wait_for_what_is_queued();
        Ok(())
    }
}
