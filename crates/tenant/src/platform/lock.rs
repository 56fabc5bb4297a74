//! One process owns a data directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use wikigrove_storage::FileError;

use crate::Error;

/// The prefix of the directories that platforms in memory live in.
const SCRATCH_PREFIX: &str = "wikigrove-memory-";

/// The lock on `<data>/lock`, released when this is dropped or the process ends in any way.
pub(crate) struct DirLock(#[expect(dead_code, reason = "held, not used")] File);

impl DirLock {
    pub(crate) fn take(dir: &Path) -> Result<Self, Error> {
        let path = dir.join("lock");
        let file = open(&path).map_err(|source| file_error("open", &path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(Error::InUse { dir: dir.to_owned() }),
            Err(TryLockError::Error(source)) => Err(file_error("lock", &path, source)),
        }
    }
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
    let parent = memory_dir();
    sweep(&parent);
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
        // A directory without a lock file is being created right now.
        let lock = entry.path().join("lock");
        if is_ours
            && let Ok(file) = OpenOptions::new().write(true).open(lock)
            && file.try_lock().is_ok()
        {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn file_error(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    FileError { action, path: path.to_owned(), source }.into()
}
