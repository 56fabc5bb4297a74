//! A temporary directory for the keys of one call, which is overwritten and removed at the end.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A directory that only this user can access. Its files are overwritten before it is removed.
#[derive(Debug)]
pub(super) struct Scratch {
    dir: TempDir,
}

impl Scratch {
    /// Creates a directory below `root`.
    pub(super) fn new(root: &Path) -> io::Result<Self> {
        let private = fs::Permissions::from_mode(0o700);
        let dir = tempfile::Builder::new().prefix("call-").permissions(private).tempdir_in(root)?;
        Ok(Self { dir })
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file that only this user can read.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> io::Result<PathBuf> {
        let path = self.path().join(name);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(content)?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // `TempDir` removes the directory; if that fails, at least the files are overwritten.
        if let Err(error) = shred_files(self.path()) {
            tracing::warn!(%error, "a file with a key in it can't be overwritten");
        }
    }
}

/// Creates the root directory of all calls, and shreds the files that a crashed process left there.
pub(super) fn prepare(root: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(root)?;
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("call-") && path.symlink_metadata()?.is_dir() {
            shred_files(&path)?;
            fs::remove_dir_all(&path)?;
        }
    }
    Ok(())
}

/// Overwrites the files of a directory. Symlinks aren't followed.
fn shred_files(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if !entry.file_type()?.is_file() {
            continue;
        }
        let mut file = OpenOptions::new().write(true).open(entry.path())?;
        io::copy(&mut io::Read::take(io::repeat(0), entry.metadata()?.len()), &mut file)?;
        file.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_private_and_gone_with_the_scratch() {
        let root = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(root.path()).unwrap();
        let path = scratch.write("key", b"secret").unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(scratch.path())), (0o600, 0o700));
        // A hard link shows the overwritten content.
        let kept = root.path().join("kept");
        fs::hard_link(&path, &kept).unwrap();
        drop(scratch);
        assert!(!path.exists());
        assert_eq!(fs::read(kept).unwrap(), [0; 6]);
    }

    #[test]
    fn what_a_dead_process_left_is_shredded_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().join("wire");
        prepare(&root).unwrap();
        let left = Scratch::new(&root).unwrap();
        left.write("key", b"secret").unwrap();
        let path = left.path().to_owned();
        std::mem::forget(left);
        fs::write(root.join("other"), "stays").unwrap();
        prepare(&root).unwrap();
        assert!(!path.exists() && root.join("other").exists());
    }
}
