use std::process::Command;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use super::*;

fn merge(base: &[u8], ours: &[u8], theirs: &[u8]) -> Merged {
    super::merge(base, ours, theirs, &mut Effort::default())
}

fn clean(base: &str, ours: &str, theirs: &str) -> String {
    match merge(base.as_bytes(), ours.as_bytes(), theirs.as_bytes()) {
        Merged::Clean(text) => String::from_utf8(text).unwrap(),
        Merged::Conflict(hunks) => panic!("conflict: {hunks:?}"),
    }
}

fn conflict(base: &str, ours: &str, theirs: &str) -> Vec<Hunk> {
    match merge(base.as_bytes(), ours.as_bytes(), theirs.as_bytes()) {
        Merged::Clean(text) => panic!("clean: {}", String::from_utf8_lossy(&text)),
        Merged::Conflict(hunks) => hunks,
    }
}

#[test]
fn changes_in_different_places_are_both_kept() {
    assert_eq!(clean("a\nb\nc\nd\n", "A\nb\nc\nd\n", "a\nb\nc\nD\n"), "A\nb\nc\nD\n");
    assert_eq!(clean("a\nb\nc\n", "a\nc\n", "a\nb\nc\nd\n"), "a\nc\nd\n");
}

#[test]
fn the_same_change_on_both_sides_is_made_once() {
    assert_eq!(clean("a\nb\n", "a\nX\n", "a\nX\n"), "a\nX\n");
    assert_eq!(clean("", "new\n", "new\n"), "new\n");
}

#[test]
fn different_words_in_one_line_are_a_conflict_that_shows_all_three() {
    let hunks = conflict("a\nb\nc\n", "a\nours\nc\n", "a\ntheirs\nc\n");
    assert_eq!(
        hunks,
        [Hunk {
            base_line: 2,
            base: "b\n".into(),
            ours: "ours\n".into(),
            theirs: "theirs\n".into()
        }]
    );
}

#[test]
fn text_added_at_the_same_place_is_a_conflict() {
    assert_eq!(conflict("a\n", "a\nours\n", "a\ntheirs\n")[0].base_line, 2);
    assert_eq!(conflict("", "ours", "theirs").len(), 1);
}

#[test]
fn changing_what_the_other_deleted_is_a_conflict() {
    let hunks = conflict("a\nb\nc\n", "a\nc\n", "a\nB\nc\n");
    assert_eq!((hunks[0].ours.as_str(), hunks[0].theirs.as_str()), ("", "B\n"));
}

#[test]
fn text_that_looks_like_conflict_markers_is_only_text() {
    let text = "<<<<<<< ours\n=======\n>>>>>>> theirs\n";
    assert_eq!(clean("", text, text), text);
    assert_eq!(clean(text, &format!("{text}x\n"), text), format!("{text}x\n"));
}

#[test]
fn bytes_that_are_not_text_are_merged_as_lines_too() {
    assert_eq!(
        merge(b"\xff\na\nb\n", b"\xfe\na\nb\n", b"\xff\na\nc\n"),
        Merged::Clean(b"\xfe\na\nc\n".to_vec())
    );
}

/// The lines are too many and too alike to be compared.
#[test]
fn what_is_not_compared_is_a_conflict_as_a_whole() {
    let repeated = |line: &str, other: &str| [line, other, line].concat().repeat(10_000);
    let page = |middle: &str, end: &str| format!("first\n{middle}middle\n{end}");
    let base = page(&repeated("a\n", "b\n"), "end\n");
    let ours = page(&repeated("b\n", "a\n"), "end\n");
    let theirs = page(&repeated("b\n", "c\n"), "end\n");
    let [hunk] = &conflict(&base, &ours, &theirs)[..] else { panic!("more than one") };
    assert_eq!((hunk.base_line, hunk.base.lines().count()), (2, 30_000));
    // Changes elsewhere in the text are merged.
    let theirs = page(&repeated("a\n", "b\n"), "END\n");
    assert_eq!(clean(&base, &ours, &theirs), page(&repeated("b\n", "a\n"), "END\n"));
}

/// Short texts of few words: many coincidences, which are hard for a merge.
fn text() -> impl Strategy<Value = String> {
    (vec(prop_oneof!["a", "b", "c", "d", "e", "f"], 0..12), any::<bool>()).prop_map(
        |(lines, ended)| {
            let text = lines.join("\n");
            if ended && !text.is_empty() { text + "\n" } else { text }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_side_that_changed_nothing_changes_nothing(base in text(), other in text()) {
        prop_assert_eq!(clean(&base, &base, &other), other.clone());
        prop_assert_eq!(clean(&base, &other, &base), other);
    }

    #[test]
    fn both_sides_agreeing_is_clean(base in text(), both in text()) {
        prop_assert_eq!(clean(&base, &both, &both), both);
    }

    #[test]
    fn the_sides_are_equal_partners(base in text(), ours in text(), theirs in text()) {
        let there = merge(base.as_bytes(), ours.as_bytes(), theirs.as_bytes());
        let back = merge(base.as_bytes(), theirs.as_bytes(), ours.as_bytes());
        match (there, back) {
            (Merged::Clean(there), Merged::Clean(back)) => prop_assert_eq!(there, back),
            (Merged::Conflict(there), Merged::Conflict(back)) => prop_assert_eq!(there.len(), back.len()),
            _ => prop_assert!(false, "clean one way only"),
        }
    }

    /// Every passage that either side wrote is in the merged text, in one piece.
    #[test]
    fn a_clean_merge_loses_no_word(base in text(), ours in text(), theirs in text()) {
        if let Merged::Clean(merged) = merge(base.as_bytes(), ours.as_bytes(), theirs.as_bytes()) {
            let merged = String::from_utf8(merged).unwrap();
            for side in [&ours, &theirs] {
                let written = lines(side.as_bytes());
                let changed = compare(&lines(base.as_bytes()), &written, Placement::Lowest);
                for change in changed.changes {
                    let passage = String::from_utf8(written[change.new].concat()).unwrap();
                    prop_assert!(merged.contains(&passage), "{passage:?} is not in {merged:?}");
                }
            }
        }
    }
}

/// A text and two later versions of it, each with a few lines replaced, removed or added.
fn versions() -> impl Strategy<Value = [String; 3]> {
    let edits = || vec((0..20usize, 0..3usize, vec("[a-f]", 0..3)), 0..4);
    (vec("[a-f]", 8..20), edits(), edits()).prop_map(|(base, ours, theirs)| {
        [base.clone(), edited(base.clone(), ours), edited(base, theirs)]
            .map(|lines| lines.join("\n") + "\n")
    })
}

fn edited(mut lines: Vec<String>, edits: Vec<(usize, usize, Vec<String>)>) -> Vec<String> {
    for (at, removed, added) in edits {
        let at = at.min(lines.len());
        let end = (at + removed).min(lines.len());
        lines.splice(at..end, added);
    }
    lines
}

/// git is the reference: every clean merge is clean in git, too, with the same bytes; and few merges that are clean in
/// git conflict here.
#[test]
fn git_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut same, mut cautious) = (0, 0);
    for _ in 0..300 {
        let [base, ours, theirs] = versions().new_tree(&mut runner).unwrap().current();
        for (name, text) in [("base", &base), ("ours", &ours), ("theirs", &theirs)] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let output = Command::new("git")
            .args(["merge-file", "--diff-algorithm=histogram", "-p", "ours", "base", "theirs"])
            .current_dir(dir.path())
            .output()
            .unwrap();
        match merge(base.as_bytes(), ours.as_bytes(), theirs.as_bytes()) {
            Merged::Clean(text) => {
                assert!(
                    output.status.success(),
                    "git sees a conflict: {base:?} {ours:?} {theirs:?}"
                );
                assert_eq!(text, output.stdout, "{base:?} {ours:?} {theirs:?}");
                same += 1;
            }
            Merged::Conflict(_) => cautious += usize::from(output.status.success()),
        }
    }
    assert!(same >= 100, "only {same} clean merges: the texts no longer test anything");
    assert!(cautious * 10 <= same, "{cautious} conflicts where git sees none, {same} clean");
}

/// Between changes of one side other lines may stand as they were: in a text of so many lines that isn't looked
/// at.
#[test]
fn of_very_many_lines_all_that_a_side_changed_is_one_change() {
    let lines = |from: usize, to: usize| (from..to).map(|n| format!("{n}\n")).collect::<String>();
    let base = lines(0, 400_000);
    let top = format!("top\n{base}");
    let end = format!("{base}end");
    assert_eq!(clean(&base, &top, &end), format!("top\n{base}end"));
    assert_eq!(clean(&base, &end, &top), format!("top\n{base}end"));
    assert_eq!(clean(&base, &base, &top), top);
    assert_eq!(clean(&base, &top, &base), top);
    assert_eq!(clean(&base, &top, &top), top);

    let ours = format!("one\n{}two\n{}", lines(1, 100_000), lines(100_001, 400_000));
    let theirs = format!("{}three\n{}", lines(0, 50_000), lines(50_001, 400_000));
    for (ours, theirs) in [(&ours, &theirs), (&theirs, &ours)] {
        let hunks = conflict(&base, ours, theirs);
        let rest = lines(100_001, 400_000);
        let span = |text: &str| text.strip_suffix(&rest).unwrap().to_owned();
        let hunk = Hunk { base_line: 1, base: span(&base), ours: span(ours), theirs: span(theirs) };
        assert!(hunks == [hunk], "another conflict");
    }
    // Changes that touch are one place.
    let before = format!("{}x\n{}", lines(0, 10), lines(11, 400_000));
    let after = format!("{}y\n{}", lines(0, 11), lines(12, 400_000));
    let hunks = conflict(&base, &before, &after);
    let hunk = Hunk {
        base_line: 11,
        base: "10\n11\n".into(),
        ours: "x\n11\n".into(),
        theirs: "10\ny\n".into(),
    };
    assert_eq!(hunks, [hunk]);
    let mut effort = Effort::default();
    super::merge(base.as_bytes(), ours.as_bytes(), theirs.as_bytes(), &mut effort);
    assert_eq!(effort.pairs, 0, "no lines are compared");
}
