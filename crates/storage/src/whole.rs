//! Whether the files that git's library has mapped are still what they were.
//!
//! When another program cuts such a file, zeros are read behind its new end (see `wikigrove_sigbus`), and what was
//! found there, or not found, is worth nothing. So the results of all work on a wiki are looked at once more, and a
//! wiki that has a map of a file that was cut does nothing any more until it is opened again.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::Error;
use crate::files::{At as _, FileError};
use crate::wiki::Wiki;

/// The maps of one open wiki.
#[derive(Debug)]
pub(crate) struct Maps {
    /// Absolute and without links, as the system names what is mapped.
    dir: PathBuf,
    /// How many cuts, of any files of the process, are known to concern other wikis.
    known: AtomicU64,
    is_cut: AtomicBool,
}

impl Maps {
    /// Of the files below `dir`, before the first of them is mapped.
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
    /// Refuses the results of work during which a file of the wiki was found to be cut, and all later work. To be
    /// asked after the work. Opening the wiki again helps, as far as there is a copy of what was cut.
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
