//! What it costs to read.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]
#![allow(dead_code, reason = "each benchmark uses some of what they share")]
#![allow(missing_docs, reason = "criterion's macros make public functions")]

mod common;

use std::hint::black_box;
use std::time::Duration;

use common::{Bench, scratch};
use criterion::{Criterion, criterion_group, criterion_main};
use wikigrove_storage::ExistingPath;

fn reading(criterion: &mut Criterion) {
    let dir = scratch();
    let bench = Bench::new(&dir.path().join("wiki"), 1000, 10);
    let wiki = &bench.wiki;
    let page = ExistingPath::new("3/page-00013").unwrap();
    wiki.read(&page).unwrap();
    criterion.bench_function("a warm page, if in memory", |b| {
        b.iter(|| black_box(wiki.cached(&page)).unwrap())
    });
    criterion.bench_function("a warm page", |b| b.iter(|| wiki.read(&page).unwrap()));
    let mut at = 0;
    criterion.bench_function("a cold page of 1,000", |b| {
        b.iter(|| {
            at = (at + 7) % 1000;
            // Reading at a revision never looks into the cache.
            wiki.read_at(&bench.page(at), wiki.head().unwrap().unwrap()).unwrap()
        })
    });
    criterion
        .bench_function("a list of 50 pages", |b| b.iter(|| wiki.pages("3/", None, 50).unwrap()));
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = reading
}
criterion_main!(benches);
