//! A disk that is soon full.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Set where no test may be skipped.
const REQUIRED: &str = "WIKIGROVE_REQUIRE_ALL_TESTS";

/// Says loudly that a test is skipped, and why.
///
/// # Panics
/// No test may be skipped, as in CI.
pub fn skip(why: &str) {
    assert!(std::env::var_os(REQUIRED).is_none(), "{why}");
    eprintln!("SKIPPED: {why}");
}

/// A small file system that is unmounted when this is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    at: PathBuf,
    _scratch: tempfile::TempDir,
}

impl SmallDisk {
    /// `None`, said loudly, for a user who can't mount anything.
    ///
    /// # Panics
    /// So it is where all tests have to run, as in CI.
    pub fn of_megabytes(size: u32) -> Option<Self> {
        let scratch = crate::scratch();
        let at = scratch.path().join("disk");
        std::fs::create_dir(&at).unwrap();
        let options = format!("size={size}m,mode=0700");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&at).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self { at, _scratch: scratch });
        }
        skip("this test mounts a small tmpfs, which takes root");
        None
    }

    /// Its root directory.
    pub fn path(&self) -> &Path {
        &self.at
    }

    /// Takes all the room that is left.
    pub fn fill(&self) -> Filler {
        let path = self.at.join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        for size in [1 << 16, 1 << 12, 1 << 8, 1] {
            while std::io::Write::write_all(&mut file, &vec![0; size]).is_ok() {}
        }
        Filler(path)
    }

    /// Becomes as large as this.
    pub fn grow(&self, megabytes: u32) {
        let options = format!("remount,size={megabytes}m");
        let grown = Command::new("mount").args(["-o", &options]).arg(&self.at).status().unwrap();
        assert!(grown.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
    }
}

/// What takes the room.
#[derive(Debug)]
pub struct Filler(PathBuf);

impl Filler {
    /// Gives it back.
    pub fn remove(self) {
        std::fs::remove_file(self.0).unwrap();
    }
}
