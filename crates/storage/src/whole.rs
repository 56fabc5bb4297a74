//! Detects truncation of files that git's library has mapped.
//!
//! When another program truncates such a file, reads beyond its new end return zeros (see `wikigrove_sigbus`), and
//! results based on these reads are worthless. So the maps are checked after all work on a wiki, and a wiki with a
//! truncated map refuses all further work until it is opened again.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::Error;
use crate::files::{At as _, FileError};
use crate::wiki::Wiki;

/// The memory maps of one open wiki.
#[derive(Debug)]
pub(crate) struct Maps {
    /// Absolute and without symbolic links, as the system names mapped files.
    dir: PathBuf,
    /// Number of truncations, of any mapped files of the process, that are known to concern other wikis.
    known: AtomicU64,
    is_cut: AtomicBool,
}

impl Maps {
    /// Starts tracking the files below `dir`; to be called before the first of them is mapped.
    pub(crate) fn of(dir: &Path) -> Result<Self, FileError> {
        let dir = std::fs::canonicalize(dir).at("find", dir)?;
        let known = AtomicU64::new(wikigrove_sigbus::cuts());
        Ok(Self { dir, known, is_cut: AtomicBool::new(false) })
    }

    fn are_cut(&self) -> bool {
        let (known, now) = (self.known.load(Ordering::Acquire), wikigrove_sigbus::cuts());
        if now != known {
            if wikigrove_sigbus::is_cut(&self.dir, known) {
                self.is_cut.store(true, Ordering::Release);
            } else {
                self.known.fetch_max(now, Ordering::AcqRel);
            }
        }
        self.is_cut.load(Ordering::Acquire)
    }
}

impl Wiki {
    /// Refuses the results of work during which a file of the wiki was truncated, and all later work. To be called
    /// after the work. Opening the wiki again helps, if a copy of the truncated data exists.
    ///
    /// # Errors
    /// [`Error::Damaged`]
    pub fn check_maps(&self) -> Result<(), Error> {
        if !self.maps.are_cut() {
            return Ok(());
        }
        let detail = "another program made a file of the repository shorter while it was in use";
        Err(Error::Damaged { detail: detail.to_owned() })
    }
}
