//! Pushes of a thousand bytes that expand to gigabytes, because git's trees share their subtrees.

use std::path::Path;

use super::*;
use crate::testing::{Objects, numbered};
use crate::{Quota, Revision};

/// `names` × `width`³ pages at paths of `deep` × 60 bytes and more.
fn many_long_paths(objects: &Objects<'_>, width: usize, deep: usize) -> String {
    let blob = objects.blob("[a](b)\n");
    let mut tree =
        objects.files(&blob, numbered(width, |n| format!("{}{n:02}.md", "f".repeat(58))));
    for _ in 0..3 {
        tree = objects.folders(&tree, numbered(width, |n| format!("{}{n:02}", "d".repeat(58))));
    }
    for _ in 0..deep {
        tree = objects.folders(&tree, std::iter::once("e".repeat(60)));
    }
    tree
}

/// Returns the bytes of wiki.db with its log.
fn database_bytes(scratch: &Scratch) -> u64 {
    scratch.wiki().database().unwrap().checkpoint().unwrap();
    let size = |name| scratch.dir().join(name).metadata().map_or(0, |file| file.len());
    size("wiki.db") + size("wiki.db-wal")
}

fn with_home() -> (Scratch, std::path::PathBuf) {
    let scratch = Scratch::new();
    scratch.create("home", "x");
    let tree = scratch.clone_with_git();
    (scratch, tree)
}

#[test]
fn paths_that_are_too_long_together_are_refused() {
    let (scratch, tree) = with_home();
    let objects = Objects(&tree);
    let before = database_bytes(&scratch);
    objects.commit(&many_long_paths(&objects, 20, 10), &[&objects.head()]);
    let lines = lines(scratch.push(&tree, &RULES()));
    assert!(lines[0].contains("160000 files whose paths have"), "{lines:?}");
    assert!(lines[0].contains("20000000 are allowed"), "{lines:?}");
    assert_eq!(database_bytes(&scratch), before);
}

#[test]
fn an_index_that_is_out_of_proportion_to_what_was_sent_is_refused() {
    let (scratch, tree) = with_home();
    let objects = Objects(&tree);
    let before = database_bytes(&scratch);
    // Seven megabytes of paths.
    objects.commit(&many_long_paths(&objects, 9, 10), &[&objects.head()]);
    let lines = lines(scratch.push(&tree, &RULES()));
    assert!(lines[0].contains("bytes were sent, and the wiki's index would take"), "{lines:?}");
    assert_eq!(database_bytes(&scratch), before);
    // The same with a quota that limits only the content.
    scratch.wiki().set_quota(Quota { bytes: Some(10_000_000), ..Quota::default() });
    scratch.push(&tree, &RULES()).unwrap_err();
}

#[test]
fn a_text_with_a_thousand_names_is_indexed_once() {
    let (scratch, tree) = with_home();
    let objects = Objects(&tree);
    let before = database_bytes(&scratch);
    let text = "word lorem ipsum dolor sit amet\n".repeat(30_000);
    let blob = objects.blob(&text);
    let mut root = objects.files(&blob, numbered(10, |n| format!("{n}.md")));
    for _ in 0..2 {
        root = objects.folders(&root, numbered(10, |n| n.to_string()));
    }
    objects.commit(&root, &[&objects.head()]);
    scratch.push(&tree, &RULES()).unwrap();
    scratch.wiki().update_index(|_| ()).unwrap();
    let grown = database_bytes(&scratch) - before;
    assert!(grown < 5 * text.len() as u64, "{grown}");
    let found = scratch.wiki().search("lorem", "", 0, 500).unwrap();
    assert_eq!(found.iter().map(|found| &*found.page.path).collect::<Vec<_>>(), ["0/0/0"]);
    assert_eq!(scratch.wiki().usage().unwrap().pages, 1000);
    assert_eq!(scratch.text("9/9/9"), text);
}

/// A thousand texts of a megabyte, as deltas of a few bytes each.
#[test]
fn texts_are_counted_as_they_are_and_not_as_they_were_packed() {
    let (scratch, tree) = with_home();
    let objects = Objects(&tree);
    let before = database_bytes(&scratch);
    let text = "word lorem ipsum dolor sit amet\n".repeat(30_000);
    let names =
        (0..100).map(|n| format!("100644 blob {}\t{n}.md\n", objects.blob(&format!("{text}{n}"))));
    let root = objects.feed(&["mktree"], names.collect::<String>().as_bytes());
    objects.commit(&root, &[&objects.head()]);
    let lines = lines(scratch.push(&tree, &RULES()));
    assert!(lines[0].contains("index would take"), "{lines:?}");
    assert_eq!(database_bytes(&scratch), before);
}

#[test]
fn a_text_full_of_links_with_many_names_is_kept_within_bounds() {
    let (scratch, tree) = with_home();
    let objects = Objects(&tree);
    let before = database_bytes(&scratch);
    let text: String = (0..6000).map(|n| format!("[]({n})")).collect();
    let mut root = objects.files(&objects.blob(&text), numbered(50, |n| format!("{n}.md")));
    root = objects.folders(&root, numbered(100, |n| n.to_string()));
    objects.commit(&root, &[&objects.head()]);
    scratch.push(&tree, &RULES()).unwrap();
    scratch.wiki().update_index(|_| ()).unwrap();
    let grown = database_bytes(&scratch) - before;
    assert!(grown < 16 << 20, "{grown}");
    let path = ExistingPath::new("99/49").unwrap();
    let told = scratch.wiki().page_links(&path, None, 1).unwrap();
    assert_eq!((told.outgoing.len(), told.broken.len()), (50, 5950), "read from the page itself");
}

#[test]
fn many_commits_that_change_many_files_are_counted_before_they_are_listed() {
    let (scratch, tree) = with_home();
    let objects = Objects(&tree);
    let before = database_bytes(&scratch);
    for n in 0..20 {
        let mut root =
            objects.files(&objects.blob(&n.to_string()), numbered(40, |n| n.to_string()));
        for _ in 0..2 {
            root = objects.folders(&root, numbered(40, |n| n.to_string()));
        }
        objects.commit(&root, &[&objects.head()]);
    }
    let start = Instant::now();
    let lines = lines(scratch.push(&tree, &RULES()));
    assert!(lines[0].contains("changes of 20 commits"), "{lines:?}");
    assert!(start.elapsed() < Duration::from_secs(30));
    assert_eq!(database_bytes(&scratch), before);
}

/// A merge changes only files that differ from all its parents: none here. To find this out, both sides are compared.
#[test]
fn merges_of_what_has_nothing_in_common_are_counted_as_the_work_they_are() {
    let (scratch, tree) = with_home();
    let objects = Objects(&tree);
    let mut large = objects.files(&objects.blob("x"), numbered(50, |n| n.to_string()));
    for _ in 0..2 {
        large = objects.folders(&large, numbered(60, |n| n.to_string()));
    }
    let home = objects.head();
    let empty = objects.commit(&objects.tree_of(&home), &[&home]);
    let mut head = objects.commit(&large, &[&home]);
    for _ in 0..300 {
        head = objects.commit(&large, &[&empty, &head]);
    }
    let rules = PushRules { index_bytes: u64::MAX, ..RULES() };
    let lines = lines(scratch.push(&tree, &rules));
    assert!(lines[0].contains("change more than 50000000 files together"), "{lines:?}");
}

#[test]
fn an_author_with_a_name_without_end_is_cut_where_it_is_repeated() {
    let (scratch, tree) = with_home();
    let objects = Objects(&tree);
    let before = database_bytes(&scratch);
    let mut root = objects.files(&objects.blob("x"), numbered(50, |n| format!("{n}.md")));
    root = objects.folders(&root, numbered(60, |n| n.to_string()));
    let commit = format!(
        "tree {root}\nparent {}\nauthor {} <a@b> 1700000000 +0000\ncommitter a <a@b> 1700000000 +0000\n\nx\n",
        objects.head(),
        "name ".repeat(40_000)
    );
    let commit = objects.feed(&["hash-object", "-w", "-t", "commit", "--stdin"], commit.as_bytes());
    git(&tree, &["update-ref", "refs/heads/main", &commit]);
    scratch.push(&tree, &RULES()).unwrap();
    scratch.wiki().update_index(|_| ()).unwrap();
    let grown = database_bytes(&scratch) - before;
    assert!(grown < 4 << 20, "{grown}");
    assert_eq!(scratch.page("0/0").summary.author.name().len(), 320);
}

/// The estimate is an upper bound of what the index takes, for large amounts of each kind.
#[test]
fn what_an_index_takes_is_told_from_above() {
    let random = |seed: u64, words: usize| -> String {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let word = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            format!("{:x} ", state & 0xff_ffff)
        };
        (0..words).map(word).collect()
    };
    let long = |n: usize| format!("{}/{n}", ["d".repeat(60).as_str(); 12].join("/"));
    type File = Box<dyn Fn(usize) -> (String, String)>;
    let kinds: [(&str, File); 5] = [
        ("short", Box::new(|n| (format!("{n}.md"), format!("text {n}")))),
        ("long paths", Box::new(move |n| (format!("{}.md", long(n)), format!("text {n}")))),
        ("texts", Box::new(move |n| (format!("{n}.md"), random(n as u64 + 1, 2000)))),
        ("Chinese", Box::new(|n| (format!("{n}.md"), "花园里的玫瑰".repeat(300) + &n.to_string()))),
        (
            "links",
            Box::new(|n| {
                let links: String = (0..500).map(|link| format!("[]({n}-{link})")).collect();
                (format!("{n}.md"), links)
            }),
        ),
    ];
    for (kind, file) in kinds {
        let scratch = Scratch::new();
        scratch.create("home", "x");
        let before = database_bytes(&scratch);
        let tree = scratch.clone_with_git();
        let mut stream = Vec::new();
        for n in 0..200 {
            let (path, text) = file(n);
            stream.extend(format!("M 100644 inline {path}\ndata {}\n{text}\n", text.len()).bytes());
        }
        import(&tree, &stream);
        let (incoming, new) = scratch.send(&tree);
        let weight = weight_of(&scratch, &incoming, new);
        scratch.wiki().receive(&incoming, new, &RULES()).unwrap();
        scratch.wiki().update_index(|_| ()).unwrap();
        let grown = database_bytes(&scratch) - before;
        // A text may be links throughout, and words that are repeated take nearly nothing.
        assert!(grown <= weight && weight < 70 * grown, "{kind}: {grown}, told {weight}");
    }
}

fn weight_of(scratch: &Scratch, incoming: &Path, new: Revision) -> u64 {
    let wiki = scratch.wiki();
    let incoming = wiki.incoming(incoming, RULES().max_objects).unwrap();
    let old = wiki.head().unwrap();
    let checked = check(wiki.repo(), &incoming, old, new, &RULES()).unwrap();
    let changes = incoming.repo().changes(old, new).unwrap();
    let view = incoming.repo().view();
    // The limit is so low that links are counted exactly.
    let rules = PushRules { index_bytes: u64::MAX, ..RULES() };
    let sent = Sent { bytes: 0, log: checked.log, changes: &changes };
    wiki.check_made(&sent, &rules, |id| view.blob_size(id), |id| view.blob(id)).unwrap()
}
