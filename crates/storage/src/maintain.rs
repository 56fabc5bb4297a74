//! Keeps the repository small and quick to read.
//!
//! The `git` program packs the objects, which takes time but no lock: a pack only adds a second copy of existing
//! objects. Once the pack is synced, the first copies are removed, a few files at a time under the writer lock. Nothing
//! is ever pruned: unreachable objects are packed, too, since another program may be about to reference them. Refs are
//! never packed (see `CONFIG` in [`crate::repo`]).
//!
//! If the process dies, some objects have two copies, or an unfinished file is left; the next maintenance removes the
//! former, opening the wiki removes the latter.

use std::path::PathBuf;
use std::process::Command;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use crate::db::DbError;
use crate::deadline::Cancelled;
use crate::error::Error;
use crate::files::{At as _, FileSystem};
use crate::git_program;
use crate::index;
use crate::repo::{RepoError, Stored};
use crate::wiki::Wiki;

/// Number of loose objects from which they are packed: those of some three hundred saves.
const LOOSE: usize = 1000;
/// Bytes added since the last count from which loose objects are packed; or a quarter of the wiki's disk quota, if that
/// is less. A large page that is saved again and again is packed as deltas.
const ADDED: u64 = 64 << 20;
/// Number of packs from which all are packed into one. An open repository has room for 256.
const PACKS: usize = 16;
/// Number of commits missing in the commit-graph from which it is written again.
const COMMITS: u64 = 1000;
/// Number of files that are removed before the writer lock is released.
const BATCH: usize = 256;

/// The effects of a maintenance run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maintenance {
    /// True if objects were packed.
    pub packed: bool,
    /// Number of packs that were replaced by another one.
    pub packs_removed: usize,
    /// Number of packed objects whose loose files were removed.
    pub loose_removed: usize,
    /// True if the commit-graph was written.
    pub graph_written: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    /// The loose objects become a pack.
    Loose,
    /// Everything becomes one pack.
    All,
}

impl Need {
    fn of(stored: &Stored) -> Self {
        match stored {
            Stored { packs: PACKS.., .. } => Self::All,
            Stored { loose: LOOSE.., .. } => Self::Loose,
            _ => Self::Nothing,
        }
    }
}

impl Wiki {
    /// Packs the repository, if that is due. The check takes seventeen `readdir`, the packing may take minutes. Reads
    /// and saves go on meanwhile. If maintenance is running already, the call returns at once.
    /// [`stop_indexing`](Self::stop_indexing) and [`close`](Self::close) cancel it.
    ///
    /// # Errors
    /// [`Error::Cancelled`]: the run was cancelled. git failed or isn't installed; the disk is full or failing. The
    /// repository is intact in each case.
    pub fn maintain(&self) -> Result<Maintenance, Error> {
        self.check_open()?;
        self.forget_old_answers()?;
        let Ok(_alone) = self.maintaining.try_lock() else { return Ok(Maintenance::default()) };
        self.repo().mend_constant_files()?;
        let stored = self.repo().stored()?;
        let mut done = Maintenance::default();
        let need = match Need::of(&stored) {
            Need::Nothing if self.has_added_much() && stored.loose > 0 => Need::Loose,
            need => need,
        };
        if need != Need::Nothing {
            self.repack(need, &mut done)?;
            self.remember_size()?;
        }
        if self.commits()? >= stored.in_graph + COMMITS {
            self.write_graph()?;
            done.graph_written = true;
        }
        if done != Maintenance::default() {
            tracing::info!(wiki.id = self.id(), ?done, "repository packed");
        }
        Ok(done)
    }

    /// Restores files that the git program needs, if they are missing. To be called before running git on the
    /// repository.
    ///
    /// # Errors
    /// The disk is full or failing.
    pub fn ready_for_git(&self) -> Result<(), Error> {
        Ok(self.repo().mend_constant_files()?)
    }

    fn has_added_much(&self) -> bool {
        let much = self.disk_limit().map_or(ADDED, |limit| ADDED.min(limit / 4));
        self.repo().added_size() >= much
    }

    /// Measures the repository again, which is smaller now.
    fn remember_size(&self) -> Result<(), Error> {
        let bytes = i64::try_from(self.repo().count_size()?).unwrap_or(i64::MAX);
        self.room().forget();
        let Some(database) = self.existing_database()? else { return Ok(()) };
        database.write(|transaction| {
            let sql = "update wiki set repository_bytes = ?1";
            transaction.execute(sql, [bytes]).map_err(DbError::from)?;
            Ok(())
        })
    }

    /// Cancels a running maintenance and waits for its end.
    pub(crate) fn end_maintenance(&self) {
        self.ending.store(true, Ordering::Release);
        drop(self.maintaining.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Packs all objects, however few they are.
    #[cfg(test)]
    pub(crate) fn repack_everything(&self) {
        self.repack(Need::All, &mut Maintenance::default()).unwrap();
    }

    fn repack(&self, need: Need, done: &mut Maintenance) -> Result<(), Error> {
        let repo = self.repo();
        let before = repo.packs()?;
        // Start watching before the first write that the later sync has to cover.
        let disk = FileSystem::watch(repo.dir())?;
        let mut git = self.git();
        git.args(["-c", "pack.packSizeLimit=0"]);
        git.args(["pack-objects", "-q", "--all", "--non-empty", "--delta-base-offset"]);
        git.args(["--pack-loose-unreachable", "--honor-pack-keep"]);
        match need {
            Need::All => git.arg("--keep-unreachable"),
            _ => git.args(["--unpacked", "--incremental"]),
        };
        git.arg(repo.dir().join("objects/pack/pack"));
        let hashes = self.run(&mut git)?;
        let new: Vec<PathBuf> = hashes
            .lines()
            .map(|hash| repo.dir().join(format!("objects/pack/pack-{hash}")))
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        done.packed = true;
        repo.sync_packs(&new)?;
        disk.sync()?;
        repo.look_for_packs();
        if need == Need::All {
            for pack in repo.replaced(&before, &new)? {
                let _writer = self.turn()?;
                repo.remove_common_index()?;
                repo.remove_pack(&pack)?;
                done.packs_removed += 1;
            }
        }
        for some in repo.loose_in(&new)?.chunks(BATCH) {
            let _writer = self.turn()?;
            repo.remove_loose(some)?;
            done.loose_removed += some.len();
        }
        let _writer = self.turn()?;
        repo.remove_empty_shards();
        Ok(())
    }

    /// Takes the writer lock for a short time.
    fn turn(&self) -> Result<std::sync::MutexGuard<'_, crate::publish::Writer>, Error> {
        if self.ending.load(Ordering::Acquire) {
            return Err(Cancelled.into());
        }
        // The files to be removed are in a pack that was read through a memory map.
        self.check_maps()?;
        self.lock_writer()
    }

    /// Number of commits in the index.
    fn commits(&self) -> Result<u64, Error> {
        match self.existing_database()? {
            Some(database) => database.read(|c| Ok(index::commits(c)?)),
            None => Ok(0),
        }
    }

    fn write_graph(&self) -> Result<(), Error> {
        // The commit-graph survives a power cut, so the commits in it must survive one, too.
        self.checkpoint()?;
        let mut git = self.git();
        git.args(["commit-graph", "write", "--reachable", "--no-progress"]);
        self.run(&mut git).map(drop)
    }

    fn git(&self) -> Command {
        let mut git = git_program::command();
        git.arg("--git-dir").arg(self.repo().dir());
        git
    }

    /// Runs git until it ends, or maintenance is cancelled. Returns its output, which is short.
    fn run(&self, git: &mut Command) -> Result<String, Error> {
        let is_ended = || self.ending.load(Ordering::Acquire);
        let dir = self.repo().dir();
        match git_program::run(git, dir, is_ended).at("run git in", dir)? {
            None => Err(Cancelled.into()),
            Some((status, printed, _)) if status.success() => Ok(printed),
            Some((status, _, said)) => Err(RepoError::of_git(status, &said).into()),
        }
    }
}

#[cfg(test)]
mod tests;
