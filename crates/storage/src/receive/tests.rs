//! Pushes of every kind, made by the real git.

mod durable;
mod law;
mod small;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::*;
use crate::testing::{Scratch, commit, git, import, save};
use crate::{Base, ExistingPath};

const RULES: fn() -> PushRules = PushRules::default;

fn lines(received: Result<Received, Error>) -> Vec<String> {
    match received {
        Err(Error::PushRefused(refusal)) => refusal.lines,
        other => panic!("{other:?}"),
    }
}

/// Lists the wiki's objects.
fn objects(scratch: &Scratch) -> Vec<String> {
    let listed = scratch.git(&["cat-file", "--batch-all-objects", "--batch-check"]);
    listed.lines().map(str::to_owned).collect()
}

fn packs(scratch: &Scratch) -> usize {
    let packs = fs::read_dir(scratch.repo().join("objects/pack"));
    packs.map_or(0, |packs| {
        packs.filter(|p| p.as_ref().unwrap().path().extension().unwrap() == "pack").count()
    })
}

/// Pushes one commit with these changes and returns the reasons for its refusal. Asserts that nothing of it is in the
/// wiki.
fn refused(scratch: &Scratch, changes: &[u8]) -> Vec<String> {
    let (head, before) = (scratch.wiki().head().unwrap(), objects(scratch));
    let tree = scratch.clone_with_git();
    import(&tree, changes);
    let lines = lines(scratch.push(&tree, &RULES()));
    assert_eq!(scratch.wiki().head().unwrap(), head);
    assert_eq!(objects(scratch), before);
    assert!(lines.iter().all(|line| !line.contains('\u{1b}')), "{lines:?}");
    lines
}

#[test]
fn a_push_becomes_the_wiki() {
    let scratch = Scratch::new();
    let tree = scratch.clone_with_git();
    commit(&tree, "home.md", "# Home\n");
    let first = scratch.push(&tree, &RULES()).unwrap();
    assert_eq!((first.old, first.commits, first.rewritten), (None, 1, false));
    assert_eq!(first.paths, ["home"]);
    let saved = scratch.update("home", "# Home\n\nby us\n");

    let tree = scratch.clone_with_git();
    commit(&tree, "--help.md", "help");
    commit(&tree, "garden/roses.md", "red");
    let new = commit(&tree, "garden/roses/photo.png", [0_u8, 1, 2]);
    let second = scratch.push(&tree, &RULES()).unwrap();
    assert_eq!(second.old, Some(saved.revision));
    assert_eq!((second.new.to_string(), second.commits), (new, 3));
    assert_eq!(second.paths, ["--help", "garden/roses", "garden/roses/photo.png"]);
    assert_eq!(scratch.paths(), ["--help", "garden/roses", "home"]);
    assert_eq!(scratch.text("--help"), "help");
    assert_eq!(scratch.page("garden/roses").summary.author.name(), "Git");
    scratch.create("after", "works");
    scratch.git(&["fsck", "--strict"]);
    assert_eq!(scratch.git(&["count-objects", "-v"]).lines().last(), Some("size-garbage: 0"));
}

#[test]
fn nothing_new_is_nothing() {
    let scratch = Scratch::new();
    scratch.create("home", "text");
    let tree = scratch.clone_with_git();
    let received = scratch.push(&tree, &RULES()).unwrap();
    assert_eq!((received.commits, received.paths.len()), (0, 0));
    assert_eq!(scratch.redo_rows(), 1);
}

#[test]
fn small_pushes_leave_no_packs_and_large_ones_one() {
    let scratch = Scratch::new();
    let tree = scratch.clone_with_git();
    for n in 0..8 {
        commit(&tree, &format!("page-{n}.md"), "text");
        scratch.push(&tree, &RULES()).unwrap();
    }
    assert_eq!((packs(&scratch), scratch.paths().len()), (0, 8));
    let mut changes = Vec::new();
    for n in 0..1200 {
        let text = format!("text {n}");
        changes
            .extend(format!("M 100644 inline many/{n}.md\ndata {}\n{text}\n", text.len()).bytes());
    }
    import(&tree, &changes);
    let received = scratch.push(&tree, &RULES()).unwrap();
    assert!(received.truncated && received.paths.len() == crate::MAX_CHANGES);
    assert_eq!(packs(&scratch), 1);
    assert!(scratch.wiki().takes_index_request());
    scratch.wiki().update_index(|_| ()).unwrap();
    assert_eq!(scratch.paths().len(), 1208);
    scratch.git(&["fsck", "--strict"]);
}

#[test]
fn only_what_was_looked_at_comes_in() {
    let scratch = Scratch::new();
    scratch.create("home", "text");
    let tree = scratch.clone_with_git();
    commit(&tree, "new.md", "new");
    let (incoming, new) = scratch.send(&tree);
    // A client may send more objects than it names.
    fs::write(tree.join("secret"), "nothing names this").unwrap();
    let junk = git(&tree, &["hash-object", "-w", "secret"]);
    let list = tree.join("list");
    fs::write(&list, format!("{junk}\n")).unwrap();
    let pack = format!(
        "git pack-objects -q '{}/objects/pack/pack' < '{}'",
        incoming.display(),
        list.display()
    );
    assert!(
        std::process::Command::new("sh")
            .current_dir(&tree)
            .args(["-c", &pack])
            .status()
            .unwrap()
            .success()
    );
    scratch.wiki().receive(&incoming, new, &RULES()).unwrap();
    assert_eq!(scratch.text("new"), "new");
    assert!(!objects(&scratch).iter().any(|line| line.starts_with(&junk)));
}

/// A referenced object may be a delta against an unreferenced one, and reading it builds both.
#[test]
fn nothing_in_a_pack_is_larger_than_the_wiki_takes_named_or_not() {
    let scratch = Scratch::new();
    scratch.create("home", "text");
    let before = objects(&scratch);
    for (kind, size) in [("blob", 2000), ("tree", 33 << 20), ("commit", 300_000)] {
        let tree = scratch.clone_with_git();
        commit(&tree, "new.md", "new");
        let (incoming, new) = scratch.send(&tree);
        fs::write(tree.join("large"), "x".repeat(size)).unwrap();
        let dir = incoming.display().to_string();
        let args = ["--git-dir", &dir, "hash-object", "--literally", "-w", "-t", kind, "large"];
        let id = git(&tree, &args);
        let list = tree.join("list");
        fs::write(&list, id).unwrap();
        let pack = format!("git pack-objects -q objects/pack/pack < '{}'", list.display());
        let mut shell = std::process::Command::new("sh");
        assert!(shell.current_dir(&incoming).args(["-c", &pack]).status().unwrap().success());
        let rules = PushRules { page_bytes: 1000, attachment_bytes: 1000, ..RULES() };
        let lines = lines(scratch.wiki().receive(&incoming, new, &rules));
        assert!(lines[0].contains(&format!("has {size} bytes")), "{lines:?}");
        assert_eq!(objects(&scratch), before);
    }
}

#[test]
fn only_forward_unless_it_is_allowed() {
    let scratch = Scratch::new();
    scratch.create("home", "one");
    let tree = scratch.clone_with_git();
    let old = scratch.update("home", "two").revision;
    let new = commit(&tree, "other.md", "from an old clone");
    let lines = lines(scratch.push(&tree, &RULES()));
    assert!(lines[0].contains("fetch first"), "{lines:?}");
    let received = scratch.push(&tree, &PushRules { rewrite: true, ..RULES() }).unwrap();
    assert!(received.rewritten);
    assert_eq!((received.old, received.new.to_string()), (Some(old), new));
    scratch.wiki().update_index(|_| ()).unwrap();
    assert_eq!(scratch.text("home"), "one");
    assert_eq!(scratch.paths(), ["home", "other"]);
    let kept = scratch.git(&["for-each-ref", "--format=%(objectname)", "refs/wiki/backup"]);
    assert_eq!(kept, old.to_string());
    // Back to the old commit; no object has to be sent.
    git(&tree, &["fetch", "--quiet", &scratch.repo().display().to_string(), "main"]);
    git(&tree, &["reset", "--quiet", "--hard", "HEAD^"]);
    let received = scratch.push(&tree, &PushRules { rewrite: true, ..RULES() }).unwrap();
    assert_eq!((received.commits, received.paths), (0, vec!["other".to_owned()]));
    assert_eq!(scratch.paths(), ["home"]);
}

#[test]
fn histories_are_merged_by_who_pushes() {
    let scratch = Scratch::new();
    scratch.create("home", "one");
    let tree = scratch.clone_with_git();
    commit(&tree, "theirs.md", "theirs");
    scratch.create("ours", "ours");
    git(&tree, &["fetch", "--quiet", &scratch.repo().display().to_string(), "main"]);
    git(&tree, &["merge", "--quiet", "--no-edit", "FETCH_HEAD"]);
    let received = scratch.push(&tree, &RULES()).unwrap();
    assert_eq!((received.commits, received.rewritten), (2, false));
    assert_eq!(received.paths, ["theirs"]);
    assert_eq!(scratch.paths(), ["home", "ours", "theirs"]);
}

#[test]
fn a_wiki_takes_files_and_nothing_else() {
    let scratch = Scratch::new();
    scratch.create("home", "text");
    let head = scratch.page("home").summary.revision;
    for (changes, why) in [
        (
            "M 120000 inline page.md\ndata 11\n/etc/passwd\n".to_owned(),
            "page.md: it is a symbolic link",
        ),
        ("M 120000 inline a\ndata 4\n.git\n".to_owned(), "a: it is a symbolic link"),
        (format!("M 160000 {head} sub\n"), "sub: it is a submodule"),
        ("M 100644 inline .gitmodules\ndata 1\nx\n".to_owned(), ".gitmodules: git itself"),
        ("M 100644 inline .lfsconfig\ndata 1\nx\n".to_owned(), ".lfsconfig: git itself"),
        ("M 100644 inline a\\..\\x.md\ndata 1\nx\n".to_owned(), "a\\\\..\\\\x.md: it holds"),
        (
            "M 100644 inline \"a\\033[31m.md\"\ndata 1\nx\n".to_owned(),
            "a\\u{1b}[31m.md: it holds a control",
        ),
        (
            "M 100644 inline \"\\377\\376.md\"\ndata 1\nx\n".to_owned(),
            "\\xff\\xfe.md: its name is not UTF-8",
        ),
        (
            "M 100644 inline Home.md\ndata 1\nx\n".to_owned(),
            "Home.md: Windows and macOS can't tell it from `home.md`",
        ),
        ("M 100644 inline HOME.md/x.md\ndata 1\nx\n".to_owned(), "HOME.md: Windows"),
        (
            "M 100644 inline caf\u{e9}.md\ndata 1\nx\nM 100644 inline cafe\u{301}.md\ndata 1\nx\n"
                .to_owned(),
            "NFC",
        ),
        (format!("M 100644 inline {}\ndata 1\nx\n", "x".repeat(300)), "longer than 255 bytes"),
        (format!("M 100644 inline {}x.md\ndata 1\nx\n", "d/".repeat(16)), "more than 16 levels"),
        (format!("M 100644 inline {}x.md\ndata 1\nx\n", "d/".repeat(500)), "more than 16 levels"),
    ] {
        let lines = refused(&scratch, changes.as_bytes());
        assert!(lines.iter().any(|line| line.contains(why)), "{why}: {lines:?}");
    }
    let tree = scratch.clone_with_git();
    import(&tree, format!("M 100755 inline {}x.md\ndata 1\nx\n", "d/".repeat(15)).as_bytes());
    scratch.push(&tree, &RULES()).unwrap();
}

#[test]
fn what_a_commit_in_between_adds_is_looked_at_too() {
    let scratch = Scratch::new();
    scratch.create("home", "text");
    let tree = scratch.clone_with_git();
    import(&tree, b"M 120000 inline link\ndata 4\nhome\n");
    import(&tree, b"D link\n");
    assert_eq!(lines(scratch.push(&tree, &RULES())).len(), 1);
}

/// A replacement ref, by which git shows another commit instead of the pushed one.
#[test]
fn nothing_is_looked_at_in_the_place_of_something_else() {
    let scratch = Scratch::new();
    scratch.create("home", "text");
    let tree = scratch.clone_with_git();
    let harmless = commit(&tree, "harmless.md", "text");
    git(&tree, &["reset", "--quiet", "--hard", "HEAD^"]);
    import(&tree, b"M 120000 inline link\ndata 4\nhome\n");
    let (incoming, new) = scratch.send(&tree);
    let url = incoming.display().to_string();
    git(&tree, &["push", "--quiet", &url, &format!("{harmless}:refs/replace/{new}")]);
    assert!(lines(scratch.wiki().receive(&incoming, new, &RULES()))[0].contains("symbolic link"));
}

#[test]
fn what_was_there_stays_however_odd_it_is() {
    let scratch = Scratch::new();
    scratch.create("home", "text");
    let tree = scratch.clone_with_git();
    import(
        &tree,
        b"M 120000 inline link\ndata 4\nhome\nM 100644 inline Odd:name.md\ndata 1\nx\n\
          M 100644 inline HOME.md\ndata 1\nx\nM 100644 inline dir/a.md\ndata 1\nx\nM 100644 inline dir/A.md\ndata 1\ny\n",
    );
    // As if the wiki had been imported in this state.
    git(&tree, &["push", "--quiet", &scratch.repo().display().to_string(), "main"]);
    for changes in [
        &b"M 100644 inline new.md\ndata 1\nx\n"[..],
        b"M 100644 inline dir/a.md\ndata 1\nz\n",
        b"D Odd:name.md\n",
    ] {
        import(&tree, changes);
        scratch.push(&tree, &RULES()).unwrap();
    }
    // A merge adds nothing that none of its parents has.
    git(&tree, &["reset", "--quiet", "--hard"]);
    git(&tree, &["checkout", "--quiet", "--orphan", "side"]);
    git(&tree, &["rm", "--quiet", "-rf", "."]);
    commit(&tree, "side.md", "side");
    git(&tree, &["merge", "--quiet", "--no-edit", "--allow-unrelated-histories", "main"]);
    git(&tree, &["branch", "-f", "main"]);
    git(&tree, &["checkout", "--quiet", "main"]);
    scratch.push(&tree, &RULES()).unwrap();
    // Changed files are checked again.
    import(&tree, b"M 120000 inline link\ndata 4\nhum\n\nM 100644 inline dir/aa.md\ndata 1\nz\nM 100644 inline dir/aA.md\ndata 1\nz\n");
    assert_eq!(lines(scratch.push(&tree, &RULES())).len(), 3);
}

#[test]
fn many_problems_are_named_and_counted() {
    let scratch = Scratch::new();
    let mut changes = Vec::new();
    for n in 0..100 {
        changes.extend(format!("M 100644 inline a{n}?.md\ndata 1\nx\n").bytes());
    }
    let lines = refused(&scratch, &changes);
    assert_eq!((lines.len(), lines[20].as_str()), (21, "and 80 more"));
}

/// Seven levels of ten equal folders: ten million paths in some dozen objects.
#[test]
fn a_tree_that_is_small_and_has_no_end_is_refused_at_once() {
    let scratch = Scratch::new();
    let tree = scratch.clone_with_git();
    fs::write(tree.join("x"), "x").unwrap();
    let mut below = format!("100644 blob {}", git(&tree, &["hash-object", "-w", "x"]));
    for level in 0..7 {
        let names = (0..10).map(|n| match level {
            0 => format!("{below}\t{n}.md\n"),
            _ => format!("{below}\t{n}\n"),
        });
        fs::write(tree.join("list"), names.collect::<String>()).unwrap();
        let made = std::process::Command::new("git")
            .current_dir(&tree)
            .arg("mktree")
            .stdin(fs::File::open(tree.join("list")).unwrap())
            .output()
            .unwrap();
        below = format!("040000 tree {}", String::from_utf8_lossy(&made.stdout).trim());
    }
    let root = below.rsplit(' ').next().unwrap();
    let bomb = git(&tree, &["commit-tree", root, "-m", "bomb"]);
    git(&tree, &["update-ref", "refs/heads/main", &bomb]);
    let (incoming, new) = scratch.send(&tree);
    let start = Instant::now();
    let lines = lines(scratch.wiki().receive(&incoming, new, &RULES()));
    assert!(start.elapsed() < Duration::from_secs(1));
    assert!(lines[0].contains("more than 200000 files"), "{lines:?}");
}

#[test]
fn sizes_are_known_before_anything_is_unpacked() {
    let scratch = Scratch::new();
    let tree = scratch.clone_with_git();
    let zeros = fs::File::create(tree.join("zeros.bin")).unwrap();
    zeros.set_len(120_000_000).unwrap();
    fs::write(tree.join("page.md"), "x".repeat(5_000_001)).unwrap();
    fs::write(tree.join("fine.bin"), "x".repeat(5_000_001)).unwrap();
    git(&tree, &["add", "--all"]);
    git(&tree, &["commit", "--quiet", "-m", "large"]);
    let (incoming, new) = scratch.send(&tree);
    let start = Instant::now();
    let refused = lines(scratch.wiki().receive(&incoming, new, &RULES()));
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(
        refused,
        [
            "page.md: it has 5000001 bytes; a page may have 5000000",
            "zeros.bin: it has 120000000 bytes; a file may have 100000000"
        ]
    );

    let tree = scratch.clone_with_git();
    commit(&tree, "home.md", "text");
    fs::write(tree.join("message"), "long ".repeat(1_000_000)).unwrap();
    git(&tree, &["commit", "--quiet", "--amend", "-F", "message"]);
    let refused = lines(scratch.push(&tree, &RULES()));
    assert!(refused[0].contains("262144 are allowed"), "{refused:?}");
}

#[test]
fn budgets_are_kept() {
    let scratch = Scratch::new();
    let tree = scratch.clone_with_git();
    for n in 0..4 {
        commit(&tree, &format!("{n}.md"), n.to_string());
    }
    for rules in [
        PushRules { max_files: 3, ..RULES() },
        PushRules { max_commits: 3, ..RULES() },
        PushRules { max_objects: 11, ..RULES() },
    ] {
        assert_eq!(lines(scratch.push(&tree, &rules)).len(), 1);
    }
    scratch
        .push(&tree, &PushRules { max_files: 4, max_commits: 4, max_objects: 12, ..RULES() })
        .unwrap();
    // A wiki that exceeds the limit may change and remove files, but not add any.
    let rules = PushRules { max_files: 2, ..RULES() };
    commit(&tree, "0.md", "changed");
    scratch.push(&tree, &rules).unwrap();
    commit(&tree, "5.md", "more");
    assert_eq!(lines(scratch.push(&tree, &rules)).len(), 1);
}

#[test]
fn a_scratch_repository_is_of_one_wiki() {
    let (one, other) = (Scratch::new(), Scratch::new());
    let tree = one.clone_with_git();
    commit(&tree, "home.md", "text");
    let (incoming, new) = one.send(&tree);
    other.wiki().receive(&incoming, new, &RULES()).unwrap_err();
    one.wiki().receive(&incoming, new, &RULES()).unwrap();
    one.wiki().create_scratch(&incoming).unwrap_err();
}

#[test]
fn hidden_names_are_not_told_to_who_pushes() {
    let scratch = Scratch::new();
    scratch.create("home", "one");
    let tree = scratch.clone_with_git();
    let secret = scratch.update("home", "two").revision;
    commit(&tree, "home.md", "another");
    scratch.push(&tree, &PushRules { rewrite: true, ..RULES() }).unwrap();
    let (incoming, _) = scratch.send(&tree);
    let told = git(
        Path::new("/"),
        &["receive-pack", "--http-backend-info-refs", &incoming.display().to_string()],
    );
    assert!(!told.contains(&secret.to_string()), "{told}");
}

#[test]
fn only_the_history_of_the_branch_is_known() {
    let scratch = Scratch::new();
    let one = scratch.create("home", "one").revision;
    let tree = scratch.clone_with_git();
    let two = scratch.update("home", "two");
    let rules = PushRules { rewrite: true, ..RULES() };
    let wiki = scratch.wiki();
    let known = |ids: &[Revision]| {
        let known = wiki.in_history(ids.iter().copied().collect()).unwrap();
        ids.iter().map(|id| known.contains(id)).collect::<Vec<_>>()
    };
    assert_eq!(known(&[one, two.revision]), [true, true]);
    commit(&tree, "home.md", "another");
    let new = scratch.push(&tree, &rules).unwrap().new;
    let blob = two.etag.to_string().parse().unwrap();
    // Before the index has the commit, and afterwards.
    for _ in 0..2 {
        assert!(known(&[]).is_empty());
        assert_eq!(known(&[new]), [true]);
        assert_eq!(known(&[one, two.revision, new, blob]), [true, false, true, false]);
        wiki.update_index(|_| ()).unwrap();
    }
}

#[test]
fn pushes_and_saves_that_race_lose_nothing() {
    let scratch = Scratch::new();
    scratch.create("home", "text");
    std::thread::scope(|scope| {
        let wiki = scratch.wiki();
        for writer in 0..2 {
            scope.spawn(move || {
                for n in 0..60 {
                    save(wiki, &format!("w{writer}/{n}"), "text", Base::New).unwrap();
                    std::thread::sleep(Duration::from_millis(10));
                }
            });
        }
        let tree = scratch.clone_with_git();
        let (scratch, mut tries) = (&scratch, 0);
        for n in 0..10 {
            commit(&tree, &format!("pushed/{n}.md"), "pushed");
            while let Err(error) = scratch.push(&tree, &RULES()) {
                assert!(error.to_string().contains("fetch"), "{error}");
                tries += 1;
                assert!(tries < 500);
                git(&tree, &["fetch", "--quiet", &scratch.repo().display().to_string(), "main"]);
                git(&tree, &["rebase", "--quiet", "FETCH_HEAD"]);
            }
        }
    });
    scratch.wiki().update_index(|_| ()).unwrap();
    assert_eq!(scratch.paths().len(), 131);
    assert!(scratch.wiki().read(&ExistingPath::new("pushed/9").unwrap()).is_ok());
    scratch.git(&["fsck", "--strict"]);
}

#[test]
fn a_long_history_comes_in_whole() {
    let scratch = Scratch::new();
    let tree = scratch.clone_with_git();
    let mut stream = Vec::new();
    for n in 0..1500 {
        if n > 0 {
            stream.extend(b"commit refs/heads/main\ncommitter Git <g@example.org> 1700000000 +0000\ndata 1\nx\n");
        }
        stream.extend(format!("M 100644 inline {}/{n}.md\ndata 4\n{n:04}\n", n % 7).bytes());
    }
    import(&tree, &stream);
    let received = scratch.push(&tree, &RULES()).unwrap();
    assert_eq!((received.commits, received.paths.len()), (1500, crate::MAX_CHANGES));
    scratch.wiki().update_index(|_| ()).unwrap();
    assert_eq!(scratch.paths().len(), 1500);
}

/// Every commit of a long history may be wrong in thousands of ways.
#[test]
fn a_check_ends_with_the_commit_that_fills_the_list_of_problems() {
    let scratch = Scratch::new();
    let tree = scratch.clone_with_git();
    for n in 0..3 {
        let names = (0..30).map(|i| format!("M 100644 inline {n}/a:{i}.md\ndata 1\nx\n"));
        import(&tree, names.collect::<String>().as_bytes());
    }
    let lines = lines(scratch.push(&tree, &RULES()));
    assert_eq!((lines.len(), lines[20].as_str()), (21, "and 10 more"));
}

#[test]
fn a_push_is_no_longer_looked_at_once_its_time_is_over() {
    let scratch = Scratch::new();
    scratch.create("home", "text");
    let tree = scratch.clone_with_git();
    commit(&tree, "new.md", "new");
    let (incoming, new) = scratch.send(&tree);
    let deadline = crate::deadline::Deadline::unlimited();
    let rules = PushRules { longest_check: Duration::ZERO, ..RULES() };
    let refused = deadline.enter(|| scratch.wiki().receive(&incoming, new, &rules));
    assert_eq!(lines(refused), ["it takes more than 0 s to check it; push it in parts"]);
    deadline.cancel();
    let ended = deadline.enter(|| scratch.wiki().receive(&incoming, new, &RULES()));
    assert!(matches!(ended, Err(Error::Cancelled(_))), "{ended:?}");
    assert_eq!(scratch.paths(), ["home"]);
    scratch.wiki().receive(&incoming, new, &RULES()).unwrap();
}
