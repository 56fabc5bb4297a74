use super::*;
use crate::testing::{Scratch, ada, git};
use crate::*;

/// Makes a page with a conflict: the losing text is beside it, and another page is in its folder.
fn in_conflict() -> Scratch {
    let scratch = Scratch::new();
    let base = scratch.create("garden/roses", "one\n").revision;
    let theirs = scratch.loose_commit(&[base], &[("garden/roses.md", Some("theirs\n"))]);
    scratch.update("garden/roses", "ours\n");
    take_over(&scratch, theirs);
    scratch.create("garden/tulips", "yellow\n");
    assert_eq!(place(&scratch), in_folder("garden"));
    scratch
}

/// Has a link integrate a commit that is already in the repository, as if it had been fetched.
fn take_over(scratch: &Scratch, incoming: Revision) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("scratch");
    scratch.wiki().create_scratch(&path).unwrap();
    let order = Integrate {
        scratch: &path,
        incoming,
        link: LinkId(1),
        winner: Winner::Wiki,
        base: None,
        unrelated: false,
        max_conflicts: 100,
        max_deleted: None,
    };
    scratch.wiki().integrate(&order).unwrap();
    scratch.wiki().update_index(|_| ()).unwrap();
}

/// Returns the paths of the only open conflict; `None` if there is none.
fn place(scratch: &Scratch) -> Option<(String, String)> {
    let listed = scratch.wiki().sync_conflicts(0, 10).unwrap();
    let [conflict] = &listed[..] else {
        assert_eq!(listed, []);
        return None;
    };
    // The losing text is at the recorded path.
    let beside = conflict.conflict_path.clone().unwrap();
    assert!(scratch.text(&beside).starts_with("theirs\n"));
    Some((conflict.path.clone(), beside))
}

fn in_folder(folder: &str) -> Option<(String, String)> {
    let theirs = repo::blob_id(b"theirs\n").unwrap().to_string();
    let beside = format!("{folder}/roses (conflict {})", &theirs[..7]);
    Some((format!("{folder}/roses"), beside))
}

fn move_page(scratch: &Scratch, from: &str, to: &str) -> Revision {
    let (from, to) = (ExistingPath::new(from).unwrap(), PagePath::new(to).unwrap());
    let order = Move { from: &from, to: &to, update_links: true, author: &ada(), message: None };
    scratch.wiki().move_page(&order).unwrap().revision
}

/// Makes a commit that renames a whole folder, by another author.
fn folder_moved(scratch: &Scratch, parent: Revision, from: &str, to: &str) -> Revision {
    let files = scratch.wiki().repo().files(parent).unwrap();
    let mut edits = Vec::new();
    for (path, entry) in files {
        let Some(rest) = path.strip_prefix(format!("{from}/").as_bytes()) else { continue };
        let moved = [format!("{to}/").as_bytes(), rest].concat();
        edits.push(Edit { path: path.clone(), new: None, content: None });
        edits.push(Edit { path: moved, new: Some(entry), content: None });
    }
    scratch.loose_edits(&[parent], &edits)
}

fn head(scratch: &Scratch) -> Revision {
    scratch.wiki().head().unwrap().unwrap()
}

#[test]
fn a_conflict_goes_along_when_its_folder_is_moved_and_when_that_is_undone() {
    let scratch = in_conflict();
    let moved = move_page(&scratch, "garden", "park");
    assert_eq!(place(&scratch), in_folder("park"));
    let undo = Undo { revision: moved, author: &ada(), message: None, dry_run: false };
    scratch.wiki().revert(&undo).unwrap();
    assert_eq!(place(&scratch), in_folder("garden"));
    // A folder is moved below itself: other files take the paths.
    move_page(&scratch, "garden", "garden/garden");
    assert_eq!(place(&scratch), in_folder("garden/garden"));
}

#[test]
fn a_page_of_the_two_may_go_alone() {
    let scratch = in_conflict();
    let (_, beside) = place(&scratch).unwrap();
    move_page(&scratch, "garden/roses", "park/red");
    assert_eq!(place(&scratch), Some(("park/red".into(), beside.clone())));
    move_page(&scratch, &beside, "theirs");
    assert_eq!(place(&scratch), Some(("park/red".into(), "theirs".into())));
    // Resolving then applies to the moved files.
    let id = scratch.wiki().sync_conflicts(0, 1).unwrap()[0].id;
    let base = scratch.page("park/red").summary.etag;
    let content = Some((&b"both\n"[..], base));
    let resolve = Resolve { id, content, author: &ada(), message: None };
    scratch.wiki().resolve_sync_conflict(&resolve).unwrap();
    assert_eq!((place(&scratch), scratch.text("park/red")), (None, "both\n".into()));
    assert!(!scratch.paths().contains(&"theirs".to_owned()));
}

#[test]
fn a_conflict_goes_along_with_a_push_until_one_takes_the_other_text_away() {
    let scratch = in_conflict();
    let (_, beside) = in_folder("park").unwrap();
    let tree = scratch.clone_with_git();
    git(&tree, &["mv", "garden", "park"]);
    std::fs::write(tree.join(format!("{beside}.md")), "theirs\ntoo\n").unwrap();
    git(&tree, &["commit", "--quiet", "--all", "-m", "a park"]);
    scratch.push(&tree, &PushRules::default()).unwrap();
    assert_eq!(place(&scratch), in_folder("park"));
    git(&tree, &["rm", "--quiet", &format!("{beside}.md")]);
    git(&tree, &["commit", "--quiet", "-m", "done"]);
    scratch.push(&tree, &PushRules::default()).unwrap();
    assert_eq!(place(&scratch), None);
}

#[test]
fn a_conflict_goes_along_with_what_a_link_brings() {
    for merges in [false, true] {
        let scratch = in_conflict();
        let before = head(&scratch);
        if merges {
            scratch.create("ours", "text");
        }
        let theirs = folder_moved(&scratch, before, "garden", "park");
        take_over(&scratch, theirs);
        assert_eq!(head(&scratch) == theirs, !merges);
        assert_eq!(place(&scratch), in_folder("park"));
        let (_, beside) = in_folder("park").unwrap();
        let gone = scratch.loose_commit(&[theirs], &[(&format!("{beside}.md"), None)]);
        take_over(&scratch, gone);
        assert_eq!(place(&scratch), None);
    }
}

#[test]
fn a_conflict_goes_along_when_the_branch_is_moved_forward() {
    let scratch = in_conflict();
    let theirs = folder_moved(&scratch, head(&scratch), "garden", "park");
    assert!(scratch.wiki().fast_forward(theirs).unwrap());
    assert_eq!(place(&scratch), in_folder("park"));
}

/// The lost name belongs to no file, and is still in the folder.
#[test]
fn a_name_that_was_lost_goes_along_with_its_folder() {
    let place = Place {
        id: 1,
        path: b"garden/home.md".to_vec(),
        beside: Some(b"garden/home (conflict 1).md".to_vec()),
        kind: ConflictKind::SameName.code().to_owned(),
        is_closed: false,
    };
    let after = |to: &str| {
        let beside = place.beside.clone().unwrap();
        place.after(&Left::from([(beside, Some(to.as_bytes().to_vec()))]))
    };
    let moved = after("park/home (conflict 1).md");
    assert_eq!(moved.path, b"park/home.md");
    assert_eq!(moved.beside.unwrap(), b"park/home (conflict 1).md");
    // Giving the page a new name leaves the lost name in its folder.
    assert_eq!(after("park/house.md").path, b"garden/home.md");
}
