//! Interruption of a save at every point, and other programs that change the repository meanwhile.

mod power_cut;

use std::fs;

use crate::testing::{Scratch, git, save};
use crate::*;

fn main_ref(scratch: &Scratch) -> std::path::PathBuf {
    scratch.repo().join("refs/heads/main")
}

/// Restores the repository to its state before the last save reached it; wiki.db keeps the save.
fn forget_the_last_save(scratch: &Scratch, objects: bool) {
    let head = scratch.git(&["rev-parse", "main"]);
    let parent = scratch.git(&["rev-parse", "main^"]);
    if objects {
        let new = scratch.git(&["rev-list", "--objects", "--no-object-names", "main^..main"]);
        for id in new.lines() {
            fs::remove_file(object(scratch, id)).unwrap();
        }
    }
    fs::write(main_ref(scratch), format!("{parent}\n")).unwrap();
    assert_ne!(head, parent);
}

fn object(scratch: &Scratch, id: &str) -> std::path::PathBuf {
    scratch.repo().join("objects").join(&id[..2]).join(&id[2..])
}

#[test]
fn a_save_that_only_reached_wiki_db_is_repeated_with_the_same_commit() {
    for objects_lost in [false, true] {
        let mut scratch = Scratch::new();
        scratch.create("home", "one");
        let saved = scratch.update("home", "two");
        forget_the_last_save(&scratch, objects_lost);
        scratch.open().unwrap();
        assert_eq!(scratch.text("home"), "two");
        assert_eq!(scratch.git(&["rev-parse", "main"]), saved.revision.to_string());
        scratch.git(&["fsck", "--strict"]);
    }
}

#[test]
fn empty_objects_left_by_a_power_cut_are_written_again() {
    let mut scratch = Scratch::new();
    scratch.create("home", "one");
    let first = scratch.git(&["rev-list", "--objects", "--no-object-names", "main"]);
    scratch.update("home", "two");
    let all = scratch.git(&["rev-list", "--objects", "--no-object-names", "main"]);
    for id in first.lines().chain(all.lines()) {
        let path = object(&scratch, id);
        fs::remove_file(&path).unwrap();
        fs::write(path, "").unwrap();
    }
    fs::write(main_ref(&scratch), "").unwrap();
    scratch.open().unwrap();
    assert_eq!(scratch.text("home"), "two");
    scratch.git(&["fsck", "--strict"]);
    scratch.create("after", "works");
}

#[test]
fn a_lock_left_by_a_killed_process_is_removed() {
    let mut scratch = Scratch::new();
    scratch.create("home", "one");
    fs::write(scratch.repo().join("refs/heads/main.lock"), "").unwrap();
    fs::write(scratch.repo().join("HEAD.lock"), "").unwrap();
    fs::write(scratch.repo().join("objects/.tmpAbCdEf"), "half").unwrap();
    fs::write(scratch.dir().join(".wiki.db.0123456789abcdef.tmp"), "half").unwrap();
    scratch.open().unwrap();
    scratch.update("home", "two");
    assert_eq!(
        fs::read_dir(scratch.dir())
            .unwrap()
            .filter(|e| files::is_leftover(&e.as_ref().unwrap().file_name().to_string_lossy()))
            .count(),
        0
    );
}

#[test]
fn the_first_save_of_all_is_repeated_too() {
    let mut scratch = Scratch::new();
    let saved = scratch.create("home", "one");
    fs::remove_file(main_ref(&scratch)).unwrap();
    scratch.open().unwrap();
    assert_eq!(scratch.wiki().head().unwrap(), Some(saved.revision));
}

#[test]
fn a_checkpoint_ends_the_need_for_redo_rows() {
    let mut scratch = Scratch::new();
    scratch.create("home", "one");
    scratch.update("home", "two");
    assert_eq!(scratch.redo_rows(), 2);
    scratch.wiki().checkpoint().unwrap();
    assert_eq!(scratch.redo_rows(), 0);
    scratch.open().unwrap();
    assert_eq!(scratch.text("home"), "two");
}

/// After a failed sync, the page cache has data that the disk lacks: nothing in it can be trusted.
#[test]
fn after_a_failed_sync_everything_is_written_again() {
    let scratch = Scratch::new();
    scratch.create("home", "one");
    let saved = scratch.update("home", "two");
    scratch.wiki().lock_writer().unwrap().unsynced = true;
    for id in [saved.etag.to_string(), saved.revision.to_string()] {
        fs::remove_file(object(&scratch, &id)).unwrap();
    }
    scratch.wiki().checkpoint().unwrap();
    assert_eq!(scratch.redo_rows(), 0);
    assert!(!scratch.wiki().lock_writer().unwrap().unsynced);
    scratch.git(&["fsck", "--strict"]);
}

#[test]
fn many_saves_checkpoint_by_themselves() {
    let scratch = Scratch::new();
    for n in 0..300 {
        scratch.create(&format!("page-{n}"), "text");
    }
    assert_eq!(scratch.redo_rows(), 300 - 256);
}

#[test]
fn a_damaged_branch_without_redo_rows_is_restored_from_the_index() {
    for damage in [
        "",
        "garbage\n",
        "0000000000000000000000000000000000000000\n",
        "1111111111111111111111111111111111111111\n",
    ] {
        let mut scratch = Scratch::new();
        let saved = scratch.create("home", "one");
        scratch.wiki().checkpoint().unwrap();
        fs::write(main_ref(&scratch), damage).unwrap();
        scratch.open().unwrap();
        assert_eq!(scratch.wiki().head().unwrap(), Some(saved.revision), "{damage:?}");
        scratch.update("home", "two");
    }
}

#[test]
fn a_missing_branch_never_becomes_an_empty_history() {
    let mut scratch = Scratch::new();
    let saved = scratch.create("home", "one");
    scratch.wiki().checkpoint().unwrap();
    fs::remove_file(main_ref(&scratch)).unwrap();
    scratch.open().unwrap();
    assert_eq!(scratch.wiki().head().unwrap(), Some(saved.revision));
}

#[test]
fn a_damaged_branch_that_nothing_knows_better_is_an_error_that_says_so() {
    let mut scratch = Scratch::new();
    scratch.create("home", "one");
    scratch.wiki().close().unwrap();
    fs::remove_file(scratch.dir().join("wiki.db")).unwrap();
    fs::write(main_ref(&scratch), "garbage\n").unwrap();
    let error = scratch.open().map(drop).unwrap_err();
    assert!(
        matches!(&error, Error::Damaged { detail } if detail.contains("refs/heads/main")),
        "{error}"
    );
}

#[test]
fn a_commit_made_with_git_is_seen_and_built_upon() {
    let scratch = Scratch::new();
    scratch.create("home", "one");
    let foreign = scratch.commit_with_git("other.md", "by git\n");
    assert_eq!(scratch.text("other"), "by git\n");
    assert_eq!(scratch.page("other").summary.author.name(), "Git");
    let saved = scratch.update("home", "two");
    assert_eq!(scratch.git(&["rev-parse", "main^"]), foreign);
    assert_eq!(scratch.paths(), ["home", "other"]);
    assert_eq!(scratch.page("home").summary.revision, saved.revision);
    assert_eq!(scratch.page("other").summary.revision.to_string(), foreign);
}

/// Between the durable record and the move of the branch, another program moves the branch.
#[test]
fn a_save_and_a_foreign_commit_that_meet_are_merged() {
    let mut scratch = Scratch::new();
    scratch.create("home", "a\nb\nc\n");
    scratch.create("untouched", "text");
    scratch.wiki().checkpoint().unwrap();
    let ours = scratch.update("home", "A\nb\nc\n");
    forget_the_last_save(&scratch, false);
    let theirs = scratch.commit_with_git("home.md", "a\nb\nC\n");
    scratch.open().unwrap();
    assert_eq!(scratch.text("home"), "A\nb\nC\n");
    assert_eq!(scratch.git(&["log", "-1", "--format=%P"]), format!("{} {theirs}", ours.revision));
    assert_eq!(scratch.paths(), ["home", "untouched"]);
    scratch.git(&["fsck", "--strict"]);
    scratch.open().unwrap();
    assert_eq!(scratch.text("home"), "A\nb\nC\n");
}

#[test]
fn where_both_changed_the_same_line_both_texts_are_kept() {
    let mut scratch = Scratch::new();
    scratch.create("home", "text\n");
    scratch.wiki().checkpoint().unwrap();
    scratch.update("home", "ours\n");
    forget_the_last_save(&scratch, false);
    scratch.commit_with_git("home.md", "theirs\n");
    scratch.open().unwrap();
    assert_eq!(scratch.text("home"), "ours\n");
    let beside =
        scratch.paths().into_iter().find(|path| path.starts_with("home (conflict ")).unwrap();
    assert_eq!(scratch.text(&beside), "theirs\n");
    let listed = scratch.wiki().sync_conflicts(0, 10).unwrap();
    assert_eq!((listed.len(), listed[0].link), (1, None));
    assert_eq!(listed[0].conflict_path, Some(beside));
}

#[test]
fn savers_and_git_pushes_racing_lose_nothing() {
    let scratch = Scratch::new();
    scratch.create("home", "text");
    std::thread::scope(|scope| {
        let wiki = scratch.wiki();
        for writer in 0..3 {
            scope.spawn(move || {
                for n in 0..40 {
                    save(wiki, &format!("w{writer}/{n}"), "text", Base::New).unwrap();
                }
            });
        }
        let repo = scratch.repo();
        scope.spawn(move || {
            let author = ["-c", "user.name=Git", "-c", "user.email=g@example.org"];
            for n in 0..40 {
                // A well-behaved client: it builds on the head that it read, and retries when the branch has moved.
                loop {
                    let head = git(&repo, &["rev-parse", "main"]);
                    let mut arguments = author.to_vec();
                    let tree = format!("{head}^{{tree}}");
                    let message = format!("push {n}");
                    arguments.extend(["commit-tree", &tree, "-p", &head, "-m", &message]);
                    let commit = git(&repo, &arguments);
                    let moved = std::process::Command::new("git")
                        .current_dir(&repo)
                        .args(["update-ref", "refs/heads/main", &commit, &head])
                        .output()
                        .unwrap();
                    if moved.status.success() {
                        break;
                    }
                }
            }
        });
    });
    assert_eq!(scratch.paths().len(), 121);
    let log = scratch.git(&["log", "--format=%s", "main"]);
    for n in 0..40 {
        assert_eq!(log.lines().filter(|line| *line == format!("push {n}")).count(), 1);
    }
    scratch.git(&["fsck", "--strict"]);
}

#[test]
fn a_closed_wiki_refuses_everything() {
    let scratch = Scratch::new();
    scratch.create("home", "one");
    scratch.wiki().close().unwrap();
    scratch.wiki().close().unwrap();
    assert!(matches!(scratch.save("x", "y", Base::New), Err(Error::Closed)));
    assert!(matches!(scratch.wiki().read(&ExistingPath::new("home").unwrap()), Err(Error::Closed)));
    assert!(scratch.wiki().cached(&ExistingPath::new("home").unwrap()).is_none());
}

#[test]
fn a_first_save_that_fails_leaves_a_repository() {
    let mut scratch = Scratch::new();
    drop(scratch.wiki().repo().lock_branch().unwrap());
    assert!(scratch.repo().join("refs/heads").is_dir());
    scratch.open().unwrap();
    scratch.create("home", "text");
}

#[test]
fn a_copy_without_empty_directories_is_a_repository() {
    let mut scratch = Scratch::new();
    scratch.create("home", "text");
    scratch.git(&["pack-refs", "--all"]);
    std::fs::remove_dir_all(scratch.repo().join("refs")).unwrap();
    scratch.open().unwrap();
    assert_eq!(scratch.text("home"), "text");
    scratch.update("home", "more");
}
