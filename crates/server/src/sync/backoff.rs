//! Waiting times after failures.

use std::time::Duration;

use super::clock::Dice;

/// The range of the first wait; each further failure doubles it.
pub const BASE: Duration = Duration::from_secs(2);
/// The longest wait after a failure, unless the remote asks for more.
pub const CAP: Duration = Duration::from_secs(15 * 60);
/// The longest wait that the remote can ask for. More than this is a mistake or an attack.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(6 * 60 * 60);
/// The longest time that a merge is postponed.
pub const LONGEST_TIE: Duration = Duration::from_secs(30);
/// Number of quick retries of a push that lost a race. After these it waits like any failure.
pub const QUICK_RETRIES: u32 = 3;

/// The wait after the `failures`th failure in a row: a random time between zero and a limit that doubles with each
/// failure ("full jitter"), so that a hundred wikis don't return to a host at the same moment.
///
/// The wait that the remote asked for is the minimum; the jitter is added to it.
pub fn wait(failures: u32, retry_after: Option<Duration>, dice: &mut Dice) -> Duration {
    let doubled = BASE.saturating_mul(2u32.saturating_pow(failures));
    let asked = retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER);
    asked + dice.between(Duration::ZERO, doubled.min(CAP))
}

/// The wait before a merge that other ends may be making as well: the end with the shortest wait makes it, and the
/// others find it done. `count` is the number of merges postponed before this one.
pub fn tie(count: u32, dice: &mut Dice) -> Duration {
    let doubled = BASE.saturating_mul(2u32.saturating_pow(count));
    dice.between(Duration::ZERO, doubled.min(LONGEST_TIE))
}

/// The wait before a push that lost a race is retried.
pub fn quick(dice: &mut Dice) -> Duration {
    dice.between(Duration::from_millis(200), Duration::from_secs(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_use_the_whole_range() {
        let mut dice = Dice::new(1);
        for (failures, most) in [(0, 2), (1, 4), (3, 16), (9, 900), (40, 900), (u32::MAX, 900)] {
            let waits: Vec<_> = (0..400).map(|_| wait(failures, None, &mut dice)).collect();
            let most = Duration::from_secs(most);
            assert!(waits.iter().all(|wait| *wait <= most), "{failures}");
            assert!(waits.iter().any(|wait| *wait < most / 10), "{failures}");
            assert!(waits.iter().any(|wait| *wait > most * 9 / 10), "{failures}");
        }
    }

    #[test]
    fn what_the_peer_asks_for_is_the_least_but_not_without_end() {
        let mut dice = Dice::new(2);
        let minute = Duration::from_secs(60);
        assert!((0..50).all(|_| wait(0, Some(minute), &mut dice) >= minute));
        assert!(wait(0, Some(Duration::MAX), &mut dice) <= LONGEST_RETRY_AFTER + BASE);
    }

    #[test]
    fn a_hundred_wikis_do_not_come_back_together() {
        let mut dice = Dice::new(3);
        let waits: std::collections::BTreeSet<_> =
            (0..100).map(|_| wait(5, None, &mut dice).as_secs()).collect();
        assert!(waits.len() > 40, "{waits:?}");
    }

    #[test]
    fn a_lost_race_is_run_again_within_two_seconds() {
        let mut dice = Dice::new(4);
        let waits: Vec<_> = (0..200).map(|_| quick(&mut dice).as_millis()).collect();
        assert!(waits.iter().all(|wait| (200..=2000).contains(wait)));
    }
}
