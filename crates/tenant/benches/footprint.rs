//! What open wikis cost: descriptors and memory, with 2,000 wikis in use and 200 kept open.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]

use wikigrove_tenant::{Base, Caller, NewTenant, Platform, Settings, Wiki};

const WIKIS: usize = 2_000;
const OPEN: usize = 200;
const ROUNDS: usize = 8;
const TARGET_KB: usize = 300;
/// What glibc must be told so that memory that was given back doesn't stay in pieces: opening a wiki
/// takes blocks of 30 to 50 kB for a moment, between small ones that stay.
const TUNED: [(&str, &str); 2] = [("MALLOC_ARENA_MAX", "2"), ("MALLOC_MMAP_THRESHOLD_", "32768")];

/// Measures in two processes: as the system's allocator is, and told what it should know.
fn main() {
    if std::env::var_os(TUNED[1].0).is_some() {
        return run();
    }
    println!("glibc as it is:");
    run();
    println!("with {}:", TUNED.map(|(name, value)| format!("{name}={value}")).join(" "));
    let program = std::env::current_exe().unwrap();
    assert!(std::process::Command::new(program).envs(TUNED).status().unwrap().success());
}

#[tokio::main]
async fn run() {
    let scratch = tempfile::tempdir().unwrap();
    // The cache for pages has a bound of its own; here it is full from the first round on.
    let settings = Settings { open_wikis: OPEN, cache_bytes: 1 << 20, ..Settings::default() };
    let platform = Platform::open_with(scratch.path().join("data"), settings).await.unwrap();
    for number in 0..WIKIS {
        let slug = format!("wiki-{number}").parse().unwrap();
        platform.create_tenant(NewTenant::new(slug)).await.unwrap();
    }
    held(&platform).await;
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        for number in 0..WIKIS {
            visit(&platform, number, &format!("page-{round}")).await;
        }
        rounds.push((descriptors(), resident()));
    }
    let list =
        |each: fn(&(usize, usize)) -> String| rounds.iter().map(each).collect::<Vec<_>>().join(" ");
    println!("    {WIKIS} wikis in turn, {OPEN} open, after each round:");
    println!("    MB resident: {}", list(|(_, memory)| (memory / 1000).to_string()));
    println!("    descriptors: {}", list(|(descriptors, _)| descriptors.to_string()));
    let (warm, last) = (rounds[1], rounds[ROUNDS - 1]);
    let growth = last.1.saturating_sub(warm.1) / (ROUNDS - 2);
    // What a round adds must be less than 1 kB for each wiki that was opened and closed.
    let flat = growth < WIKIS && last.0 <= warm.0 + OPEN;
    let verdict = if flat { "met" } else { "MISSED" };
    println!("    growth after warm-up: {growth} kB a round (target: flat: {verdict})");
}

/// The difference between one wiki held and 200, each after a save, a list and a read. Nothing else
/// was open before in this process, so no memory is used again that others left.
async fn held(platform: &Platform) {
    // The first one brings along what all share.
    let mut handles = vec![visit(platform, 0, "held").await];
    let before = (descriptors(), resident());
    for number in 1..OPEN {
        handles.push(visit(platform, number, "held").await);
    }
    let count = handles.len() - 1;
    let each = resident().saturating_sub(before.1) / count;
    let verdict = if each <= TARGET_KB { "met" } else { "MISSED" };
    let each_descriptors = (descriptors() - before.0) as f64 / count as f64;
    println!(
        "    a held wiki: {each} kB (target {TARGET_KB} kB: {verdict}), {each_descriptors:.1} descriptors"
    );
}

async fn visit(platform: &Platform, number: usize, page: &str) -> Wiki {
    let wiki = platform.wiki(&format!("wiki-{number}"), Caller::operator()).await.unwrap();
    wiki.save(page, "# A page\n\nwith some text in it.\n", Base::New).await.unwrap();
    assert!(!wiki.pages("", None, 100).await.unwrap().is_empty());
    wiki.read(page).await.unwrap();
    wiki
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Resident memory in kB.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4
}
