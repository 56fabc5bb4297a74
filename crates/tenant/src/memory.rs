//! The in-memory cache of catalog rows and its invalidation.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use moka::sync::Cache;

use crate::{Author, Membership, Slug, Tenant, TenantId, Token};

/// Maximal number of cached rows of each kind.
const ROWS_KEPT: u64 = 20_000;
/// Minimal interval between two recorded uses of a token, in seconds.
const USES_WRITTEN_EVERY: i64 = 60;

/// A cache of catalog rows, and the epoch: a number that every change of the catalog increments.
///
/// A lookup reads the epoch *before* the row. As long as the epoch is the same later, the row is still valid.
pub(crate) struct Memory {
    pub(crate) tenants: Cache<Slug, Arc<Tenant>>,
    pub(crate) members: Cache<(TenantId, String), Membership>,
    pub(crate) tokens: Cache<[u8; 32], Arc<KnownToken>>,
    /// The ids of valid tokens, for handles of callers with tokens.
    pub(crate) alive: Cache<String, ()>,
    /// Users seen recently, so that their details need not be written again.
    pub(crate) seen: Cache<String, Arc<Seen>>,
    /// Unwritten times of last use per token id, in seconds since 1970.
    uses: Mutex<HashMap<String, i64>>,
    epoch: AtomicU64,
    /// Locks keeping and forgetting rows; never held during I/O.
    turn: Mutex<()>,
}

/// A token, and the time of its last recorded use in seconds since 1970.
pub(crate) struct KnownToken {
    pub(crate) token: Token,
    used: AtomicI64,
}

/// The last recorded details of a user, and the time.
pub(crate) struct Seen {
    pub(crate) author: Author,
    pub(crate) at: Instant,
}

impl KnownToken {
    pub(crate) fn new(token: Token) -> Self {
        let used = token.used.map_or(i64::MIN, |used| used.unix_timestamp());
        Self { token, used: AtomicI64::new(used) }
    }
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self {
            tenants: Cache::new(ROWS_KEPT),
            members: Cache::new(ROWS_KEPT),
            tokens: Cache::new(ROWS_KEPT),
            alive: Cache::new(ROWS_KEPT),
            seen: Cache::new(ROWS_KEPT),
            uses: Mutex::default(),
            epoch: AtomicU64::new(0),
            turn: Mutex::new(()),
        }
    }

    /// Number of cached rows.
    pub(crate) fn rows(&self) -> u64 {
        let Self { tenants, members, tokens, .. } = self;
        // The counts lag behind recent insertions and removals.
        tenants.run_pending_tasks();
        members.run_pending_tasks();
        tokens.run_pending_tasks();
        tenants.entry_count() + members.entry_count() + tokens.entry_count()
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// Caches rows that were read while the epoch was `epoch`, unless the catalog changed meanwhile: then the rows may
    /// be outdated.
    pub(crate) fn keep(&self, epoch: u64, keep: impl FnOnce(&Self)) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if self.epoch() == epoch {
            keep(self);
        }
    }

    /// Must be called after every change of the catalog: removes the outdated rows, and only then increments the epoch.
    pub(crate) fn forget(&self, forget: impl FnOnce(&Self)) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        forget(self);
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// Removes the tokens that satisfy `gone`. This happens rarely, so a scan of all tokens is fine.
    pub(crate) fn forget_tokens(&self, gone: impl Fn(&Token) -> bool) {
        for (hash, known) in &self.tokens {
            if gone(&known.token) {
                self.tokens.invalidate(&*hash);
            }
        }
        self.alive.invalidate_all();
    }

    /// Removes all rows that depend on a user. This happens rarely, too.
    pub(crate) fn forget_user(&self, subject: &str) {
        self.forget_tokens(|token| token.subject.as_deref() == Some(subject));
        for (key, _) in &self.members {
            if key.1 == subject {
                self.members.invalidate(&*key);
            }
        }
        self.seen.invalidate(subject);
    }

    /// Records that a token is used now, to be written later, unless a use was recorded a moment ago.
    pub(crate) fn note_use(&self, known: &KnownToken, now: i64) {
        let before = known.used.load(Ordering::Relaxed);
        if now.saturating_sub(before) < USES_WRITTEN_EVERY {
            return;
        }
        // Of several concurrent uses, one records.
        let order = Ordering::Relaxed;
        if known.used.compare_exchange(before, now, order, order).is_ok() {
            self.uses().insert(known.token.id.clone(), now);
        }
    }

    /// Takes the recorded uses, which the caller must write.
    pub(crate) fn take_uses(&self) -> Vec<(String, i64)> {
        self.uses().drain().collect()
    }

    fn uses(&self) -> std::sync::MutexGuard<'_, HashMap<String, i64>> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::TokenRole;

    #[test]
    fn a_use_is_noted_once_a_minute_and_written_once() {
        let memory = Memory::new();
        let known = KnownToken::new(Token {
            id: "0123".to_owned(),
            name: "CI".to_owned(),
            role: TokenRole::Operator,
            act_as: false,
            created: OffsetDateTime::UNIX_EPOCH,
            expires: None,
            subject: None,
            author: None,
            used: None,
        });
        for now in [1000, 1001, 1059] {
            memory.note_use(&known, now);
        }
        assert_eq!(memory.take_uses(), [("0123".to_owned(), 1000)]);
        memory.note_use(&known, 1059);
        assert_eq!(memory.take_uses(), []);
        memory.note_use(&known, 1060);
        // A clock that was set back changes nothing.
        memory.note_use(&known, 5);
        assert_eq!(memory.take_uses(), [("0123".to_owned(), 1060)]);
    }
}
