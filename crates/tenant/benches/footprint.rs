//! What open wikis cost: descriptors and memory, with 2,000 wikis in use and 200 kept open.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]
#![expect(missing_docs, reason = "a benchmark")]

use wikigrove_tenant::{Base, Caller, NewTenant, Platform, Settings, Wiki};

const WIKIS: usize = 2_000;
const OPEN: usize = 200;
const TARGET_KB: usize = 300;

#[tokio::main]
async fn main() {
    let scratch = tempfile::tempdir().unwrap();
    let settings = Settings { open_wikis: OPEN, ..Settings::default() };
    let platform = Platform::open_with(scratch.path().join("data"), settings).await.unwrap();
    for number in 0..WIKIS {
        let slug = format!("wiki-{number}").parse().unwrap();
        platform.create_tenant(NewTenant::new(slug)).await.unwrap();
    }
    println!("{WIKIS} wikis, {OPEN} kept open");
    held(&platform).await;
    let mut rounds = Vec::new();
    for round in 0..5 {
        for number in 0..WIKIS {
            visit(&platform, number, &format!("page-{round}")).await;
        }
        let (descriptors, memory) = (descriptors(), resident());
        println!(
            "    after round {round}: {descriptors} descriptors, {} MB resident",
            memory / 1000
        );
        rounds.push((descriptors, memory));
    }
    let (warm, last) = (rounds[1], rounds[4]);
    // Flat: what a round adds is noise, not a part of each of the 2,000 wikis.
    let growth = last.1.saturating_sub(warm.1) / 3;
    let verdict = if last.0 <= warm.0 + 20 && growth < WIKIS { "met" } else { "MISSED" };
    println!(
        "growth after warm-up: {growth} kB a round, {} descriptors (target: flat: {verdict})",
        last.0.saturating_sub(warm.0)
    );
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
        "a held wiki: {each} kB (target {TARGET_KB} kB: {verdict}), {each_descriptors:.1} descriptors"
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
