//! What becomes of a process whose mapped file is cut.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on panics")]

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;

/// Says in the environment of a child what it is to do.
const PLAY: &str = "WIKIGROVE_SIGBUS_TEST";
/// The length of the mapped file: some pages.
const LENGTH: usize = 64 * 1024;

/// Maps a file for reading.
fn mapped(path: &Path) -> &'static [u8] {
    std::fs::write(path, vec![7; LENGTH]).unwrap();
    let file = File::open(path).unwrap();
    // SAFETY: a new map of a file of this length, which stays until the process ends.
    unsafe {
        let map = libc::mmap(
            std::ptr::null_mut(),
            LENGTH,
            libc::PROT_READ,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        );
        assert_ne!(map, libc::MAP_FAILED);
        std::slice::from_raw_parts(map.cast(), LENGTH)
    }
}

fn cut(path: &Path, length: u64) {
    File::options().write(true).open(path).unwrap().set_len(length).unwrap();
}

/// Runs the test of this name again, as a process of its own that may die.
fn play(test: &str, part: &str) -> std::process::ExitStatus {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", test, "--nocapture"]).env(PLAY, part).status().unwrap()
}

#[test]
fn a_file_of_git_that_is_cut_reads_as_zeros_and_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    std::fs::create_dir_all(dir.join("objects/pack")).unwrap();
    let path = dir.join("objects/pack/pack-1.pack");
    wikigrove_sigbus::install().unwrap();
    wikigrove_sigbus::install().unwrap();
    let bytes = mapped(&path);
    let known = wikigrove_sigbus::cuts();
    assert_eq!(bytes[LENGTH - 1], 7);
    cut(&path, 8192);
    assert!(!wikigrove_sigbus::is_cut(&dir, known));
    let read: Vec<u8> = std::thread::spawn(|| bytes.to_vec()).join().unwrap();
    assert!(read[..8192].iter().all(|byte| *byte == 7));
    assert!(read[8192..].iter().all(|byte| *byte == 0));
    assert_eq!(wikigrove_sigbus::cuts(), known + 1, "one fault is enough for all of it");
    assert!(wikigrove_sigbus::is_cut(&dir, known));
    assert!(!wikigrove_sigbus::is_cut(Path::new("/srv/other"), known));
}

#[test]
fn any_other_fault_ends_the_process() {
    const NAME: &str = "any_other_fault_ends_the_process";
    match std::env::var(PLAY).as_deref() {
        Ok("cut") => {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("other");
            wikigrove_sigbus::install().unwrap();
            let bytes = mapped(&path);
            cut(&path, 0);
            std::process::exit(i32::from(bytes[0]));
        }
        Ok(_) => {
            wikigrove_sigbus::install().unwrap();
            // SAFETY: nothing else happens to the process.
            unsafe { libc::raise(libc::SIGBUS) };
            std::process::exit(0);
        }
        Err(_) => {}
    }
    for part in ["cut", "sent"] {
        assert_eq!(play(NAME, part).signal(), Some(libc::SIGBUS), "{part}");
    }
}
