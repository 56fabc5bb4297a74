//! All attacks that are known, at once and each by itself, while another wiki is read and saved.
//!
//! The attackers own their wikis and tokens, and know nothing of the victim's. What the victim must see
//! holds on any machine; the figures that the long form prints are for people to compare.

mod attackers;
mod scene;
mod victim;

use std::time::Duration;

use tokio::task::JoinSet;

use crate::effort;
use crate::memory_group::MemoryGroup;
use attackers::Attack;
use scene::Scene;
use victim::Victim;

/// The most memory that the server may hold, in MB: the goal, and what a build that isn't optimised may
/// take on top of it.
const MOST_MEMORY: u64 = 400;
const SLACK: u64 = 250;
/// How long what was begun may go on after its client has left: the longest heavy work, and a second.
const LINGERING: Duration = Duration::from_secs(31);
/// How long the server may take to stop.
const STOPPING: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_victim_is_served_while_everything_is_attacked() {
    let alone = if effort::is_long() { 20 } else { 0 };
    let together = if effort::is_long() { 300 } else { 12 };
    let group = if effort::is_long() { MemoryGroup::of_megabytes(512) } else { None };
    let scratch = tempfile::tempdir().unwrap();
    let mut program = crate::program(&scratch.path().join("data"));
    if let Some(group) = &group {
        program = program.after(&group.entry());
    }
    let mut server = program.serve();
    let scene = Scene::build(&server, &scratch.path().join("work")).await;
    eprintln!("attack | read p50 p99 | save p50 p99 | most memory");
    if alone > 0 {
        for attack in Attack::ALL {
            siege(&scene, &[attack], Duration::from_secs(alone), &format!("{attack:?}")).await;
        }
    }
    siege(&scene, &Attack::ALL, Duration::from_secs(together), "all").await;
    assert!(server.is_running(), "{}", server.logged());
    scene.becomes_quiet(LINGERING).await;

    // It is stopped in the middle of everything.
    let mut attackers = start(&scene, &Attack::ALL);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let stopping = std::time::Instant::now();
    server.terminate();
    let (status, logged) = tokio::task::block_in_place(|| server.ended());
    assert!(stopping.elapsed() < STOPPING, "it took {:?} to stop", stopping.elapsed());
    assert!(status.success(), "{status}: {logged}");
    attackers.shutdown().await;
}

async fn siege(scene: &Scene, attacks: &[Attack], lasting: Duration, name: &str) {
    let mut attackers = start(scene, attacks);
    let memory = scene.watch_memory();
    let victim = Victim::watch(scene, lasting).await;
    attackers.shutdown().await;
    let most = memory.most();
    eprintln!("{name} | {victim} | {most} MB");
    victim.was_always_served();
    assert!(most <= MOST_MEMORY + SLACK, "{name}: the server held {most} MB");
    scene.answered_with_no_error_but_busy(name);
}

fn start(scene: &Scene, attacks: &[Attack]) -> JoinSet<()> {
    let mut attackers = JoinSet::new();
    for attack in attacks {
        attack.start(scene, &mut attackers);
    }
    attackers
}
