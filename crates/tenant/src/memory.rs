//! What the platform remembers of its catalog, and how it learns that it changed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use moka::sync::Cache;

use crate::{Role, Slug, Tenant, TenantId, Token};

/// How many rows of each kind are kept.
const ROWS_KEPT: u64 = 20_000;

/// Rows of the catalog that were read, and the epoch: a number that every change raises.
///
/// Who looks something up reads the epoch *before*; then the epoch being the same later proves that
/// what was found still holds.
pub(crate) struct Memory {
    pub(crate) tenants: Cache<Slug, Arc<Tenant>>,
    pub(crate) members: Cache<(TenantId, String), Option<Role>>,
    pub(crate) tokens: Cache<[u8; 32], Token>,
    epoch: AtomicU64,
    /// Held to keep a row or to forget one, never while anything is read or written.
    turn: Mutex<()>,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self {
            tenants: Cache::new(ROWS_KEPT),
            members: Cache::new(ROWS_KEPT),
            tokens: Cache::new(ROWS_KEPT),
            epoch: AtomicU64::new(0),
            turn: Mutex::new(()),
        }
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// Keeps what was read after the epoch was `epoch`, unless something changed meanwhile: then it
    /// may be what the change has just made untrue.
    pub(crate) fn keep(&self, epoch: u64, keep: impl FnOnce(&Self)) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if self.epoch() == epoch {
            keep(self);
        }
    }

    /// To be called after every change of the catalog: forgets what the change made untrue, and
    /// only then raises the epoch.
    pub(crate) fn forget(&self, forget: impl FnOnce(&Self)) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        forget(self);
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// Forgets the tokens for which `gone` holds. Tokens go rarely, so looking at all is fine.
    pub(crate) fn forget_tokens(&self, gone: impl Fn(&Token) -> bool) {
        for (hash, token) in &self.tokens {
            if gone(&token) {
                self.tokens.invalidate(&*hash);
            }
        }
    }
}
