//! How the benchmarks measure and what they print: our figure, a reference measured in the same
//! run on the same machine, and the target.

use std::time::{Duration, Instant};

/// The middle one of some durations.
pub fn median(mut samples: Vec<Duration>) -> Duration {
    samples.sort_unstable();
    samples[samples.len() / 2]
}

/// How long one run takes, in the middle of `count`.
pub fn each(count: usize, mut run: impl FnMut(usize)) -> Duration {
    let timed = |number| {
        let started = Instant::now();
        run(number);
        started.elapsed()
    };
    median((0..count).map(timed).collect())
}

/// Prints one line; `ours` should be at most `target`.
pub fn line(name: &str, ours: Duration, reference: (&str, Duration), target: Duration) {
    let (what, reference) = reference;
    let verdict = if ours <= target { "met" } else { "MISSED" };
    let ratio = ours.as_secs_f64() / reference.as_secs_f64().max(1e-9);
    println!(
        "{name}: {ours:.2?} (target {target:.2?}: {verdict}; {what}: {reference:.2?}, ratio {ratio:.2})"
    );
}
