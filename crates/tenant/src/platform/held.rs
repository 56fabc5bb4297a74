//! The data directories locked by this process, so that the error of a second `open` can distinguish a mistake in this
//! process from another running process.

use std::collections::BTreeSet;
use std::fs::File;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The locked directories, by identity: a directory may have many paths, but has one lock.
static HELD: Mutex<BTreeSet<FileId>> = Mutex::new(BTreeSet::new());

/// The identity of a file that a process has open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct FileId {
    /// A forked child has a copy of the list, but holds none of its locks.
    process: u32,
    device: u64,
    inode: u64,
}

/// An entry in the list, removed on drop.
pub(super) struct Held(Option<FileId>);

impl Held {
    /// Adds `file`, which this process has just locked. The file must stay open as long as the entry exists, because
    /// the system may reuse its inode number afterwards.
    pub(super) fn enter(file: &File) -> Self {
        let id = id(file);
        held().extend(id);
        Self(id)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            held().remove(&id);
        }
    }
}

/// Returns `true` if this process holds the lock on `file`.
pub(super) fn is_held(file: &File) -> bool {
    id(file).is_some_and(|id| held().contains(&id))
}

#[cfg(unix)]
fn id(file: &File) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = file.metadata().ok()?;
    let (device, inode) = (metadata.dev(), metadata.ino());
    Some(FileId { process: std::process::id(), device, inode })
}

/// On systems without file identities, every lock counts as another process's.
#[cfg(not(unix))]
fn id(_: &File) -> Option<FileId> {
    None
}

fn held() -> MutexGuard<'static, BTreeSet<FileId>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_held_under_any_path_and_no_longer_than_its_entry() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("lock"), dir.path().join("link"));
        let file = File::create(&path).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let again = File::open(&link).unwrap();
        assert!(!is_held(&again));
        let entry = Held::enter(&file);
        assert!(is_held(&again));
        drop(entry);
        assert!(!is_held(&again));
    }

    #[test]
    fn a_forked_child_holds_nothing() {
        let file = tempfile::tempfile().unwrap();
        let inherited = id(&file).map(|id| FileId { process: id.process + 1, ..id });
        held().extend(inherited);
        assert!(!is_held(&file));
        drop(Held(inherited));
    }
}
