//! Reads of a wiki start runs of its links, at a limited rate.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use wikigrove_tenant::TenantId;

/// Minimum time between two reported reads of a wiki. A link's own cooldown is longer.
const DEAF_FOR: Duration = Duration::from_secs(10);
/// Maximum number of remembered wikis.
const REMEMBERED: usize = 10_000;

/// The time of each wiki's last reported read.
#[derive(Debug, Default)]
pub(super) struct Reads(Mutex<HashMap<TenantId, Instant>>);

impl Reads {
    /// Returns `true` if this read is to be reported: the first for a while.
    pub(super) fn is_heard(&self, wiki: TenantId) -> bool {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if heard.get(&wiki).is_some_and(|last| now.duration_since(*last) < DEAF_FOR) {
            return false;
        }
        if heard.len() >= REMEMBERED {
            heard.retain(|_, last| now.duration_since(*last) < DEAF_FOR);
        }
        // Many wikis are read within seconds: forgetting some is better than unlimited growth.
        if heard.len() < REMEMBERED {
            heard.insert(wiki, now);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_crowd_of_readers_one_is_heard() {
        let (reads, garden, kitchen) = (Reads::default(), TenantId::random(), TenantId::random());
        assert!(reads.is_heard(garden));
        assert!((0..100).all(|_| !reads.is_heard(garden)));
        assert!(reads.is_heard(kitchen));
    }
}
