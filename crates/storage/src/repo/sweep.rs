//! Leftovers of a killed process in a repository: lock files, which make every later save fail, and
//! unfinished files.

use std::path::{Path, PathBuf};

use crate::files::{self, At as _, FileError};

/// Removes leftovers. Only for the one owner of the wiki, before it starts to write.
pub(super) fn sweep(dir: &Path) -> Result<(), FileError> {
    for inner in ["", "objects", "objects/pack", "objects/info"] {
        let inner = dir.join(inner);
        if inner.is_dir() {
            remove_leftovers(&inner, is_leftover)?;
        }
    }
    sweep_refs(&dir.join("refs"))
}

/// Removes leftovers of refs. Only lock files: a branch may have any other name.
fn sweep_refs(dir: &Path) -> Result<(), FileError> {
    for inner in remove_leftovers(dir, |name| name.ends_with(".lock"))? {
        sweep_refs(&inner)?;
    }
    Ok(())
}

fn is_leftover(name: &str) -> bool {
    let begins = |with| name.starts_with(with);
    name.ends_with(".lock") || begins(".tmp") || begins("tmp_") || files::is_leftover(name)
}

/// Returns the sub-directories.
fn remove_leftovers(
    dir: &Path,
    is_leftover: impl Fn(&str) -> bool,
) -> Result<Vec<PathBuf>, FileError> {
    let mut inner = Vec::new();
    for entry in std::fs::read_dir(dir).at("read directory", dir)? {
        let entry = entry.at("read directory", dir)?;
        let path = entry.path();
        if entry.file_type().at("read", &path)?.is_dir() {
            inner.push(path);
        } else if is_leftover(&entry.file_name().to_string_lossy()) {
            tracing::info!(path = %path.display(), "removing a dead process's leftover");
            std::fs::remove_file(&path).at("remove", &path)?;
        }
    }
    Ok(inner)
}
