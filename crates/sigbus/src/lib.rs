//! Keeps a process alive when a file that it has mapped becomes shorter.
//!
//! git's library maps packs, their indexes and commit-graphs. If another program cuts such a file, the next
//! access behind its new end raises SIGBUS, which ends the process with all wikis in it. The handler of this
//! crate puts zeros in the place of what is gone and notes the file, so that the access goes on and
//! whoever asks [`is_cut`] afterwards knows that what was read isn't what was written. systemd's journal
//! does the same (`src/basic/sigbus.c`).
//!
//! Only maps of git's object files that are read and never written are mended. Any other fault, such as one
//! in the program itself, ends the process.

#[cfg(target_os = "linux")]
mod handler;
mod noted;

use std::io;
use std::path::Path;

/// Installs the handler, for the whole process. A program does it in `main`; a library never does.
///
/// # Errors
/// The system refuses.
pub fn install() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    handler::install()?;
    Ok(())
}

/// How many maps were found to be cut so far. It costs one load.
pub fn cuts() -> u64 {
    noted::count()
}

/// Whether one of the maps that were cut after the first `known` is of a file below the directory, which
/// is absolute and without links. If too many were cut to be remembered, it may be.
pub fn is_cut(dir: &Path, known: u64) -> bool {
    noted::is_below(dir.as_os_str().as_encoded_bytes(), known)
}
