//! How much git may ask of the server.

use std::time::Duration;

/// The bounds of git over HTTP.
#[derive(Clone, Copy, Debug)]
pub struct GitLimits {
    /// Bytes in one push.
    pub pack_bytes: u64,
    /// How many clones and fetches may run at once, for all wikis and for one; and how many pushes.
    pub fetches: usize,
    /// As `fetches`, for one wiki.
    pub fetches_per_wiki: usize,
    /// As `fetches`, for one caller: without a credential, for one address.
    pub fetches_per_principal: usize,
    /// How many pushes may run at once, for all wikis.
    pub pushes: usize,
    /// As `pushes`, for one wiki.
    pub pushes_per_wiki: usize,
    /// As `pushes`, for one caller.
    pub pushes_per_principal: usize,
    /// How long a client waits for its turn before it is told to come back.
    pub patience: Duration,
    /// How long one transfer may take.
    pub total: Duration,
    /// How long it may stand still.
    pub idle: Duration,
    /// How long a client that fetches may take to read 64 KiB, and a quarter of that while others wait for
    /// a place. For a client that pushes `idle` is the time for as much.
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
