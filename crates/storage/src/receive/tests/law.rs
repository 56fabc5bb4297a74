//! A check finds the same problems as a comparison of all files of every commit.

use super::*;

/// Makes commits, one after the other, that add files to two folders under names that may collide or be refused.
/// Asserts that the check finds the same problems as a comparison of all their files.
fn check_by_comparison(commits: &[Vec<(u8, u8, u8)>]) {
    const NAMES: [&str; 7] = ["a.md", "A.md", "b.md", "c:d.md", "\u{e9}.png", "\u{c9}.png", "a.md"];
    const FOLDERS: [&str; 4] = ["", "x/", "X/", "x/y/"];
    let scratch = Scratch::new();
    let tree = scratch.clone_with_git();
    let mut before: std::collections::BTreeMap<String, u8> = [].into();
    let mut is_wrong = false;
    for changes in commits {
        let (mut after, mut stream) = (before.clone(), String::new());
        for (folder, name, content) in changes {
            let path = format!("{}{}", FOLDERS[*folder as usize], NAMES[*name as usize]);
            if *content == 0 {
                after.remove(&path);
                stream.push_str(&format!("D {path}\n"));
            } else {
                after.insert(path.clone(), *content);
                stream.push_str(&format!("M 100644 inline {path}\ndata 1\n{content}\n"));
            }
        }
        import(&tree, stream.as_bytes());
        let parts = |files: &std::collections::BTreeMap<String, u8>| -> HashSet<String> {
            let ends = |path: &String| {
                let ends: Vec<usize> =
                    path.match_indices('/').map(|(at, _)| at).chain([path.len()]).collect();
                ends.into_iter().map(|end| path[..end].to_owned()).collect::<Vec<_>>()
            };
            files.keys().flat_map(ends).collect()
        };
        let (old, new) = (parts(&before), parts(&after));
        for fresh in new.difference(&old) {
            is_wrong |=
                new.iter().any(|other| other != fresh && crate::fold(other) == crate::fold(fresh));
        }
        for (path, content) in &after {
            is_wrong |=
                before.get(path) != Some(content) && names::check_path(path.as_bytes(), 0).is_err();
        }
        before = after;
    }
    let received = scratch.push(&tree, &RULES());
    assert_eq!(received.is_err(), is_wrong, "{commits:?}: {received:?}");
    let listed = scratch
        .wiki()
        .head()
        .unwrap()
        .map(|_| scratch.git(&["ls-tree", "-r", "-z", "--name-only", "main"]));
    let files =
        listed.map_or(0, |listed| listed.split('\0').filter(|name| !name.is_empty()).count());
    assert_eq!(files, if is_wrong { 0 } else { before.len() });
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(12))]

    /// Even though trees that were checked before are skipped.
    #[test]
    fn nothing_is_overlooked(
        commits in proptest::collection::vec(
            proptest::collection::vec((0..4_u8, 0..7_u8, 0..3_u8), 1..4), 1..5)
    ) {
        check_by_comparison(&commits);
    }
}
