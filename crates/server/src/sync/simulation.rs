//! A simulation of thousands of random histories of wikis and remotes, in virtual time.
//!
//! Each seed creates a few servers, wikis and remotes with random links. Users save, others push and force-push,
//! networks drop and cut connections, processes crash and clocks jump. Everything is simulated except the machine and
//! the scheduler. Then the faults stop, a simulated user answers all questions, and within twenty rounds all ends must
//! be equal, with nothing lost.
//!
//! `WIKIGROVE_SYNC_SEEDS=200000` runs more seeds; `WIKIGROVE_SYNC_SEED=17` runs one and prints its trace.

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

/// Runs one seed; the error is the failed assertion. The trace is recorded only in a world created with it, as
/// recording takes longer than the run.
fn live(world: &mut World) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| world.live())).map_err(|panic| {
        let message = panic.downcast_ref::<String>().cloned();
        let word = || panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        message.or_else(word).unwrap_or_default()
    })
}
