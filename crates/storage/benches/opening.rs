//! What it costs to create a wiki, to open one, and to keep one open.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]
#![allow(dead_code, reason = "each benchmark uses some of what they share")]

mod common;

use std::path::Path;
use std::time::Instant;

use common::{Bench, Row, Times, ms, print, scratch};
use wikigrove_storage::{ExistingPath, Options, Resources, Wiki};

const ROUNDS: usize = 50;
/// Wikis kept open to see what one costs.
const HELD: usize = 100;

fn main() {
    let dir = scratch();
    let rows =
        [create(dir.path()), create_with_database(dir.path()), open(dir.path()), hold(dir.path())];
    print(&rows);
}

fn create(dir: &Path) -> Row {
    let mut times = Times::default();
    for n in 0..ROUNDS {
        let start = Instant::now();
        Wiki::create(&dir.join(format!("created-{n}"))).unwrap();
        times.push(start.elapsed());
    }
    row("create a wiki", ms(times.median()), "<= 10 ms")
}

/// Everything a wiki ever needs to be created: its first save also makes wiki.db.
fn create_with_database(dir: &Path) -> Row {
    let mut times = Times::default();
    for n in 0..ROUNDS {
        let dir = dir.join(format!("used-{n}"));
        let start = Instant::now();
        Wiki::create(&dir).unwrap();
        common::open(&dir).set_raw_preferences(&[("a".to_owned(), "b".to_owned())].into()).unwrap();
        times.push(start.elapsed());
    }
    row("create, open and make wiki.db", ms(times.median()), "")
}

fn open(dir: &Path) -> Row {
    let path = dir.join("opened");
    let bench = Bench::new(&path, 100, 10);
    bench.wiki.close().unwrap();
    drop(bench);
    let page = ExistingPath::new("3/page-00013").unwrap();
    let resources = Resources::default();
    let mut times = Times::default();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let wiki = Wiki::open(&path, Options::new("bench"), &resources).unwrap();
        wiki.read(&page).unwrap();
        times.push(start.elapsed());
        wiki.close().unwrap();
    }
    row("open a closed wiki and read a page", ms(times.median()), "<= 3 ms")
}

fn hold(dir: &Path) -> Row {
    let resources = Resources::default();
    let made: Vec<_> = (0..HELD).map(|n| dir.join(format!("held-{n}"))).collect();
    for path in &made {
        drop(Bench::new(path, 20, 2));
    }
    let before = (resident_kib(), descriptors());
    let held: Vec<_> = made
        .iter()
        .map(|path| {
            let mut bench = Bench::open(path, &resources);
            bench.create("another");
            bench.wiki.pages("", None, 50).unwrap();
            bench
        })
        .collect();
    let after = (resident_kib(), descriptors());
    let each = (after.0 - before.0) / HELD as u64;
    let files = (after.1 - before.1) as f64 / HELD as f64;
    drop(held);
    row(
        "keep a wiki open after a save and a list",
        format!("{each} KiB, {files:.1} fds"),
        "<= 300 kB",
    )
}

fn row(what: &'static str, ours: String, target: &'static str) -> Row {
    Row { what, ours, reference: String::new(), ratio: None, target }
}

/// Memory that is this process's alone.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
