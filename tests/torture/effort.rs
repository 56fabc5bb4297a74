//! How long the drills take.

/// `long` for the counts that are meant for a night; anything else, or nothing, for those of CI.
const EFFORT: &str = "WIKIGROVE_TORTURE";
/// The number of rounds of every drill that runs, instead of its own.
const ROUNDS: &str = "WIKIGROVE_TORTURE_ROUNDS";

/// Whether the long form was asked for.
pub(crate) fn is_long() -> bool {
    std::env::var(EFFORT).is_ok_and(|effort| effort == "long")
}

/// The number of rounds of a drill.
pub(crate) fn rounds(short: usize, long: usize) -> usize {
    match std::env::var(ROUNDS) {
        Ok(rounds) => rounds.parse().unwrap(),
        Err(_) if is_long() => long,
        Err(_) => short,
    }
}
