//! Moves and deletions that are repeated after a failure, or after the process died, when the change was durable
//! already.

use std::fs;

use crate::testing::{Scratch, ada};
use crate::*;

fn garden() -> Scratch {
    let scratch = Scratch::new();
    scratch.create("garden", "the garden");
    scratch.create("garden/roses", "red");
    scratch.create("home", "[[garden/roses]]");
    let path = AttachmentPath::new("garden/plan.png").unwrap();
    let mut upload = scratch.wiki().upload().unwrap();
    upload.write(b"plan").unwrap();
    let blob = scratch.wiki().stage(&path, Base::New, upload).unwrap();
    let author = ada();
    let save = SaveAttachment { path: &path, base: Base::New, author: &author, message: None };
    scratch.wiki().save_attachment(&save, blob).unwrap();
    scratch
}

fn move_it(scratch: &Scratch, author: &Author) -> Result<Moved, Error> {
    let (from, to) = (ExistingPath::new("garden").unwrap(), PagePath::new("park").unwrap());
    let order = Move { from: &from, to: &to, update_links: true, author, message: None };
    scratch.wiki().move_page(&order)
}

fn delete_it(scratch: &Scratch, base: Etag) -> Result<(Revision, Vec<String>), Error> {
    let path = ExistingPath::new("garden").unwrap();
    let author = ada();
    let delete = Delete { path: &path, base, author: &author, message: None };
    let deleted = scratch.wiki().delete_recursively(&delete)?;
    Ok((deleted.revision, deleted.others))
}

/// Simulates a process that dies after a change is durable and before it is visible.
fn die(scratch: &mut Scratch) {
    let parent = scratch.git(&["rev-parse", "main^"]);
    fs::write(scratch.repo().join("refs/heads/main"), format!("{parent}\n")).unwrap();
    scratch.open().unwrap();
}

#[test]
fn a_move_that_is_sent_again_is_done() {
    for dies in [false, true] {
        let mut scratch = garden();
        let reference = move_it(&garden(), &ada()).unwrap();
        if dies {
            move_it(&scratch, &ada()).unwrap();
            die(&mut scratch);
        } else {
            files::failing::NEXT_LOCKS.set(2);
            assert!(move_it(&scratch, &ada()).unwrap_err().is_disk_full());
        }
        for _ in 0..2 {
            let again = move_it(&scratch, &ada()).unwrap();
            assert_eq!(again.changes, reference.changes);
            assert_eq!(scratch.wiki().head().unwrap(), Some(again.revision));
        }
        assert_eq!(scratch.paths(), ["home", "park", "park/roses"]);
        // By another person, and after another change.
        let other = Author::new("Bob", "");
        assert!(move_it(&scratch, &other).unwrap_err().is_not_found());
        scratch.create("more", "text");
        move_it(&scratch, &ada()).unwrap();
        scratch.create("garden", "a new one");
        assert!(matches!(move_it(&scratch, &ada()), Err(Error::Collision { .. })));
    }
}

#[test]
fn a_deletion_that_may_not_have_been_answered_is_done() {
    for dies in [false, true] {
        let mut scratch = garden();
        let base = scratch.page("garden").summary.etag;
        if dies {
            delete_it(&scratch, base).unwrap();
            // The deletion was answered.
            assert!(delete_it(&scratch, base).unwrap_err().is_not_found());
            die(&mut scratch);
        } else {
            files::failing::NEXT_LOCKS.set(2);
            assert!(delete_it(&scratch, base).unwrap_err().is_disk_full());
        }
        let (revision, others) = delete_it(&scratch, base).unwrap();
        assert_eq!(others, ["garden/plan.png", "garden/roses"]);
        assert_eq!(scratch.wiki().head().unwrap(), Some(revision));
        let another = scratch.page("home").summary.etag;
        assert!(delete_it(&scratch, another).unwrap_err().is_not_found());
        scratch.create("garden/lilies", "not deleted");
        assert!(delete_it(&scratch, base).unwrap_err().is_not_found());
        scratch.wiki().close().unwrap();
        scratch.open().unwrap();
        assert!(delete_it(&scratch, base).unwrap_err().is_not_found());
    }
}

#[test]
fn a_deletion_of_an_attachment_that_may_not_have_been_answered_is_done() {
    let mut scratch = garden();
    let path = ExistingAttachment::new("garden/plan.png").unwrap();
    let base = repo::blob_id(b"plan").unwrap();
    let author = ada();
    let delete = DeleteAttachment { path: &path, base, author: &author, message: None };
    let first = scratch.wiki().delete_attachment(&delete).unwrap();
    assert!(scratch.wiki().delete_attachment(&delete).unwrap_err().is_not_found());
    die(&mut scratch);
    assert_eq!(scratch.wiki().delete_attachment(&delete).unwrap(), first);
}

#[test]
fn an_undo_that_is_sent_again_finds_nothing_to_do() {
    for dies in [false, true] {
        let mut scratch = garden();
        let changed = scratch.update("home", "nothing").revision;
        let author = ada();
        let undo = Undo { revision: changed, author: &author, message: None, dry_run: false };
        if dies {
            scratch.wiki().revert(&undo).unwrap();
            die(&mut scratch);
        } else {
            files::failing::NEXT_LOCKS.set(2);
            assert!(scratch.wiki().revert(&undo).unwrap_err().is_disk_full());
        }
        let again = scratch.wiki().revert(&undo).unwrap();
        assert_eq!((again.revision, again.changes, again.conflicts), (None, vec![], vec![]));
        assert_eq!(scratch.text("home"), "[[garden/roses]]");
    }
}
