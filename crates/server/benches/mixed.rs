//! Reading while pages are saved: how fast the pages of a wiki are read over HTTP while the same wiki, or another
//! one, takes a number of saves a second, compared with the same readers alone.
//!
//! `cargo bench -p wikigrove-server --bench mixed`. The three loads take turns against one server, so that a machine
//! that is busy with something else is so for all: the ratio is what counts. `WIKIGROVE_MIXED_ROUNDS` (5) changes how
//! often; `TMPDIR` says on which disk is saved.
#![allow(clippy::unwrap_used, reason = "a benchmark that can't go on panics")]
#![allow(clippy::print_stdout, reason = "a script that reports")]
#![allow(dead_code, reason = "the load script uses more of what they share")]

#[path = "load/client.rs"]
mod client;
#[path = "load/server.rs"]
mod server;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use client::{Connection, Load, get, put};
use server::{BYTES, Kind, READ, Server, TOKEN, page, text};
use tokio::time::MissedTickBehavior;

/// Number of readers.
const READERS: usize = 16;
/// The share of their rate alone that readers keep at least, and how much longer the slowest hundredth may take.
const TARGET: (f64, f64) = (0.7, 3.0);

/// The load beside the readers.
#[derive(Clone, Copy)]
struct Writing<'a> {
    wiki: &'a str,
    /// Saves a second.
    rate: u32,
}

fn main() {
    if let Some(kind) = Kind::of_this_process() {
        return server::run(kind);
    }
    // `cargo test --benches` only wants to know that it works.
    let in_earnest = std::env::args().any(|argument| argument == "--bench");
    let rounds = std::env::var("WIKIGROVE_MIXED_ROUNDS").ok().and_then(|text| text.parse().ok());
    let rounds = rounds.unwrap_or(if in_earnest { 5 } else { 1 });
    let turn = Duration::from_millis(if in_earnest { 2000 } else { 100 });
    let kinds = if in_earnest { &[Kind::Wikis, Kind::LargeWikis][..] } else { &[Kind::Wikis] };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for kind in kinds {
            measure(*kind, rounds, turn).await;
        }
    });
}

async fn measure(kind: Kind, rounds: usize, turn: Duration) {
    let server = Server::start(kind);
    let address = server.address;
    let path = |number| format!("/w/{READ}/api/v1/pages/{}", page(number));
    let requests = (0..kind.pages()).map(|number| get(&path(number), "")).collect();
    let mut readers =
        Load::new(address, READERS, requests, |body: &[u8]| body.len() >= BYTES).await;
    println!(
        "{READERS} readers of {} pages of {BYTES} bytes: {rounds} rounds of {turn:?}\n",
        kind.pages()
    );
    println!(
        "{:36} {:>10} {:>9} {:>9} {:>9} {:>9} {:>7}",
        "", "requests/s", "of alone", "p99 µs", "of alone", "max µs", "saves"
    );
    for rate in [1, 5, 20] {
        let writings = [
            ("alone", None),
            ("other wiki", Some(Writing { wiki: "write-0", rate })),
            ("same wiki", Some(Writing { wiki: READ, rate })),
        ];
        let mut turns = writings.map(|_| Vec::new());
        for _ in 0..rounds {
            for ((_, writing), turns) in writings.iter().zip(&mut turns) {
                turns.push(take_turn(&mut readers, address, *writing, turn).await);
            }
        }
        for ((name, writing), measured) in writings.iter().zip(&turns) {
            let name = match writing {
                Some(_) => format!("{name} takes {rate} saves/s"),
                None => (*name).to_owned(),
            };
            report(&name, measured, &turns[0]);
        }
    }
    println!("\ntarget: {} of the rate alone, p99 at most {} times\n", TARGET.0, TARGET.1);
}

/// A turn of the readers.
struct Turn {
    /// Answers a second.
    rate: f64,
    /// The 99th percentile of the times of answers, in microseconds.
    p99: f64,
    max: f64,
    saves: u32,
}

async fn take_turn(
    readers: &mut Load,
    address: SocketAddr,
    writing: Option<Writing<'_>>,
    time: Duration,
) -> Turn {
    let started = Instant::now();
    let (mut times, saves) = match writing {
        None => (readers.run(time).await, 0),
        Some(writing) => tokio::join!(readers.run(time), write(address, writing, started + time)),
    };
    let rate = times.len() as f64 / started.elapsed().as_secs_f64();
    times.sort_unstable();
    let micros =
        |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
    Turn { rate, p99: micros(0.99), max: micros(1.0), saves }
}

/// Changes one page after the other, at a steady rate; returns how many saves were made.
async fn write(address: SocketAddr, writing: Writing<'_>, until: Instant) -> u32 {
    let mut connection = Connection::open(address, 0).await;
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / writing.rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut saves = 0;
    while Instant::now() < until {
        let path = format!("/w/{}/api/v1/pages/{}", writing.wiki, page(saves as usize * 37 % 1000));
        let there = connection.exchange(&get(&path, "")).await;
        let condition = match there.etag.filter(|_| there.status == 200) {
            Some(etag) => format!("If-Match: {etag}"),
            None => "If-None-Match: *".to_owned(),
        };
        let content = text(usize::try_from(started_nanos()).unwrap_or_default());
        let saved = connection.exchange(&put(&path, TOKEN, &condition, &content)).await;
        assert!(saved.status < 300, "{path}: {}", saved.status);
        saves += 1;
        ticks.tick().await;
    }
    saves
}

/// A number that no text had before.
fn started_nanos() -> u128 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos()
}

fn report(name: &str, turns: &[Turn], alone: &[Turn]) {
    let share = |of: fn(&Turn) -> f64| {
        median(turns.iter().zip(alone).map(|(turn, alone)| of(turn) / of(alone)).collect())
    };
    let typical = |of: fn(&Turn) -> f64| median(turns.iter().map(of).collect());
    let (rate, p99) = (share(|turn| turn.rate), share(|turn| turn.p99));
    let verdict = if rate < TARGET.0 || p99 > TARGET.1 { "  misses the target" } else { "" };
    println!(
        "{name:36} {:10.0} {rate:9.2} {:9.0} {p99:9.2} {:9.0} {:7}{verdict}",
        typical(|turn| turn.rate),
        typical(|turn| turn.p99),
        turns.iter().map(|turn| turn.max).fold(0.0, f64::max),
        turns.iter().map(|turn| turn.saves).sum::<u32>(),
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
