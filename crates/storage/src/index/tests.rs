use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::testing::{Scratch, git};
use crate::*;

/// What `git log` says changed each page last.
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

/// Between the transaction of a save and the move of the branch the index is ahead of the branch.
/// Whoever lists pages then must not take that for another history and begin again.
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
                scratch.wiki().update_index(|visited| most = most.max(visited)).unwrap();
            }
            most
        });
        for n in 0..200 {
            scratch.create(&format!("more-{n}"), "text");
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        lister.join().unwrap()
    });
    assert!(most < 200, "{most} commits were visited");
    assert_eq!(scratch.paths().len(), 400);
}
