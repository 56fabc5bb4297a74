//! The relations of two histories, including rewritten ones.

use super::*;

fn rewind(scratch: &Scratch, to: Revision) {
    scratch.git(&["update-ref", "refs/heads/main", &to.to_string()]);
}

#[test]
fn the_four_ways_two_histories_can_stand() {
    let (one, other) = two();
    let base = head(&one);
    assert_eq!(compare(&other, &one, Some(base)).relation, Relation::Equal);
    other.create("ours", "text");
    let ahead = compare(&other, &one, Some(base));
    assert_eq!((ahead.relation, ahead.has_foreign_commits()), (Relation::Ahead, false));
    one.create("theirs", "text");
    let diverged = compare(&other, &one, Some(base));
    assert_eq!(diverged.relation, Relation::Diverged { base });
    assert!(diverged.has_foreign_commits() && !diverged.rewritten && !diverged.is_starter);
    let empty = Scratch::new();
    let behind = compare(&empty, &one, None);
    assert_eq!((behind.head, behind.relation), (None, Relation::Behind));
}

/// Nothing of the wiki is lost, and following removes what the remote removed.
#[test]
fn a_history_that_was_rewound_can_be_followed() {
    let (one, other) = two();
    let kept = one.update("home", "kept\n").revision;
    one.update("home", "rewound\n");
    one.create("gone", "text");
    pull(&other, &one);
    let seen = head(&one);
    rewind(&one, kept);
    let rewound = compare(&other, &one, Some(seen));
    assert_eq!((rewound.relation, rewound.rewritten), (Relation::Ahead, true));
    assert_eq!(pull(&other, &one), Integrated::Nothing);
    let followed = pull_as(&other, &one, |order| order.base = Some(seen));
    assert!(matches!(followed, Integrated::Merged { conflicts: 0, .. }));
    assert_eq!((other.text("home"), other.paths()), ("kept\n".to_owned(), vec!["home".to_owned()]));
    // The old tip is still part of the history.
    assert_eq!(other.git(&["rev-parse", "main^"]), seen.to_string());
}

#[test]
fn following_a_rewritten_history_keeps_what_is_ours() {
    let (one, other) = two();
    let base = head(&one);
    one.create("secret", "oops");
    pull(&other, &one);
    let seen = head(&one);
    rewind(&one, base);
    one.create("theirs", "instead");
    other.create("ours", "text");
    let rewritten = compare(&other, &one, Some(seen));
    assert_eq!((rewritten.relation, rewritten.rewritten), (Relation::Diverged { base }, true));
    other.wiki().back_up(LINK, seen).unwrap();
    pull_as(&other, &one, |order| order.base = Some(seen));
    assert_eq!(other.paths(), ["home", "ours", "theirs"]);
    for commit in [seen, head(&one)] {
        assert!(other.wiki().repo().is_ancestor(commit, head(&other)).unwrap());
    }
}

/// With the README that a hosting service creates.
#[test]
fn unrelated_histories_are_merged_only_when_somebody_says_so() {
    let (wiki, hosted) = (Scratch::new(), Scratch::new());
    wiki.create("home", "ours\n");
    hosted.work_with_git(|tree| {
        std::fs::write(tree.join("README.md"), "hosted\n").unwrap();
        std::fs::write(tree.join(".gitignore"), "*~\n").unwrap();
        std::fs::write(tree.join("LICENSE"), "free\n").unwrap();
    });
    let comparison = compare(&wiki, &hosted, None);
    assert_eq!((comparison.relation, comparison.is_starter), (Relation::Unrelated, true));
    assert_eq!(pull(&wiki, &hosted), Integrated::Unrelated);
    let merged = pull_as(&wiki, &hosted, |order| order.unrelated = true);
    assert!(matches!(merged, Integrated::Merged { conflicts: 0, .. }));
    assert_eq!(wiki.paths(), ["README", "home"]);
    hosted.commit_with_git("docs/more.md", "more");
    assert!(!compare(&wiki, &hosted, None).is_starter);
    assert!(matches!(pull(&wiki, &hosted), Integrated::Merged { .. }));
}

#[test]
fn a_shallow_history_is_refused() {
    let (one, other) = two();
    one.update("home", "new");
    let fetched = fetch(&other, &one);
    let path = fetched.path();
    std::fs::write(path.join("shallow"), format!("{}\n", fetched.tip)).unwrap();
    let error = other.wiki().integrate(&order(&path, fetched.tip)).unwrap_err();
    assert!(matches!(error, Error::Sync(SyncError::Shallow)), "{error}");
    std::fs::remove_file(path.join("shallow")).unwrap();
    let missing = Revision::from_bytes([7; 20]);
    let order = Integrate { base: Some(missing), ..order(&path, fetched.tip) };
    let error = other.wiki().integrate(&order).unwrap_err();
    assert!(matches!(error, Error::Sync(SyncError::Missing { .. })), "{error}");
    let error = other.wiki().compare(&path, missing, None).unwrap_err();
    assert!(matches!(error, Error::Sync(SyncError::Missing { .. })), "{error}");
}

/// With one shared remote, the second wiki resolves the conflict and the first only fast-forwards.
#[test]
fn two_wikis_on_one_remote_converge() {
    let remote = Scratch::new();
    remote.create("home", "text\n");
    let (a, b) = (Scratch::new(), Scratch::new());
    pull(&a, &remote);
    pull(&b, &remote);
    a.update("home", "a\n");
    b.update("home", "b\n");
    pull(&remote, &a);
    pull(&b, &remote);
    pull(&remote, &b);
    assert!(matches!(pull(&a, &remote), Integrated::FastForwarded { .. }));
    assert_eq!((head(&a), head(&b)), (head(&remote), head(&remote)));
    let beside = a.paths().into_iter().filter(|path| path.contains("(conflict "));
    assert_eq!(beside.count(), 1);
}

/// Both merge the same pair at the same time and make the same commit.
#[test]
fn two_wikis_that_pull_from_each_other_converge_at_once() {
    let (a, b) = two();
    a.update("home", "a\n");
    b.update("home", "b\n");
    let (from_a, from_b) = (fetch(&b, &a), fetch(&a, &b));
    let stable = |scratch: &Scratch, fetched: &Fetched| {
        let path = fetched.path();
        let order = Integrate { winner: Winner::Stable, ..order(&path, fetched.tip) };
        scratch.wiki().integrate(&order).unwrap()
    };
    assert!(matches!(stable(&a, &from_b), Integrated::Merged { conflicts: 1, .. }));
    assert!(matches!(stable(&b, &from_a), Integrated::Merged { conflicts: 1, .. }));
    assert_eq!(head(&a), head(&b));
    assert_eq!(pull(&a, &b), Integrated::Nothing);
}

/// Killed before the branch was moved, and before the objects were written.
#[test]
fn what_was_integrated_survives_a_kill_at_any_point() {
    for merges in [false, true] {
        for objects_lost in [false, true] {
            let (one, mut other) = two();
            one.create("theirs", "text\n");
            if merges {
                other.create("ours", "text\n");
            }
            let before = head(&other);
            pull(&other, &one);
            let after = head(&other);
            rewind(&other, before);
            if objects_lost && merges {
                let hex = after.to_string();
                let object = other.repo().join("objects").join(&hex[..2]).join(&hex[2..]);
                std::fs::remove_file(object).unwrap();
            }
            other.open().unwrap();
            assert_eq!(head(&other), after);
            assert!(other.paths().contains(&"theirs".to_owned()));
            other.wiki().checkpoint().unwrap();
            assert_eq!(other.redo_rows(), 0);
            other.git(&["fsck", "--strict"]);
        }
    }
}

/// Three wikis that pull from each other in any order end at the same commit, and every line written before is in it.
#[test]
fn a_mesh_of_three_converges_and_loses_nothing() {
    for seed in 0..4_u64 {
        // A pseudorandom sequence, the same in each run.
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut any = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as usize % below
        };
        let origin = Scratch::new();
        for page in 0..3 {
            let text: String = (0..6).map(|line| format!("{page}.{line}\n")).collect();
            origin.create(&format!("p{page}"), &text);
        }
        let wikis = [Scratch::new(), Scratch::new(), Scratch::new()];
        wikis.iter().for_each(|wiki| drop(pull(wiki, &origin)));
        let mut written = Vec::new();
        for (number, wiki) in wikis.iter().enumerate() {
            for edit in 0..4 {
                let page = format!("p{}", any(3));
                let mut lines: Vec<String> = wiki.text(&page).lines().map(str::to_owned).collect();
                lines.insert(any(lines.len()), format!("wiki {number} edit {edit}"));
                written.push(lines.iter().find(|l| l.contains("wiki")).cloned().unwrap());
                wiki.update(&page, &(lines.join("\n") + "\n"));
            }
            let new = format!("by {number}\n");
            wiki.create("new", &new);
            written.push(new.trim().to_owned());
        }
        let mut pulls = 0;
        while wikis.iter().any(|wiki| head(wiki) != head(&wikis[0])) {
            let (to, from) = (any(3), any(3));
            if to != from {
                pull_as(&wikis[to], &wikis[from], |order| order.winner = Winner::Stable);
                pulls += 1;
                assert!(pulls < 60, "seed {seed}");
            }
        }
        let all: String = wikis[0].paths().iter().map(|page| wikis[0].text(page)).collect();
        for line in written {
            assert!(all.lines().any(|kept| kept == line), "seed {seed}: {line} is lost");
        }
        wikis[0].git(&["fsck", "--strict"]);
    }
}
