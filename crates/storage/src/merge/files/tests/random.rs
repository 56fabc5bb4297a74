//! Random changes of a small wiki by two people. Each line that one of them writes is unique.

use proptest::prelude::*;

use super::*;

const NAMES: [&str; 8] =
    ["a.md", "b.md", "d/a.md", "d/c.md", "d/e/f.md", "a.md/g.md", "A.md", "caf\u{e9}.md"];

type Texts = BTreeMap<String, String>;

/// Pairs of a file and a change to it.
fn steps() -> impl Strategy<Value = Vec<(usize, usize)>> {
    prop::collection::vec((0..NAMES.len(), 0..12_usize), 0..6)
}

/// Files that are deleted or moved.
fn tidying() -> impl Strategy<Value = Vec<(usize, usize)>> {
    prop::collection::vec((0..4_usize, 0..2_usize), 0..4)
}

fn is_free(files: &Texts, name: &str) -> bool {
    !files.keys().any(|other| {
        other == name
            || other.starts_with(&format!("{name}/"))
            || name.starts_with(&format!("{other}/"))
    })
}

fn after(base: &Texts, steps: &[(usize, usize)], side: &str) -> Texts {
    let mut files = base.clone();
    for (step, (name, what)) in steps.iter().enumerate() {
        let name = NAMES[*name];
        let line = format!("{side}{step}\n");
        match (files.get(name).cloned(), what) {
            (Some(_), 0) => drop(files.remove(name)),
            (Some(text), 1..=2) => {
                let to = NAMES[(step + what * 3) % NAMES.len()];
                if is_free(&files, to) {
                    files.remove(name);
                    files.insert(to.to_owned(), text);
                }
            }
            (Some(text), at) => {
                let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
                let at = at % lines.len();
                if at < lines.len() / 2 {
                    lines[at] = &line;
                } else {
                    lines.insert(at, &line);
                }
                files.insert(name.to_owned(), lines.concat());
            }
            (None, _) if is_free(&files, name) => {
                files.insert(name.to_owned(), format!("{line}{side}new{step}\n"));
            }
            (None, _) => {}
        }
    }
    files
}

fn commit(scratch: &Scratch, parents: &[Revision], old: &Texts, new: &Texts) -> Revision {
    let gone = old.keys().filter(|path| !new.contains_key(*path)).map(|path| (path.as_str(), None));
    let there = new.iter().map(|(path, text)| (path.as_str(), Some(text.as_str())));
    scratch.loose_commit(parents, &gone.chain(there).collect::<Vec<_>>())
}

fn lines(files: &Texts) -> HashSet<String> {
    files.values().flat_map(|text| text.lines()).map(str::to_owned).collect()
}

struct Two {
    scratch: Scratch,
    base: Texts,
    files: [Texts; 2],
    ours: Revision,
    theirs: Revision,
}

/// Two changes of four files, which have this many different texts.
fn two(texts: usize, ours: &[(usize, usize)], theirs: &[(usize, usize)]) -> Two {
    let scratch = Scratch::new();
    let text = |file: usize| (0..8).map(|line| format!("base{file}.{line}\n")).collect::<String>();
    let names = NAMES[..4].iter().enumerate();
    let base: Texts = names.map(|(at, name)| ((*name).to_owned(), text(at % texts))).collect();
    let files = [after(&base, ours, "o"), after(&base, theirs, "t")];
    let root = commit(&scratch, &[], &Texts::new(), &base);
    let [ours, theirs] = [0, 1].map(|side| commit(&scratch, &[root], &base, &files[side]));
    Two { scratch, base, files, ours, theirs }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn no_line_is_lost_and_both_ends_agree(ours in steps(), theirs in steps()) {
        let Two { scratch, base, files, ours, theirs } = two(4, &ours, &theirs);
        let stable = outcome(&scratch, ours, theirs, Winner::Stable);
        let swapped = outcome(&scratch, theirs, ours, Winner::Stable);
        prop_assert_eq!(&stable.files, &swapped.files);
        for winner in [Winner::Wiki, Winner::Remote, Winner::Stable] {
            let outcome = outcome(&scratch, ours, theirs, winner);
            let (kept, old) = (lines(&outcome.files), lines(&base));
            for line in lines(&files[0]).union(&lines(&files[1])) {
                prop_assert!(old.contains(line) || kept.contains(line), "{line} is lost");
            }
            // No two files of the result are one file elsewhere, unless they were so at one of the sides.
            let paths = outcome.paths();
            for (at, one) in paths.iter().enumerate() {
                for other in &paths[..at] {
                    let both = |wiki: &Texts| wiki.contains_key(*one) && wiki.contains_key(*other);
                    let are_one = crate::fold(one) == crate::fold(other);
                    prop_assert!(!are_one || files.iter().any(both), "{one} and {other}");
                }
            }
        }
        // Merging the result again changes nothing.
        let merged = commit(&scratch, &[ours, theirs], &files[0], &stable.files);
        let again = outcome(&scratch, merged, theirs, Winner::Stable);
        prop_assert_eq!(&again.files, &stable.files);
        prop_assert_eq!(again.conflicts, vec![]);
    }

    #[test]
    fn what_both_have_is_in_the_result(ours in tidying(), theirs in tidying()) {
        let Two { scratch, base, files, ours, theirs } = two(2, &ours, &theirs);
        // If a side replaced another copy by a different text, the deletions are intended.
        let is_tidied = |files: &Texts| {
            base.iter().all(|(path, text)| files.get(path).is_none_or(|there| there == text))
        };
        prop_assume!(files.iter().all(is_tidied));
        let both = files[0].values().filter(|text| files[1].values().any(|there| there == *text));
        for winner in [Winner::Wiki, Winner::Stable] {
            let merged = outcome(&scratch, ours, theirs, winner).files;
            for text in both.clone() {
                prop_assert!(merged.values().any(|there| there == text), "{text} is lost");
            }
        }
    }

    #[test]
    fn what_git_merges_cleanly_is_merged_alike(ours in steps(), theirs in steps()) {
        let Two { scratch, ours, theirs, .. } = two(4, &ours, &theirs);
        let git = std::process::Command::new("git")
            .current_dir(scratch.repo())
            .args(["-c", "merge.directoryRenames=false", "merge-tree", "--write-tree"])
            .args([ours.to_string(), theirs.to_string()])
            .output()
            .unwrap();
        let view = scratch.wiki().repo().view();
        let merge = view.merge(Some(ours), theirs, Winner::Wiki).unwrap();
        // git allows names that differ only in case.
        let is_told_apart = |conflict: &MergeConflict| conflict.kind == ConflictKind::SameName
            || (conflict.kind == ConflictKind::FileAndDirectory && conflict.path == b"A.md");
        if git.status.success() && !merge.conflicts.iter().any(is_told_apart) {
            prop_assert_eq!(&merge.conflicts, &vec![]);
            let merged = scratch.loose_edits(&[ours], &merge.edits(&merge.ours));
            let tree = scratch.git(&["rev-parse", &format!("{merged}^{{tree}}")]);
            let theirs = String::from_utf8(git.stdout).unwrap();
            prop_assert_eq!(tree, theirs.trim());
        }
    }
}
