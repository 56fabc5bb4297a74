//! Links where something runs short: a disk that fills up under a fetch, and a queue of ten thousand.

use std::path::Path;

use serde_json::json;
use testkit::{Program, Running, SmallDisk, TestRemote, Tie, User, entries, scratch};

/// How many saves wait at once.
const SAVES: usize = 10_000;
/// What the server may need for them beyond what it had before, in bytes. It takes some 6 million.
const ROOM_IN_MEMORY: u64 = 30_000_000;

const OPTIONS: &[&str] = &["--sync-allow", "127.0.0.1"];

/// Starts the program with the wiki `garden`, that is linked with the remote.
async fn linked(program: &Program, remote: &TestRemote, offline: bool) -> (Running, User, Tie) {
    let running = program.serve_with(OPTIONS);
    let operator = running.operator();
    operator.create_wiki("garden").await.good();
    operator.on("garden").create("roses", "red").await.good();
    let settings = json!({ "offline": offline });
    let tie = Tie::new(&operator, "garden", &remote.url("127.0.0.1"), settings).await;
    (running, operator, tie)
}

/// Pictures of somebody else's, that no compression makes smaller.
fn pictures(remote: &TestRemote, megabytes: usize) {
    let peer = remote.clone_beside("peer");
    for number in 0..megabytes {
        let mut picture = vec![0; 1_000_000];
        getrandom::fill(&mut picture).unwrap();
        peer.write(&format!("roses/{number}.png"), &picture);
    }
    peer.commit("Pictures").run(&["push", "-q", "origin", "HEAD:main"]);
}

/// What a fetch leaves behind when it is cut off.
fn remains(data: &Path) -> Vec<String> {
    let is_left = |name: &String| {
        name.contains("tmp_") || name.contains(".incoming") || name.starts_with("sync/calls/")
    };
    entries(data).into_iter().filter(is_left).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_under_a_fetch_is_given_back_and_the_wiki_works() {
    let Some(disk) = SmallDisk::of_megabytes(24) else { return };
    let remote = TestRemote::start().await;
    let program = crate::program(&disk.path().join("data"));
    let (running, operator, tie) = linked(&program, &remote, false).await;
    tie.synced().await;
    pictures(&remote, 40);
    tie.run().await;
    let link = tie.state("backoff", None).await;
    let said = link["last_error"].as_str().unwrap_or_default();
    assert!(said.contains("No space left on device"), "{link}");
    // Nothing of it is left, so there is room for what people write.
    let left = remains(program.data());
    assert!(left.is_empty(), "{left:?}");
    let garden = operator.on("garden");
    assert_eq!(garden.markdown("roses").await.good().text(), "red");
    garden.create("lilies", "white").await.good();
    assert_eq!(tie.link().await["queue_length"], 1);

    disk.grow(160);
    tie.run_synced().await;
    assert_eq!(garden.markdown("lilies").await.good().text(), "white");
    let head = program.git("garden").run(&["rev-parse", "main"]);
    assert_eq!(remote.git().run(&["rev-parse", "main"]), head);
    assert_eq!(remote.git().run(&["ls-tree", "-r", "--name-only", "main"]).lines().count(), 42);
    running.stop();
    program.git("garden").fsck();
}

/// The most memory that a process had so far, in bytes.
fn peak_memory(running: &Running) -> u64 {
    let status = format!("/proc/{}/status", running.pid().as_raw_nonzero());
    let status = std::fs::read_to_string(status).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_saves_that_wait_are_one_push() {
    let (dir, remote) = (scratch(), TestRemote::start().await);
    let program = crate::program(&dir.path().join("data"));
    let (running, operator, tie) = linked(&program, &remote, true).await;
    let garden = operator.on("garden");
    let mut etag = garden.read("roses").await.good().etag().to_owned();
    for number in 1..SAVES {
        etag = garden.save("roses", &etag, &format!("{number}")).await.good().etag().to_owned();
    }
    assert_eq!(tie.link().await["queue_length"], SAVES - 1);
    let before = peak_memory(&running);
    remote.seen();
    tie.change(json!({ "offline": false })).await;
    tie.synced().await;
    let needed = peak_memory(&running) - before;
    assert!(needed < ROOM_IN_MEMORY, "{needed} bytes for the queue");

    assert_eq!(remote.pushes(), 1);
    let tip = remote.git();
    assert_eq!(tip.run(&["rev-list", "--count", "main"]), SAVES.to_string());
    assert_eq!(tip.run(&["rev-parse", "main"]), program.git("garden").run(&["rev-parse", "main"]));
    running.stop();
}
