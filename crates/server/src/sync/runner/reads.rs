//! Readers would like to read the newest: looking at a wiki makes its links look, now and then.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use wikigrove_tenant::TenantId;

/// How long it takes at least until a wiki's readers are heard again. A link's own cooldown is longer.
const DEAF_FOR: Duration = Duration::from_secs(10);
/// So many wikis are remembered.
const REMEMBERED: usize = 10_000;

/// When each wiki's readers were heard last.
#[derive(Debug, Default)]
pub(super) struct Reads(Mutex<HashMap<TenantId, Instant>>);

impl Reads {
    /// Whether this reader is to be heard: the first for a while.
    pub(super) fn is_heard(&self, wiki: TenantId) -> bool {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if heard.get(&wiki).is_some_and(|last| now.duration_since(*last) < DEAF_FOR) {
            return false;
        }
        if heard.len() >= REMEMBERED {
            heard.retain(|_, last| now.duration_since(*last) < DEAF_FOR);
        }
        // A crowd of wikis within seconds: better to forget a few than to grow without end.
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
