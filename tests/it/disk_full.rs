//! A full disk: nothing that was acknowledged is lost, and saving works again once there is room.

use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::{Program, User};

/// Set where no test may be skipped.
const REQUIRED: &str = "WIKIGROVE_REQUIRE_ALL_TESTS";

/// A small file system that is unmounted when this is dropped.
struct SmallDisk {
    at: PathBuf,
    _scratch: tempfile::TempDir,
}

impl SmallDisk {
    /// `None`, said loudly, for a user who can't mount anything.
    ///
    /// # Panics
    /// So it is where all tests have to run, as in CI.
    fn of_megabytes(size: u32) -> Option<Self> {
        let scratch = testkit::scratch();
        let at = scratch.path().join("disk");
        std::fs::create_dir(&at).unwrap();
        let options = format!("size={size}m,mode=0700");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&at).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self { at, _scratch: scratch });
        }
        assert!(
            std::env::var_os(REQUIRED).is_none(),
            "this test has to mount a small tmpfs, which takes root"
        );
        eprintln!("SKIPPED: this test mounts a small tmpfs, which takes root");
        None
    }

    /// Takes all the room that is left.
    fn fill(&self) -> Filler {
        let path = self.at.join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        for size in [1 << 16, 1 << 12, 1 << 8, 1] {
            while std::io::Write::write_all(&mut file, &vec![0; size]).is_ok() {}
        }
        Filler(path)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
    }
}

struct Filler(PathBuf);

impl Filler {
    fn remove(self) {
        std::fs::remove_file(self.0).unwrap();
    }
}

fn program(data: &Path) -> Program {
    crate::program(data)
}

/// Saves until the disk is full; returns the pages that were acknowledged.
async fn save_until_full(operator: &User, name: &str) -> Vec<String> {
    let text = "some text\n".repeat(2000);
    let mut saved = Vec::new();
    for number in 0.. {
        let path = format!("{name}-{number}");
        let answer = operator.on("garden").create(&path, &format!("{number}\n{text}")).await;
        match answer.status() {
            201 => saved.push(path),
            507 => {
                answer.problem("disk_full");
                break;
            }
            status => panic!("{status}: {}", answer.text()),
        }
        assert!(number < 10_000, "the disk doesn't get full");
    }
    saved
}

async fn every_page_is_there(operator: &User, pages: &[String]) {
    for path in pages {
        let number = path.rsplit('-').next().unwrap();
        let page = operator.on("garden").read(path).await.good().json();
        assert!(page["content"].as_str().unwrap().starts_with(&format!("{number}\n")), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_saves_and_loses_none() {
    let Some(disk) = SmallDisk::of_megabytes(12) else { return };
    let program = program(&disk.at.join("data"));
    let server = program.serve();
    let operator = server.operator();
    operator.create_wiki("garden").await.good();
    operator.create_wiki("kitchen").await.good();
    let mut saved = save_until_full(&operator, "first").await;
    assert!(saved.len() > 10);
    // Not a block is left: reading goes on, writing is refused, wikis can't be created.
    let filler = disk.fill();
    every_page_is_there(&operator, &saved[..5]).await;
    operator.on("kitchen").create("home", "text").await.problem("disk_full");
    operator.create_wiki("shed").await.problem("disk_full");
    filler.remove();

    // Killed on a full disk, started on one that has room again.
    server.kill();
    grow(&disk, 48);
    let server = program.serve();
    let operator = server.operator();
    every_page_is_there(&operator, &saved).await;
    for number in 0..20 {
        let path = format!("later-{number}");
        operator.on("garden").create(&path, &format!("{number}\n")).await.good();
        saved.push(path);
    }
    operator.on("kitchen").create("home", "text").await.good();
    operator.create_wiki("shed").await.good();
    every_page_is_there(&operator, &saved).await;
    server.stop();
    program.git("garden").fsck();
}

fn grow(disk: &SmallDisk, megabytes: u32) {
    let options = format!("remount,size={megabytes}m");
    let grown = Command::new("mount").args(["-o", &options]).arg(&disk.at).status().unwrap();
    assert!(grown.success());
}
