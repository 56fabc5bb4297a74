//! A directory for one call, with its keys in it, that leaves nothing behind.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Private to this user; what is in it is overwritten before it's removed.
#[derive(Debug)]
pub(super) struct Scratch {
    dir: TempDir,
}

impl Scratch {
    /// A new directory below `root`.
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
        // The directory removes itself; should that fail, at least nothing can be read from it.
        if let Err(error) = shred_files(self.path()) {
            tracing::warn!(%error, "a file with a key in it can't be overwritten");
        }
    }
}

/// Makes the directory that calls are made in, and shreds what a process that died left there.
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

/// Overwrites the files of a directory. Links aren't followed.
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
        // A second name for the same file shows what was done to it.
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
