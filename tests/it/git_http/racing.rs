//! Many pushes, large ones, and pushes beside everything else.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use testkit::{Git, OnWiki, TestServer, scratch};

use crate::program;

/// Whether there is time for the long tests.
fn is_long() -> bool {
    std::env::var_os("WIKIGROVE_LONG_TESTS").is_some()
}

/// Pushes one page after the other until it is told to stop; returns those that git said were taken.
fn push_pages(clone: &Git, who: &str, stop: &AtomicBool) -> Vec<String> {
    let mut taken = Vec::new();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let page = format!("{who}/{n}");
        clone.write(&format!("{page}.md"), &page).commit(&page);
        for _ in 0..50 {
            let pushed = clone.output(&["push", "-q", "origin", "main"]);
            if pushed.status.success() {
                taken.push(page);
                break;
            }
            let said = String::from_utf8_lossy(&pushed.stderr).into_owned();
            assert!(said.contains("rejected"), "{said}");
            clone.run(&["pull", "-q", "--rebase"]);
        }
    }
    taken
}

/// Creates one page after the other until it is told to stop; returns those that were acknowledged.
async fn save_pages(wiki: OnWiki, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut taken = Vec::new();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let page = format!("cat/{n}");
        let _ = wiki.create(&page, &page).await.good();
        taken.push(page);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    taken
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_and_saves_that_race_lose_nothing() {
    let (server, _, editor) = TestServer::with_garden().await;
    editor.on("garden").create("home", "home").await.good();
    let place = scratch();
    let stop = Arc::new(AtomicBool::new(false));
    let pushers: Vec<_> = ["ann", "bob"]
        .map(|who| {
            let clone = Git::clone(&editor.on("garden").git_url(), place.path().join(who));
            let stop = stop.clone();
            thread::spawn(move || (push_pages(&clone, who, &stop), clone))
        })
        .into();
    let saver = wikigrove_tenant::spawn(save_pages(editor.on("garden"), stop.clone()));
    tokio::time::sleep(Duration::from_secs(if is_long() { 30 } else { 5 })).await;
    stop.store(true, Ordering::Relaxed);
    let mut expected = vec!["home".to_owned()];
    expected.extend(saver.await.unwrap());
    let saved = expected.len();
    let mut clones = Vec::new();
    for pusher in pushers {
        let (taken, clone) = pusher.join().unwrap();
        assert!(!taken.is_empty(), "nobody is kept out for ever");
        expected.extend(taken);
        clones.push(clone);
    }
    eprintln!("{saved} saved, {} pushed", expected.len() - saved);
    expected.sort();
    let pages = editor.on("garden").pages().await;
    let mut pages: Vec<&str> = pages.iter().map(|page| page["path"].as_str().unwrap()).collect();
    pages.sort_unstable();
    assert_eq!(pages, expected);
    for page in &expected {
        let read = editor.on("garden").read(page).await.good().json();
        assert_eq!(read["content"], page.as_str());
    }
    server.git("garden").fsck();
    for clone in clones {
        clone.run(&["pull", "-q", "--rebase"]);
        clone.fsck();
    }
}

/// Checks that the index gets to know all pages `page-0`, `page-1` and so on, each with its needle.
async fn is_indexed(wiki: &OnWiki, git: &Git, pages: usize) {
    let needles = [0, pages / 2, pages - 1].map(|n| format!("needle{n}"));
    let deadline = Instant::now() + Duration::from_secs(120);
    for needle in &needles {
        while wiki.search(needle).await.len() != 1 {
            assert!(Instant::now() < deadline, "{needle} is never found");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    assert_eq!(wiki.pages().await.len(), pages);
    let commits = git.run(&["rev-list", "--count", "main"]);
    assert_eq!(wiki.changes().await.len().to_string(), commits);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_pushes_of_a_page_are_all_indexed() {
    let (server, _, editor) = TestServer::with_garden().await;
    let place = scratch();
    let local = Git::init(place.path().join("local"));
    let url = editor.on("garden").git_url();
    let began = Instant::now();
    let count = 200;
    for n in 0..count {
        local
            .write(&format!("page-{n}.md"), format!("# Page {n}\n\nneedle{n}\n"))
            .commit("one more");
        local.run(&["push", "-q", &url, "main"]);
    }
    eprintln!("{count} pushes in {:?}", began.elapsed());
    let wiki = editor.on("garden");
    is_indexed(&wiki, &server.git("garden"), count).await;
    assert_eq!(wiki.history("page-99").await.len(), 1);
    server.git("garden").fsck();
    let counted = server.git("garden").run(&["count-objects", "-v"]);
    let packs = counted.lines().find_map(|line| line.strip_prefix("packs: ")).unwrap();
    assert!(packs.parse::<usize>().unwrap() < 50, "{counted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_of_five_thousand_pages_is_indexed_completely() {
    let (server, _, editor) = TestServer::with_garden().await;
    let place = scratch();
    let local = Git::init(place.path().join("local"));
    for n in 0..5000 {
        local.write(&format!("{}/page-{n}.md", n / 100), format!("# Page {n}\n\nneedle{n}\n"));
    }
    local.commit("all of them");
    let began = Instant::now();
    local.run(&["push", "-q", &editor.on("garden").git_url(), "main"]);
    eprintln!("pushed in {:?}", began.elapsed());
    let wiki = editor.on("garden");
    is_indexed(&wiki, &server.git("garden"), 5000).await;
    eprintln!("indexed in {:?}", began.elapsed());
    server.git("garden").fsck();
}

/// Pushes until the server is gone; returns the last commit that git said was taken.
fn push_until_it_dies(clone: &Git, url: &str, round: usize) -> Option<String> {
    let mut taken = None;
    for n in 0.. {
        clone.write(&format!("{round}/{n}.md"), n.to_string()).commit("one more");
        let head = clone.run(&["rev-parse", "HEAD"]);
        if !clone.output(&["push", "-q", url, "main"]).status.success() {
            return taken;
        }
        taken = Some(head);
    }
    taken
}

fn is_taken(server: &Git, commit: &str) -> bool {
    server.output(&["merge-base", "--is-ancestor", commit, "main"]).status.success()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_loses_no_push_that_it_acknowledged() {
    let place = scratch();
    let program = program(&place.path().join("data"));
    let mut running = program.serve();
    running.operator().create_wiki("garden").await.good();
    let clone = Git::init(place.path().join("clone"));
    let rounds = if is_long() { 40 } else { 8 };
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    for round in 0..rounds {
        let url = running.operator().on("garden").git_url();
        let pushing = {
            let (clone, acknowledged) = (clone.clone(), acknowledged.clone());
            thread::spawn(move || {
                let taken = push_until_it_dies(&clone, &url, round);
                acknowledged.lock().unwrap().extend(taken);
            })
        };
        tokio::time::sleep(Duration::from_millis(400 + 37 * round as u64)).await;
        running.kill();
        pushing.join().unwrap();
        running = program.serve();
        // Opens the wiki, which finishes what was durable.
        let _ = running.operator().on("garden").list().await.good();
        for commit in acknowledged.lock().unwrap().iter() {
            assert!(is_taken(&program.git("garden"), commit), "{commit} is lost");
        }
        assert_eq!(swept(&program.data().join("incoming")), 0, "what was half there is gone");
    }
    assert!(acknowledged.lock().unwrap().len() > rounds / 2);
    program.git("garden").fsck();
    let url = running.operator().on("garden").git_url();
    clone.run(&["push", "-q", &url, "main"]);
}

fn swept(incoming: &Path) -> usize {
    std::fs::read_dir(incoming).map_or(0, Iterator::count)
}
