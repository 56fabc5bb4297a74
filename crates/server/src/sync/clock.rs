//! Time as the machine sees it: told from outside, never looked up.

use std::ops::{Add, Sub};
use std::time::Duration;

use ::time::OffsetDateTime;
use serde::{Deserialize, Serialize};

/// A moment of the wall clock, in milliseconds since 1970 (UTC).
///
/// The wall clock, because what is stored must mean something after a restart. It may jump; see
/// [`Event::ClockMoved`](super::Event::ClockMoved).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Time(pub i64);

impl Time {
    /// How long it is from `earlier` to here; nothing if the clock was put back in between.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The same to the second, for people. `None`: no calendar has it.
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

/// What a step may know of the world besides its event: the time, and chance.
///
/// Both come from outside, so that the same step can be repeated.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Now.
    pub now: Time,
    /// A number that nobody can guess, new for each step.
    pub random: u64,
}

/// Random numbers made from one: enough for jitter, not for secrets.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall the same way for the same number.
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

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high half of a product: even enough, and without a division.
        u64::try_from((u128::from(self.roll()) * u128::from(bound)) >> 64).unwrap_or(0)
    }

    /// A duration from `least` to `most`, by the millisecond.
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
