//! Repair of packs and their derived files after interrupted restores, power cuts and kills.

use std::fs;
use std::path::PathBuf;

use crate::testing::Scratch;

/// A wiki of two pages, whose objects are all in one pack and nowhere else; and the pack's file.
fn packed() -> (Scratch, PathBuf) {
    let scratch = Scratch::new();
    scratch.create("home", "text");
    scratch.create("long/page", &"text ".repeat(2000));
    scratch.wiki().checkpoint().unwrap();
    scratch.wiki().repack_everything();
    let pack = scratch.wiki().repo().packs().unwrap().remove(0).with_extension("pack");
    (scratch, pack)
}

fn everything_is_there(scratch: &mut Scratch) {
    scratch.open().unwrap();
    assert_eq!(scratch.paths(), ["home", "long/page"]);
    assert_eq!(scratch.text("home"), "text");
    assert_eq!(scratch.text("long/page"), "text ".repeat(2000));
    scratch.git(&["fsck", "--strict"]);
}

fn aside(scratch: &Scratch) -> Vec<String> {
    let Ok(entries) = fs::read_dir(scratch.repo().join("set-aside")) else { return Vec::new() };
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_pack_whose_index_is_missing_is_indexed_again() {
    let (mut scratch, pack) = packed();
    for with_rev in [true, false] {
        fs::remove_file(pack.with_extension("idx")).unwrap();
        if !with_rev {
            let _ = fs::remove_file(pack.with_extension("rev"));
        }
        everything_is_there(&mut scratch);
    }
    scratch.update("home", "more");
    assert!(aside(&scratch).is_empty());
}

#[test]
fn an_index_that_is_damaged_or_of_another_pack_is_made_again() {
    let (_other, other) = packed();
    let other = fs::read(other.with_extension("idx")).unwrap();
    let (mut scratch, pack) = packed();
    let index = pack.with_extension("idx");
    let good = fs::read(&index).unwrap();
    for damaged in [&b""[..], b"garbage", &good[..good.len() / 2], &other] {
        fs::remove_file(&index).unwrap();
        fs::write(&index, damaged).unwrap();
        everything_is_there(&mut scratch);
        assert_eq!(fs::read(&index).unwrap(), good);
    }
}

#[test]
fn a_pack_that_cannot_be_indexed_is_kept() {
    let mut scratch = Scratch::new();
    scratch.create("home", "one");
    let dir = scratch.repo().join("objects/pack");
    fs::create_dir_all(&dir).unwrap();
    for name in ["pack-1.pack", "pack-1.rev", "pack-2.pack", "pack-2.idx", "pack-3.pack"] {
        fs::write(dir.join(name), "half").unwrap();
    }
    scratch.open().unwrap();
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
    assert_eq!(aside(&scratch), ["pack-1.pack", "pack-2.idx", "pack-2.pack", "pack-3.pack"]);
    fs::write(dir.join("pack-1.pack"), "once more").unwrap();
    scratch.open().unwrap();
    assert!(aside(&scratch).contains(&"pack-1.pack.1".to_owned()));
    assert_eq!(fs::read(scratch.repo().join("set-aside/pack-1.pack")).unwrap(), b"half");
}

#[test]
fn what_is_no_file_is_no_pack_and_stays_where_it_is() {
    for is_link in [true, false] {
        let (mut scratch, pack) = packed();
        let elsewhere = scratch.dir().join("elsewhere");
        fs::rename(&pack, &elsewhere).unwrap();
        if is_link {
            std::os::unix::fs::symlink("/nonexistent/somewhere", &pack).unwrap();
        } else {
            fs::create_dir(&pack).unwrap();
        }
        assert!(matches!(scratch.open(), Err(crate::Error::Damaged { .. })));
        assert!(fs::symlink_metadata(&pack).is_ok());
        if is_link { fs::remove_file(&pack) } else { fs::remove_dir(&pack) }.unwrap();
        fs::rename(&elsewhere, &pack).unwrap();
        everything_is_there(&mut scratch);

        let index = pack.with_extension("idx");
        fs::remove_file(&index).unwrap();
        if is_link {
            std::os::unix::fs::symlink("/nonexistent/somewhere", &index).unwrap();
        } else {
            fs::create_dir(&index).unwrap();
        }
        everything_is_there(&mut scratch);
    }
}

/// Objects before the cut can still be read.
#[test]
fn a_pack_that_is_cut_off_keeps_its_index() {
    let (mut scratch, pack) = packed();
    let whole = fs::read(&pack).unwrap();
    fs::remove_file(&pack).unwrap();
    fs::write(&pack, &whole[..whole.len() - 1]).unwrap();
    scratch.open().unwrap();
    assert_eq!(scratch.text("home"), "text");
    assert!(pack.with_extension("idx").exists() && aside(&scratch).is_empty());
    fs::write(&pack, &whole).unwrap();
    everything_is_there(&mut scratch);
}

#[test]
fn an_index_without_its_pack_hides_nothing_and_the_pack_may_come_back() {
    let (mut scratch, pack) = packed();
    let whole = fs::read(&pack).unwrap();
    let elsewhere = scratch.dir().join("elsewhere.pack");
    fs::rename(&pack, &elsewhere).unwrap();
    let unpacked = std::process::Command::new("git")
        .current_dir(scratch.repo())
        .args(["unpack-objects", "-q"])
        .stdin(fs::File::open(&elsewhere).unwrap())
        .status();
    assert!(unpacked.unwrap().success());
    everything_is_there(&mut scratch);
    assert_eq!(aside(&scratch).len(), 1);
    fs::write(&pack, whole).unwrap();
    everything_is_there(&mut scratch);
    assert_eq!(scratch.wiki().repo().packs().unwrap(), [pack.with_extension("")]);
}

/// The process is killed between any two files that are removed.
#[test]
fn the_removal_of_a_pack_is_finished_if_others_have_its_objects_and_undone_if_not() {
    for gone in 0..3 {
        let (mut scratch, pack) = packed();
        let files = ["rev", "pack", "idx"].map(|extension| pack.with_extension(extension));
        let kept = files.clone().map(|file| fs::read(file).unwrap());
        scratch.create("more", "text");
        scratch.wiki().repack_everything();
        assert!(files.iter().all(|file| !file.exists()));
        for (file, content) in files.iter().zip(&kept).skip(gone) {
            let is_index = file.extension().unwrap() == "idx";
            let file = if is_index { &file.with_extension("replaced") } else { file };
            fs::write(file, content).unwrap();
        }
        scratch.open().unwrap();
        assert_eq!(scratch.wiki().repo().packs().unwrap().len(), 1);
        assert!(files.iter().all(|file| !file.with_extension("replaced").exists()));
        assert_eq!((scratch.text("home"), scratch.text("more")), ("text".into(), "text".into()));
        scratch.git(&["fsck", "--strict"]);
    }
    let (mut scratch, pack) = packed();
    fs::rename(pack.with_extension("idx"), pack.with_extension("replaced")).unwrap();
    everything_is_there(&mut scratch);
}

#[test]
fn what_is_derived_and_damaged_is_done_without() {
    for file in ["objects/info/commit-graph", "objects/pack/multi-pack-index"] {
        for damage in [&b""[..], b"garbage"] {
            let (mut scratch, _) = packed();
            scratch.git(&["commit-graph", "write", "--reachable"]);
            scratch.git(&["multi-pack-index", "write"]);
            let file = scratch.repo().join(file);
            fs::remove_file(&file).unwrap();
            fs::write(&file, damage).unwrap();
            everything_is_there(&mut scratch);
            scratch.update("home", "more");
            assert!(!file.exists());
        }
    }
}

#[test]
fn a_branch_may_be_called_like_a_temporary_file() {
    let mut scratch = Scratch::new();
    scratch.create("home", "text");
    for name in ["refs/heads/tmp_draft", "refs/tags/tmp_1"] {
        scratch.git(&["update-ref", name, "main"]);
        fs::write(scratch.repo().join(format!("{name}.lock")), "").unwrap();
    }
    scratch.open().unwrap();
    assert_eq!(scratch.git(&["for-each-ref"]).lines().count(), 3);
    assert!(!scratch.repo().join("refs/tags/tmp_1.lock").exists());
}
