//! The lock of a data directory: at most one process uses a directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::{Duration, Instant};

use wikigrove_storage::FileError;

use super::held::{self, Held};
use crate::Error;

/// The prefix of the directories of in-memory platforms.
const SCRATCH_PREFIX: &str = "wikigrove-memory-";

/// The longest wait for the lock: a platform that was just dropped may still be finishing its work.
const PATIENCE: Duration = Duration::from_millis(500);
/// A younger in-memory directory is kept: its owner may not have locked it yet.
const YOUTH: Duration = Duration::from_secs(60);

/// The lock on a data directory. It is released when this value and all its clones are dropped, or when the processes
/// that hold them end in any way.
///
/// The lock is on the directory itself, which, unlike a file in it, can't be removed, and on `<data>/lock`, which
/// earlier versions of this program check.
pub(crate) struct DirLock {
    /// Declared before the locks, and so dropped before them: every directory in the list must be locked.
    _held: Held,
    dir: File,
    /// `true` if the directory itself is locked: some file systems lock files only.
    is_dir_locked: bool,
    file: File,
}

impl DirLock {
    pub(crate) fn take(dir: &Path) -> Result<Self, Error> {
        let deadline = Instant::now() + PATIENCE;
        let path = dir;
        let dir = File::open(path).map_err(|source| file_error("open", path, source))?;
        let is_dir_locked = lock_directory(&dir, path, deadline)?;
        let file = lock_file(&dir, path, deadline)?;
        Ok(Self { _held: Held::enter(&dir), dir, is_dir_locked, file })
    }

    /// A second handle of the same lock, for a child process.
    pub(crate) fn for_child(&self) -> Result<File, Error> {
        let lock = if self.is_dir_locked { &self.dir } else { &self.file };
        lock.try_clone().map_err(|source| file_error("share", Path::new("lock"), source))
    }
}

/// Locks the directory. Returns `false` if its file system doesn't lock directories.
fn lock_directory(dir: &File, path: &Path, deadline: Instant) -> Result<bool, Error> {
    match lock(dir, deadline) {
        Ok(true) => Ok(true),
        Ok(false) => Err(taken(dir, path)),
        Err(error) => {
            // NFS, for example, locks only files that are open for writing.
            tracing::warn!(dir = %path.display(), %error, "only the file `lock` in it can be locked: never remove it");
            Ok(false)
        }
    }
}

fn lock_file(dir: &File, dir_path: &Path, deadline: Instant) -> Result<File, Error> {
    let path = dir_path.join("lock");
    loop {
        let file = open(&path).map_err(|source| file_error("open", &path, source))?;
        match lock(&file, deadline) {
            // The file may have been removed or replaced meanwhile; then the lock protects nothing.
            Ok(true) if is_at(&file, &path) => return Ok(file),
            Ok(true) => {}
            Ok(false) => return Err(taken(dir, dir_path)),
            Err(source) => return Err(file_error("lock", &path, source)),
        }
    }
}

/// The error for a lock that is taken.
fn taken(dir: &File, path: &Path) -> Error {
    let is_here = held::is_held(dir);
    let dir = path.to_owned();
    if is_here { Error::AlreadyOpen { dir } } else { Error::InUse { dir } }
}

/// Waits for a lock until `deadline`. Returns `false` if another process has it.
fn lock(file: &File, deadline: Instant) -> std::io::Result<bool> {
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::Error(source)) => return Err(source),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(TryLockError::WouldBlock) => return Ok(false),
        }
    }
}

/// Returns `true` if `path` still names the open file.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A private directory for an in-memory platform, on tmpfs if there is one. Directories left behind by killed
/// processes, whose locks are free, are removed first.
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

    fn is_in_use(taken: Result<DirLock, Error>) -> bool {
        matches!(taken, Err(Error::InUse { .. } | Error::AlreadyOpen { .. }))
    }

    #[test]
    fn removing_or_replacing_the_lock_file_lets_nobody_in() {
        let dir = tempfile::tempdir().unwrap();
        let lock = DirLock::take(dir.path()).unwrap();
        assert!(is_in_use(DirLock::take(dir.path())));
        std::fs::remove_file(dir.path().join("lock")).unwrap();
        assert!(is_in_use(DirLock::take(dir.path())));
        std::fs::write(dir.path().join("lock"), "").unwrap();
        assert!(is_in_use(DirLock::take(dir.path())));
        // The child process now holds the lock alone.
        let child = lock.for_child().unwrap();
        drop(lock);
        assert!(is_in_use(DirLock::take(dir.path())));
        drop(child);
        DirLock::take(dir.path()).unwrap();
    }

    #[test]
    fn a_process_that_locks_the_file_alone_is_respected_and_kept_out() {
        let dir = tempfile::tempdir().unwrap();
        let earlier = open(&dir.path().join("lock")).unwrap();
        earlier.try_lock().unwrap();
        assert!(is_in_use(DirLock::take(dir.path())));
        drop(earlier);
        let _lock = DirLock::take(dir.path()).unwrap();
        open(&dir.path().join("lock")).unwrap().try_lock().unwrap_err();
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
