use std::collections::BTreeSet;

use crate::testing::{Scratch, ada, save};
use crate::*;

fn version(saved: &Saved) -> Base {
    Base::Version(saved.etag)
}

#[test]
fn a_page_is_read_back_as_it_was_saved() {
    let scratch = Scratch::new();
    let text = "# Roses\r\nred \0 and\ttabs, no newline at the end: 😀";
    let saved = scratch.create("garden/roses", text);
    let page = scratch.page("garden/roses");
    assert!(saved.created && saved.changed && !saved.merged);
    assert_eq!(page.content, text);
    assert_eq!(page.summary.etag, saved.etag);
    assert_eq!(page.summary.revision, saved.revision);
    assert_eq!(page.summary.author, ada());
    assert_eq!(scratch.git(&["show", "main:garden/roses.md"]), text);
    assert_eq!(
        scratch.git(&["log", "-1", "--format=%H %an <%ae> %s"]),
        format!("{} Ada <ada@example.org> Create garden/roses", saved.revision)
    );
    scratch.git(&["fsck", "--strict"]);
}

#[test]
fn saving_what_is_there_writes_nothing() {
    let scratch = Scratch::new();
    let first = scratch.create("home", "text");
    for base in [Base::New, version(&first)] {
        let again = scratch.save("home", "text", base).unwrap();
        assert!(!again.changed && !again.created);
        assert_eq!((again.etag, again.revision), (first.etag, first.revision));
    }
}

#[test]
fn a_stale_save_elsewhere_in_the_page_is_merged() {
    let scratch = Scratch::new();
    let base = scratch.create("home", "a\nb\nc\n");
    scratch.save("home", "A\nb\nc\n", version(&base)).unwrap();
    let merged = scratch.save("home", "a\nb\nC\n", version(&base)).unwrap();
    assert!(merged.merged);
    assert_eq!(merged.content.as_deref(), Some("A\nb\nC\n"));
    assert_eq!(scratch.text("home"), "A\nb\nC\n");
    assert_eq!(scratch.git(&["rev-list", "--count", "--min-parents=2", "main"]), "0");
}

/// Other saves would wait for the writer lock during the merge.
#[test]
fn a_save_that_would_take_long_to_merge_is_a_conflict_at_once() {
    let scratch = Scratch::new();
    let page = |one: &str, other: &str| [one, other, one].concat().repeat(100_000);
    let [base, ours, theirs] = [page("a\n", "b\n"), page("b\n", "a\n"), page("b\n", "c\n")];
    let saved = scratch.create("home", &base);
    let stored = scratch.save("home", &ours, version(&saved)).unwrap();
    let error = scratch.save("home", &theirs, version(&saved)).unwrap_err();
    let Error::Conflict(conflict) = error else { panic!("{error}") };
    assert_eq!(conflict.current, Some(stored.etag));
    let texts = [conflict.base, conflict.ours, conflict.theirs];
    assert!(texts == [Some(base), Some(ours), Some(theirs)]);
    assert_eq!(conflict.hunks.len(), 1);
}

#[test]
fn a_stale_save_whose_words_are_there_already_makes_no_commit() {
    let scratch = Scratch::new();
    let base = scratch.create("home", "a\nb\nc\n");
    let both = scratch.save("home", "A\nb\nC\n", version(&base)).unwrap();
    let late = scratch.save("home", "A\nb\nc\n", version(&base)).unwrap();
    assert!(late.merged && !late.changed);
    assert_eq!((late.revision, late.content.as_deref()), (both.revision, Some("A\nb\nC\n")));
}

#[test]
fn overlapping_edits_are_a_conflict_that_carries_all_texts() {
    let scratch = Scratch::new();
    let base = scratch.create("home", "text\n");
    let ours = scratch.save("home", "ours\n", version(&base)).unwrap();
    let error = scratch.save("home", "theirs\n", version(&base)).unwrap_err();
    let conflict = error.conflict().unwrap();
    assert_eq!(conflict.base.as_deref(), Some("text\n"));
    assert_eq!(conflict.ours.as_deref(), Some("ours\n"));
    assert_eq!(conflict.theirs.as_deref(), Some("theirs\n"));
    assert_eq!(conflict.current, Some(ours.etag));
    assert_eq!(conflict.hunks.len(), 1);
    assert_eq!(scratch.text("home"), "ours\n");
}

#[test]
fn a_stale_save_that_must_not_merge_is_refused() {
    let scratch = Scratch::new();
    let base = scratch.create("home", "a\nb\nc\n");
    scratch.save("home", "A\nb\nc\n", version(&base)).unwrap();
    let path = PagePath::new("home").unwrap();
    let stale = Save {
        path: &path,
        content: b"a\nb\nC\n",
        base: version(&base),
        author: &ada(),
        message: None,
        merge: false,
    };
    assert!(matches!(scratch.wiki().save(&stale), Err(Error::Stale { .. })));
}

#[test]
fn a_base_that_was_never_this_page_is_refused() {
    let scratch = Scratch::new();
    let other = scratch.create("other", "another page");
    scratch.create("home", "text");
    let error = scratch.save("home", "new", version(&other)).unwrap_err();
    assert!(matches!(error, Error::UnknownBase { current: Some(_), .. }), "{error}");
    let error = scratch.save("missing", "new", version(&other)).unwrap_err();
    assert!(matches!(error, Error::UnknownBase { current: None, .. }), "{error}");
}

#[test]
fn saving_a_deleted_page_is_a_conflict_that_says_so() {
    let scratch = Scratch::new();
    let base = scratch.create("home", "text");
    delete(&scratch, "home", base.etag).unwrap();
    let error = scratch.save("home", "new", version(&base)).unwrap_err();
    let conflict = error.conflict().unwrap();
    assert_eq!(
        (conflict.ours.as_deref(), conflict.current, conflict.moved_to.as_deref()),
        (None, None, None)
    );
    assert!(scratch.save("home", "new", Base::New).unwrap().created);
}

#[test]
fn saving_a_moved_page_says_where_it_went() {
    let scratch = Scratch::new();
    let base = scratch.create("home", "text");
    scratch.create("start", "text");
    delete(&scratch, "home", base.etag).unwrap();
    let error = scratch.save("home", "new", version(&base)).unwrap_err();
    assert_eq!(error.conflict().unwrap().moved_to.as_deref(), Some("start"));
}

#[test]
fn creating_what_exists_is_refused() {
    let scratch = Scratch::new();
    let first = scratch.create("home", "text");
    match scratch.save("home", "other", Base::New) {
        Err(Error::Exists { etag, .. }) => assert_eq!(etag, first.etag),
        other => panic!("{other:?}"),
    }
}

fn delete(scratch: &Scratch, path: &str, base: Etag) -> Result<Revision, Error> {
    let path = ExistingPath::new(path).unwrap();
    scratch.wiki().delete(&Delete { path: &path, base, author: &ada(), message: Some("no more") })
}

#[test]
fn a_deleted_page_is_gone_and_its_history_is_not() {
    let scratch = Scratch::new();
    let saved = scratch.create("a/b", "text");
    let revision = delete(&scratch, "a/b", saved.etag).unwrap();
    let path = ExistingPath::new("a/b").unwrap();
    assert!(scratch.wiki().read(&path).unwrap_err().is_not_found());
    assert_eq!(scratch.paths(), Vec::<String>::new());
    assert_eq!(scratch.wiki().read_at(&path, saved.revision).unwrap().content, "text");
    assert_eq!(scratch.git(&["log", "-1", "--format=%H %s"]), format!("{revision} no more"));
    assert!(delete(&scratch, "a/b", saved.etag).unwrap_err().is_not_found());
}

#[test]
fn deleting_a_page_that_changed_is_a_conflict() {
    let scratch = Scratch::new();
    let base = scratch.create("home", "text");
    scratch.update("home", "more text");
    let error = delete(&scratch, "home", base.etag).unwrap_err();
    assert_eq!(error.conflict().unwrap().ours.as_deref(), Some("more text"));
    assert_eq!(error.conflict().unwrap().theirs, None);
    assert_eq!(scratch.text("home"), "more text");
}

#[test]
fn a_page_cannot_eat_another_one() {
    let scratch = Scratch::new();
    scratch.create("a", "text");
    let error = scratch.save("a.md/child", "x", Base::New).unwrap_err();
    assert!(matches!(&error, Error::Collision { existing, .. } if existing == "a.md"), "{error}");
    scratch.create("a/child", "x");
    scratch.create("a.md", "y");
    assert_eq!(scratch.paths(), ["a", "a.md", "a/child"]);
    assert_eq!(scratch.text("a"), "text");
    scratch.create("dir.md/child", "x");
    let error = scratch.save("dir", "x", Base::New).unwrap_err();
    assert!(matches!(&error, Error::Collision { existing, .. } if existing == "dir.md"), "{error}");
}

#[test]
fn names_that_one_file_system_holds_once_are_one_name() {
    let scratch = Scratch::new();
    scratch.create("home", "text");
    scratch.create("straße/x", "text");
    for path in ["Home", "HOME", "STRASSE/y"] {
        let error = scratch.save(path, "x", Base::New).unwrap_err();
        assert!(matches!(error, Error::Collision { .. }), "{path}: {error}");
    }
    scratch.create("caf\u{e9}", "text");
    assert_eq!(scratch.text("cafe\u{301}"), "text");
    assert!(!scratch.save("cafe\u{301}", "text", Base::New).unwrap().changed);
    scratch.create("straße/y", "text");
}

#[test]
fn limits_are_kept() {
    let scratch = Scratch::new();
    let error = scratch.save("big", &"x".repeat(5_000_001), Base::New).unwrap_err();
    assert!(matches!(error, Error::TooLarge { size: 5_000_001, limit: 5_000_000, .. }));
    let path = PagePath::new("home").unwrap();
    let message = "x".repeat(20_000);
    let save = Save {
        path: &path,
        content: b"",
        base: Base::New,
        author: &ada(),
        message: Some(&message),
        merge: true,
    };
    assert!(matches!(scratch.wiki().save(&save), Err(Error::InvalidMessage { .. })));
    assert_eq!(scratch.wiki().head().unwrap(), None);
}

#[test]
fn what_two_saves_make_together_is_limited_too() {
    let scratch = Scratch::new();
    let (text, more) = ("0123456789\n".repeat(270_000), "more than that\n".repeat(70_000));
    let base = scratch.create("home", &text);
    let above = scratch.save("home", &(more.clone() + &text), version(&base)).unwrap();
    let error = scratch.save("home", &(text + &more), version(&base)).unwrap_err();
    assert!(matches!(error, Error::TooLarge { size: 5_070_000, limit: 5_000_000, .. }), "{error}");
    assert_eq!(scratch.page("home").summary.etag, above.etag);
}

#[test]
fn a_large_page_does_not_pass_through_the_redo_row() {
    let scratch = Scratch::new();
    let text = "0123456789abcdef\n".repeat(200_000);
    scratch.create("big", &text);
    assert_eq!(scratch.text("big"), text);
    let content: Option<Vec<u8>> = scratch
        .wiki()
        .database()
        .unwrap()
        .read(|c| {
            c.query_row("select content from redo", [], |r| r.get(0))
                .map_err(|e| DbError::from(e).into())
        })
        .map_err(|e: Error| e)
        .unwrap();
    assert_eq!(content, None);
    scratch.git(&["fsck", "--strict"]);
}

/// Sixteen people add a line each to one page, retrying as a client would.
#[test]
fn concurrent_savers_of_one_page_lose_nothing() {
    let scratch = Scratch::new();
    let lines: String = (0..16).map(|n| format!("section {n}\n\n\n")).collect();
    scratch.create("home", &lines);
    std::thread::scope(|scope| {
        for n in 0..16 {
            let scratch = &scratch;
            scope.spawn(move || {
                for round in 0..4 {
                    loop {
                        let page = scratch.page("home");
                        let text = String::from_utf8(page.content.to_vec()).unwrap();
                        let mine = format!("section {n}\n");
                        let text = text.replace(&mine, &format!("{mine}line {n}-{round}\n"));
                        match save(scratch.wiki(), "home", &text, Base::Version(page.summary.etag))
                        {
                            Ok(_) => break,
                            Err(error) => assert!(error.conflict().is_some(), "{error}"),
                        }
                    }
                }
            });
        }
    });
    let text = scratch.text("home");
    for n in 0..16 {
        for round in 0..4 {
            assert_eq!(
                text.matches(&format!("line {n}-{round}\n")).count(),
                1,
                "{n}-{round}\n{text}"
            );
        }
    }
    scratch.git(&["fsck", "--strict"]);
}

#[test]
fn concurrent_creators_of_one_page_have_one_winner() {
    let scratch = Scratch::new();
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|n| {
                let wiki = scratch.wiki();
                scope.spawn(move || save(wiki, "home", &format!("text {n}"), Base::New))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(results.iter().flatten().all(|saved| saved.created));
    let etags: BTreeSet<_> = results.iter().flatten().map(|saved| saved.etag).collect();
    assert_eq!(etags, [scratch.page("home").summary.etag].into());
}

#[test]
fn a_page_is_deleted_however_its_accents_are_typed() {
    let scratch = Scratch::new();
    let saved = scratch.create("caf\u{e9}", "text");
    let path = ExistingPath::new("cafe\u{301}").unwrap();
    let delete = Delete { path: &path, base: saved.etag, author: &ada(), message: None };
    scratch.wiki().delete(&delete).unwrap();
    assert_eq!(scratch.git(&["ls-tree", "-r", "main"]), "");
}
