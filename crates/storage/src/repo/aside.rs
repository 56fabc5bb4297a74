//! The place for files that can't be used, but from which a person may still recover something.

use std::path::{Path, PathBuf};

use crate::files::{self, At as _, FileError};

/// The directory inside the repository; git doesn't look there.
const ASIDE: &str = "set-aside";

/// Moves a file of the repository into the directory, durably; returns its new path.
pub(super) fn set_aside(repo: &Path, file: &Path) -> Result<PathBuf, FileError> {
    let aside = repo.join(ASIDE);
    if !aside.is_dir() {
        files::create_private_dir(&aside)?;
        files::sync_dir(repo)?;
    }
    let plain = aside.join(file.file_name().unwrap_or_default());
    let mut to = plain.clone();
    let mut number = 1;
    while to.exists() {
        to = plain.with_added_extension(number.to_string());
        number += 1;
    }
    std::fs::rename(file, &to).at("set aside", file)?;
    files::sync_dir(&aside)?;
    files::sync_dir(file.parent().unwrap_or(repo))?;
    Ok(to)
}

/// Returns `true` if the directory holds a pack, or an index whose pack is missing.
pub(super) fn has_packs(repo: &Path) -> bool {
    let Ok(mut entries) = std::fs::read_dir(repo.join(ASIDE)) else { return false };
    entries.any(|entry| {
        entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("pack-"))
    })
}
