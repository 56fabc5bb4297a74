//! The quota holds for every way to write, and the counters equal those of git.

use proptest::prelude::*;

use super::*;
use crate::testing::{Scratch, ada, commit, import, save};
use crate::{
    AttachmentPath, Base, Delete, Move, PagePath, PushRules, Save, SaveAttachment, SavedAttachment,
};

fn quota(bytes: impl Into<Option<u64>>, pages: impl Into<Option<u64>>) -> Quota {
    Quota { bytes: bytes.into(), pages: pages.into(), disk_bytes: None }
}

fn exceeded<T: std::fmt::Debug>(result: Result<T, Error>) -> (&'static str, u64, u64) {
    match result {
        Err(Error::QuotaExceeded { what, limit, would_be }) => (what, limit, would_be),
        other => panic!("{other:?}"),
    }
}

fn counts(scratch: &Scratch) -> (u64, u64, u64) {
    let usage = scratch.wiki().usage().unwrap();
    (usage.pages, usage.attachments, usage.bytes)
}

/// Counts with git.
fn counts_of_git(scratch: &Scratch) -> (u64, u64, u64) {
    let mut counts = (0, 0, 0);
    for line in scratch.git(&["ls-tree", "-r", "-l", "main"]).lines() {
        let (fields, path) = line.split_once('\t').unwrap();
        let size: u64 = fields.split_whitespace().nth(3).unwrap().parse().unwrap();
        if path.ends_with(".md") {
            counts.0 += 1
        } else {
            counts.1 += 1
        }
        counts.2 += size;
    }
    counts
}

fn attach(wiki: &Wiki, path: &str, content: &[u8]) -> Result<SavedAttachment, Error> {
    let path = AttachmentPath::new(path).unwrap();
    let mut upload = wiki.upload()?;
    upload.write(content)?;
    let blob = wiki.stage(&path, Base::New, upload)?;
    let save = SaveAttachment { path: &path, base: Base::New, author: &ada(), message: None };
    wiki.save_attachment(&save, blob)
}

#[test]
fn a_wiki_without_a_quota_takes_all() {
    let scratch = Scratch::new();
    assert_eq!(scratch.wiki().usage().unwrap().pages, 0);
    scratch.create("home", "12345");
    attach(scratch.wiki(), "home/photo.png", b"123").unwrap();
    assert_eq!(counts(&scratch), (1, 1, 8));
    assert!(scratch.wiki().usage().unwrap().repository_bytes > 8);
    scratch.wiki().check_quota().unwrap();
}

#[test]
fn saves_attachments_moves_and_pushes_keep_to_it() {
    let scratch = Scratch::new();
    let wiki = scratch.wiki();
    let home = scratch.create("home", "12345");
    wiki.set_quota(quota(10, 2));
    assert_eq!(exceeded(scratch.save("b", "123456", Base::New)), ("bytes", 10, 11));
    assert_eq!(exceeded(attach(wiki, "home/a.png", b"123456")), ("bytes", 10, 11));
    scratch.create("b", "12345");
    assert_eq!(exceeded(scratch.save("c", "", Base::New)), ("pages", 2, 3));
    assert_eq!(
        exceeded(scratch.save("b", "123456", Base::Version(scratch.page("b").summary.etag))).2,
        11
    );
    // A rename doesn't grow the wiki.
    let (from, to) = (ExistingPath::new("b").unwrap(), PagePath::new("c").unwrap());
    let moved = Move { from: &from, to: &to, author: &ada(), message: None, update_links: false };
    wiki.move_page(&moved).unwrap();
    scratch.update("home", "54321");

    let tree = scratch.clone_with_git();
    commit(&tree, "pushed.md", "1");
    let before = wiki.usage().unwrap();
    assert_eq!(exceeded(scratch.push(&tree, &PushRules::default())), ("pages", 2, 3));
    assert_eq!(wiki.usage().unwrap(), before);
    import(&tree, b"D c.md\n");
    scratch.push(&tree, &PushRules::default()).unwrap();
    assert_eq!(counts(&scratch), (2, 0, 6));

    // Written directly with git, before the quota is lowered.
    scratch.commit_with_git("more.md", "1234567890");
    wiki.set_quota(quota(3, 1));
    assert_eq!(exceeded(wiki.check_quota()), ("pages", 1, 3));
    scratch.update("more", "123456789");
    assert_eq!(
        exceeded(scratch.save(
            "more",
            "1234567890",
            Base::Version(scratch.page("more").summary.etag)
        ))
        .2,
        16
    );
    let path = ExistingPath::new("more").unwrap();
    let base = scratch.page("more").summary.etag;
    wiki.delete(&Delete { path: &path, base, author: &ada(), message: None }).unwrap();
    assert_ne!(home.etag, scratch.page("home").summary.etag);
    assert_eq!(counts(&scratch), counts_of_git(&scratch));
}

#[test]
fn what_is_refused_leaves_nothing_on_the_disk() {
    let scratch = Scratch::new();
    scratch.create("home", "text");
    let wiki = scratch.wiki();
    wiki.set_quota(quota(1000, None));
    let before = scratch.git(&["cat-file", "--batch-all-objects", "--batch-check"]);
    exceeded(attach(wiki, "home/a.bin", &vec![7; 1_000_000]));
    exceeded(scratch.save("large", &"x".repeat(1_000_000), Base::New));
    assert_eq!(scratch.git(&["cat-file", "--batch-all-objects", "--batch-check"]), before);
    wiki.set_quota(quota(3_000_000, None));
    attach(wiki, "home/a.bin", &vec![7; 1_000_000]).unwrap();
    scratch.create("large", &"x".repeat(1_000_000));
    assert_eq!(counts(&scratch), (2, 1, 2_000_004));
    scratch.git(&["fsck", "--strict"]);
}

#[test]
fn it_holds_while_the_index_is_behind() {
    let scratch = Scratch::new();
    scratch.create("home", "12345");
    let tree = scratch.clone_with_git();
    for n in 0..30 {
        commit(&tree, &format!("{n}.md"), "x");
    }
    scratch.push(&tree, &PushRules::default()).unwrap();
    assert!(scratch.wiki().takes_index_request());
    assert_eq!(counts(&scratch), (31, 0, 35));
    scratch.wiki().set_quota(quota(36, None));
    scratch.create("a", "1");
    assert_eq!(exceeded(scratch.save("b", "1", Base::New)), ("bytes", 36, 37));
    scratch.wiki().update_index(|_| ()).unwrap();
    assert_eq!(counts(&scratch), (32, 0, 36));
}

#[test]
fn links_and_submodules_do_not_count() {
    let scratch = Scratch::new();
    let home = scratch.create("home", "12345");
    let tree = scratch.clone_with_git();
    import(
        &tree,
        format!("M 120000 inline link.md\ndata 4\nhome\nM 160000 {} sub\n", home.revision)
            .as_bytes(),
    );
    crate::testing::git(&tree, &["push", "--quiet", &scratch.repo().display().to_string(), "main"]);
    assert_eq!(counts(&scratch), (1, 0, 5));
    scratch.wiki().database().unwrap().write(|t| Ok::<_, Error>(index::forget(t)?)).unwrap();
    assert_eq!(scratch.wiki().count(scratch.wiki().head().unwrap()).unwrap().attachments, 0);
}

/// Makes an incompressible text.
fn noise(seed: u64, bytes: usize) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = String::with_capacity(bytes + 17);
    while text.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(&format!("{state:x} "));
    }
    text
}

fn on_disk(bytes: u64) -> Quota {
    Quota { disk_bytes: Some(bytes), ..Quota::default() }
}

/// Measures all files in the wiki's directory.
fn disk_bytes(scratch: &Scratch) -> u64 {
    scratch.wiki().database().unwrap().checkpoint().unwrap();
    crate::files::size_below(&scratch.dir()).unwrap()
}

#[test]
fn history_counts_and_what_makes_a_wiki_smaller_is_never_refused() {
    let scratch = Scratch::new();
    let wiki = scratch.wiki();
    scratch.create("home", "text");
    scratch.create("page", &noise(0, 300_000));
    wiki.set_quota(on_disk(20_000_000));
    let refused = (1..200).find_map(|n| {
        let base = Base::Version(scratch.page("page").summary.etag);
        scratch.save("page", &noise(n, 300_000), base).err()
    });
    let (what, limit, _) = exceeded(refused.map_or(Ok(()), Err));
    assert_eq!((what, limit), ("disk_bytes", 20_000_000));
    let usage = wiki.usage().unwrap();
    assert!(usage.bytes < 500_000 && usage.repository_bytes > 5_000_000, "{usage:?}");
    assert!(disk_bytes(&scratch) < 25_000_000, "{}", disk_bytes(&scratch));
    // One more short page fits in.
    scratch.create("short", "text");
    wiki.set_quota(on_disk(1_000_000));
    exceeded(scratch.save("another", "text", Base::New));
    exceeded(attach(wiki, "home/a.png", b"1"));
    let tree = scratch.clone_with_git();
    commit(&tree, "pushed.md", "text");
    assert_eq!(exceeded(scratch.push(&tree, &PushRules::default())).0, "disk_bytes");

    scratch.update("page", "much shorter");
    let tree = scratch.clone_with_git();
    import(&tree, b"D short.md\n");
    scratch.push(&tree, &PushRules::default()).unwrap();
    let (path, base) = (ExistingPath::new("page").unwrap(), scratch.page("page").summary.etag);
    wiki.delete(&Delete { path: &path, base, author: &ada(), message: None }).unwrap();
    assert_eq!(scratch.paths(), ["home"]);
}

#[test]
fn the_size_of_the_repository_is_known_without_counting_its_files_again() {
    let mut scratch = Scratch::new();
    scratch.wiki().set_quota(on_disk(1 << 30));
    for n in 0..20 {
        scratch.create(&n.to_string(), &noise(n, 10_000));
    }
    attach(scratch.wiki(), "0/a.bin", noise(99, 500_000).as_bytes()).unwrap();
    let tree = scratch.clone_with_git();
    commit(&tree, "pushed.md", noise(100, 100_000));
    scratch.push(&tree, &PushRules::default()).unwrap();
    let known = scratch.wiki().repo().known_size().unwrap();
    let counted = crate::files::size_below(&scratch.repo()).unwrap();
    assert!(known >= counted && known < 2 * counted, "{known} {counted}");

    scratch.wiki().close().unwrap();
    scratch.open().unwrap();
    assert_eq!(scratch.wiki().repo().known_size(), None, "opening counts nothing");
    assert_eq!(scratch.wiki().disk_use().unwrap().repository, known, "it was remembered");
    scratch.create("more", &noise(101, 200_000));
    // As after a crash: the recorded size is older than the files.
    scratch.open().unwrap();
    let counted = crate::files::size_below(&scratch.repo()).unwrap();
    assert_eq!(scratch.wiki().disk_use().unwrap().repository, counted);
}

#[test]
fn an_app_database_counts() {
    let scratch = Scratch::new();
    scratch.create("home", "text");
    scratch.wiki().set_quota(on_disk(1_000_000));
    std::fs::write(scratch.dir().join("app.db"), vec![0; 2_000_000]).unwrap();
    assert_eq!(scratch.wiki().usage().unwrap().app_bytes, 2_000_000);
    scratch.wiki().set_quota(on_disk(1_500_000));
    assert_eq!(exceeded(scratch.save("b", "text", Base::New)).0, "disk_bytes");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// For any sequence of changes, accepted or refused, by every way to write.
    #[test]
    fn the_counters_are_those_of_git(steps in prop::collection::vec((0..4_u8, 0..4_u8, 0..20_usize), 1..12)) {
        let scratch = Scratch::new();
        let wiki = scratch.wiki();
        save(wiki, "home", "text", Base::New).unwrap();
        wiki.set_quota(quota(60, 4));
        for (what, which, size) in steps {
            let path = format!("p{which}");
            let etag = wiki.read(&ExistingPath::new(&path).unwrap()).ok().map(|page| page.summary.etag);
            let text = "x".repeat(size);
            let before = counts(&scratch);
            let done = match (what, etag) {
                (0, Some(base)) => {
                    let path = ExistingPath::new(&path).unwrap();
                    wiki.delete(&Delete { path: &path, base, author: &ada(), message: None }).map(drop)
                }
                (1, _) => attach(wiki, &format!("{path}/{size}.png"), text.as_bytes()).map(drop),
                (2, _) => {
                    let tree = scratch.clone_with_git();
                    import(&tree, format!("M 100644 inline {path}.md\ndata {size}\n{text}\n").as_bytes());
                    scratch.push(&tree, &PushRules::default()).map(drop)
                }
                (_, etag) => {
                    let base = etag.map_or(Base::New, Base::Version);
                    let path = PagePath::new(&path).unwrap();
                    let content = text.as_bytes();
                    wiki.save(&Save { path: &path, content, base, author: &ada(), message: None, merge: true }).map(drop)
                }
            };
            let after = counts(&scratch);
            prop_assert_eq!(after, counts_of_git(&scratch));
            match done {
                Err(_) => prop_assert_eq!(after, before),
                Ok(()) => prop_assert!(after.0 <= before.0.max(4) && after.2 <= before.2.max(60)),
            }
        }
    }
}

#[test]
fn a_wiki_of_an_earlier_version_is_counted_when_its_index_is_built() {
    let mut scratch = Scratch::new();
    scratch.create("home", "12345");
    attach(scratch.wiki(), "home/a.png", b"123").unwrap();
    scratch.wiki().close().unwrap();
    crate::layout::create_older(&scratch.dir(), 4, |_| Ok(()));
    scratch.open().unwrap();
    let head = scratch.wiki().head().unwrap().unwrap();
    scratch.wiki().update_index(|_| ()).unwrap();
    let read = |c: &rusqlite::Connection| Ok::<_, Error>(index::counted(c, head)?);
    let counted = scratch.wiki().database().unwrap().read(read).unwrap();
    assert_eq!(counted, Some(Count { pages: 1, attachments: 1, bytes: 8 }));
}
