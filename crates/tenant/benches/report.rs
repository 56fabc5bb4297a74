//! How the benchmarks measure and what they print: our figure, a reference measured in the same
//! run on the same machine, and the target.
#![allow(dead_code, reason = "each benchmark takes what it needs")]

use std::time::{Duration, Instant};

/// The middle one of some durations.
pub(crate) fn median(mut samples: Vec<Duration>) -> Duration {
    samples.sort_unstable();
    samples[samples.len() / 2]
}

/// How long one run takes, in the middle of `count`.
pub(crate) fn each(count: usize, mut run: impl FnMut(usize)) -> Duration {
    median((0..count).map(|number| once(|| run(number))).collect())
}

/// How long this takes.
pub(crate) fn once(run: impl FnOnce()) -> Duration {
    let started = Instant::now();
    run();
    started.elapsed()
}

/// Prints one line; `ours` should be at most `target`, if there is one.
pub(crate) fn line(
    name: &str,
    ours: Duration,
    reference: (&str, Duration),
    target: impl Into<Option<Duration>>,
) {
    let (what, reference) = reference;
    let verdict = match target.into() {
        Some(target) if ours <= target => format!("target {target:.2?}: met"),
        Some(target) => format!("target {target:.2?}: MISSED"),
        None => "no target".to_owned(),
    };
    let ratio = ours.as_secs_f64() / reference.as_secs_f64().max(1e-9);
    println!("{name}: {ours:.2?} ({verdict}; {what}: {reference:.2?}, ratio {ratio:.2})");
}
