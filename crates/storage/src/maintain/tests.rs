//! Packing with concurrent reads and writes.

use std::fs;
use std::io::Read as _;
use std::time::{Duration, Instant};

use super::*;
use crate::testing::{Scratch, commit, git, import, save};
use crate::{Base, ExistingPath, PushRules};

/// Lists every object once.
fn objects(scratch: &Scratch) -> Vec<String> {
    let listed = scratch.git(&["cat-file", "--batch-all-objects", "--batch-check"]);
    listed.lines().map(str::to_owned).collect()
}

fn counted(scratch: &Scratch, what: &str) -> usize {
    let counts = scratch.git(&["count-objects", "-v"]);
    let line = counts.lines().find(|line| line.starts_with(&format!("{what}: "))).unwrap();
    line.split_once(' ').unwrap().1.parse().unwrap()
}

/// Adds two thousand loose objects: more than [`LOOSE`] by any estimate.
fn fill(scratch: &Scratch) {
    let dir = scratch.dir().with_file_name("filling");
    fs::create_dir(&dir).unwrap();
    let paths: Vec<String> = (0..2000)
        .map(|n| {
            let path = dir.join(n.to_string());
            fs::write(&path, format!("filling {n}")).unwrap();
            path.display().to_string()
        })
        .collect();
    fs::write(dir.join("list"), paths.join("\n")).unwrap();
    let written = std::process::Command::new("git")
        .current_dir(scratch.repo())
        .args(["hash-object", "-w", "--stdin-paths"])
        .stdin(fs::File::open(dir.join("list")).unwrap())
        .output();
    assert!(written.unwrap().status.success());
}

fn repack(scratch: &Scratch, need: Need) -> Maintenance {
    let mut done = Maintenance::default();
    scratch.wiki().repack(need, &mut done).unwrap();
    done
}

fn names(dir: &std::path::Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_small_repository_is_left_alone() {
    let scratch = Scratch::new();
    assert_eq!(scratch.wiki().maintain().unwrap(), Maintenance::default());
    for n in 0..20 {
        scratch.create(&format!("{n}"), "text");
    }
    let before = counted(&scratch, "count");
    assert_eq!(scratch.wiki().maintain().unwrap(), Maintenance::default());
    assert_eq!(counted(&scratch, "count"), before);
}

#[test]
fn many_saves_become_one_pack() {
    let scratch = Scratch::new();
    fill(&scratch);
    for n in 0..60 {
        let etag = (n >= 9).then(|| scratch.page(&format!("{}", n % 9)).summary.etag);
        let base = etag.map_or(Base::New, Base::Version);
        scratch.save(&format!("{}", n % 9), &format!("text {n}"), base).unwrap();
    }
    let all = objects(&scratch);
    let done = scratch.wiki().maintain().unwrap();
    assert!(done.packed && done.loose_removed == all.len(), "{done:?}");
    assert_eq!((counted(&scratch, "count"), counted(&scratch, "packs")), (0, 1));
    assert_eq!(objects(&scratch), all);
    // The same handle continues to read and write.
    assert_eq!(scratch.text("8"), "text 53");
    scratch.update("8", "more");
    assert_eq!(scratch.wiki().maintain().unwrap(), Maintenance::default());
    scratch.git(&["fsck", "--strict"]);
}

#[test]
fn many_packs_become_one_and_nothing_is_pruned() {
    let scratch = Scratch::new();
    let loose = scratch.dir().join("loose");
    fs::write(&loose, "nothing names this").unwrap();
    let lost = scratch.git(&["hash-object", "-w", &loose.display().to_string()]);
    for n in 0..16 {
        scratch.create(&format!("{n}"), &"text ".repeat(n));
        let packed = scratch.git(&["rev-list", "--objects", "--no-object-names", "-1", "main"]);
        fs::write(&loose, format!("{packed}\n{lost}\n")).unwrap();
        let script = format!("git pack-objects -q objects/pack/pack < '{}'", loose.display());
        let packed = std::process::Command::new("sh")
            .current_dir(scratch.repo())
            .args(["-c", &script])
            .output();
        assert!(packed.unwrap().status.success());
    }
    let tree = scratch.clone_with_git();
    commit(&tree, "0.md", "another history");
    git(&tree, &["reset", "--quiet", "--hard", "HEAD^^"]);
    let left = scratch.wiki().head().unwrap().unwrap();
    scratch.push(&tree, &PushRules { rewrite: true, ..PushRules::default() }).unwrap();
    let all = objects(&scratch);
    let done = scratch.wiki().maintain().unwrap();
    assert_eq!((done.packed, done.packs_removed), (true, 16));
    assert_eq!((counted(&scratch, "count"), counted(&scratch, "packs")), (0, 1));
    assert_eq!(objects(&scratch), all);
    assert_eq!(scratch.git(&["cat-file", "-p", &lost]), "nothing names this");
    assert!(scratch.wiki().repo().is_commit(left).unwrap());
    assert_eq!(scratch.paths().len(), 15);
    assert!(scratch.repo().join("refs/heads/main").is_file());
    scratch.git(&["fsck", "--strict"]);
}

#[test]
fn a_pack_that_is_kept_or_brings_more_stays() {
    let scratch = Scratch::new();
    scratch.create("a", "a");
    repack(&scratch, Need::Loose);
    let kept = scratch.wiki().repo().packs().unwrap();
    fs::write(kept[0].with_extension("keep"), "").unwrap();
    scratch.create("b", "b");
    assert_eq!(repack(&scratch, Need::All).packs_removed, 0);
    assert_eq!(counted(&scratch, "packs"), 2);
    let packs = scratch.wiki().repo().packs().unwrap();
    let other: Vec<_> = packs.iter().filter(|pack| **pack != kept[0]).cloned().collect();
    fs::remove_file(kept[0].with_extension("keep")).unwrap();
    assert!(scratch.wiki().repo().replaced(&packs, &other).unwrap().is_empty());
    assert_eq!(repack(&scratch, Need::All).packs_removed, 2);
    assert_eq!((scratch.text("a"), scratch.text("b")), ("a".to_owned(), "b".to_owned()));
}

#[test]
fn an_index_over_several_packs_goes_with_them() {
    let mut scratch = Scratch::new();
    for page in ["a", "b"] {
        scratch.create(page, page);
        repack(&scratch, Need::Loose);
    }
    scratch.git(&["multi-pack-index", "write"]);
    scratch.open().unwrap();
    assert_eq!(scratch.text("a"), "a");
    scratch.create("c", "c");
    assert_eq!(repack(&scratch, Need::All).packs_removed, 2);
    for page in ["a", "b", "c"] {
        assert_eq!(scratch.text(page), page);
    }
    scratch.git(&["fsck", "--strict"]);
    scratch.open().unwrap();
    assert_eq!(scratch.text("b"), "b");
}

#[test]
fn pushes_and_saves_leave_few_files() {
    let scratch = Scratch::new();
    let tree = scratch.clone_with_git();
    let mut changes = Vec::new();
    for n in 0..500 {
        changes.extend(format!("M 100644 inline many/{n}/x.md\ndata 1\nx\n").bytes());
    }
    for n in 0..4 {
        let changes = String::from_utf8(changes.clone())
            .unwrap()
            .replace("data 1\nx", &format!("data 1\n{n}"));
        import(&tree, changes.as_bytes());
        scratch.push(&tree, &PushRules::default()).unwrap();
        scratch.wiki().maintain().unwrap();
        assert!(counted(&scratch, "count") < 2 * LOOSE && counted(&scratch, "packs") <= PACKS);
    }
    scratch.wiki().update_index(|_| ()).unwrap();
    assert_eq!((scratch.paths().len(), scratch.text("many/7/x")), (500, "3".to_owned()));
}

#[test]
fn writers_and_readers_lose_nothing_meanwhile() {
    let scratch = Scratch::new();
    scratch.create("home", "text");
    std::thread::scope(|scope| {
        let wiki = scratch.wiki();
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                scope.spawn(move || {
                    for n in 0..150 {
                        let path = format!("w{writer}/{n}");
                        // Some are large enough to be synced separately.
                        let text = "text ".repeat(if n % 10 == 0 { 60_000 } else { n });
                        save(wiki, &path, &text, Base::New).unwrap();
                        let page = wiki.read(&ExistingPath::new(&path).unwrap()).unwrap();
                        assert_eq!(page.content.len(), text.len());
                    }
                })
            })
            .collect();
        let mut rounds = 0;
        while !writers.iter().all(|writer| writer.is_finished()) {
            repack(&scratch, if rounds % 2 == 0 { Need::Loose } else { Need::All });
            rounds += 1;
        }
        assert!(rounds > 1);
    });
    assert_eq!(scratch.paths().len(), 301);
    scratch.git(&["fsck", "--strict"]);
}

#[test]
fn only_one_at_a_time() {
    let scratch = Scratch::new();
    scratch.create("home", "text");
    fill(&scratch);
    let alone = scratch.wiki().maintaining.lock().unwrap();
    assert_eq!(scratch.wiki().maintain().unwrap(), Maintenance::default());
    drop(alone);
    assert!(scratch.wiki().maintain().unwrap().packed);
}

/// Killed at any moment: the wiki closes quickly and opens without error.
#[test]
fn closing_ends_it() {
    let mut scratch = Scratch::new();
    scratch.create("home", "text");
    fill(&scratch);
    let all = objects(&scratch);
    for wait in [0, 5, 15, 40, 80] {
        std::thread::scope(|scope| {
            let wiki = scratch.wiki();
            let packing = scope.spawn(move || {
                let _alone = wiki.maintaining.lock().unwrap();
                wiki.repack(Need::All, &mut Maintenance::default())
            });
            std::thread::sleep(Duration::from_millis(wait));
            let start = Instant::now();
            wiki.close().unwrap();
            assert!(start.elapsed() < Duration::from_secs(10));
            match packing.join().unwrap() {
                Ok(()) | Err(Error::Cancelled(_) | Error::Closed) => {}
                Err(error) => panic!("{error}"),
            }
        });
        scratch.open().unwrap();
        assert_eq!(objects(&scratch), all);
        assert!(
            !names(&scratch.repo().join("objects/pack")).iter().any(|name| name.starts_with("tmp"))
        );
    }
    assert!(matches!(scratch.wiki().close(), Ok(())));
    assert!(matches!(scratch.wiki().maintain(), Err(Error::Closed)));
}

#[test]
fn a_download_goes_on_while_its_file_is_packed() {
    let scratch = Scratch::new();
    let text = "text ".repeat(200_000);
    scratch.create("large", &text);
    let etag = scratch.page("large").summary.etag;
    let mut reader = scratch.wiki().repo().open_blob(etag, u64::MAX).unwrap().unwrap();
    assert_eq!(repack(&scratch, Need::All).loose_removed, 3);
    let mut read = String::new();
    reader.read_to_string(&mut read).unwrap();
    assert!(read == text);
    // Written again, the object is stored twice.
    scratch.wiki().repo().write_durable_blob(text.as_bytes()).unwrap();
    assert_eq!(scratch.wiki().repo().packs().unwrap().len(), 1);
}

#[test]
fn a_long_history_gets_a_commit_graph() {
    let mut scratch = Scratch::new();
    let tree = scratch.clone_with_git();
    let mut stream = Vec::new();
    for n in 0..1000 {
        let change = format!("M 100644 inline page-{}.md\ndata 4\n{n:04}\n", n % 10);
        if n > 0 {
            stream.extend(b"commit refs/heads/main\ncommitter Git <g@example.org> 1700000000 +0000\ndata 1\nx\n");
        }
        stream.extend(change.bytes());
    }
    import(&tree, &stream);
    scratch.push(&tree, &PushRules::default()).unwrap();
    scratch.wiki().update_index(|_| ()).unwrap();
    let before = scratch.git(&["rev-list", "main"]);
    assert!(scratch.wiki().maintain().unwrap().graph_written);
    assert_eq!(scratch.wiki().repo().stored().unwrap().in_graph, 1000);
    assert!(!scratch.wiki().maintain().unwrap().graph_written);
    scratch.git(&["commit-graph", "verify"]);
    let head = scratch.update("page-0", "on top").revision;
    assert_eq!(scratch.wiki().repo().commits_since(None, head).unwrap().len(), 1001);
    assert_eq!(scratch.git(&["rev-list", "main^"]), before);
    // A killed run leaves its lock.
    fs::write(scratch.repo().join("objects/info/commit-graph.lock"), "").unwrap();
    scratch.open().unwrap();
    scratch.wiki().write_graph().unwrap();
    assert_eq!(scratch.wiki().repo().stored().unwrap().in_graph, 1001);
}
