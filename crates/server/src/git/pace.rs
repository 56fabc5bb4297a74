//! Minimum speed of clients: a nearly stalled client holds a permit that others wait for.

use std::pin::pin;
use std::time::Duration;

use tokio::time::Instant;

/// Number of bytes that a client must move within its time.
const STEP: usize = 64 * 1024;
/// Interval between checks whether others wait.
const LOOK: Duration = Duration::from_millis(500);
/// Divisor of a client's time while others wait.
const WHILE_OTHERS_WAIT: u32 = 4;

/// Time that a client took for its latest bytes. Only time spent waiting for the client counts.
pub(super) struct Pace {
    longest: Duration,
    waited: Duration,
    moved: usize,
}

/// The client is too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooSlow;

impl Pace {
    /// Allows a client this long for 64 KiB.
    pub(super) fn new(longest: Duration) -> Self {
        Self { longest, waited: Duration::ZERO, moved: 0 }
    }

    /// Waits for the client, which has less time while `others_wait`.
    pub(super) async fn keep<T>(
        &mut self,
        others_wait: impl Fn() -> bool,
        client: impl Future<Output = T>,
    ) -> Result<T, TooSlow> {
        let (start, mut client) = (Instant::now(), pin!(client));
        loop {
            let part = if others_wait() { WHILE_OTHERS_WAIT } else { 1 };
            let longest = self.longest / part;
            let left = longest.saturating_sub(self.waited + start.elapsed());
            if left.is_zero() {
                return Err(TooSlow);
            }
            if let Ok(done) = tokio::time::timeout(left.min(LOOK), client.as_mut()).await {
                self.waited += start.elapsed();
                return Ok(done);
            }
        }
    }

    /// Counts bytes that the client moved.
    pub(super) fn moved(&mut self, bytes: usize) {
        self.moved += bytes;
        if self.moved >= STEP {
            (self.moved, self.waited) = (0, Duration::ZERO);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const LONGEST: Duration = Duration::from_secs(20);

    /// The time until a client of this speed, in bytes per second, is found too slow.
    async fn patience(bytes: usize, others_wait: bool) -> Duration {
        let (start, mut pace) = (Instant::now(), Pace::new(LONGEST));
        while start.elapsed() < 10 * LONGEST {
            let second = sleep(Duration::from_secs(1));
            if pace.keep(|| others_wait, second).await.is_err() {
                break;
            }
            pace.moved(bytes);
        }
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_moves_next_to_nothing_is_not_waited_for() {
        let second = Duration::from_secs(1);
        assert!(patience(0, false).await.abs_diff(LONGEST) <= second);
        assert!(patience(1000, false).await.abs_diff(LONGEST) <= second);
        assert!(patience(4000, false).await >= 10 * LONGEST);
        assert!(patience(4000, true).await.abs_diff(LONGEST / 4) <= second);
        assert!(patience(16_400, true).await >= 10 * LONGEST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_has_less_time_from_the_moment_when_others_wait() {
        let (start, mut pace) = (Instant::now(), Pace::new(LONGEST));
        let others_wait = || start.elapsed() > Duration::from_secs(12);
        assert_eq!(pace.keep(others_wait, std::future::pending::<()>()).await, Err(TooSlow));
        assert!(start.elapsed() < Duration::from_secs(13));
    }
}
