//! Limits of git over HTTP.

use std::time::Duration;

/// Limits of git over HTTP.
#[derive(Clone, Copy, Debug)]
pub struct GitLimits {
    /// Maximum size of a push, in bytes.
    pub pack_bytes: u64,
    /// Maximum number of concurrent clones and fetches, of all wikis.
    pub fetches: usize,
    /// Like `fetches`, per wiki.
    pub fetches_per_wiki: usize,
    /// Like `fetches`, per caller; anonymous callers are told apart by address.
    pub fetches_per_principal: usize,
    /// Maximum number of concurrent pushes, of all wikis.
    pub pushes: usize,
    /// Like `pushes`, per wiki.
    pub pushes_per_wiki: usize,
    /// Like `pushes`, per caller.
    pub pushes_per_principal: usize,
    /// Maximum time that a client waits for a permit before it is told to retry.
    pub patience: Duration,
    /// Maximum duration of a transfer.
    pub total: Duration,
    /// Maximum time without progress in a transfer.
    pub idle: Duration,
    /// Maximum time in which a fetching client must read 64 KiB; a quarter of it while others wait for a
    /// permit. For a pushing client, `idle` is the time for the same amount.
    pub pace: Duration,
}

impl Default for GitLimits {
    fn default() -> Self {
        Self {
            pack_bytes: 1_000_000_000,
            fetches: 32,
            fetches_per_wiki: 8,
            fetches_per_principal: 6,
            pushes: 16,
            pushes_per_wiki: 4,
            pushes_per_principal: 3,
            patience: Duration::from_secs(5),
            total: Duration::from_secs(3600),
            idle: Duration::from_secs(120),
            pace: Duration::from_secs(20),
        }
    }
}
