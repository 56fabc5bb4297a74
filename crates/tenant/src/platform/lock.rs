//! One process owns a data directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::{Duration, Instant};

use wikigrove_storage::FileError;

use super::held::{self, Held};
use crate::Error;

/// The prefix of the directories that platforms in memory live in.
const SCRATCH_PREFIX: &str = "wikigrove-memory-";

/// How long to wait for whoever has the lock: a platform that was just dropped may be finishing what
/// it had begun.
const PATIENCE: Duration = Duration::from_millis(500);
/// A directory in memory younger than this is left alone: its owner may not have locked it yet.
const YOUTH: Duration = Duration::from_secs(60);

/// The lock on `<data>/lock`, released when this and all its clones are dropped or the processes
/// that hold them end in any way.
pub(crate) struct DirLock {
    /// Before the file, and so dropped before it: what is said to be held must be locked.
    _held: Held,
    file: File,
}

impl DirLock {
    pub(crate) fn take(dir: &Path) -> Result<Self, Error> {
        let path = dir.join("lock");
        let file = open(&path).map_err(|source| file_error("open", &path, source))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _held: Held::enter(&file), file }),
                Err(TryLockError::Error(source)) => return Err(file_error("lock", &path, source)),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(TryLockError::WouldBlock) => return Err(taken(dir, &file)),
            }
        }
    }

    /// The same lock once more, for a program we start.
    pub(crate) fn for_child(&self) -> Result<File, Error> {
        self.file.try_clone().map_err(|source| file_error("share", Path::new("lock"), source))
    }
}

/// Why the lock `file` of `dir` can't be had.
fn taken(dir: &Path, file: &File) -> Error {
    let dir = dir.to_owned();
    if held::is_held(file) { Error::AlreadyOpen { dir } } else { Error::InUse { dir } }
}

fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A private directory for a platform in memory, on tmpfs where there is one. What a killed process
/// left there is removed first: its lock is free.
pub(crate) fn scratch() -> Result<tempfile::TempDir, Error> {
    static SWEPT: Once = Once::new();
    let parent = memory_dir();
    SWEPT.call_once(|| sweep(&parent));
    tempfile::Builder::new()
        .prefix(SCRATCH_PREFIX)
        .tempdir_in(&parent)
        .map_err(|source| file_error("create a directory in", &parent, source))
}

fn memory_dir() -> PathBuf {
    let shared_memory = Path::new("/dev/shm");
    match tempfile::tempfile_in(shared_memory) {
        Ok(_) => shared_memory.to_owned(),
        Err(_) => std::env::temp_dir(),
    }
}

fn sweep(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(SCRATCH_PREFIX);
        if is_ours && is_abandoned(&entry.path()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn is_abandoned(dir: &Path) -> bool {
    let Ok(lock) = OpenOptions::new().write(true).open(dir.join("lock")) else { return false };
    let made = lock.metadata().and_then(|metadata| metadata.modified());
    let is_young = made.is_ok_and(|made| made.elapsed().is_ok_and(|age| age < YOUTH));
    !is_young && lock.try_lock().is_ok()
}

fn file_error(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    FileError { action, path: path.to_owned(), source }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn abandoned(parent: &Path, age: Duration) -> PathBuf {
        let dir = parent.join(format!("{SCRATCH_PREFIX}{}", age.as_secs()));
        std::fs::create_dir(&dir).unwrap();
        let lock = open(&dir.join("lock")).unwrap();
        lock.set_modified(std::time::SystemTime::now() - age).unwrap();
        dir
    }

    #[test]
    fn what_a_killed_process_left_in_memory_is_swept_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let old = abandoned(parent.path(), Duration::from_secs(3600));
        let young = abandoned(parent.path(), Duration::from_secs(1));
        let used = abandoned(parent.path(), Duration::from_secs(7200));
        let _lock = DirLock::take(&used).unwrap();
        let other = parent.path().join("somebody-elses");
        std::fs::create_dir(&other).unwrap();
        sweep(parent.path());
        assert!(!old.exists() && young.exists() && used.exists() && other.exists());
    }
}
