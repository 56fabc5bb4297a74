//! The load script: how fast pages are read over HTTP, compared with a bare axum handler that
//! answers as many bytes from memory, and how many durable saves a second there are.
//!
//! `cargo bench -p wikigrove-server`. Both sides run in processes of their own, are driven by the
//! same client over loopback, and take turns, so that a machine that is busy with something else
//! is so for both: the ratio is what counts. `WIKIGROVE_LOAD_CONNECTIONS` (32),
//! `WIKIGROVE_LOAD_ROUNDS` (10) and `WIKIGROVE_LOAD_SAVES` (160) change how it measures; `TMPDIR` says on which disk is saved.
#![allow(clippy::unwrap_used, reason = "a benchmark that can't go on panics")]
#![allow(clippy::print_stdout, reason = "a script that reports")]

#[path = "load/client.rs"]
mod client;
#[path = "load/server.rs"]
mod server;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use client::{Connection, Load, get, put};
use server::{BYTES, Kind, PAGES, READ, Server, TOKEN, WRITTEN, page, text};
use tokio::task::JoinSet;

/// Reading a page costs at most this share of the bare handler's throughput.
const TARGET: f64 = 0.60;

/// How long and how often to measure.
struct Effort {
    connections: usize,
    rounds: usize,
    turn: Duration,
    saves: usize,
}

fn main() {
    if let Some(kind) = Kind::of_this_process() {
        return server::run(kind);
    }
    let number = |name, default| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    // `cargo test --benches` only wants to know that it works.
    let in_earnest = std::env::args().any(|argument| argument == "--bench");
    let effort = Effort {
        connections: number("WIKIGROVE_LOAD_CONNECTIONS", 32),
        rounds: number("WIKIGROVE_LOAD_ROUNDS", if in_earnest { 10 } else { 1 }),
        turn: Duration::from_millis(if in_earnest { 500 } else { 50 }),
        saves: number("WIKIGROVE_LOAD_SAVES", if in_earnest { 160 } else { 32 }),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let wikis = Server::start(Kind::Wikis);
        reads(&wikis, &effort).await;
        saves(wikis.address, &effort).await;
    });
}

/// One row of the table.
struct Contender<'a> {
    name: &'static str,
    server: &'a Server,
    load: Load,
    /// Answers a second, by round.
    rates: Vec<f64>,
    answers: u64,
    processor: Duration,
}

async fn reads(wikis: &Server, effort: &Effort) {
    let (bare, ours) = (Server::start(Kind::Bare), Server::start(Kind::Ours));
    let mut contenders = vec![
        contender("bare handler, axum::serve", &bare, None, effort).await,
        contender("bare handler, our serve", &ours, None, effort).await,
    ];
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    let markdown = "Accept: text/markdown\r\n";
    for (name, headers) in [
        ("page, JSON, anonymous", String::new()),
        ("page, Markdown, anonymous", markdown.to_owned()),
        ("page, JSON, token", bearer.clone()),
        ("page, Markdown, token", bearer + markdown),
    ] {
        contenders.push(contender(name, wikis, Some(headers), effort).await);
    }
    for _ in 0..effort.rounds {
        for contender in &mut contenders {
            contender.take_turn(effort.turn).await;
        }
    }
    report(&contenders, effort);
}

async fn contender<'a>(
    name: &'static str,
    server: &'a Server,
    of_a_wiki: Option<String>,
    effort: &Effort,
) -> Contender<'a> {
    let requests = match of_a_wiki {
        None => vec![get("/page", "")],
        Some(headers) => (0..PAGES)
            .map(|number| get(&format!("/w/{READ}/api/v1/pages/{}", page(number)), &headers))
            .collect(),
    };
    let whole = |body: &[u8]| body.len() >= BYTES;
    let mut load = Load::new(server.address, effort.connections, requests, whole).await;
    load.run(effort.turn).await;
    Contender { name, server, load, rates: Vec::new(), answers: 0, processor: Duration::ZERO }
}

impl Contender<'_> {
    async fn take_turn(&mut self, time: Duration) {
        let used = || self.server.processor_time().unwrap_or_default();
        let (before, started) = (used(), Instant::now());
        let answers = self.load.run(time).await.len() as u64;
        let elapsed = started.elapsed();
        self.processor += used() - before;
        self.answers += answers;
        self.rates.push(per_second(answers, elapsed));
    }

    /// The share of another's throughput: the median of the rounds, each compared with itself.
    fn share_of(&self, other: &Self) -> f64 {
        let of_round = |(ours, theirs): (&f64, &f64)| ours / theirs;
        median(self.rates.iter().zip(&other.rates).map(of_round).collect())
    }
}

fn report(contenders: &[Contender<'_>], effort: &Effort) {
    let Effort { connections, rounds, turn, .. } = effort;
    println!(
        "reading one of {PAGES} pages of {BYTES} bytes: {connections} connections, {rounds} rounds of {turn:?}\n"
    );
    println!("{:28} {:>10} {:>9} {:>14}", "", "requests/s", "of bare", "server µs/req");
    let bare = &contenders[0];
    for contender in contenders {
        let rate = median(contender.rates.clone());
        let share = contender.share_of(bare);
        let cost = contender.processor.as_secs_f64() * 1e6 / contender.answers as f64;
        let verdict = if share < TARGET { "  below the target" } else { "" };
        println!("{:28} {rate:10.0} {:8.1}% {cost:14.1}{verdict}", contender.name, share * 100.0);
    }
    println!("\ntarget: {:.0}% of the bare handler\n", TARGET * 100.0);
}

async fn saves(address: SocketAddr, effort: &Effort) {
    let contenders = [
        ("1 writer", 1, 1),
        ("16 writers on one wiki", WRITTEN, 1),
        ("16 writers on 16 wikis", WRITTEN, WRITTEN),
    ];
    let mut measured = contenders.map(|_| (Vec::new(), 0));
    for round in 0..effort.rounds {
        for ((_, writers, wikis), (rates, failed)) in contenders.iter().zip(&mut measured) {
            let (rate, errors) = save_round(address, *writers, *wikis, round, effort.saves).await;
            rates.push(rate);
            *failed += errors;
        }
    }
    println!(
        "durable saves of {BYTES} bytes: {} rounds of {} saves\n",
        effort.rounds, effort.saves
    );
    println!("{:28} {:>10} {:>9} {:>9}", "", "saves/s", "of one", "errors");
    let one = measured[0].0.clone();
    for ((name, ..), (rates, failed)) in contenders.iter().zip(measured) {
        let share = median(rates.iter().zip(&one).map(|(rate, one)| rate / one).collect());
        println!("{name:28} {:10.0} {:8.1}% {failed:9}", median(rates), share * 100.0);
    }
}

/// Saves a second, and errors.
async fn save_round(
    address: SocketAddr,
    writers: usize,
    wikis: usize,
    round: usize,
    saves: usize,
) -> (f64, u64) {
    let started = Instant::now();
    let mut running = JoinSet::new();
    for writer in 0..writers {
        let path = format!(
            "/w/write-{}/api/v1/pages/round-{round}/{writers}-of-{wikis}/writer-{writer}",
            writer % wikis
        );
        running.spawn(write(address, path, saves / writers));
    }
    let failed = running.join_all().await.into_iter().sum();
    (per_second((saves / writers * writers) as u64, started.elapsed()), failed)
}

/// Creates a page and changes it again and again; returns how many of the answers were errors.
async fn write(address: SocketAddr, path: String, saves: usize) -> u64 {
    let mut connection = Connection::open(address, 0).await;
    let (mut condition, mut failed) = ("If-None-Match: *".to_owned(), 0);
    for number in 0..saves {
        let request = put(&path, TOKEN, &condition, &text(number));
        let answer = connection.exchange(&request).await;
        match answer.etag {
            Some(etag) if answer.status < 300 => condition = format!("If-Match: {etag}"),
            _ => failed += 1,
        }
    }
    failed
}

fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
