//! The size of the repository's files: counted once, then increased by each addition.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{Repo, RepoError};
use crate::files::size_below;

/// The known size. Removed files are noticed when everything is counted again.
#[derive(Debug, Default)]
pub(super) struct Size {
    counted: Mutex<Option<u64>>,
    added: AtomicU64,
}

impl Size {
    /// Adds the size of files that were written.
    pub(super) fn add(&self, bytes: u64) {
        self.added.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Repo {
    /// The total size of the files in bytes; `None` until they were counted.
    pub(crate) fn known_size(&self) -> Option<u64> {
        let counted = *self.size.counted.lock().unwrap_or_else(PoisonError::into_inner);
        Some(counted? + self.size.added.load(Ordering::Relaxed))
    }

    /// The bytes that were added since the last count.
    pub(crate) fn added_size(&self) -> u64 {
        self.size.added.load(Ordering::Relaxed)
    }

    /// Counts all files.
    pub(crate) fn count_size(&self) -> Result<u64, RepoError> {
        let bytes = size_below(&self.dir)?;
        self.set_size(bytes);
        Ok(bytes)
    }

    /// Sets the size to the result of a former count.
    pub(crate) fn set_size(&self, bytes: u64) {
        let mut counted = self.size.counted.lock().unwrap_or_else(PoisonError::into_inner);
        *counted = Some(bytes);
        self.size.added.store(0, Ordering::Relaxed);
    }
}
