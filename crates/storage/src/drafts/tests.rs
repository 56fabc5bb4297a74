use proptest::prelude::*;

use super::*;
use crate::testing::{Scratch, ada};
use crate::*;

fn put(scratch: &Scratch, owner: &str, path: &str, content: &str) -> (DraftSummary, bool) {
    put_with(scratch, owner, path, content, DraftBase::Kept).unwrap()
}

fn put_with(
    scratch: &Scratch,
    owner: &str,
    path: &str,
    content: &str,
    base: DraftBase,
) -> Result<(DraftSummary, bool), Error> {
    let path = PagePath::new(path)?;
    scratch.wiki().put_draft(&NewDraft {
        owner,
        path: &path,
        content,
        base,
        cursor: None,
        is_guest: false,
    })
}

fn get(scratch: &Scratch, owner: &str, path: &str) -> Result<Draft, Error> {
    scratch.wiki().draft(owner, &ExistingPath::new(path)?)
}

fn paths(scratch: &Scratch, owner: &str) -> Vec<String> {
    let drafts = scratch.wiki().drafts(owner, None, 10_000).unwrap();
    drafts.into_iter().map(|draft| draft.path).collect()
}

fn save_from_draft(
    scratch: &Scratch,
    owner: &str,
    content: &str,
    base: Base,
) -> Result<Saved, Error> {
    let path = PagePath::new("home")?;
    let (content, author) = (content.as_bytes(), &ada());
    let save = Save { path: &path, content, base, author, message: None, merge: true };
    scratch.wiki().save_from_draft(&save, owner)
}

#[test]
fn a_draft_is_kept_as_it_was_written() {
    let mut scratch = Scratch::new();
    let path = PagePath::new("garden/roses").unwrap();
    let cursor = Some(Cursor { line: 3, column: 0 });
    let content = "# Roses \0 and no newline: 😀";
    let new = NewDraft {
        owner: "ann",
        path: &path,
        content,
        base: DraftBase::Kept,
        cursor,
        is_guest: false,
    };
    let (draft, is_first) = scratch.wiki().put_draft(&new).unwrap();
    assert!(is_first && !draft.is_stale());
    assert_eq!(draft.size, content.len() as u64);
    let listed = scratch.wiki().drafts("ann", None, 10).unwrap();
    assert_eq!(listed, std::slice::from_ref(&draft));
    let draft = Draft { summary: draft, content: content.to_owned(), cursor };
    assert_eq!(get(&scratch, "ann", "garden/roses").unwrap(), draft);
    // As after a crash.
    scratch.open().unwrap();
    assert_eq!(get(&scratch, "ann", "garden/roses").unwrap(), draft);
    assert!(!put(&scratch, "ann", "garden/roses", "more").1);
    assert_eq!(get(&scratch, "ann", "garden/roses").unwrap().content, "more");
    scratch.wiki().delete_draft("ann", &path).unwrap();
    let gone = scratch.wiki().delete_draft("ann", &path).unwrap_err();
    assert!(gone.is_not_found(), "{gone}");
    assert_eq!(scratch.wiki().head().unwrap(), None);
}

#[test]
fn looking_for_drafts_creates_nothing() {
    let scratch = Scratch::new();
    assert!(paths(&scratch, "ann").is_empty());
    assert!(get(&scratch, "ann", "home").unwrap_err().is_not_found());
    let home = ExistingPath::new("home").unwrap();
    assert!(scratch.wiki().delete_draft("ann", &home).unwrap_err().is_not_found());
    assert!(!scratch.dir().join("wiki.db").exists());
}

#[test]
fn a_draft_is_its_owners_alone() {
    let scratch = Scratch::new();
    put(&scratch, "ann", "home", "mine");
    put(&scratch, "bob", "home", "his");
    assert!(get(&scratch, "ANN", "home").unwrap_err().is_not_found());
    assert!(get(&scratch, "", "home").unwrap_err().is_not_found());
    scratch.wiki().delete_draft("bob", &ExistingPath::new("home").unwrap()).unwrap();
    assert_eq!(get(&scratch, "ann", "home").unwrap().content, "mine");
}

#[test]
fn a_draft_remembers_what_it_was_begun_from() {
    let scratch = Scratch::new();
    let begun = put(&scratch, "ann", "home", "a").0;
    assert_eq!((begun.base, begun.is_stale()), (None, false));
    let first = scratch.create("home", "text").etag;
    let now = put(&scratch, "ann", "home", "b").0;
    assert_eq!((now.base, now.current, now.is_stale()), (None, Some(first), true));
    let based = DraftBase::Version(Some(first));
    let now = put_with(&scratch, "ann", "home", "c", based).unwrap().0;
    assert!(!now.is_stale());
    let second = scratch.update("home", "more").etag;
    let now = put(&scratch, "ann", "home", "d").0;
    assert_eq!((now.base, now.current, now.is_stale()), (Some(first), Some(second), true));
    assert_eq!(get(&scratch, "ann", "home").unwrap().summary, now);
    // A new draft is based on the present version.
    assert_eq!(put(&scratch, "bob", "home", "e").0.base, Some(second));
}

#[test]
fn a_save_takes_its_authors_draft_along_and_a_failed_one_does_not() {
    let scratch = Scratch::new();
    let base = scratch.create("home", "a\nb\nc\n");
    for owner in ["ann", "bob"] {
        put(&scratch, owner, "home", "draft");
        put(&scratch, owner, "other", "draft");
    }
    let base = Base::Version(base.etag);
    let saved = save_from_draft(&scratch, "ann", "A\nb\nc\n", base).unwrap();
    assert_eq!(paths(&scratch, "ann"), ["other"]);
    assert_eq!(paths(&scratch, "bob"), ["home", "other"]);

    assert!(save_from_draft(&scratch, "bob", "X\nb\nc\n", base).unwrap_err().conflict().is_some());
    assert_eq!(paths(&scratch, "bob"), ["home", "other"]);
    let merged = save_from_draft(&scratch, "bob", "a\nb\nC\n", base).unwrap();
    assert!(merged.merged && merged.changed);
    assert_eq!(paths(&scratch, "bob"), ["other"]);

    // The save changes nothing, but the draft is deleted.
    put(&scratch, "ann", "home", "draft");
    let same = save_from_draft(&scratch, "ann", "A\nb\nC\n", Base::Version(saved.etag)).unwrap();
    assert!(!same.changed);
    assert_eq!(paths(&scratch, "ann"), ["other"]);
    // A save without a draft, and a deletion, leave drafts alone.
    put(&scratch, "ann", "home", "draft");
    scratch.update("home", "new");
    let (path, base) = (ExistingPath::new("home").unwrap(), scratch.page("home").summary.etag);
    scratch.wiki().delete(&Delete { path: &path, base, author: &ada(), message: None }).unwrap();
    let kept = get(&scratch, "ann", "home").unwrap().summary;
    assert!(kept.is_stale() && kept.current.is_none());
}

#[test]
fn limits_are_kept() {
    let scratch = Scratch::new();
    let long = "x".repeat(5_000_001);
    let refused = put_with(&scratch, "ann", "home", &long, DraftBase::Kept).unwrap_err();
    assert!(matches!(refused, Error::TooLarge { .. }), "{refused}");
    let fill = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000)
                insert into drafts (pagepath, author_email, content)
                select 'page-' || i, 'ann', 'text' from n";
    let insert = |transaction: &Transaction<'_>| {
        transaction.execute(fill, []).map_err(DbError::from)?;
        Ok::<_, Error>(())
    };
    scratch.wiki().database().unwrap().write(insert).unwrap();
    let refused = put_with(&scratch, "ann", "home", "text", DraftBase::Kept).unwrap_err();
    assert!(matches!(refused, Error::TooManyDrafts { limit: 1000 }), "{refused}");
    // Existing drafts can be changed, and other owners have their own limit.
    assert!(!put(&scratch, "ann", "page-7", "new").1);
    assert!(put(&scratch, "bob", "home", "text").1);
    let part = scratch.wiki().drafts("ann", Some("page-998"), 10).unwrap();
    assert_eq!(part.len(), 1);
    assert_eq!(part[0].path, "page-999");
}

#[test]
fn rows_of_other_software_are_read_as_far_as_they_go() {
    let scratch = Scratch::new();
    let saved = scratch.create("home", "text");
    let rows = "insert into drafts
        (pagepath, revision, author_email, content, cursor_line, cursor_ch, datetime) values
        ('home', '9fb684', 'mailto:a@b', 'old', 3, 4, '2026-11-20 20:35:42.955542'),
        ('home', '9fb684', 'mailto:a@b', 'newer', -1, null, '2026-11-20 20:35:43'),
        ('/odd//path', '', 'mailto:a@b', null, null, null, 'yesterday'),
        (null, null, 'mailto:a@b', 'x', null, null, null)";
    let insert = |transaction: &Transaction<'_>| {
        transaction.execute(rows, []).map_err(DbError::from)?;
        Ok::<_, Error>(())
    };
    scratch.wiki().database().unwrap().write(insert).unwrap();
    assert_eq!(paths(&scratch, "mailto:a@b"), ["/odd//path", "home"]);
    let draft = get(&scratch, "mailto:a@b", "home").unwrap();
    assert_eq!((&*draft.content, draft.cursor), ("newer", None));
    assert_eq!((draft.summary.base, draft.summary.current), (None, Some(saved.etag)));
    assert_eq!(draft.summary.updated.unix_timestamp(), 1_795_206_943);
    scratch.wiki().delete_draft("mailto:a@b", &ExistingPath::new("home").unwrap()).unwrap();
    assert_eq!(paths(&scratch, "mailto:a@b"), ["/odd//path"]);
}

#[test]
fn a_page_has_one_draft_however_its_accents_are_typed() {
    let scratch = Scratch::new();
    put(&scratch, "ann", "caf\u{e9}", "text");
    assert_eq!(get(&scratch, "ann", "cafe\u{301}").unwrap().content, "text");
    assert!(!put(&scratch, "ann", "cafe\u{301}", "more").1);
    scratch.wiki().delete_draft("ann", &ExistingPath::new("cafe\u{301}").unwrap()).unwrap();
    assert!(paths(&scratch, "ann").is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// After any sequence of changes, each owner has the last text they wrote, page by page.
    #[test]
    fn drafts_are_a_map_from_owner_and_page_to_text(
        steps in prop::collection::vec(
            (0..3usize, 0..3usize, prop::option::of(any::<String>())), 1..20),
    ) {
        let scratch = Scratch::new();
        let mut model = std::collections::BTreeMap::new();
        for (owner, page, text) in steps {
            let (owner, page) = (["ann", "bob", "mailto:x"][owner], ["a", "a/b", "c"][page]);
            match text {
                Some(text) => {
                    let (_, is_first) = put(&scratch, owner, page, &text);
                    prop_assert_eq!(is_first, model.insert((owner, page), text).is_none());
                }
                None => {
                    let path = ExistingPath::new(page).unwrap();
                    let removed = scratch.wiki().delete_draft(owner, &path).is_ok();
                    prop_assert_eq!(removed, model.remove(&(owner, page)).is_some());
                }
            }
        }
        for owner in ["ann", "bob", "mailto:x"] {
            let of_owner = model.iter().filter(|((of, _), _)| *of == owner);
            let expected: Vec<_> = of_owner.map(|((_, page), text)| (*page, &**text)).collect();
            prop_assert_eq!(paths(&scratch, owner).len(), expected.len());
            for (page, text) in expected {
                prop_assert_eq!(get(&scratch, owner, page).unwrap().content, text);
            }
        }
    }

    /// A stored time is read back exactly.
    #[test]
    fn times_survive_the_table(milliseconds in 0..253_402_300_799_999i64) {
        let connection = Connection::open_in_memory().unwrap();
        let sql = "select cast(round(unixepoch(
                       strftime('%Y-%m-%d %H:%M:%f', ?1 / 1000.0, 'unixepoch') || '000',
                       'subsec') * 1000) as integer)";
        let read: i64 = connection.query_row(sql, [milliseconds], |row| row.get(0)).unwrap();
        prop_assert_eq!(read, milliseconds);
    }
}

#[test]
fn drafts_are_bounded_in_bytes_for_each_owner_and_for_all() {
    let scratch = Scratch::new();
    let put = |owner: &str, path: &str, bytes: usize, is_guest| {
        let (path, content) = (PagePath::new(path).unwrap(), "x".repeat(bytes));
        let (base, cursor) = (DraftBase::Kept, None);
        let new = NewDraft { owner, path: &path, content: &content, base, cursor, is_guest };
        scratch.wiki().put_draft(&new)
    };
    let refused = |result: Result<(DraftSummary, bool), Error>| match result {
        Err(Error::QuotaExceeded { what, limit, .. }) => (what, limit),
        other => panic!("{other:?}"),
    };
    // Members may have 32 MiB.
    for n in 0..6 {
        put("ann", &n.to_string(), 5_000_000, false).unwrap();
    }
    assert_eq!(refused(put("ann", "6", 5_000_000, false)), ("draft_bytes", 32 << 20));
    put("ann", "5", 4_999_999, false).unwrap();
    put("bob", "0", 5_000_000, false).unwrap();
    assert_eq!(scratch.wiki().usage().unwrap().draft_bytes, 34_999_999 + 7 * 203);
    // Guests may have two pages each, and together leave room for members.
    let most = 2 * 5_000_000;
    put("guest", "0", 5_000_000, true).unwrap();
    assert_eq!(refused(put("guest", "1", 5_000_000, true)), ("draft_bytes", most));
    let full = (0..9).find_map(|n| put(&format!("guest {n}"), "0", 5_000_000, true).err());
    assert_eq!(
        refused(full.map_or_else(|| put("ann", "5", 1, false), Err)),
        ("draft_bytes_of_all", 64 << 20)
    );
    put("bob", "1", 5_000_000, false).unwrap();
    put("guest", "0", 10, true).unwrap();
    scratch.wiki().delete_draft("ann", &ExistingPath::new("0").unwrap()).unwrap();
}
