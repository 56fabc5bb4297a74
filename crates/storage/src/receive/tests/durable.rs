//! Acknowledged pushes survive a crash, and unacknowledged ones do no harm.

use super::*;

/// Crash or power cut at every point after the objects were moved.
#[test]
fn an_acknowledged_push_survives_the_loss_of_the_branch() {
    for rewrite in [false, true] {
        let mut scratch = Scratch::new();
        let first = scratch.create("home", "one").revision;
        let tree = scratch.clone_with_git();
        scratch.wiki().checkpoint().unwrap();
        let before = match rewrite {
            true => scratch.update("home", "two").revision,
            false => first,
        };
        commit(&tree, "pushed.md", "pushed");
        let pushed = scratch.push(&tree, &PushRules { rewrite, ..RULES() }).unwrap().new;
        let last = scratch.create("after", "after").revision;
        assert_eq!(scratch.redo_rows(), if rewrite { 3 } else { 2 });
        for lost_to in [Some(pushed), Some(before), Some(first), None] {
            let main = scratch.repo().join("refs/heads/main");
            match lost_to {
                Some(commit) => fs::write(main, format!("{commit}\n")).unwrap(),
                None => fs::write(main, "").unwrap(),
            }
            scratch.open().unwrap();
            assert_eq!(scratch.wiki().head().unwrap(), Some(last), "{rewrite} {lost_to:?}");
            scratch.wiki().update_index(|_| ()).unwrap();
            assert_eq!(scratch.paths(), ["after", "home", "pushed"]);
        }
        scratch.git(&["fsck", "--strict"]);
    }
}

/// The process died after the objects were moved and before the row.
#[test]
fn objects_without_a_row_are_not_in_the_way() {
    let mut scratch = Scratch::new();
    scratch.create("home", "one");
    let tree = scratch.clone_with_git();
    commit(&tree, "pushed.md", "pushed");
    let (incoming, new) = scratch.send(&tree);
    let repo = scratch.wiki().repo();
    let arrived = Incoming::open(&incoming, repo, 1000).unwrap().unwrap();
    let head = scratch.wiki().head().unwrap();
    let checked = check::check(repo, &arrived, head, new, &RULES()).unwrap();
    let staged = arrived.stage(repo, &checked.objects).unwrap();
    repo.adopt(&staged).unwrap();
    scratch.open().unwrap();
    assert_eq!(scratch.paths(), ["home"]);
    assert_eq!(scratch.push(&tree, &RULES()).unwrap().new, new);
    assert_eq!(scratch.paths(), ["home", "pushed"]);
}

/// Otherwise a power cut would leave empty files under the objects' names, at which git fails for ever.
#[test]
fn no_object_comes_in_before_it_is_on_the_disk() {
    for count in [1, 1500] {
        let scratch = Scratch::new();
        scratch.create("home", "one");
        let tree = scratch.clone_with_git();
        let file = |n| format!("M 100644 inline d/{n}.md\ndata 4\n{n:04}\n");
        import(&tree, (0..count).map(file).collect::<String>().as_bytes());
        let objects = || scratch.git(&["cat-file", "--batch-all-objects", "--batch-check"]);
        let before = objects();
        crate::files::failing::NEXT_SYNC.set(true);
        let error = scratch.push(&tree, &RULES()).unwrap_err();
        assert!(error.to_string().contains("sync"), "{error}");
        assert_eq!(objects(), before);
        scratch.push(&tree, &RULES()).unwrap();
        assert_eq!(scratch.paths().len(), count + 1);
    }
}

/// After a failed sync, the next one would wrongly report success.
#[test]
fn objects_that_may_not_be_on_the_disk_are_moved_in_again() {
    use std::os::unix::fs::MetadataExt as _;
    for in_doubt in [false, true] {
        let scratch = Scratch::new();
        scratch.create("home", "one");
        let tree = scratch.clone_with_git();
        let new = commit(&tree, "pushed.md", "pushed");
        let (incoming, _) = scratch.send(&tree);
        let repo = scratch.wiki().repo();
        let arrived = Incoming::open(&incoming, repo, 1000).unwrap().unwrap();
        let head = scratch.wiki().head().unwrap();
        let checked = check::check(repo, &arrived, head, new.parse().unwrap(), &RULES()).unwrap();
        repo.adopt(&arrived.stage(repo, &checked.objects).unwrap()).unwrap();
        let file = scratch.repo().join(format!("objects/{}/{}", &new[..2], &new[2..]));
        let before = fs::metadata(&file).unwrap().ino();
        if in_doubt {
            repo.doubt();
        }
        assert_eq!(scratch.push(&tree, &RULES()).unwrap().new.to_string(), new);
        let is_another = fs::metadata(&file).unwrap().ino() != before;
        assert_eq!(is_another, in_doubt);
        assert_eq!(scratch.paths(), ["home", "pushed"]);
    }
}

#[test]
fn what_was_never_finished_is_swept() {
    let mut scratch = Scratch::new();
    scratch.create("home", "one");
    let dir = scratch.repo().join("objects/pack");
    fs::create_dir_all(&dir).unwrap();
    for name in ["tmp_pack_x", "tmp_idx_x", ".tmp-12-pack-1.pack", "pack-1234.rev"] {
        fs::write(dir.join(name), "half").unwrap();
    }
    scratch.open().unwrap();
    assert_eq!(fs::read_dir(dir).unwrap().count(), 0);
}
