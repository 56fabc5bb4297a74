//! What links with remotes cost those who don't wait for them: the process while they rest, and a save
//! that is queued for one.
//!
//! `cargo bench -p wikigrove-server --bench sync`. `WIKIGROVE_SYNC_LINKS` (1000), `WIKIGROVE_SYNC_SECONDS` (20)
//! and `WIKIGROVE_SYNC_SAVES` (400) change how it measures; `TMPDIR` says on which disk is saved.
#![allow(clippy::unwrap_used, reason = "a benchmark that can't go on panics")]
#![allow(clippy::print_stdout, reason = "a script that reports")]

use std::time::{Duration, Instant};

use wikigrove_server::sync::runner::{Options, Remotes};
use wikigrove_server::sync::{Event, LinkState, Mode};
use wikigrove_tenant::{Base, LinkProgress, LinkSettings, NewLink, Platform, TenantId, Wiki};

/// Of one core, for all links at rest together.
const IDLE_TARGET: f64 = 0.01;
/// A save that is queued for a link, against one that isn't.
const SAVE_TARGET: f64 = 1.1;
/// The kernel counts a process's time in these.
const TICKS: f64 = 100.0;

fn main() {
    // `cargo test --benches` only wants to know that it works.
    let in_earnest = std::env::args().any(|argument| argument == "--bench");
    let number = |name, earnest, otherwise| {
        let given = std::env::var(name).ok().and_then(|text| text.parse().ok());
        given.unwrap_or(if in_earnest { earnest } else { otherwise })
    };
    let links = number("WIKIGROVE_SYNC_LINKS", 1000, 5);
    let seconds = number("WIKIGROVE_SYNC_SECONDS", 20, 1);
    let saves = number("WIKIGROVE_SYNC_SAVES", 400, 5);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        idle(links, seconds).await;
        saving(saves).await;
    });
}

async fn idle(links: usize, seconds: usize) {
    let data = tempfile::tempdir().unwrap();
    let platform = Platform::open(data.path()).await.unwrap();
    let remotes = Remotes::start(&platform, Options::default()).await.unwrap();
    for number in 0..links {
        let wiki = platform.create(&format!("wiki{number}")).await.unwrap();
        link(&platform, &remotes, wiki.id()).await;
    }
    // What creating them set off.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (began, before) = (Instant::now(), cpu());
    let mut most = 0;
    while began.elapsed() < Duration::from_secs(seconds as u64) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        most = most.max(children());
    }
    let share = (cpu() - before) / began.elapsed().as_secs_f64();
    println!(
        "{links} wikis with a link at rest: {:.2} % of a core, {most} processes (at most {:.0} % and none)",
        share * 100.0,
        IDLE_TARGET * 100.0,
    );
    remotes.stop().await;
    platform.close().await;
}

async fn saving(saves: usize) {
    let data = tempfile::tempdir().unwrap();
    let platform = Platform::open(data.path()).await.unwrap();
    let remotes = Remotes::start(&platform, Options::default()).await.unwrap();
    let (linked, alone) =
        (platform.create("linked").await.unwrap(), platform.create("alone").await.unwrap());
    link(&platform, &remotes, linked.id()).await;
    let mut times = [Duration::ZERO; 2];
    let round = saves.div_ceil(10).max(1);
    for batch in 0..10 {
        for (time, wiki) in times.iter_mut().zip([&linked, &alone]) {
            *time += saved(wiki, batch, round).await;
        }
    }
    let number = u32::try_from(round * 10).unwrap();
    let [with, without] = times.map(|time| time / number);
    let ratio = with.as_secs_f64() / without.as_secs_f64();
    println!(
        "a save with a link: {with:?}, {ratio:.2} × one without ({without:?}; at most {SAVE_TARGET} ×)"
    );
    remotes.stop().await;
    platform.close().await;
}

async fn saved(wiki: &Wiki, batch: usize, round: usize) -> Duration {
    let began = Instant::now();
    for number in 0..round {
        wiki.save(&format!("page{batch}/{number}"), "text", Base::New).await.unwrap();
    }
    began.elapsed()
}

/// A link that was told to leave the network alone: what is saved is queued, and nobody calls.
async fn link(platform: &Platform, remotes: &Remotes, wiki: TenantId) {
    let settings = LinkSettings {
        url: "https://git.example.org/garden.git".to_owned(),
        branch: "main".to_owned(),
        subdirectory: None,
        filter: None,
        mode: Mode::Both.to_string(),
        winner: "wiki".to_owned(),
        first_run: "ask".to_owned(),
        on_rewrite: "ask".to_owned(),
        interval: Duration::from_secs(300),
        cooldown: Duration::from_secs(60),
        offline: true,
    };
    let state = serde_json::to_string(&LinkState::default()).unwrap();
    let progress = LinkProgress { state, word: "idle".to_owned(), reason: None, next_at: None };
    let new = NewLink { wiki, settings, credential: None, known_hosts: String::new(), progress };
    let (link, _) = platform.create_link(new).await.unwrap();
    remotes.tell(&link.id, Event::Offline).await.unwrap();
}

/// Seconds that this process has computed.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    let field = |number: usize| rest.split(' ').nth(number).unwrap().parse::<f64>().unwrap();
    (field(11) + field(12)) / TICKS
}

/// Processes that this one started and that are still there.
fn children() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let of = |task: std::io::Result<std::fs::DirEntry>| {
        let path = task.ok()?.path().join("children");
        Some(std::fs::read_to_string(path).ok()?.split_whitespace().count())
    };
    tasks.filter_map(of).sum()
}
