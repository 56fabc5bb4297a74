//! A linked work tree, as made by `git worktree add`: its `.git` is a file that names a directory in the repository,
//! which has the work tree's HEAD.
//!
//! Such a file could name a repository of another owner. So it is followed only if that directory names the work tree
//! in turn, which requires write access to the repository.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::ImportError;
use super::foreign::Folder;

/// Maximum size of a file that names a directory, in bytes.
const NAMED: u64 = 4096;

/// The two directories of a linked work tree's repository.
pub(super) struct Linked {
    /// The directory with the work tree's HEAD.
    pub(super) head: Folder,
    /// The directory with objects and branches.
    pub(super) folder: Folder,
}

/// Follows the `.git` file of a work tree.
///
/// # Errors
/// The repository doesn't know the work tree; a part of it is a link, or can't be read.
pub(super) fn linked(tree: &Folder) -> Result<Linked, ImportError> {
    let file = tree.path().join(".git");
    let elsewhere = || ImportError::Foreign {
        path: file.clone(),
        why:
            "it says that the repository is elsewhere, and that doesn't know of it: import that one"
                .to_owned(),
    };
    let unreadable = |source| ImportError::Unreadable { path: file.clone(), source };
    let text = tree.read(".git", NAMED)?.unwrap_or_default();
    let named = text.strip_prefix(b"gitdir: ").ok_or_else(elsewhere)?;
    let head = path_in(tree.path(), named).canonicalize().map_err(unreadable)?;
    let head = Folder::open(&head)?;
    let back = head.read("gitdir", NAMED)?.ok_or_else(elsewhere)?;
    let is_known = path_in(head.path(), &back).canonicalize().is_ok_and(|back| back == file);
    let is_usual = head.read("commondir", NAMED)?.is_some_and(|to| to.trim_ascii() == b"../..");
    if !is_known || !is_usual {
        return Err(elsewhere());
    }
    // Relative to the open directory, even if its name has been reused.
    let folder = head.parent()?.parent()?;
    Ok(Linked { head, folder })
}

/// Parses a path in such a file: absolute, or relative to the file's directory.
fn path_in(dir: &Path, named: &[u8]) -> PathBuf {
    dir.join(OsStr::from_bytes(named.trim_ascii_end()))
}
