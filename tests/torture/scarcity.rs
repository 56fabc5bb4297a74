//! Few descriptors, little memory.

use std::path::Path;
use std::time::{Duration, Instant};

use testkit::{Git, OnWiki, Running};
use tokio::net::TcpStream;

use crate::effort;
use crate::memory_group::MemoryGroup;

/// How long a request may wait for those who are silent.
const PATIENCE: Duration = Duration::from_secs(30);

/// More than a server with 256 descriptors can hold besides its own files.
const SILENT: usize = 161;

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_with_few_descriptors_keep_nobody_from_saving() {
    let scratch = testkit::scratch();
    let program = crate::program(&scratch.path().join("data")).after("ulimit -n 256");
    let mut server = program.serve();
    let operator = server.operator();
    for slug in ["garden", "kitchen"] {
        operator.create_wiki(slug).await.good();
    }
    let mut silent = Vec::new();
    for _ in 0..SILENT {
        silent.push(TcpStream::connect(server.public_address()).await.unwrap());
    }
    let started = Instant::now();
    for number in 0..effort::rounds(5, 50) {
        // A connection of its own each time: those that are kept alive have a place already.
        let newcomer = server.anonymous().with_token(operator.secret());
        for slug in ["garden", "kitchen"] {
            let saved = newcomer.on(slug).create(&format!("page-{number}"), "text\n");
            let saved = tokio::time::timeout(PATIENCE, saved.into_future()).await;
            saved.expect("a save is answered").good();
        }
    }
    eprintln!("saves beside {SILENT} silent connections took {:?}", started.elapsed());
    assert!(server.is_running());
    drop(silent);
    server.stop();
    program.git("garden").fsck();
}

/// A file that doesn't compress (bytes), and a group (MB) that has no room for four of it.
const SHORT: (usize, usize) = (24_000_000, 128);
const LONG: [(usize, usize); 3] = [(60_000_000, 300), (60_000_000, 400), (60_000_000, 512)];
const CLONES: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn clones_of_a_large_file_in_little_memory_end_no_server() {
    let cases = if effort::is_long() { LONG.to_vec() } else { vec![SHORT] };
    for (large, megabytes) in cases {
        let Some(group) = MemoryGroup::of_megabytes(megabytes) else { return };
        // On a disk: what is in memory counts for the group.
        let scratch = tempfile::tempdir().unwrap();
        let program = crate::program(&scratch.path().join("data")).after(&group.entry());
        let mut server = program.serve();
        let operator = server.operator();
        operator.create_wiki("garden").await.good();
        operator.create_wiki("kitchen").await.good();
        let mut content = vec![0; large];
        getrandom::fill(&mut content).unwrap();
        operator.on("garden").create_attachment("home/film.bin", content).await.good();
        let url = operator.on("garden").git_url();
        let clones =
            clone_at_once(&url, scratch.path(), &operator.on("kitchen"), &mut server).await;
        eprintln!("{clones} of {CLONES} clones in {megabytes} MB succeeded");
        let cloned = scratch.path().join("at-last");
        assert!(clone_one(&url, &cloned), "one clone alone doesn't fit into {megabytes} MB");
        assert_eq!(cloned.join("home/film.bin").metadata().unwrap().len(), large as u64);
        assert!(server.is_running(), "{}", server.logged());
        server.stop();
    }
}

/// Clones while another wiki is used; returns how many clones succeeded.
async fn clone_at_once(url: &str, dir: &Path, other: &OnWiki, server: &mut Running) -> usize {
    let clones = (0..CLONES).map(|number| {
        let (url, to) = (url.to_owned(), dir.join(format!("clone-{number}")));
        std::thread::spawn(move || clone_one(&url, &to))
    });
    let clones: Vec<_> = clones.collect();
    let mut page = 0;
    while clones.iter().any(|clone| !clone.is_finished()) {
        assert!(server.is_running(), "the server ended: {}", server.logged());
        let saved = other.create(&format!("page-{page}"), "text\n").attempt().await;
        let saved = saved.unwrap_or_else(|error| panic!("{error}: {}", server.logged()));
        saved.good();
        page += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    clones.into_iter().filter_map(|clone| clone.join().unwrap().then_some(())).count()
}

fn clone_one(url: &str, to: &Path) -> bool {
    let git = Git::at(to.parent().unwrap());
    git.output(&["clone", "-q", url, to.to_str().unwrap()]).status.success()
}
