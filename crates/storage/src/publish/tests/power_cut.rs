//! A model of a power cut: synced files are intact; each other file may be empty under its new name, unchanged from
//! before, or complete. XFS, and ext4 without its heuristics for renames, do all three.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::testing::{Scratch, ada};
use crate::*;

/// The files of a repository at a moment when all of them were on the disk.
struct OnDisk(HashMap<PathBuf, (u64, Vec<u8>)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// The new name is on the disk, the content isn't.
    Emptied,
    /// Neither name nor content is on the disk.
    AsBefore,
    /// Both name and content are on the disk.
    Nothing,
}

impl OnDisk {
    fn of(scratch: &Scratch) -> Self {
        let read = |path: PathBuf| (path.clone(), (inode(&path), fs::read(&path).unwrap()));
        Self(files_below(&scratch.repo()).into_iter().map(read).collect())
    }

    /// Simulates the power cut. wiki.db keeps every committed transaction.
    fn cut(&self, scratch: &Scratch, mut loss: impl FnMut() -> Loss) {
        let there = files_below(&scratch.repo());
        let gone = self.0.keys().filter(|path| !there.contains(path)).cloned().collect::<Vec<_>>();
        for path in there.into_iter().chain(gone) {
            let before = self.0.get(&path);
            let is_synced = path.exists() && before.is_some_and(|(old, _)| *old == inode(&path));
            let loss = if is_synced { Loss::Nothing } else { loss() };
            if loss == Loss::Nothing {
                continue;
            }
            let _ = fs::remove_file(&path);
            match (loss, before) {
                (Loss::AsBefore, None) => {}
                (Loss::AsBefore, Some((_, content))) => write(&path, content),
                _ => write(&path, b""),
            }
        }
    }
}

fn write(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

fn delete(scratch: &Scratch, path: &str) -> Revision {
    let base = scratch.page(path).summary.etag;
    let path = ExistingPath::new(path).unwrap();
    let author = ada();
    scratch.wiki().delete(&Delete { path: &path, base, author: &author, message: None }).unwrap()
}

#[test]
fn a_state_that_comes_back_is_still_there_after_a_power_cut() {
    for packed in [false, true] {
        for loss in [Loss::Emptied, Loss::AsBefore] {
            let mut scratch = Scratch::new();
            scratch.create("home", "text");
            scratch.create("long/page", &"text ".repeat(2000));
            scratch.wiki().checkpoint().unwrap();
            if packed {
                scratch.git(&["repack", "-a", "-d", "-q"]);
                scratch.open().unwrap();
            }
            let disk = OnDisk::of(&scratch);
            scratch.create("passing", "text");
            delete(&scratch, "passing");
            scratch.update("long/page", "short");
            scratch.update("long/page", &"text ".repeat(2000));
            let last = scratch.create("elsewhere", "text").revision;
            disk.cut(&scratch, || loss);
            scratch.open().unwrap();
            assert_eq!(scratch.wiki().head().unwrap(), Some(last));
            assert_eq!(scratch.paths(), ["elsewhere", "home", "long/page"]);
            assert_eq!(scratch.text("long/page"), "text ".repeat(2000));
            scratch.git(&["fsck", "--strict"]);
        }
    }
}

#[test]
fn an_object_that_is_whole_is_left_alone_and_a_damaged_one_is_replaced() {
    let scratch = Scratch::new();
    let long = "text ".repeat(2000);
    let edit = |content: &str| repo_edit("home.md", content);
    for content in ["text", &long] {
        let edits = [edit(content)];
        let commit = scratch.loose_edits(&[], &edits);
        let files: Vec<PathBuf> = files_below(&scratch.repo().join("objects"));
        let before: Vec<u64> = files.iter().map(|file| inode(file)).collect();
        assert_eq!(scratch.loose_edits(&[], &edits), commit);
        let after: Vec<u64> = files.iter().map(|file| inode(file)).collect();
        assert_eq!(before, after);
        for file in &files {
            fs::remove_file(file).unwrap();
            fs::write(file, "").unwrap();
        }
        scratch.loose_edits(&[], &edits);
        scratch.git(&["fsck", "--strict"]);
        assert_eq!(scratch.git(&["show", &format!("{commit}:home.md")]), content.trim());
        fs::remove_dir_all(scratch.repo().join("objects")).unwrap();
        fs::create_dir(scratch.repo().join("objects")).unwrap();
    }
}

fn repo_edit(path: &str, content: &str) -> crate::repo::Edit {
    let id = crate::repo::blob_id(content.as_bytes()).unwrap();
    crate::repo::Edit {
        path: path.as_bytes().to_vec(),
        new: Some(crate::repo::Entry { mode: crate::repo::Entry::FILE, id }),
        content: Some(content.as_bytes().to_vec()),
    }
}

/// A pack made since the last look contains the loose object.
#[test]
fn what_is_packed_is_not_written_beside_its_pack() {
    let scratch = Scratch::new();
    scratch.create("home", "text");
    scratch.wiki().checkpoint().unwrap();
    scratch.wiki().repack_everything();
    assert!(loose(&scratch).is_empty());
    scratch.create("passing", "text");
    let before = loose(&scratch);
    delete(&scratch, "passing");
    // Only the commit is new.
    assert_eq!(loose(&scratch).len(), before.len() + 1);
}

fn loose(scratch: &Scratch) -> Vec<PathBuf> {
    let files = files_below(&scratch.repo().join("objects"));
    let is_loose = |file: &PathBuf| file.file_name().unwrap().len() == 38;
    files.into_iter().filter(is_loose).collect()
}

/// A small generator with the same sequence in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % limit
    }
}

#[test]
fn whatever_a_power_cut_takes_every_acknowledged_state_is_there() {
    for seed in 0..10 {
        let mut random = Random(seed);
        let mut scratch = Scratch::new();
        let mut pages: BTreeMap<String, String> = BTreeMap::new();
        for _ in 0..4 {
            scratch.wiki().checkpoint().unwrap();
            let disk = OnDisk::of(&scratch);
            let mut head = scratch.wiki().head().unwrap();
            for _ in 0..random.below(12) {
                head = Some(change(&scratch, &mut random, &mut pages));
            }
            let all = [Loss::Emptied, Loss::AsBefore, Loss::Nothing];
            // The same loss for all files, or a random one for each.
            let alike = all.get(random.below(4) as usize);
            disk.cut(&scratch, || *alike.unwrap_or(&all[random.below(3) as usize]));
            scratch.open().unwrap();
            assert_eq!(scratch.wiki().head().unwrap(), head, "seed {seed}");
            assert_eq!(scratch.paths(), pages.keys().cloned().collect::<Vec<_>>(), "seed {seed}");
            for (path, text) in &pages {
                assert_eq!(scratch.text(path), *text, "seed {seed}");
            }
            scratch.git(&["fsck", "--strict"]);
        }
    }
}

/// Makes one of only a few changes, so that earlier states recur often.
fn change(
    scratch: &Scratch,
    random: &mut Random,
    pages: &mut BTreeMap<String, String>,
) -> Revision {
    let path = ["a", "b", "d/a", "d/b"][random.below(4) as usize].to_owned();
    let text = ["one", "two", &"long ".repeat(2000)][random.below(3) as usize].to_owned();
    match pages.get(&path) {
        Some(_) if random.below(3) == 0 => {
            pages.remove(&path);
            delete(scratch, &path)
        }
        Some(now) if *now == text => scratch.wiki().head().unwrap().unwrap(),
        Some(_) => {
            pages.insert(path.clone(), text.clone());
            scratch.update(&path, &text).revision
        }
        None => {
            pages.insert(path.clone(), text.clone());
            scratch.create(&path, &text).revision
        }
    }
}
