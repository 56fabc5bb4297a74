//! Each end is a wiki with a repository of its own; git fetches from one to the other.

use crate::merge::files::ConflictKind;
use crate::testing::{Scratch, ada, commit, git};
use crate::*;

mod histories;

const LINK: LinkId = LinkId(1);
const OTHER: LinkId = LinkId(2);

fn order(scratch: &std::path::Path, incoming: Revision) -> Integrate<'_> {
    Integrate {
        scratch,
        incoming,
        link: LINK,
        winner: Winner::Wiki,
        base: None,
        unrelated: false,
        max_conflicts: 100,
        max_deleted: None,
    }
}

/// The fetched tip, in a repository that borrows the wiki's objects.
struct Fetched {
    dir: tempfile::TempDir,
    tip: Revision,
}

impl Fetched {
    fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("scratch")
    }
}

fn fetch(wiki: &Scratch, from: &Scratch) -> Fetched {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("scratch");
    wiki.wiki().create_scratch(&path).unwrap();
    let repo = from.repo().display().to_string();
    git(&path, &["fetch", "--quiet", &repo, "+refs/heads/main:refs/wiki/incoming"]);
    let tip = from.wiki().head().unwrap().unwrap();
    Fetched { dir, tip }
}

/// Integrates the other wiki's tip, with the request changed by the test.
fn pull_as(wiki: &Scratch, from: &Scratch, change: impl Fn(&mut Integrate<'_>)) -> Integrated {
    let fetched = fetch(wiki, from);
    let path = fetched.path();
    let mut order = order(&path, fetched.tip);
    change(&mut order);
    wiki.wiki().integrate(&order).unwrap()
}

fn pull(wiki: &Scratch, from: &Scratch) -> Integrated {
    let integrated = pull_as(wiki, from, |_| ());
    wiki.git(&["fsck", "--strict"]);
    integrated
}

fn compare(wiki: &Scratch, from: &Scratch, last_seen: Option<Revision>) -> Comparison {
    let fetched = fetch(wiki, from);
    wiki.wiki().compare(&fetched.path(), fetched.tip, last_seen).unwrap()
}

fn two() -> (Scratch, Scratch) {
    let (one, other) = (Scratch::new(), Scratch::new());
    one.create("home", "one\ntwo\nthree\nfour\n");
    assert!(matches!(pull(&other, &one), Integrated::FastForwarded { .. }));
    (one, other)
}

fn conflicts(scratch: &Scratch) -> Vec<SyncConflict> {
    scratch.wiki().sync_conflicts(0, 1000).unwrap()
}

fn head(scratch: &Scratch) -> Revision {
    scratch.wiki().head().unwrap().unwrap()
}

#[test]
fn what_only_the_other_end_changed_is_taken_over_as_it_is() {
    let (one, other) = two();
    one.update("home", "new\n");
    let new = one.create("a/b/c", "below");
    let Integrated::FastForwarded { mut paths } = pull(&other, &one) else { panic!() };
    paths.sort();
    assert_eq!(paths, ["a/b/c", "home"]);
    assert_eq!(head(&other), new.revision);
    assert_eq!(other.page("a/b/c").summary.revision, new.revision);
    assert_eq!(other.wiki().search("below", "", 0, 10).unwrap().len(), 1);
    one.git(&["update-ref", "refs/heads/main", "main~1"]);
    one.remove_with_git("home.md");
    one.create("d", "d");
    pull_as(&other, &one, |order| order.winner = Winner::Remote);
    assert!(!other.paths().contains(&"home".to_owned()));
    assert_eq!(pull(&other, &one), Integrated::Nothing);
}

/// The second wiki to pull has nothing to merge.
#[test]
fn both_ends_changes_are_merged_by_a_commit_with_both_as_parents() {
    let (one, other) = two();
    let theirs = one.update("home", "ONE\ntwo\nthree\nfour\n").revision;
    let ours = other.update("home", "one\ntwo\nthree\nFOUR\n").revision;
    other.create("other", "text");
    let ours = [ours, head(&other)][1];
    let Integrated::Merged { revision, conflicts, paths } = pull(&other, &one) else { panic!() };
    assert_eq!((conflicts, paths), (0, vec!["home".to_owned()]));
    assert_eq!(other.text("home"), "ONE\ntwo\nthree\nFOUR\n");
    let parents = other.git(&["log", "-1", "--format=%P", "main"]);
    assert_eq!(parents, format!("{ours} {theirs}"));
    assert!(matches!(pull(&one, &other), Integrated::FastForwarded { .. }));
    assert_eq!(head(&one), revision);
}

#[test]
fn a_conflict_is_listed_until_somebody_has_looked_at_it() {
    let (one, other) = two();
    one.update("home", "theirs\n");
    other.update("home", "ours\n");
    assert!(matches!(pull(&other, &one), Integrated::Merged { conflicts: 1, .. }));
    assert_eq!(other.text("home"), "ours\n");
    let listed = conflicts(&other);
    let [conflict] = &listed[..] else { panic!() };
    assert_eq!((conflict.link, conflict.kind), (Some(LINK), ConflictKind::BothChanged));
    let beside = conflict.conflict_path.clone().unwrap();
    assert_eq!(other.text(&beside), "theirs\n");
    assert_eq!(other.wiki().sync_conflict(conflict.id).unwrap(), *conflict);
    let texts = other.wiki().sync_conflict_texts(conflict.id).unwrap();
    let texts: Vec<&str> = texts.iter().map(|text| text.as_deref().unwrap()).collect();
    assert_eq!(texts, ["one\ntwo\nthree\nfour\n", "ours\n", "theirs\n"]);

    let base = other.page("home").summary.etag;
    let author = ada();
    let resolve = |etag| Resolve {
        id: conflict.id,
        content: Some((b"both\n", etag)),
        author: &author,
        message: None,
    };
    let stale = other.wiki().resolve_sync_conflict(&resolve(conflict.theirs.unwrap()));
    assert!(matches!(stale, Err(Error::Stale { .. })));
    let before = head(&other);
    let revision = other.wiki().resolve_sync_conflict(&resolve(base)).unwrap().unwrap();
    assert_eq!(other.git(&["rev-parse", "main^"]), before.to_string());
    assert_eq!((other.paths(), other.text("home")), (vec!["home".to_owned()], "both\n".to_owned()));
    assert_eq!(conflicts(&other), []);
    assert!(other.wiki().sync_conflict(conflict.id).unwrap().closed.is_some());
    assert!(other.wiki().resolve_sync_conflict(&resolve(base)).unwrap_err().is_not_found());
    // The other wiki receives both changes as an ordinary fast-forward.
    assert!(matches!(pull(&one, &other), Integrated::FastForwarded { .. }));
    assert_eq!(head(&one), revision);
}

#[test]
fn whoever_takes_the_other_text_away_has_looked_at_it() {
    let (one, other) = two();
    one.update("home", "theirs\n");
    other.update("home", "ours\n");
    pull(&other, &one);
    let beside = conflicts(&other)[0].conflict_path.clone().unwrap();
    let path = ExistingPath::new(&beside).unwrap();
    let base = other.page(&beside).summary.etag;
    let delete = Delete { path: &path, base, author: &ada(), message: None };
    other.wiki().delete(&delete).unwrap();
    assert_eq!(conflicts(&other), []);
}

/// One user edited the page with the losing text, and another still knows the old version.
#[test]
fn what_was_written_beside_is_not_taken_away_by_who_has_not_seen_it() {
    let (one, other) = two();
    one.update("home", "theirs\n");
    other.update("home", "ours\n");
    pull(&other, &one);
    let [conflict] = &conflicts(&other)[..] else { panic!() };
    let beside = conflict.conflict_path.clone().unwrap();
    let new = other.update(&beside, "theirs\nand a new paragraph\n");
    let author = ada();
    let base = other.page("home").summary.etag;
    for content in [None, Some((&b"both\n"[..], base))] {
        let resolve = Resolve { id: conflict.id, content, author: &author, message: None };
        let error = other.wiki().resolve_sync_conflict(&resolve).unwrap_err();
        let Error::Stale { path, current } = error else { panic!("{error}") };
        assert_eq!((path, current), (beside.clone(), Some(new.etag)));
    }
    assert_eq!((head(&other), conflicts(&other).len()), (new.revision, 1));
    // A user who has read it deletes it, and the conflict is settled.
    let path = ExistingPath::new(&beside).unwrap();
    let delete = Delete { path: &path, base: new.etag, author: &author, message: None };
    other.wiki().delete(&delete).unwrap();
    assert_eq!(conflicts(&other), []);
}

/// The page under the new name is the only one with its text.
#[test]
fn a_page_that_only_lost_its_name_is_never_taken_away() {
    let author = ada();
    for (file, kind) in
        [("Home.md", ConflictKind::SameName), ("home.md/x.md", ConflictKind::FileAndDirectory)]
    {
        for content in [None, Some(&b"better\n"[..])] {
            let (one, other) = two();
            one.remove_with_git("home.md");
            one.commit_with_git(file, "a stranger\n");
            other.update("home", "ours\n");
            pull(&other, &one);
            let listed = conflicts(&other);
            let conflict = listed.iter().find(|conflict| conflict.kind == kind).unwrap();
            let beside = conflict.conflict_path.clone().unwrap();
            let etag = other.page(&beside).summary.etag;
            let resolve =
                |content| Resolve { id: conflict.id, content, author: &author, message: None };
            let stale = resolve(Some((&b"x"[..], Etag::from_bytes([7; 20]))));
            let error = other.wiki().resolve_sync_conflict(&stale).unwrap_err();
            assert!(matches!(error, Error::Stale { current, .. } if current == Some(etag)));
            let resolve = resolve(content.map(|content| (content, etag)));
            other.wiki().resolve_sync_conflict(&resolve).unwrap();
            let text = content.map_or("ours\n".into(), String::from_utf8_lossy);
            assert_eq!(other.text(&beside), text);
            assert!(conflicts(&other).iter().all(|conflict| conflict.kind != kind));
        }
    }
}

/// There is no file to delete, so a person has to close the conflict.
#[test]
fn a_conflict_without_a_second_text_is_closed_by_hand() {
    let (one, other) = two();
    one.remove_with_git("home.md");
    other.update("home", "edited\n");
    pull(&other, &one);
    let listed = conflicts(&other);
    assert_eq!((listed[0].kind, listed[0].theirs), (ConflictKind::Deleted, None));
    let resolve = Resolve { id: listed[0].id, content: None, author: &ada(), message: None };
    assert_eq!(other.wiki().resolve_sync_conflict(&resolve).unwrap(), None);
    assert_eq!(conflicts(&other), []);
    assert_eq!(other.text("home"), "edited\n");
}

/// A submodule's id is a commit of another repository: there is no text to show.
#[test]
fn a_conflict_of_a_submodule_can_be_looked_at() {
    let (one, other) = two();
    let submodule = |scratch: &Scratch, id: u8| {
        let new = Some(repo::Entry { mode: 0o160_000, id: Etag::from_bytes([id; 20]) });
        let edit = repo::Edit { path: b"sub".to_vec(), new, content: None };
        let tip = scratch.loose_edits(&[head(scratch)], &[edit]);
        scratch.git(&["update-ref", "refs/heads/main", &tip.to_string()]);
    };
    submodule(&one, 1);
    pull(&other, &one);
    submodule(&one, 2);
    submodule(&other, 3);
    pull(&other, &one);
    let listed = conflicts(&other);
    assert_eq!(listed[0].theirs, Some(Etag::from_bytes([2; 20])));
    let texts = other.wiki().sync_conflict_texts(listed[0].id).unwrap();
    assert_eq!(texts, [None, None, None]);
}

#[test]
fn what_a_person_has_to_decide_changes_nothing() {
    let (one, other) = (Scratch::new(), Scratch::new());
    for n in 0..12 {
        one.create(&format!("p/{n}"), &format!("text {n}\n"));
    }
    pull(&other, &one);
    for n in 0..6 {
        one.update(&format!("p/{n}"), "theirs\n");
        other.update(&format!("p/{n}"), "ours\n");
    }
    let before = head(&other);
    let few = pull_as(&other, &one, |order| order.max_conflicts = 5);
    let preview = Preview { pages: 12, deleted: 0, conflicts: 6 };
    assert_eq!(few, Integrated::TooManyConflicts(preview));
    assert_eq!((head(&other), conflicts(&other).len()), (before, 0));

    let (one, other) = (Scratch::new(), Scratch::new());
    for n in 0..12 {
        one.create(&format!("p/{n}"), &format!("text {n}\n"));
    }
    pull(&other, &one);
    // Of the deleted pages, two are renamed instead.
    one.work_with_git(|tree| {
        std::fs::create_dir(tree.join("q")).unwrap();
        for n in 0..12 {
            let (from, to) = (tree.join(format!("p/{n}.md")), tree.join(format!("q/{n}.md")));
            match n {
                0..2 => std::fs::rename(from, to).unwrap(),
                2..11 => std::fs::remove_file(from).unwrap(),
                _ => {}
            }
        }
    });
    let preview = Preview { pages: 12, deleted: 9, conflicts: 0 };
    let before = head(&other);
    let many = pull_as(&other, &one, |order| order.max_deleted = Some(8));
    assert_eq!((many, head(&other)), (Integrated::TooManyDeleted(preview), before));
    let fetched = fetch(&other, &one);
    let shown = other.wiki().preview(&order(&fetched.path(), fetched.tip)).unwrap();
    assert_eq!(shown, Some(preview));
    pull_as(&other, &one, |order| order.max_deleted = Some(9));
    assert_eq!(other.paths(), ["p/11", "q/0", "q/1"]);
}

#[test]
fn a_commit_waits_for_every_link_until_that_one_has_it() {
    let (one, other) = two();
    let wiki = other.wiki();
    assert_eq!(wiki.queue(LINK).unwrap().waiting, 0);
    wiki.set_links(vec![LINK, OTHER]);
    let saves: Vec<Revision> =
        (0..5).map(|n| other.create(&format!("p{n}"), "text").revision).collect();
    assert_eq!(wiki.jobs(LINK).unwrap(), saves);
    let queue = wiki.queue(OTHER).unwrap();
    assert_eq!(queue.waiting, 5);
    assert!((time::OffsetDateTime::now_utc() - queue.oldest.unwrap()).whole_seconds() < 60);
    assert_eq!(wiki.jobs_done(LINK, saves[2]).unwrap(), 3);
    assert_eq!(wiki.jobs(LINK).unwrap(), saves[3..]);
    assert_eq!(wiki.jobs(OTHER).unwrap(), saves);
    // The head of `one` is a commit whose history contains none of the jobs.
    one.create("x", "x");
    pull(&other, &one);
    let merge = head(&other);
    assert_eq!(wiki.jobs_done(LINK, head(&one)).unwrap(), 0);
    assert_eq!(wiki.jobs(LINK).unwrap(), [saves[3], saves[4], merge]);
    assert_eq!(wiki.jobs_done(LINK, merge).unwrap(), 3);
    let unknown = Revision::from_bytes([7; 20]);
    assert!(wiki.jobs_done(OTHER, unknown).unwrap_err().is_not_found());
    wiki.forget_jobs(OTHER).unwrap();
    assert_eq!(wiki.queue(OTHER).unwrap(), Queue { waiting: 0, oldest: None });
    // Commits that a link brought unchanged aren't queued for that link.
    one.git(&["fetch", "--quiet", &other.repo().display().to_string(), "main:main"]);
    let new = one.create("y", "y").revision;
    assert!(matches!(pull(&other, &one), Integrated::FastForwarded { .. }));
    assert_eq!((wiki.jobs(LINK).unwrap(), wiki.jobs(OTHER).unwrap()), (vec![], vec![new]));
}

/// A commit that no remote can ever get isn't queued any longer.
#[test]
fn a_commit_that_was_pushed_away_waits_for_nobody() {
    let scratch = Scratch::new();
    let wiki = scratch.wiki();
    wiki.set_links(vec![LINK, OTHER]);
    let kept = scratch.create("home", "one").revision;
    let tree = scratch.clone_with_git();
    scratch.update("home", "two");
    let new = commit(&tree, "home.md", "three").parse().unwrap();
    let rules = PushRules { rewrite: true, ..PushRules::default() };
    assert!(scratch.push(&tree, &rules).unwrap().rewritten);
    for link in [LINK, OTHER] {
        assert_eq!(wiki.jobs(link).unwrap(), [kept, new]);
        assert_eq!(wiki.jobs_done(link, new).unwrap(), 2);
        assert_eq!(wiki.queue(link).unwrap().waiting, 0);
    }
}

/// Two calls report done jobs at the same time, with a save in between.
#[test]
fn a_job_is_never_taken_for_one_that_had_its_number() {
    let scratch = Scratch::new();
    let wiki = scratch.wiki();
    wiki.set_links(vec![LINK]);
    let first = scratch.create("home", "one").revision;
    let seen_by_one = wiki.queued(LINK).unwrap();
    assert_eq!(wiki.jobs_done(LINK, first).unwrap(), 1);
    let second = scratch.update("home", "two").revision;
    wiki.remove_jobs(LINK, &seen_by_one).unwrap();
    assert_eq!(wiki.jobs(LINK).unwrap(), [second]);
}

#[test]
fn a_save_that_comes_first_is_never_passed_over() {
    let (one, other) = two();
    one.create("theirs", "text");
    std::thread::scope(|scope| {
        scope.spawn(|| (0..40).for_each(|n| drop(other.create(&format!("ours/{n}"), "text"))));
        while let Integrated::Moved = pull_as(&other, &one, |_| ()) {}
    });
    assert_eq!(other.paths().len(), 42);
    other.git(&["fsck", "--strict"]);
}

/// SY-024: nothing is renamed by synchronising, and a person hears of it once.
#[test]
fn names_that_stand_side_by_side_elsewhere_come_in_as_they_are_and_are_told_once() {
    let (one, other) = two();
    one.commit_with_git("Home.md", "another\n");
    assert!(matches!(pull(&other, &one), Integrated::FastForwarded { .. }));
    let told = conflicts(&other);
    let [conflict] = &told[..] else { panic!("{told:?}") };
    assert_eq!((conflict.kind, &*conflict.path), (ConflictKind::SameName, "Home"));
    assert_eq!(conflict.conflict_path.as_deref(), Some("home"));
    assert_eq!((head(&other), other.paths()), (head(&one), vec!["Home".into(), "home".into()]));
    assert_eq!(other.text("Home"), "another\n");
    one.update("home", "new\n");
    other.create("other", "text");
    assert!(matches!(pull(&other, &one), Integrated::Merged { conflicts: 0, .. }));
    assert_eq!(conflicts(&other), told);
    // A person has looked at it, and both stay.
    let resolve = Resolve { id: conflict.id, content: None, author: &ada(), message: None };
    assert_eq!(other.wiki().resolve_sync_conflict(&resolve).unwrap(), None);
    assert_eq!((other.text("Home").as_str(), other.text("home").as_str()), ("another\n", "new\n"));
    // Into an empty wiki, too.
    let empty = Scratch::new();
    assert!(matches!(pull(&empty, &one), Integrated::FastForwarded { .. }));
    assert_eq!((empty.paths(), conflicts(&empty).len()), (one.paths(), 1));
    // Each end has brought one of the two: that is a conflict of both.
    let (one, other) = two();
    one.commit_with_git("Roses.md", "theirs\n");
    other.create("roses", "ours\n");
    assert!(matches!(pull(&other, &one), Integrated::Merged { conflicts: 1, .. }));
    assert_eq!(other.paths().len(), 3);
    assert!(!other.paths().contains(&"roses".to_owned()));
    // What is odd in another way is carried along.
    let (one, other) = two();
    one.commit_with_git(".gitmodules", "[submodule \"x\"]\n\tpath = x\n\turl = ./x\n");
    one.work_with_git(|tree| std::os::unix::fs::symlink("home.md", tree.join("con")).unwrap());
    assert!(matches!(pull(&other, &one), Integrated::FastForwarded { .. }));
}

#[test]
fn a_save_that_was_begun_before_sees_what_came() {
    let (one, other) = two();
    let begun = other.page("home").summary.etag;
    one.update("home", "theirs\n");
    pull(&other, &one);
    let error = other.save("home", "mine\n", Base::Version(begun)).unwrap_err();
    assert_eq!(error.conflict().unwrap().ours.as_deref(), Some("theirs\n"));
    other.wiki().set_quota(Quota { pages: Some(1), ..Quota::default() });
    one.create("more", "text");
    let fetched = fetch(&other, &one);
    let error = other.wiki().integrate(&order(&fetched.path(), fetched.tip)).unwrap_err();
    assert!(matches!(error, Error::QuotaExceeded { what: "pages", .. }), "{error}");
}

/// Also for a text that only the merge produces, with both kinds of links.
#[test]
fn what_a_merge_comes_to_keeps_to_the_quota_to_the_byte() {
    let part = Mapping::new("", "home").unwrap();
    for mapping in [None, Some(&part)] {
        let (one, other) = two();
        let integrate = |integrated: &dyn Fn(&Integrate<'_>) -> Result<Integrated, Error>| {
            let fetched = fetch(&other, &one);
            integrated(&order(&fetched.path(), fetched.tip))
        };
        let take_over = |order: &Integrate<'_>| match mapping {
            None => other.wiki().integrate(order),
            Some(mapping) => other.wiki().integrate_part(order, mapping),
        };
        integrate(&take_over).unwrap();
        // 19 bytes before, and three more on either side.
        one.update("home", "one...\ntwo\nthree\nfour\n");
        other.update("home", "one\ntwo\nthree\nfour...\n");
        other.wiki().set_quota(Quota { bytes: Some(24), ..Quota::default() });
        let refused = integrate(&take_over).unwrap_err();
        let exact = Error::QuotaExceeded { what: "bytes", limit: 24, would_be: 25 };
        assert_eq!(refused.to_string(), exact.to_string());
        other.wiki().set_quota(Quota { bytes: Some(25), ..Quota::default() });
        assert!(matches!(integrate(&take_over).unwrap(), Integrated::Merged { conflicts: 0, .. }));
        assert_eq!(other.wiki().usage().unwrap().bytes, 25);
    }
}

#[test]
fn what_would_do_harm_or_is_too_large_never_comes_in() {
    let (one, other) = two();
    let before = head(&other);
    let refused = |name: &[u8], size: usize| {
        let edit = repo::Edit {
            path: name.to_vec(),
            new: Some(repo::Entry {
                mode: repo::Entry::FILE,
                id: repo::blob_id(&vec![b'x'; size]).unwrap(),
            }),
            content: Some(vec![b'x'; size]),
        };
        let tip = one.loose_edits(&[before], &[edit]);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scratch");
        other.wiki().create_scratch(&path).unwrap();
        // As if git hadn't checked the objects.
        one.git(&["update-ref", "refs/heads/evil", &tip.to_string()]);
        let repo = one.repo().display().to_string();
        let unchecked = ["-c", "fetch.fsckObjects=false", "fetch", "--quiet", &repo];
        git(&path, &[&unchecked[..], &["+refs/heads/evil:refs/wiki/incoming"]].concat());
        let order = order(&path, tip);
        let integrated = other.wiki().integrate(&order);
        assert_eq!(head(&other), before);
        let Err(Error::PushRefused(refusal)) = integrated else { panic!("{integrated:?}") };
        assert!(other.wiki().repo().commit(tip).is_err());
        refusal
    };
    for name in [&b".git/config"[..], b"a/.GIT/hooks/x", b"..", b"a/../x"] {
        assert!(!refused(name, 1).is_too_large);
    }
    let refusal = refused(b"large.md", 6_000_000);
    assert!(refusal.is_too_large && refusal.lines[0].starts_with("large.md"), "{refusal}");
}

/// A few hundred compressed kilobytes may hold a message of any size, which is in memory as soon as it is read.
#[test]
fn a_history_with_a_large_commit_is_refused_before_it_is_read() {
    let (one, other) = two();
    let message = one.repo().join("message");
    std::fs::write(&message, "x".repeat(300_000)).unwrap();
    let message = message.display().to_string();
    let tree = one.git(&["rev-parse", "main^{tree}"]);
    let git = ["-c", "user.name=Git", "-c", "user.email=git@example.org"];
    let commit = ["commit-tree", &tree, "-p", "main", "-F", &message];
    let large = one.git(&[&git[..], &commit[..]].concat());
    one.git(&["update-ref", "refs/heads/main", &large]);
    let mapping = Mapping::new("docs", "").unwrap();
    for is_tip in [true, false] {
        if !is_tip {
            one.commit_with_git("docs/more.md", "more\n");
        }
        let fetched = fetch(&other, &one);
        let (path, tip, wiki) = (fetched.path(), fetched.tip, other.wiki());
        let order = order(&path, tip);
        for refused in [
            wiki.compare(&path, tip, None).map(drop),
            wiki.compare_part(&path, tip, None, LINK, &mapping).map(drop),
            wiki.preview_part(&order, &mapping).map(drop),
            wiki.integrate_part(&order, &mapping).map(drop),
            wiki.integrate(&order).map(drop),
        ] {
            let Err(Error::PushRefused(refusal)) = refused else { panic!("{refused:?}") };
            assert!(refusal.lines[0].starts_with(&format!("commit {large} has ")), "{refusal}");
        }
    }
}

#[test]
fn refs_keep_what_a_link_had() {
    let (one, other) = two();
    let (first, wiki) = (head(&other), other.wiki());
    assert_eq!(wiki.remote_tip(LINK).unwrap(), None);
    wiki.keep_ref(LINK, first).unwrap();
    let second = other.update("home", "two").revision;
    wiki.keep_ref(LINK, second).unwrap();
    assert_eq!(wiki.remote_tip(LINK).unwrap(), Some(second));
    for tip in [first, second, second] {
        wiki.back_up(LINK, tip).unwrap();
    }
    let backups: Vec<Revision> =
        wiki.backups(LINK).unwrap().into_iter().map(|(_, tip)| tip).collect();
    assert_eq!(backups, [first, second]);
    assert_eq!(wiki.backups(OTHER).unwrap(), []);
    assert!(wiki.keep_ref(LINK, Revision::from_bytes([7; 20])).is_err());
    // git doesn't advertise them.
    let shown = git(&one.repo(), &["ls-remote", &other.repo().display().to_string()]);
    assert!(shown.contains("refs/heads/main") && !shown.contains("refs/wiki"), "{shown}");
}
