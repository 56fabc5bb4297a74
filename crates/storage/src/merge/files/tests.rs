use std::collections::BTreeMap;

use super::*;
use crate::repo::Edit;
use crate::revision::Revision;
use crate::testing::Scratch;

mod random;

type Change<'a> = (&'a str, Option<&'a str>);

/// A merge result, with texts instead of ids.
struct Outcome {
    files: BTreeMap<String, String>,
    conflicts: Vec<MergeConflict>,
}

impl Outcome {
    fn kinds(&self) -> Vec<ConflictKind> {
        self.conflicts.iter().map(|conflict| conflict.kind).collect()
    }

    fn paths(&self) -> Vec<&str> {
        self.files.keys().map(String::as_str).collect()
    }

    /// The losing text of the only conflict.
    fn beside(&self) -> &str {
        let [conflict] = &self.conflicts[..] else { panic!("{:?}", self.conflicts) };
        &self.files[std::str::from_utf8(conflict.beside.as_ref().unwrap()).unwrap()]
    }
}

fn outcome(scratch: &Scratch, ours: Revision, theirs: Revision, winner: Winner) -> Outcome {
    let view = scratch.wiki().repo().view();
    let merge = view.merge(Some(ours), theirs, winner).unwrap();
    // Through a commit, so that the edits are tested, too.
    let merged = scratch.loose_edits(&[ours, theirs], &merge.edits(&merge.ours));
    let files = scratch.wiki().repo().files(merged).unwrap();
    assert_eq!(files, merge.result);
    let other_way = scratch.loose_edits(&[theirs, ours], &merge.edits(&merge.theirs));
    assert_eq!(scratch.wiki().repo().files(other_way).unwrap(), merge.result);
    let text = |(path, entry): (Vec<u8>, Entry)| {
        let text = match entry.is_file() {
            true => String::from_utf8_lossy(&view.blob(entry.id).unwrap()).into_owned(),
            false => format!("{:o} {}", entry.mode, entry.id),
        };
        (String::from_utf8_lossy(&path).into_owned(), text)
    };
    Outcome { files: files.into_iter().map(text).collect(), conflicts: merge.conflicts }
}

/// Merges two changes of the same state; the wiki is the winner.
fn merged(base: &[Change<'_>], ours: &[Change<'_>], theirs: &[Change<'_>]) -> Outcome {
    merged_by(Winner::Wiki, base, ours, theirs)
}

fn merged_by(
    winner: Winner,
    base: &[Change<'_>],
    ours: &[Change<'_>],
    theirs: &[Change<'_>],
) -> Outcome {
    let scratch = Scratch::new();
    let base = scratch.loose_commit(&[], base);
    let ours = scratch.loose_commit(&[base], ours);
    let theirs = scratch.loose_commit(&[base], theirs);
    let stable = outcome(&scratch, ours, theirs, Winner::Stable);
    let swapped = outcome(&scratch, theirs, ours, Winner::Stable);
    assert_eq!(stable.files, swapped.files);
    outcome(&scratch, ours, theirs, winner)
}

const POEM: &str = "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\n";

fn poem(line: &str, by: &str) -> String {
    POEM.replace(line, by)
}

#[test]
fn what_does_not_touch_is_merged() {
    let (first, last) = (poem("one", "ONE"), poem("eight", "EIGHT"));
    let merged = merged(
        &[("a.md", Some(POEM)), ("b.md", Some("b")), ("c.md", Some("c")), ("d.md", Some("d"))],
        &[("a.md", Some(&first)), ("b.md", Some("B")), ("d.md", None), ("same.md", Some("s"))],
        &[("a.md", Some(&last)), ("c.md", Some("C")), ("d.md", None), ("same.md", Some("s"))],
    );
    assert_eq!(merged.conflicts, []);
    assert_eq!(merged.paths(), ["a.md", "b.md", "c.md", "same.md"]);
    assert_eq!(merged.files["a.md"], poem("one", "ONE").replace("eight", "EIGHT"));
    assert_eq!((&*merged.files["b.md"], &*merged.files["c.md"]), ("B", "C"));
}

/// Line ends that were changed throughout are no change of the lines.
#[test]
fn a_text_with_other_line_ends_is_merged_line_by_line() {
    let windows = |text: &str| text.replace('\n', "\r\n");
    let (ours, theirs) = (poem("one", "ONE"), windows(POEM));
    for winner in [Winner::Wiki, Winner::Remote, Winner::Stable] {
        for (ours, theirs) in [(&*ours, &*theirs), (&*theirs, &*ours)] {
            let change = |text| [("a.md", Some(text))];
            let merged = merged_by(winner, &change(POEM), &change(ours), &change(theirs));
            assert_eq!(merged.kinds(), []);
            assert_eq!(merged.files["a.md"], windows(&poem("one", "ONE")));
        }
    }
}

/// SY-030, SY-041.
#[test]
fn what_touches_stays_side_by_side() {
    let adjacent = poem("two", "TWO");
    for theirs in [&*poem("one", "EINS"), &*adjacent] {
        for (winner, ours_stays) in [(Winner::Wiki, true), (Winner::Remote, false)] {
            let ours = poem("one", "ONE");
            let merged = merged_by(
                winner,
                &[("a/x.md", Some(POEM))],
                &[("a/x.md", Some(&ours))],
                &[("a/x.md", Some(theirs))],
            );
            let (stays, goes) = if ours_stays { (&*ours, theirs) } else { (theirs, &*ours) };
            assert_eq!(merged.kinds(), [ConflictKind::BothChanged]);
            assert_eq!(merged.files["a/x.md"], stays);
            assert_eq!(merged.beside(), goes);
            let id = blob_id(goes.as_bytes()).unwrap().to_string();
            assert_eq!(merged.paths()[0], format!("a/x (conflict {}).md", &id[..7]));
            assert!(!merged.files.values().any(|text| text.contains("<<<<")));
        }
    }
}

#[test]
fn an_edit_outlives_a_deletion() {
    let base = [("a.md", Some(POEM)), ("b.md", Some("b\n"))];
    let edited = poem("one", "ONE");
    let merged = merged(
        &base,
        &[("a.md", Some(&edited)), ("b.md", None)],
        &[("a.md", None), ("b.md", Some("B\n"))],
    );
    assert_eq!(merged.kinds(), [ConflictKind::Deleted, ConflictKind::Deleted]);
    assert!(merged.conflicts[0].theirs.is_none() && merged.conflicts[1].ours.is_none());
    assert_eq!((&*merged.files["a.md"], &*merged.files["b.md"]), (&*edited, "B\n"));
}

#[test]
fn two_new_pages_of_one_name_are_both_kept() {
    let merged = merged(&[], &[("a.md", Some("ours\n"))], &[("a.md", Some("theirs\n"))]);
    assert_eq!(merged.kinds(), [ConflictKind::BothAdded]);
    assert_eq!((&*merged.files["a.md"], merged.beside()), ("ours\n", "theirs\n"));
}

/// In both directions, and for a page that both sides renamed alike.
#[test]
fn an_edit_follows_a_rename() {
    let verse = "un\ndeux\ntrois\nquatre\ncinq\nsix\n";
    let base = [("a.md", Some(POEM)), ("b.md", Some(verse)), ("c.md", Some("c\nd\n"))];
    let (a, b) = (poem("one", "ONE"), verse.replace("un\n", "UN\n"));
    let both_renamed = [("c.md", None), ("e.md", Some("c\nd\n"))];
    let ours = [("a.md", None), ("d/a.md", Some(POEM)), ("b.md", Some(&*b))];
    let theirs = [("b.md", None), ("d/b.md", Some(verse)), ("a.md", Some(&*a))];
    let merged =
        merged(&base, &[&ours[..], &both_renamed].concat(), &[&theirs[..], &both_renamed].concat());
    assert_eq!(merged.conflicts, []);
    assert_eq!(merged.paths(), ["d/a.md", "d/b.md", "e.md"]);
    assert_eq!((&merged.files["d/a.md"], &merged.files["d/b.md"]), (&a, &b));
}

/// Also a rename on one side and a deletion on the other.
#[test]
fn a_page_that_was_renamed_twice_is_there_twice() {
    let base = [("a.md", Some(POEM)), ("z.md", Some("z\n"))];
    let merged = merged(
        &base,
        &[("a.md", None), ("b.md", Some(POEM)), ("z.md", None)],
        &[("a.md", None), ("c.md", Some(POEM)), ("z.md", None), ("y.md", Some("z\n"))],
    );
    assert_eq!(merged.paths(), ["b.md", "c.md", "y.md"]);
    assert_eq!(merged.kinds(), [ConflictKind::Renamed, ConflictKind::Deleted]);
}

/// A page was renamed twice, and each side deleted a different copy. Neither meant to delete the page.
#[test]
fn a_page_that_both_still_have_is_still_there() {
    let base = [("begin.md", Some(POEM)), ("start.md", Some(POEM))];
    let deleted = merged(&base, &[("start.md", None)], &[("begin.md", None)]);
    assert_eq!(deleted.kinds(), [ConflictKind::Deleted, ConflictKind::Deleted]);
    assert_eq!(deleted.paths(), ["begin.md", "start.md"]);
    assert!(deleted.conflicts[0].theirs.is_none() && deleted.conflicts[1].ours.is_none());
    // Also if another page took the name of the text.
    let edited = poem("one", "ONE");
    let replaced = merged(&base, &[("start.md", Some(&edited))], &[("begin.md", None)]);
    assert_eq!(replaced.kinds(), [ConflictKind::Deleted]);
    assert_eq!((&*replaced.files["begin.md"], &replaced.files["start.md"]), (POEM, &edited));
    // If a third copy is left, or one side deleted every copy, the deletions are intended.
    let three = [&base[..], &[("go.md", Some(POEM))]].concat();
    for (base, ours, theirs, left) in [
        (&three[..], &[("start.md", None)][..], &[("begin.md", None)][..], &["go.md"][..]),
        (
            &base,
            &[("start.md", None), ("begin.md", Some(&*edited))],
            &[("start.md", None)],
            &["begin.md"],
        ),
        (&base, &[("start.md", None)], &[("begin.md", None), ("start.md", None)], &[]),
    ] {
        let tidied = merged(base, ours, theirs);
        assert_eq!((tidied.kinds(), tidied.paths()), (vec![], left.to_vec()));
    }
}

/// As when both ends merged the two names separately, and then each deleted one.
#[test]
fn a_page_is_still_there_after_histories_crossed() {
    let scratch = Scratch::new();
    let root = scratch.loose_commit(&[], &[("home.md", Some(POEM))]);
    let renamed = |to| scratch.loose_commit(&[root], &[("home.md", None), (to, Some(POEM))]);
    let (begin, start) = (renamed("begin.md"), renamed("start.md"));
    let ours = scratch.loose_commit(&[begin, start], &[]);
    let theirs = scratch.loose_commit(&[start, begin], &[]);
    for winner in [Winner::Wiki, Winner::Remote, Winner::Stable] {
        let merged = outcome(&scratch, ours, theirs, winner);
        assert_eq!(merged.paths(), ["begin.md", "start.md"], "{winner:?}");
    }
}

/// An empty page that was deleted isn't paired with an empty page that was created elsewhere.
#[test]
fn an_empty_page_is_not_taken_for_another() {
    let merged = merged(
        &[("todo.md", Some(""))],
        &[("todo.md", None), ("recipes.md", Some(""))],
        &[("todo.md", Some("call the bank\n"))],
    );
    assert_eq!(merged.kinds(), [ConflictKind::Deleted]);
    assert_eq!((&*merged.files["todo.md"], &*merged.files["recipes.md"]), ("call the bank\n", ""));
}

#[test]
fn a_mode_follows_a_rename() {
    let scratch = Scratch::new();
    let base = scratch.loose_commit(&[], &[("home.md", Some(POEM))]);
    let ours = scratch.loose_commit(&[base], &[("home.md", None), ("start.md", Some(POEM))]);
    let run = Entry { mode: 0o100_755, id: blob_id(POEM.as_bytes()).unwrap() };
    let edit = Edit { path: b"home.md".to_vec(), new: Some(run), content: None };
    let theirs = scratch.loose_edits(&[base], &[edit]);
    let merged = outcome(&scratch, ours, theirs, Winner::Wiki);
    assert_eq!((merged.conflicts, merged.files.len()), (vec![], 1));
    let view = scratch.wiki().repo().view();
    let merge = view.merge(Some(theirs), ours, Winner::Stable).unwrap();
    assert_eq!(merge.result[&b"start.md"[..]], run);
}

#[test]
fn two_pages_renamed_to_one_name_are_both_kept() {
    let other = "un\ndeux\ntrois\nquatre\n";
    let merged = merged(
        &[("a.md", Some(POEM)), ("b.md", Some(other))],
        &[("a.md", None), ("c.md", Some(POEM))],
        &[("b.md", None), ("c.md", Some(other))],
    );
    assert_eq!(merged.kinds(), [ConflictKind::BothAdded]);
    assert_eq!((&*merged.files["c.md"], merged.beside()), (POEM, other));
    assert_eq!(merged.files.len(), 2);
}

/// On either side.
#[test]
fn a_page_makes_room_for_a_directory() {
    let page = [("a", Some("page\n"))];
    let below = [("a/b/c.md", Some("below\n"))];
    for (ours, theirs) in [(&page, &below), (&below, &page)] {
        let merged = merged(&[], ours, theirs);
        assert_eq!(merged.kinds(), [ConflictKind::FileAndDirectory]);
        assert_eq!((&*merged.files["a/b/c.md"], merged.beside()), ("below\n", "page\n"));
    }
    // The page was edited, and a directory takes its place.
    let edited = poem("one", "ONE");
    let merged = merged(
        &[("a.md", Some(POEM))],
        &[("a.md", Some(&edited))],
        &[("a.md", None), ("a.md/b.md", Some("below\n"))],
    );
    assert_eq!(merged.files["a.md/b.md"], "below\n");
    assert!(merged.files.values().any(|text| *text == edited));
}

#[test]
fn what_is_no_text_stays_side_by_side() {
    let merged = merged(
        &[("a/x.png", Some("\0base\n"))],
        &[("a/x.png", Some("\0ours\n"))],
        &[("a/x.png", Some("\0theirs\n"))],
    );
    assert_eq!((&*merged.files["a/x.png"], merged.beside()), ("\0ours\n", "\0theirs\n"));
    assert!(merged.paths()[0].ends_with(").png"));
}

/// Other wikis would refuse the page, and with it all later commits.
#[test]
fn no_page_becomes_larger_by_merging_than_a_page_may_be() {
    let base = "0123456789\n".repeat(270_000);
    let more = "more than that\n".repeat(70_000);
    let (above, below) = (more.clone() + &base, base.clone() + &more);
    let merged =
        merged(&[("a.md", Some(&base))], &[("a.md", Some(&above))], &[("a.md", Some(&below))]);
    assert_eq!(merged.kinds(), [ConflictKind::BothChanged]);
    assert!(merged.files["a.md"] == above && merged.beside() == below);
}

/// Ordinary changes of a few pages stay far below the limit.
#[test]
fn what_would_take_too_long_stays_side_by_side() {
    let scratch = Scratch::new();
    let commit = |parents: &[Revision], text: &str| {
        let revision = scratch.loose_commit(parents, &[("a.md", Some(text))]);
        (revision, scratch.wiki().repo().files(revision).unwrap())
    };
    let (root, base) = commit(&[], POEM);
    let (_, ours) = commit(&[root], &poem("one", "ONE"));
    let (_, theirs) = commit(&[root], &poem("eight", "EIGHT"));
    let view = scratch.wiki().repo().view();
    let sides = Sides { base: &base, ours: &ours, theirs: &theirs };
    let mut contents = Contents::new(&view);
    let (_, conflicts) = merge_files(sides, Winner::Wiki, &mut contents).unwrap();
    assert!(conflicts.is_empty() && !contents.effort.is_spent());
    contents.effort = Effort { pairs: u64::MAX, ..contents.effort };
    let (files, conflicts) = merge_files(sides, Winner::Wiki, &mut contents).unwrap();
    assert_eq!((files.len(), conflicts[0].kind), (2, ConflictKind::BothChanged));
    assert_eq!(files[&b"a.md"[..]], ours[&b"a.md"[..]]);
}

#[test]
fn names_that_would_be_one_file_elsewhere_are_told_apart() {
    let clash = merged(&[], &[("home.md", Some("ours\n"))], &[("Home.md", Some("theirs\n"))]);
    assert_eq!((clash.kinds(), clash.files.len()), (vec![ConflictKind::SameName], 2));
    // The name that is second in byte order is changed, independent of the winner.
    assert_eq!(clash.beside(), "ours\n");
    let two = [("cafe\u{301}.md", Some("a\n")), ("caf\u{e9}.md", Some("b\n"))];
    let clash = merged(&[("x.md", Some("x"))], &[], &two);
    // They stand side by side there, and stay so; the wiki's people are told.
    assert_eq!(clash.kinds(), [ConflictKind::SameName]);
    assert_eq!(clash.paths(), ["cafe\u{301}.md", "caf\u{e9}.md", "x.md"]);
    let clash = merged(&[], &[("a", Some("file"))], &[("A/b.md", Some("b"))]);
    assert_eq!((clash.kinds(), clash.files.len()), (vec![ConflictKind::FileAndDirectory], 2));
    // Collisions that existed before are left as they are.
    let odd = [("Old.md", Some("1")), ("old.md", Some("2"))];
    let carried = merged(&odd, &[("a.md", Some("a"))], &[("b.md", Some("b"))]);
    assert_eq!((carried.kinds(), carried.files.len()), (vec![], 4));
}

/// As when an imported wiki is linked for the first time.
#[test]
fn names_that_stand_side_by_side_in_a_wiki_stay_so() {
    let own =
        [("Old.md", Some("1")), ("old.md", Some("2")), ("A/b.md", Some("3")), ("a", Some("4"))];
    let readme = [("README.md", Some("read me\n"))];
    for winner in [Winner::Wiki, Winner::Remote, Winner::Stable] {
        let linked = merged_by(winner, &[], &own, &readme);
        assert_eq!(linked.kinds(), [], "{winner:?}");
        assert_eq!(linked.paths(), ["A/b.md", "Old.md", "README.md", "a", "old.md"]);
    }
    // Each side added one of the two names, so one is changed.
    let clash = merged(&[], &own[..1], &own[1..2]);
    assert_eq!(clash.kinds(), [ConflictKind::SameName]);
}

/// Symbolic links, submodules and names that aren't UTF-8.
#[test]
fn odd_entries_are_carried_byte_for_byte() {
    let scratch = Scratch::new();
    let edit = |path: &[u8], mode, text: &[u8]| Edit {
        path: path.to_vec(),
        new: Some(Entry { mode, id: blob_id(text).unwrap() }),
        content: (mode != 0o160_000).then(|| text.to_vec()),
    };
    let base = scratch.loose_commit(&[], &[("a.md", Some("a"))]);
    let ours = scratch.loose_commit(&[base], &[("b.md", Some("b"))]);
    let odd = [
        edit(b"link", 0o120_000, b"target"),
        edit(b"module", 0o160_000, b"commit"),
        edit(b"\xff\xfe.md", 0o100_644, b"x"),
        edit(b".gitmodules", 0o100_644, b"x"),
        edit(b"run", 0o100_755, b"x"),
    ];
    let theirs = scratch.loose_edits(&[base], &odd);
    let view = scratch.wiki().repo().view();
    let merge = view.merge(Some(ours), theirs, Winner::Wiki).unwrap();
    assert_eq!(merge.conflicts, []);
    for Edit { path, new, .. } in &odd {
        assert_eq!(merge.result.get(path), new.as_ref());
    }
    outcome(&scratch, ours, theirs, Winner::Stable);
    // One side changes the link's target, the other replaces it by a page.
    let one = scratch.loose_edits(&[theirs], &[edit(b"link", 0o120_000, b"elsewhere")]);
    let two = scratch.loose_commit(&[theirs], &[("link", Some("a page now\n"))]);
    let merge = view.merge(Some(one), two, Winner::Wiki).unwrap();
    assert_eq!(merge.result[&b"link"[..]].mode, 0o120_000);
    assert_eq!(merge.conflicts[0].kind, ConflictKind::BothChanged);
    assert_eq!(outcome(&scratch, one, two, Winner::Wiki).beside(), "a page now\n");
}

#[test]
fn attributes_in_the_tree_say_nothing_about_merging() {
    let attributes = (".gitattributes", Some("* merge=union\n*.md merge=ours\n"));
    let merged = merged(
        &[("a.md", Some("text\n")), attributes],
        &[("a.md", Some("ours\n"))],
        &[("a.md", Some("theirs\n"))],
    );
    assert_eq!((&*merged.files["a.md"], merged.beside()), ("ours\n", "theirs\n"));
}

/// With only one of the two merge bases, a side's decision would be undone, or a conflict missed.
#[test]
fn histories_that_crossed_are_merged_from_a_common_state() {
    let scratch = Scratch::new();
    let commit = |parents: &[Revision], text: &str| {
        scratch.loose_commit(parents, &[("a.md", Some(text)), ("b.md", Some("b"))])
    };
    let root = commit(&[], POEM);
    let (x, y) = (commit(&[root], &poem("one", "X")), commit(&[root], &poem("one", "Y")));
    let ours = commit(&[x, y], &poem("one", "X"));
    let other = poem("one", "Y").replace("eight", "EIGHT");
    let theirs = commit(&[y, x], &other);
    let both = outcome(&scratch, ours, theirs, Winner::Wiki);
    assert_eq!(both.kinds(), [ConflictKind::BothChanged]);
    assert_eq!((&*both.files["a.md"], both.beside()), (&*poem("one", "X"), &*other));
    // If both sides resolved it alike, no conflict is left.
    let alike = poem("one", "X").replace("eight", "EIGHT");
    let theirs = commit(&[y, x], &alike);
    let both = outcome(&scratch, ours, theirs, Winner::Wiki);
    assert_eq!(both.conflicts, []);
    assert_eq!(both.files["a.md"], alike);
}

#[test]
fn a_text_that_was_kept_before_is_not_kept_again() {
    let scratch = Scratch::new();
    let base = scratch.loose_commit(&[], &[("a.md", Some("text\n"))]);
    let ours = scratch.loose_commit(&[base], &[("a.md", Some("ours\n"))]);
    let theirs = scratch.loose_commit(&[base], &[("a.md", Some("theirs\n"))]);
    let view = scratch.wiki().repo().view();
    let merge = view.merge(Some(ours), theirs, Winner::Stable).unwrap();
    let one = scratch.loose_edits(&[ours, theirs], &merge.edits(&merge.ours));
    let two = scratch.loose_edits(&[theirs, ours], &merge.edits(&merge.theirs));
    // Both ends merged the same pair separately.
    let again = outcome(&scratch, one, two, Winner::Stable);
    assert_eq!((again.files.len(), again.conflicts.len()), (2, 0));
    // Another text has the name.
    let theirs_beside = format!("a (conflict {:.7}).md", blob_id(b"theirs\n").unwrap().to_string());
    let taken = [("a.md", Some("ours\n")), (&*theirs_beside, Some("x"))];
    let both = outcome(&scratch, scratch.loose_commit(&[base], &taken), theirs, Winner::Wiki);
    assert_eq!(both.files.len(), 3);
    assert_eq!(both.beside(), "theirs\n");
}
