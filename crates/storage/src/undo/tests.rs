use proptest::prelude::*;

use super::*;
use crate::testing::{Scratch, ada};
use crate::*;

fn undo(revision: Revision, author: &Author) -> Undo<'_> {
    Undo { revision, author, message: None, dry_run: false }
}

fn revert(scratch: &Scratch, revision: Revision) -> Result<Undone, Error> {
    scratch.wiki().revert(&undo(revision, &ada()))
}

#[test]
fn one_change_is_undone_and_later_ones_stay() {
    let scratch = Scratch::new();
    scratch.create("home", "one\ntwo\nthree\nfour\nfive\n");
    let wrong = scratch.update("home", "ONE\ntwo\nthree\nfour\nfive\n").revision;
    scratch.update("home", "ONE\ntwo\nthree\nfour\nFIVE\n");
    let author = ada();
    let plan = scratch.wiki().revert(&Undo { dry_run: true, ..undo(wrong, &author) }).unwrap();
    assert_eq!((plan.revision, plan.changes.len(), plan.conflicts.len()), (None, 1, 0));
    assert_eq!(scratch.text("home"), "ONE\ntwo\nthree\nfour\nFIVE\n");
    let done = revert(&scratch, wrong).unwrap();
    assert_eq!(done.changes, plan.changes);
    assert_eq!(scratch.text("home"), "one\ntwo\nthree\nfour\nFIVE\n");
    let message = scratch.git(&["log", "-1", "--format=%B"]);
    assert_eq!(message, format!("Revert \"Update home\"\n\nThis reverts commit {wrong}."));
    assert_eq!(revert(&scratch, wrong).unwrap().revision, None, "it is undone already");
}

#[test]
fn what_changed_since_in_the_same_place_is_a_conflict() {
    let scratch = Scratch::new();
    scratch.create("home", "one\n");
    let wrong = scratch.update("home", "two\n").revision;
    scratch.update("home", "three\n");
    let author = ada();
    let plan = scratch.wiki().revert(&Undo { dry_run: true, ..undo(wrong, &author) }).unwrap();
    assert_eq!(plan.conflicts, ["home"]);
    match revert(&scratch, wrong) {
        Err(Error::RevertConflict { first, paths }) => {
            assert_eq!(paths, ["home"]);
            assert_eq!(
                (first.base.as_deref(), first.ours.as_deref()),
                (Some("two\n"), Some("three\n"))
            );
            assert_eq!(first.theirs.as_deref(), Some("one\n"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(scratch.text("home"), "three\n");
}

#[test]
fn a_page_that_would_be_too_large_is_a_conflict() {
    let scratch = Scratch::new();
    let (text, more) = ("0123456789\n".repeat(270_000), "more than that\n".repeat(70_000));
    scratch.create("home", &(text.clone() + &more));
    let wrong = scratch.update("home", &text).revision;
    scratch.update("home", &(more + &text));
    assert!(matches!(revert(&scratch, wrong), Err(Error::RevertConflict { .. })));
}

#[test]
fn creations_deletions_and_moved_pages_are_undone() {
    let scratch = Scratch::new();
    let text = "one\ntwo\nthree\nfour\nfive\n";
    let created = scratch.create("new", "text\n");
    revert(&scratch, created.revision).unwrap();
    assert!(!scratch.paths().contains(&"new".to_owned()));
    let again = revert(&scratch, scratch.wiki().head().unwrap().unwrap()).unwrap();
    assert_eq!(again.changes[0].kind, ChangeKind::Added);
    assert_eq!(scratch.text("new"), "text\n");

    scratch.create("old", text);
    let wrong = scratch.update("old", &text.replace("two", "2")).revision;
    scratch.move_with_git("old.md", "moved.md", &text.replace("two", "2"));
    revert(&scratch, wrong).unwrap();
    assert_eq!(scratch.text("moved"), text);
    scratch.git(&["fsck", "--strict"]);
}

#[test]
fn merges_and_unknown_commits_are_not_undone() {
    let scratch = Scratch::new();
    scratch.create("a", "1\n");
    let unknown: Revision = "0123456789012345678901234567890123456789".parse().unwrap();
    assert!(revert(&scratch, unknown).unwrap_err().is_not_found());
    let head = scratch.git(&["rev-parse", "main"]);
    let merge = scratch.git(&[
        "-c",
        "user.name=g",
        "-c",
        "user.email=g@x",
        "commit-tree",
        "main^{tree}",
        "-p",
        &head,
        "-p",
        &head,
        "-m",
        "m",
    ]);
    // git drops a duplicate parent.
    let other = scratch.git(&[
        "-c",
        "user.name=g",
        "-c",
        "user.email=g@x",
        "commit-tree",
        "main^{tree}",
        "-m",
        "x",
    ]);
    let merge2 = scratch.git(&[
        "-c",
        "user.name=g",
        "-c",
        "user.email=g@x",
        "commit-tree",
        "main^{tree}",
        "-p",
        &merge,
        "-p",
        &other,
        "-m",
        "m",
    ]);
    scratch.git(&["update-ref", "refs/heads/main", &merge2]);
    let error = revert(&scratch, merge2.parse().unwrap()).unwrap_err();
    assert!(matches!(error, Error::RevertsMerge { .. }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// After any sequence of changes, a restore brings back the old state and adds a commit.
    #[test]
    fn a_restored_wiki_is_as_it_was(steps in proptest::collection::vec((0..4u8, 0..4u8), 2..12), back in 0..8usize) {
        let scratch = Scratch::new();
        scratch.create("first", "text\n");
        for (n, (page, text)) in steps.iter().enumerate() {
            let path = format!("dir/p{page}");
            let text = format!("{text} {n}\n");
            match scratch.wiki().read(&ExistingPath::new(&path).unwrap()) {
                Ok(page) if n % 3 == 2 => {
                    let path = ExistingPath::new(&path).unwrap();
                    let base = page.summary.etag;
                    scratch.wiki().delete(&Delete { path: &path, base, author: &ada(), message: None }).unwrap();
                }
                Ok(_) => { scratch.update(&path, &text); }
                Err(_) => { scratch.create(&path, &text); }
            }
        }
        let log = scratch.wiki().log(None, Most::items(100)).unwrap().commits;
        let then = log[back % log.len()].revision;
        let undone = scratch.wiki().restore(&undo(then, &ada())).unwrap();
        prop_assert_eq!(undone.revision.is_none(), undone.changes.is_empty());
        let tree = |revision: &str| scratch.git(&["rev-parse", &format!("{revision}^{{tree}}")]);
        prop_assert_eq!(tree("main"), tree(&then.to_string()));
        prop_assert_eq!(scratch.wiki().log(None, Most::items(100)).unwrap().commits.len(), log.len() + undone.revision.iter().count());
        scratch.git(&["fsck", "--strict"]);
    }
}

/// A directory has taken the file's place, or a file its directory's place.
#[test]
fn what_stands_in_the_way_is_never_replaced() {
    let scratch = Scratch::new();
    scratch.create("first", "x\n");
    scratch.commit_with_git("home/notes", "a file\n");
    let gone = scratch.remove_with_git("home/notes").parse().unwrap();
    scratch.create("home/notes/x", "kept\n");
    assert!(matches!(revert(&scratch, gone), Err(Error::RevertConflict { .. })));
    assert_eq!(scratch.text("home/notes/x"), "kept\n");

    scratch.create("a/b", "text\n");
    let gone = scratch.remove_with_git("a/b.md").parse().unwrap();
    scratch.commit_with_git("a", "a file\n");
    assert!(matches!(revert(&scratch, gone), Err(Error::RevertConflict { .. })));
    assert_eq!(scratch.git(&["show", "main:a"]), "a file");
    scratch.git(&["fsck", "--strict"]);
}
