//! When a link looks again.

use std::time::Duration;

use super::clock::{Dice, Time};

/// A save is sent when no other has followed for this long …
pub const DEBOUNCE: Duration = Duration::from_secs(2);
/// … or this long after the first, if they don't stop.
pub const LONGEST_DEBOUNCE: Duration = Duration::from_secs(10);
/// How often a link that stopped for a reason that may end by itself tries again.
pub const PROBE: Duration = Duration::from_secs(6 * 60 * 60);
/// How often one that isn't let in tries again, if what it logs in with is replaced by itself.
pub const RENEWAL: Duration = Duration::from_secs(15 * 60);
/// How long one run may take; then it is given up, whatever it waits for. (What goes over the wire has shorter
/// limits of its own.)
pub const LEASE: Duration = Duration::from_secs(30 * 60);

/// When a save is to be sent that came `now`, the first of its burst at `first`.
pub fn debounced(first: Time, now: Time) -> Time {
    // A clock that was put back must not keep anybody waiting.
    (first.min(now) + LONGEST_DEBOUNCE).min(now + DEBOUNCE).max(now)
}

/// The wait until a link looks by itself: its interval, give or take a fifth.
pub fn interval(interval: Duration, dice: &mut Dice) -> Duration {
    dice.between(interval * 4 / 5, longest_interval(interval))
}

/// The longest that [`interval`] can be.
pub fn longest_interval(interval: Duration) -> Duration {
    interval.saturating_mul(6) / 5
}

/// Every link has looked this long after a start: a save that a crash was too quick for may wait, and
/// nobody knows of it.
pub const LOOKED_AFTER_START: Duration = Duration::from_secs(60 * 60);
/// As long as this after a start only if something was on its way, or the link never met its remote.
pub const SOON: Duration = Duration::from_secs(5);

/// The wait of one link after the server's start: every link looks once, spread over its interval or
/// [`LOOKED_AFTER_START`], so that a start isn't an assault on the hosts.
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
