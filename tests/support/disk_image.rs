//! Disks whose power can be cut.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::small_disk;

/// Large enough for the smallest XFS that mkfs makes; mostly holes.
const SIZE: u64 = 320 << 20;
/// How long a process that was just killed may keep its files open.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a [`DiskImage`] is formatted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    /// ext4 as most systems mount it: a file that is renamed over another is written first.
    Ext4,
    /// ext4 without that heuristic.
    Ext4WithoutAutoAlloc,
    /// XFS, which has no such heuristic.
    Xfs,
}

impl FileSystem {
    fn format(self) -> &'static [&'static str] {
        match self {
            Self::Ext4 | Self::Ext4WithoutAutoAlloc => &["mkfs.ext4", "-q", "-F"],
            Self::Xfs => &["mkfs.xfs", "-q", "-f"],
        }
    }

    fn options(self) -> &'static str {
        match self {
            Self::Ext4 | Self::Xfs => "loop",
            Self::Ext4WithoutAutoAlloc => "loop,noauto_da_alloc",
        }
    }
}

/// A mounted image of a disk. [`cut`](Self::cut) is what a power cut is to a file system: its journal
/// isn't flushed, and what it holds in memory never gets to the disk.
#[derive(Debug)]
pub struct DiskImage {
    system: FileSystem,
    image: PathBuf,
    at: PathBuf,
    /// `xfs_io`, which waits for the word to shut the file system down (of any kind, not only XFS).
    breaker: Option<Child>,
    _scratch: tempfile::TempDir,
}

impl DiskImage {
    /// `None`, said loudly, for a user who can't mount anything.
    ///
    /// # Panics
    /// So it is where all tests have to run, as in CI.
    pub fn formatted_as(system: FileSystem) -> Option<Self> {
        let scratch = crate::scratch();
        let (image, at) = (scratch.path().join("image"), scratch.path().join("disk"));
        std::fs::File::create(&image).unwrap().set_len(SIZE).unwrap();
        std::fs::create_dir(&at).unwrap();
        let [program, options @ ..] = system.format() else { unreachable!() };
        let formatted = Command::new(program).args(options).arg(&image).status();
        let mut disk = Self { system, image, at, breaker: None, _scratch: scratch };
        let breaks = Command::new("xfs_io").arg("-V").stdout(Stdio::null()).status().is_ok();
        if breaks && formatted.is_ok_and(|status| status.success()) && disk.mount() {
            return Some(disk);
        }
        small_disk::skip("this test mounts an image, which takes root, e2fsprogs and xfsprogs");
        None
    }

    /// Its root directory.
    pub fn path(&self) -> &Path {
        &self.at
    }

    /// Cuts its power: from now on every write and sync fails, and what wasn't synced is lost.
    pub fn cut(&mut self) {
        let mut breaker = self.breaker.take().unwrap();
        // Without `-f`: the log isn't flushed first.
        breaker.stdin.take().unwrap().write_all(b"shutdown\nquit\n").unwrap();
        assert!(breaker.wait().unwrap().success());
    }

    /// Mounts it after a cut, when no process has a file of it open any more.
    ///
    /// # Panics
    /// One has; or the disk doesn't recover.
    pub fn mount_again(&mut self) {
        let started = Instant::now();
        while !succeeds(Command::new("umount").arg(&self.at)) {
            assert!(started.elapsed() < PATIENCE, "{} stays busy", self.at.display());
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(self.mount(), "{:?} doesn't come back", self.system);
    }

    fn mount(&mut self) -> bool {
        let mut mount = Command::new("mount");
        if !succeeds(mount.args(["-o", self.system.options()]).arg(&self.image).arg(&self.at)) {
            return false;
        }
        let mut breaker = Command::new("xfs_io");
        breaker.arg("-x").arg(&self.at).stdin(Stdio::piped()).stdout(Stdio::null());
        self.breaker = Some(breaker.spawn().unwrap());
        true
    }
}

impl Drop for DiskImage {
    fn drop(&mut self) {
        if let Some(mut breaker) = self.breaker.take() {
            drop(breaker.stdin.take());
            let _ = breaker.wait();
        }
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
    }
}

fn succeeds(command: &mut Command) -> bool {
    command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
