//! Thousands of random lives of wikis and remotes, in virtual time.
//!
//! Each seed makes a few servers, wikis and remotes, links them in some way, and lets people save, strangers
//! push and force, networks drop and cut, processes die and clocks jump. All of it is fake but the machine
//! and the scheduler. Then it gets quiet, somebody answers what is asked, and within twenty rounds
//! everything must be the same everywhere, with nothing lost on the way.
//!
//! `WIKIGROVE_SYNC_SEEDS=200000` runs more seeds; `WIKIGROVE_SYNC_SEED=17` runs one and prints what
//! happens in it.

mod check;
mod git;
mod life;
mod stories;
mod work;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use world::World;

const SEEDS: u64 = 5_000;

#[test]
fn every_life_ends_with_everything_the_same_and_nothing_lost() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    if let Some(seed) = number("WIKIGROVE_SYNC_SEED") {
        let mut world = World::new(seed, true);
        let ended = live(&mut world);
        eprintln!("{}", world.story(usize::MAX));
        ended.unwrap_or_else(|why| panic!("seed {seed} failed: {why}"));
        return;
    }
    let seeds = number("WIKIGROVE_SYNC_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let failed = AtomicBool::new(false);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let failures: Vec<u64> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    while !failed.load(Ordering::Relaxed) {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= seeds {
                            break;
                        }
                        if live(&mut World::new(seed, false)).is_err() {
                            failed.store(true, Ordering::Relaxed);
                            return Some(seed);
                        }
                    }
                    None
                })
            })
            .collect();
        workers.into_iter().filter_map(|worker| worker.join().unwrap()).collect()
    });
    if let Some(seed) = failures.into_iter().min() {
        let mut world = World::new(seed, true);
        let why = live(&mut world).err().unwrap_or_default();
        let story = world.story(150);
        panic!("{story}\nseed {seed} failed (WIKIGROVE_SYNC_SEED={seed} runs it alone): {why}");
    }
}

/// Lives through one seed; why it ended badly, if it did. What happened in it is told only in a world that
/// was made so: telling takes longer than living.
fn live(world: &mut World) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| world.live())).map_err(|panic| {
        let message = panic.downcast_ref::<String>().cloned();
        let word = || panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        message.or_else(word).unwrap_or_default()
    })
}
