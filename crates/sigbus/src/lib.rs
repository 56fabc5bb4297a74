//! Keeps a process alive when a file that it has mapped becomes shorter.
//!
//! git's library maps packs, their indexes and commit-graphs. If another program truncates such a file, the next access
//! behind its new end raises SIGBUS, which ends the process with all its wikis. The handler of this crate maps zeros in
//! place of the missing pages and records the file. The access succeeds, and a later call of [`is_cut`] tells that the
//! data read may not be the data written. systemd's journal does the same (`src/basic/sigbus.c`).
//!
//! The handler repairs only read-only maps of git's object files. Any other fault, such as one in the program itself,
//! ends the process.

#[cfg(target_os = "linux")]
mod handler;
mod noted;

use std::io;
use std::path::Path;

/// Installs the handler, for the whole process. Programs call this in `main`; libraries must not.
///
/// # Errors
/// The system refuses.
pub fn install() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    handler::install()?;
    Ok(())
}

/// Number of truncated maps found so far. Costs one atomic load.
pub fn cuts() -> u64 {
    noted::count()
}

/// Returns `true` if one of the maps that were truncated after the first `known` is of a file below the directory,
/// which must be absolute and free of symbolic links. Also `true` if more were truncated than can be remembered.
pub fn is_cut(dir: &Path, known: u64) -> bool {
    noted::is_below(dir.as_os_str().as_encoded_bytes(), known)
}
