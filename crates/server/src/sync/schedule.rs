//! The timing of runs.

use std::time::Duration;

use super::clock::{Dice, Time};

/// A save is sent when no other save has followed for this long …
pub const DEBOUNCE: Duration = Duration::from_secs(2);
/// … or this long after the first of a series.
pub const LONGEST_DEBOUNCE: Duration = Duration::from_secs(10);
/// Time between probes of a link that paused for a reason that may go away by itself.
pub const PROBE: Duration = Duration::from_secs(6 * 60 * 60);
/// Time between probes of a link whose credential was refused, if the credential is a file that may be replaced.
pub const RENEWAL: Duration = Duration::from_secs(15 * 60);
/// The longest duration of a run; a run that takes longer is cancelled. (Network calls have shorter limits of their
/// own.)
pub const LEASE: Duration = Duration::from_secs(30 * 60);

/// When to send a save that was made `now`, in a burst that began at `first`.
pub fn debounced(first: Time, now: Time) -> Time {
    // A clock that was set back must not delay the save.
    (first.min(now) + LONGEST_DEBOUNCE).min(now + DEBOUNCE).max(now)
}

/// The wait until the next periodic run: the interval, plus or minus a fifth.
pub fn interval(interval: Duration, dice: &mut Dice) -> Duration {
    dice.between(interval * 4 / 5, longest_interval(interval))
}

/// The maximum of [`interval`].
pub fn longest_interval(interval: Duration) -> Duration {
    interval.saturating_mul(6) / 5
}

/// Every link has run once within this time after a start: a crash may have left a save that was committed but not
/// announced.
pub const LOOKED_AFTER_START: Duration = Duration::from_secs(60 * 60);
/// The shorter time for a link that was running when the process ended, or that never met its remote.
pub const SOON: Duration = Duration::from_secs(5);

/// The wait of one link after the server's start. Every link runs once, spread over its interval or
/// [`LOOKED_AFTER_START`], so that a start doesn't flood the hosts.
pub fn after_a_start(interval: Duration, dice: &mut Dice) -> Duration {
    dice.between(Duration::ZERO, interval.min(LOOKED_AFTER_START))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_save_waits_for_two_quiet_seconds_and_never_longer_than_ten() {
        let first = Time(1_000);
        assert_eq!(debounced(first, first), first + 2 * SECOND);
        assert_eq!(debounced(first, first + 5 * SECOND), first + 7 * SECOND);
        assert_eq!(debounced(first, first + 9 * SECOND), first + 10 * SECOND);
        assert_eq!(debounced(first, first + 60 * SECOND), first + 60 * SECOND);
        let put_back = Time(500);
        assert_eq!(debounced(first, put_back), put_back + 2 * SECOND);
    }

    #[test]
    fn intervals_vary_by_a_fifth() {
        let mut dice = Dice::new(1);
        let waits: Vec<_> = (0..500).map(|_| interval(100 * SECOND, &mut dice).as_secs()).collect();
        assert!(waits.iter().all(|wait| (80..=120).contains(wait)));
        assert!(waits.iter().any(|wait| *wait < 84) && waits.iter().any(|wait| *wait > 116));
    }

    #[test]
    fn a_start_spreads_its_links_over_the_interval() {
        let mut dice = Dice::new(2);
        let waits: std::collections::BTreeSet<_> =
            (0..100).map(|_| after_a_start(300 * SECOND, &mut dice).as_secs() / 30).collect();
        assert!(waits.len() >= 10, "{waits:?}");
        let long = after_a_start(86_400 * SECOND, &mut dice);
        assert!(long <= LOOKED_AFTER_START, "what was saved before the start waits: {long:?}");
    }
}
