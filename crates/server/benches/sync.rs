//! What links to git remotes cost: while nothing happens, when a page is saved, and when many are.
//!
//! `cargo bench -p wikigrove-server --bench sync`. Wikis with idle links and wikis without any are in
//! processes of their own, side by side. The remote that is pushed to is a wiki, over HTTP.
//! `WIKIGROVE_SYNC_WIKIS` (1000), `WIKIGROVE_SYNC_SECONDS` (20), `WIKIGROVE_SYNC_ROUNDS` (40) and
//! `WIKIGROVE_SYNC_SAVES` (500) change how it measures; `TMPDIR` says on which disk is saved.
#![allow(clippy::unwrap_used, reason = "a benchmark that can't go on panics")]
#![allow(clippy::print_stdout, reason = "a script that reports")]

#[path = "sync/idle.rs"]
mod idle;
#[path = "sync/saving.rs"]
mod saving;

/// How many and how long.
struct Effort {
    wikis: usize,
    seconds: u64,
    rounds: usize,
    saves: usize,
}

fn main() {
    if let Some(kind) = idle::Kind::of_this_process() {
        return idle::run(kind);
    }
    // `cargo test --benches` only wants to know that it works.
    let in_earnest = std::env::args().any(|argument| argument == "--bench");
    let number = |name, earnest, otherwise| {
        let given = std::env::var(name).ok().and_then(|text| text.parse().ok());
        given.unwrap_or(if in_earnest { earnest } else { otherwise })
    };
    let effort = Effort {
        wikis: number("WIKIGROVE_SYNC_WIKIS", 1000, 5),
        seconds: number("WIKIGROVE_SYNC_SECONDS", 20, 1) as u64,
        rounds: number("WIKIGROVE_SYNC_ROUNDS", 40, 1),
        saves: number("WIKIGROVE_SYNC_SAVES", 500, 10),
    };
    idle::measure(effort.wikis, effort.seconds);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(saving::measure(effort.rounds, effort.saves));
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
