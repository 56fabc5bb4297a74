use std::collections::BTreeMap;

use proptest::prelude::*;

use super::pages::prefix_end;
use crate::testing::{Scratch, git};
use crate::*;

/// The commit that last changed each page, by `git log`.
fn by_git(scratch: &Scratch) -> BTreeMap<String, String> {
    let files = scratch.git(&["ls-tree", "-r", "--name-only", "-z", "main"]);
    files
        .split('\0')
        .filter_map(|file| file.strip_suffix(".md"))
        .map(|page| {
            (
                page.to_owned(),
                scratch.git(&["log", "-1", "--format=%H", "main", "--", &format!("{page}.md")]),
            )
        })
        .collect()
}

fn by_index(scratch: &Scratch) -> BTreeMap<String, String> {
    let pages = scratch.wiki().pages("", None, 10_000).unwrap();
    pages.into_iter().map(|page| (page.path, page.revision.to_string())).collect()
}

/// The history of a page as git follows it, without merges.
fn followed(scratch: &Scratch, page: &str) -> Vec<String> {
    let file = format!("{page}.md");
    let log = scratch.git(&["log", "--follow", "--no-merges", "--format=%H", "main", "--", &file]);
    log.lines().map(str::to_owned).collect()
}

fn history(scratch: &Scratch, page: &str) -> Vec<String> {
    let path = ExistingPath::new(page).unwrap();
    let (mut all, mut from) = (Vec::new(), None);
    loop {
        let part = scratch.wiki().history(&path, from, Most::items(2)).unwrap();
        all.extend(part.commits.iter().map(|commit| commit.revision.to_string()));
        from = part.next;
        if from.is_none() {
            return all;
        }
    }
}

fn drop_database(scratch: &mut Scratch) {
    scratch.wiki().close().unwrap();
    std::fs::remove_file(scratch.dir().join("wiki.db")).unwrap();
    scratch.open().unwrap();
}

#[test]
fn prefixes_and_pages_of_the_list() {
    let scratch = Scratch::new();
    for path in ["a", "a/1", "a/2", "ab", "b", "z/é", "z/f"] {
        scratch.create(path, path);
    }
    let list = |prefix: &str, after: Option<&str>, limit: usize| -> Vec<String> {
        scratch.wiki().pages(prefix, after, limit).unwrap().into_iter().map(|p| p.path).collect()
    };
    assert_eq!(list("a/", None, 10), ["a/1", "a/2"]);
    assert_eq!(list("a", Some("a/1"), 10), ["a/2", "ab"]);
    assert_eq!(list("", Some("b"), 2), ["z/f", "z/é"]);
    assert_eq!(list("", None, 2), ["a", "a/1"]);
    assert_eq!(list("nothing", None, 2), Vec::<String>::new());
}

#[test]
fn a_lost_index_is_rebuilt_and_agrees_with_git() {
    let mut scratch = Scratch::new();
    scratch.create("a", "1");
    scratch.create("b/c", "1");
    scratch.update("a", "2");
    scratch.create("d", "1");
    scratch.update("a", "1");
    let before = scratch.wiki().pages("", None, 100).unwrap();
    drop_database(&mut scratch);
    assert_eq!(scratch.wiki().pages("", None, 100).unwrap(), before);
    assert_eq!(by_index(&scratch), by_git(&scratch));
}

#[test]
fn merges_are_attributed_as_git_does() {
    let mut scratch = Scratch::new();
    for page in ["a", "b", "c", "d"] {
        scratch.create(page, "1\n2\n3\n4\n5\n");
    }
    let repo = scratch.repo();
    let tree = tempfile::tempdir().unwrap();
    let work = tree.path();
    let source = repo.display().to_string();
    git(work, &["clone", "--quiet", &source, "."]);
    git(work, &["config", "user.name", "Git"]);
    git(work, &["config", "user.email", "g@example.org"]);
    let write =
        |page: &str, text: &str| std::fs::write(work.join(format!("{page}.md")), text).unwrap();
    git(work, &["checkout", "--quiet", "-b", "side"]);
    write("a", "side\n2\n3\n4\n5\n");
    write("b", "side\n2\n3\n4\n5\n");
    git(work, &["commit", "--quiet", "-am", "side"]);
    git(work, &["checkout", "--quiet", "main"]);
    write("b", "1\n2\n3\n4\nmain\n");
    write("c", "main\n");
    git(work, &["commit", "--quiet", "-am", "main"]);
    git(work, &["merge", "--quiet", "--no-edit", "side"]);
    git(work, &["push", "--quiet", "origin", "main"]);
    assert_eq!(by_index(&scratch), by_git(&scratch), "brought up to date");
    drop_database(&mut scratch);
    assert_eq!(by_index(&scratch), by_git(&scratch), "rebuilt");
}

#[test]
fn histories_follow_renames() {
    let mut scratch = Scratch::new();
    let text = "one\ntwo\nthree\nfour\nfive\nsix\n";
    scratch.create("first", text);
    scratch.create("other", "something else\n");
    scratch.update("first", &format!("{text}seven\n"));
    scratch.move_with_git("first.md", "dir/second.md", &format!("{text}seven\neight\n"));
    scratch.update("dir/second", &format!("{text}eight\n"));
    scratch.move_with_git("dir/second.md", "third.md", &format!("{text}eight\n"));
    scratch.create("first", "a new page of the old name\n");
    let third = history(&scratch, "third");
    assert_eq!(third, followed(&scratch, "third"));
    assert_eq!(third.len(), 5);
    assert_eq!(history(&scratch, "first").len(), 4, "what left it and what came anew");
    drop_database(&mut scratch);
    assert_eq!(history(&scratch, "third"), third, "rebuilt");

    let log = scratch.wiki().log(None, Most::items(100)).unwrap().commits;
    assert_eq!(log.len(), 7);
    let moved = &log[1].changes;
    assert_eq!(moved.len(), 1, "a move is told once: {moved:?}");
    assert_eq!((moved[0].kind, moved[0].path.as_str()), (ChangeKind::Renamed, "third"));
    assert_eq!(moved[0].old_path.as_deref(), Some("dir/second"));
    assert_eq!(
        scratch.wiki().log(Some(log[2].revision), Most::items(2)).unwrap().commits,
        log[3..5]
    );
    let since =
        scratch.wiki().log_since(Some(log[2].revision), Most::items(10)).unwrap().unwrap().commits;
    assert_eq!(since, [log[1].clone(), log[0].clone()]);
}

#[test]
fn a_merge_is_shown_once_and_changes_only_what_no_parent_has() {
    let scratch = Scratch::new();
    scratch.create("a", "1\n");
    scratch.create("b", "1\n");
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    git(work, &["clone", "--quiet", &scratch.repo().display().to_string(), "."]);
    git(work, &["config", "user.name", "Git"]);
    git(work, &["config", "user.email", "g@example.org"]);
    git(work, &["checkout", "--quiet", "-b", "side"]);
    std::fs::write(work.join("a.md"), "side\n").unwrap();
    git(work, &["commit", "--quiet", "-am", "side"]);
    git(work, &["checkout", "--quiet", "main"]);
    std::fs::write(work.join("b.md"), "main\n").unwrap();
    git(work, &["commit", "--quiet", "-am", "main"]);
    git(work, &["merge", "--quiet", "--no-commit", "side"]);
    std::fs::write(work.join("a.md"), "neither\n").unwrap();
    git(work, &["commit", "--quiet", "-am", "merge"]);
    git(work, &["push", "--quiet", "origin", "main"]);
    let log = scratch.wiki().log(None, Most::items(10)).unwrap().commits;
    let count = scratch.git(&["rev-list", "--count", "main"]);
    assert_eq!(log.len().to_string(), count);
    let changed: Vec<&str> = log[0].changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!((log[0].message.trim(), changed.as_slice()), ("merge", &["a"][..]));
    assert_eq!(history(&scratch, "b").len(), 2, "the merge took over what main had");
}

#[test]
fn a_commit_that_changes_very_much_shows_a_part_and_says_so() {
    let scratch = Scratch::new();
    scratch.create("first", "text\n");
    let few = scratch.wiki().log(None, Most::items(1)).unwrap().commits;
    assert!(!few[0].truncated);
    scratch.work_with_git(|tree| {
        for n in 0..600 {
            std::fs::write(tree.join(format!("page-{n:03}.md")), format!("{n}\n")).unwrap();
        }
    });
    scratch.wiki().update_index(|_| ()).unwrap();
    let log = scratch.wiki().log(None, Most::items(1)).unwrap().commits;
    assert!(log[0].truncated);
    assert_eq!((log[0].changes.len(), log[0].changes[499].path.as_str()), (500, "page-499"));
    assert_eq!(scratch.wiki().changes_since(Some(few[0].revision)).unwrap(), log);
    assert_eq!(scratch.paths().len(), 601);
}

#[test]
fn what_is_found_by_words() {
    let scratch = Scratch::new();
    scratch.create("garden/roses", "# Roses\n\nPrune them *after* the last frost, in March.\n");
    scratch
        .create("garden/tulips", "# Tulips\n\nPlant bulbs before the first frost. Café au lait.\n");
    scratch.create("ja", "# 日本\n\n東京都に住んでいます。\n");
    scratch.create("th", "สวัสดีชาวโลก\n");
    scratch.create("hi", "नमस्ते दुनिया\n");
    scratch.create("code", "`foo_bar(x)` and C++\n");
    let found = |query: &str| -> Vec<String> {
        scratch.wiki().search(query, "", 0, 10).unwrap().into_iter().map(|r| r.page.path).collect()
    };
    assert_eq!(found("frost march"), ["garden/roses"]);
    assert_eq!(found("FROST").len(), 2);
    assert_eq!(found("\"first frost\""), ["garden/tulips"]);
    assert_eq!(found("fro*").len(), 2);
    assert_eq!(found("fro"), Vec::<String>::new());
    assert_eq!(found("frost -bulbs"), ["garden/roses"]);
    assert_eq!(found("cafe"), ["garden/tulips"]);
    assert_eq!(found("東京"), ["ja"]);
    assert_eq!(found("京東"), Vec::<String>::new());
    assert_eq!(found("ชาว"), ["th"]);
    assert_eq!(found("दुनिया"), ["hi"]);
    assert_eq!(found("foo_bar"), ["code"]);
    assert_eq!(found("roses"), ["garden/roses"]);
    for odd in
        ["", "\"", "*", "-", "(", "a AND", "NEAR(", "col:x", "\"\"*", "-x", "\0", "^a", "{", "'"]
    {
        found(odd);
    }
    let results = scratch.wiki().search("東京都", "", 0, 10).unwrap();
    let hit: String =
        results[0].snippet.iter().filter(|p| p.is_match).map(|p| p.text.as_str()).collect();
    assert_eq!(hit, "東京都");
    assert_eq!(scratch.wiki().search("frost", "garden/t", 0, 10).unwrap().len(), 1);
    scratch.update("garden/roses", "# Roses\n\nWater.\n");
    assert_eq!(found("frost"), ["garden/tulips"], "the old text is forgotten");
}

/// An interrupted rebuild of the index continues; one of another history starts again.
#[test]
fn an_index_that_was_cut_short_is_finished() {
    let mut scratch = Scratch::new();
    for n in 0..40 {
        scratch.create(&format!("page-{n:02}"), "text\n");
    }
    let log = scratch.wiki().log(None, Most::items(100)).unwrap().commits;
    scratch.wiki().close().unwrap();
    std::fs::remove_file(scratch.dir().join("wiki.db")).unwrap();
    scratch.open().unwrap();
    scratch.wiki().stop_indexing();
    scratch.wiki().update_index(|_| ()).unwrap();
    assert_eq!(scratch.paths().len(), 40, "answered from git");
    assert!(scratch.wiki().takes_index_request());
    scratch.open().unwrap();
    scratch.wiki().update_index(|_| ()).unwrap();
    assert_eq!(scratch.wiki().log(None, Most::items(100)).unwrap().commits, log);
    assert_eq!(by_index(&scratch), by_git(&scratch));

    let first = scratch.git(&["rev-parse", "main~30"]);
    scratch.git(&["update-ref", "refs/heads/main", &first]);
    scratch.wiki().update_index(|_| ()).unwrap();
    assert_eq!(scratch.wiki().log(None, Most::items(100)).unwrap().commits, log[30..]);
    assert_eq!(scratch.paths().len(), 10);
}

#[test]
fn a_replaced_history_is_indexed_anew() {
    let scratch = Scratch::new();
    scratch.create("a", "1");
    scratch.create("b", "1");
    let first = scratch.git(&["rev-parse", "main^"]);
    scratch.paths();
    scratch.git(&["update-ref", "refs/heads/main", &first]);
    assert_eq!(scratch.paths(), ["a"]);
    scratch.create("c", "1");
    assert_eq!(by_index(&scratch), by_git(&scratch));
}

#[test]
fn pages_that_are_no_pages_are_not_listed() {
    let scratch = Scratch::new();
    scratch.create("home", "text");
    scratch.commit_with_git("picture.png", "png");
    scratch.commit_with_git(".github/README.md", "# Hidden\n");
    assert_eq!(scratch.paths(), [".github/README", "home"]);
    assert_eq!(scratch.text(".github/README"), "# Hidden\n");
}

#[derive(Clone, Debug)]
enum Step {
    Save(u8, u8),
    Delete(u8),
    Git(u8, u8),
    Reopen,
    Checkpoint,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..6u8, any::<u8>()).prop_map(|(page, text)| Step::Save(page, text)),
        2 => (0..6u8).prop_map(Step::Delete),
        1 => (0..6u8, any::<u8>()).prop_map(|(page, text)| Step::Git(page, text)),
        1 => Just(Step::Reopen),
        1 => Just(Step::Checkpoint),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Random edits against a model wiki: a map from path to text.
    #[test]
    fn a_wiki_is_a_map_with_a_history(steps in proptest::collection::vec(step(), 1..25)) {
        let mut scratch = Scratch::new();
        scratch.create("first", "so that git has something to build on");
        let mut model: BTreeMap<String, String> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Save(page, text) => {
                    let (path, text) = (format!("dir/p{page}"), format!("text {text}\n"));
                    if model.contains_key(&path) { scratch.update(&path, &text) } else { scratch.create(&path, &text) };
                    model.insert(path, text);
                }
                Step::Delete(page) => {
                    let path = format!("dir/p{page}");
                    if model.remove(&path).is_some() {
                        let base = scratch.page(&path).summary.etag;
                        let path = ExistingPath::new(&path).unwrap();
                        let author = crate::testing::ada();
                        scratch.wiki().delete(&Delete { path: &path, base, author: &author, message: None }).unwrap();
                    }
                }
                Step::Git(page, text) => {
                    let (path, text) = (format!("git/p{page}"), format!("git {text} {}\n", model.len()));
                    if model.get(&path) != Some(&text) {
                        scratch.commit_with_git(&format!("{path}.md"), &text);
                        model.insert(path, text);
                    }
                }
                Step::Reopen => { scratch.open().unwrap(); }
                Step::Checkpoint => scratch.wiki().checkpoint().unwrap(),
            }
        }
        for (path, text) in &model {
            prop_assert_eq!(&scratch.text(path), text);
        }
        let mut paths: Vec<String> = model.keys().cloned().collect();
        paths.push("first".to_owned());
        paths.sort();
        prop_assert_eq!(scratch.paths(), paths);
        prop_assert_eq!(by_index(&scratch), by_git(&scratch));
        let log: Vec<String> =
            scratch.wiki().log(None, Most::items(1000)).unwrap().commits.iter().map(|c| c.revision.to_string()).collect();
        let by_git = scratch.git(&["rev-list", "--topo-order", "main"]);
        prop_assert_eq!(log, by_git.lines().collect::<Vec<_>>());
        scratch.git(&["fsck", "--strict"]);
    }
}

#[test]
fn a_prefix_ends_before_the_next_path_that_lacks_it() {
    assert_eq!(prefix_end("a/"), Some("a0".to_owned()));
    assert_eq!(prefix_end(""), None);
    assert_eq!(prefix_end("a\u{10ffff}"), Some("b".to_owned()));
    assert_eq!(prefix_end("\u{d7ff}"), Some("\u{e000}".to_owned()));
}

/// Between the transaction of a save and the move of the branch the index is ahead of the branch. A listing
/// at this moment must not mistake the index for that of another history and rebuild it.
#[test]
fn listing_while_pages_are_saved_never_rebuilds_the_index() {
    let scratch = Scratch::new();
    for n in 0..200 {
        scratch.create(&format!("page-{n}"), "text");
    }
    let done = std::sync::atomic::AtomicBool::new(false);
    let most = std::thread::scope(|scope| {
        let lister = scope.spawn(|| {
            let mut most = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                scratch.wiki().update_index(|now| most = most.max(now.total)).unwrap();
            }
            most
        });
        for n in 0..200 {
            scratch.create(&format!("more-{n}"), "text");
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        lister.join().unwrap()
    });
    assert!(most < 2 * 200, "{most} steps were made");
    assert_eq!(scratch.paths().len(), 400);
}

/// A wiki with a text of a hundred kilobytes under four names, of which two are indexed.
fn with_the_same_text() -> Scratch {
    let scratch = Scratch::new();
    scratch.create("target", "x");
    let text = "[t](target) ".to_owned() + &"lorem ipsum ".repeat(8000);
    scratch.work_with_git(|tree| {
        for name in ["a", "b", "c", "d"] {
            std::fs::write(tree.join(format!("{name}.md")), &text).unwrap();
        }
    });
    scratch
}

fn found(scratch: &Scratch, word: &str) -> Vec<String> {
    let found = scratch.wiki().search(word, "", 0, 100).unwrap();
    let mut paths: Vec<String> = found.into_iter().map(|found| found.page.path).collect();
    paths.sort();
    paths
}

#[test]
fn of_pages_with_the_same_text_the_first_are_searched_whatever_becomes_of_them() {
    let mut scratch = with_the_same_text();
    assert_eq!(found(&scratch, "lorem"), ["a", "b"]);
    assert_eq!(found(&scratch, "d"), ["d"], "by its name");
    scratch.update("a", "changed");
    assert_eq!(found(&scratch, "lorem"), ["b", "c"]);
    let (path, base) = (ExistingPath::new("b").unwrap(), scratch.page("b").summary.etag);
    let author = crate::testing::ada();
    scratch.wiki().delete(&Delete { path: &path, base, author: &author, message: None }).unwrap();
    assert_eq!(found(&scratch, "lorem"), ["c", "d"]);
    let text = scratch.text("c");
    scratch.work_with_git(|tree| std::fs::write(tree.join("0.md"), &text).unwrap());
    assert_eq!(found(&scratch, "lorem"), ["0", "c"]);
    drop_database(&mut scratch);
    assert_eq!(found(&scratch, "lorem"), ["0", "c"], "rebuilt");
}

#[test]
fn links_of_pages_that_are_not_searched_follow_a_move() {
    let scratch = with_the_same_text();
    let (from, to) = (ExistingPath::new("target").unwrap(), PagePath::new("far/away").unwrap());
    let author = crate::testing::ada();
    let order = Move { from: &from, to: &to, update_links: true, author: &author, message: None };
    scratch.wiki().move_page(&order).unwrap();
    for name in ["a", "b", "c", "d"] {
        assert!(scratch.text(name).starts_with("[t](far/away) lorem"), "{name}");
    }
    assert_eq!(found(&scratch, "lorem"), ["a", "b"]);
    let links = scratch.wiki().page_links(&ExistingPath::new("d").unwrap(), None, 9).unwrap();
    assert_eq!(links.outgoing.len(), 1);
}

/// Takes a commit out of the repository, so that the history behind it can't be walked through.
fn lose(scratch: &Scratch, commit: Revision) {
    let hex = commit.to_string();
    let file = scratch.repo().join("objects").join(&hex[..2]).join(&hex[2..]);
    std::fs::remove_file(file).unwrap();
}

#[test]
fn a_commit_is_found_in_the_index_without_a_walk_through_the_history() {
    let scratch = Scratch::new();
    let first = scratch.create("home", "one").revision;
    let second = scratch.update("home", "two").revision;
    scratch.update("home", "three");
    let foreign = scratch.loose_commit(&[first], &[("a.md", Some("a"))]);
    lose(&scratch, second);
    let (wiki, home) = (scratch.wiki(), ExistingPath::new("home").unwrap());
    assert_eq!(&wiki.read_at(&home, first).unwrap().content[..], b"one");
    assert!(wiki.contains(first).unwrap());
    assert!(wiki.resolve(Some(first), &[vec!["home".to_owned()]]).unwrap()[0].is_some());
    for unknown in [foreign, Revision::from_bytes([7; 20])] {
        assert!(!wiki.contains(unknown).unwrap());
        let error = wiki.read_at(&home, unknown).unwrap_err();
        assert!(matches!(error, Error::UnknownRevision { .. }), "{error}");
    }
}

#[test]
fn a_base_that_is_no_object_is_unknown_without_a_walk_through_the_history() {
    let scratch = Scratch::new();
    scratch.create("home", "one");
    let second = scratch.update("home", "two").revision;
    scratch.update("home", "three");
    lose(&scratch, second);
    let base = Base::Version(Etag::from_bytes([7; 20]));
    let error = scratch.save("home", "four", base).unwrap_err();
    assert!(matches!(error, Error::UnknownBase { .. }), "{error}");
}
