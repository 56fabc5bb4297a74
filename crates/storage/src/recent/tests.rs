use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::testing::{Scratch, ada};
use crate::{Base, Delete, Error, ExistingPath, Move, PagePath};

fn commit(number: u8) -> Revision {
    Revision::from_bytes([number; 20])
}

fn change(recent: &RecentChanges, old: u8, new: u8, files: &[&str]) {
    recent.will_move(Some(commit(old)), commit(new), files.iter().map(|file| file.as_bytes()));
}

#[test]
fn a_file_is_the_same_until_a_change_touches_it() {
    let recent = RecentChanges::default();
    let first = recent.position(commit(1));
    change(&recent, 1, 2, &["a.md"]);
    change(&recent, 2, 3, &["b.md", "cafe\u{301}.md"]);
    let [second, third] = [2, 3].map(|number| recent.known_position(commit(number)).unwrap());
    assert!(recent.is_untouched("c.md", first, third));
    assert!(
        !recent.is_untouched("a.md", first, second) && !recent.is_untouched("a.md", first, third)
    );
    assert!(recent.is_untouched("a.md", second, third), "it changed before");
    assert!(recent.is_untouched("c.md", third, first), "in either direction");
    assert!(!recent.is_untouched("caf\u{e9}.md", second, third), "by either spelling");
}

#[test]
fn a_change_of_another_program_makes_everything_stale() {
    let recent = RecentChanges::default();
    let first = recent.position(commit(1));
    change(&recent, 1, 2, &["a.md"]);
    let theirs = recent.position(commit(9));
    assert!(!recent.is_untouched("c.md", first, theirs));
    change(&recent, 9, 10, &["a.md"]);
    let ours = recent.known_position(commit(10)).unwrap();
    assert!(recent.is_untouched("c.md", theirs, ours) && !recent.is_untouched("c.md", first, ours));
    change(&recent, 77, 78, &["a.md"]);
    let after = recent.known_position(commit(78)).unwrap();
    assert!(!recent.is_untouched("c.md", ours, after), "their commit 77 was never seen");
    recent.will_move(None, commit(79), [b"x.md".as_slice()]);
    assert!(!recent.is_untouched("c.md", after, recent.position(commit(79))));
}

#[test]
fn a_change_that_did_not_come_to_be_does_no_harm() {
    let recent = RecentChanges::default();
    let first = recent.position(commit(1));
    change(&recent, 1, 2, &["a.md"]);
    change(&recent, 1, 3, &["b.md"]);
    assert_eq!(recent.known_position(commit(1)), Some(first));
    let third = recent.position(commit(3));
    assert!(
        recent.is_untouched("c.md", first, third) && !recent.is_untouched("b.md", first, third)
    );
}

#[test]
fn changes_of_very_many_files_are_forgotten() {
    let recent = RecentChanges::default();
    let first = recent.position(commit(1));
    let files: Vec<String> = (0..=FILES).map(|number| format!("{number}.md")).collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    change(&recent, 1, 2, &files);
    let second = recent.known_position(commit(2)).unwrap();
    assert!(!recent.is_untouched("0.md", first, second));
    change(&recent, 2, 3, &["1.md"]);
    let third = recent.known_position(commit(3)).unwrap();
    assert!(
        recent.is_untouched("0.md", second, third) && !recent.is_untouched("0.md", first, third)
    );
}

#[test]
fn a_page_in_memory_outlives_the_saves_of_others_and_none_of_its_own() {
    let scratch = Scratch::new();
    scratch.create("a", "one");
    scratch.create("b", "one");
    let before = scratch.page("a");
    scratch.update("b", "two");
    scratch.create("c", "one");
    assert!(Arc::ptr_eq(&scratch.page("a"), &before));
    scratch.update("a", "two");
    assert_eq!(scratch.text("a"), "two");
    scratch.commit_with_git("b.md", "three");
    assert_eq!((scratch.text("a"), scratch.text("b")), ("two".to_owned(), "three".to_owned()));
}

/// An event that concerns one of a few pages.
#[derive(Clone, Debug)]
enum Step {
    Save(usize, u8),
    Delete(usize),
    Move(usize, usize),
    CommitWithGit(usize, u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let page = 0..PAGES.len();
    // Few texts, so that a page often gets an earlier text back.
    let step = prop_oneof![
        5 => (page.clone(), 0..3_u8).prop_map(|(page, text)| Step::Save(page, text)),
        1 => page.clone().prop_map(Step::Delete),
        1 => (page.clone(), page.clone()).prop_map(|(from, to)| Step::Move(from, to)),
        1 => (page, 0..3_u8).prop_map(|(page, text)| Step::CommitWithGit(page, text)),
    ];
    proptest::collection::vec(step, 1..20)
}

const PAGES: [&str; 4] = ["a", "b", "part/c", "caf\u{e9}"];

fn take(step: Step, scratch: &Scratch) -> Result<(), Error> {
    let current = |page: usize| {
        let path = ExistingPath::new(PAGES[page]).unwrap();
        scratch.wiki().read(&path).map(|page| (path, page.summary.etag))
    };
    let (author, message) = (&ada(), None);
    match step {
        Step::Save(page, text) => {
            let base = current(page).map_or(Base::New, |(_, etag)| Base::Version(etag));
            scratch.save(PAGES[page], &format!("text {text}"), base).map(drop)
        }
        Step::Delete(page) => {
            let (path, base) = current(page)?;
            scratch.wiki().delete(&Delete { path: &path, base, author, message }).map(drop)
        }
        Step::Move(from, to) => {
            let (from, _) = current(from)?;
            let to = PagePath::new(PAGES[to])?;
            let order = Move { from: &from, to: &to, update_links: false, author, message };
            scratch.wiki().move_page(&order).map(drop)
        }
        Step::CommitWithGit(page, text) => {
            let text = format!("text {text}");
            let is_new = current(page).is_err() || scratch.text(PAGES[page]) != text;
            if is_new {
                scratch.commit_with_git(&format!("{}.md", PAGES[page]), &text);
            }
            Ok(())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// A page read through the cache always equals git's: its text, and the last commit that changed it.
    #[test]
    fn pages_in_memory_are_those_of_git(steps in steps()) {
        let scratch = Scratch::new();
        for step in steps {
            // Fails if the page is missing or the path taken.
            let _ = take(step, &scratch);
            for page in PAGES {
                let Ok(read) = scratch.wiki().read(&ExistingPath::new(page).unwrap()) else {
                    prop_assert!(!scratch.paths().contains(&page.to_owned()));
                    continue;
                };
                let file = format!("{page}.md");
                let text = scratch.git(&["cat-file", "blob", &format!("main:{file}")]);
                let revision = scratch.git(&["log", "-1", "--format=%H", "main", "--", &file]);
                prop_assert_eq!(&*read.content, text.as_bytes());
                prop_assert_eq!(read.summary.revision.to_string(), revision);
            }
        }
    }
}
