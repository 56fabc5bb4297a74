//! Time as the machine sees it: passed in, never read from the system.

use std::ops::{Add, Sub};
use std::time::Duration;

use ::time::OffsetDateTime;
use serde::{Deserialize, Serialize};

/// A time of the wall clock, in milliseconds since 1970 (UTC).
///
/// Wall clock, because stored times must stay valid after a restart. It may jump; see
/// [`Event::ClockMoved`](super::Event::ClockMoved).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Time(pub i64);

impl Time {
    /// The duration since `earlier`; zero if the clock was set back in between.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The same time to the second, for display. `None` if it is outside the calendar's range.
    pub fn at(self) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp(self.0.div_euclid(1000)).ok()
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, more: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(more.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;

    fn sub(self, less: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(less.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// The inputs of a step besides its event: the time and a random number.
///
/// Both are passed in, so that a step can be repeated exactly.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The current time.
    pub now: Time,
    /// An unpredictable number, new for each step.
    pub random: u64,
}

/// A small random number generator with a seed: good enough for jitter, not for secrets.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// A generator that returns the same sequence for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number (SplitMix64).
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A random number below `bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high half of a product: uniform enough, and needs no division.
        u64::try_from((u128::from(self.roll()) * u128::from(bound)) >> 64).unwrap_or(0)
    }

    /// A random duration from `least` to `most` (inclusive), in whole milliseconds.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = most.saturating_sub(least).as_millis();
        least + Duration::from_millis(self.below(u64::try_from(span).unwrap_or(u64::MAX - 1) + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_put_back_gives_no_negative_time() {
        assert_eq!(Time(5).since(Time(9)), Duration::ZERO);
        assert_eq!(Time(9).since(Time(5)), Duration::from_millis(4));
        assert_eq!(Time(i64::MAX) + Duration::MAX, Time(i64::MAX));
    }

    #[test]
    fn dice_reach_both_ends_and_stay_between_them() {
        let mut dice = Dice::new(7);
        let rolled: Vec<_> = (0..500)
            .map(|_| dice.between(Duration::from_millis(3), Duration::from_millis(6)).as_millis())
            .collect();
        assert_eq!((rolled.iter().min(), rolled.iter().max()), (Some(&3), Some(&6)));
        assert_eq!(dice.below(0), 0);
    }
}
