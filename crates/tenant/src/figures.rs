//! Statistics of a whole platform, for monitoring. None of them opens a wiki or is about a single one.

use std::sync::atomic::{AtomicU64, Ordering};

use wikigrove_storage::{CacheUse, PoolUse};

use crate::Origin;

/// Present memory use, and counters since the platform was opened.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Number of open wikis.
    pub open_wikis: usize,
    /// Maximal number of open wikis.
    pub most_open_wikis: usize,
    /// Number of wikis opened and closed.
    pub comings: Comings,
    /// Number of announced changes per interface.
    pub changes: Vec<(Origin, u64)>,
    /// The connection pool of platform.db.
    pub platform_pool: PoolUse,
    /// The connection pools of all open wikis together.
    pub wiki_pools: PoolUse,
    /// The cache of pages.
    pub pages: CacheUse,
    /// Number of catalog rows in memory.
    pub catalog_rows: u64,
}

/// Number of wikis opened, and closed per reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Comings {
    /// Number of wikis opened.
    pub opened: u64,
    /// Number of wikis closed after being idle.
    pub idle: u64,
    /// Number of wikis closed to make room for another wiki.
    pub displaced: u64,
    /// Number of wikis closed because they were deleted or the platform was closed.
    pub ended: u64,
}

/// Statistics of the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Census {
    /// Number of wikis per state. States without wikis are absent.
    pub wikis: Vec<(String, u32)>,
    /// Number of links per state and reason.
    pub links: Vec<LinkCount>,
    /// Number of notices waiting to be sent, counted per channel.
    pub notices: u32,
}

/// Number of links in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkCount {
    /// The state in one word.
    pub word: String,
    /// The reason. `None` if there is none, or if reasons weren't asked for.
    pub reason: Option<String>,
    /// The number.
    pub links: u32,
}

/// Counters of announced changes.
#[derive(Default)]
pub(crate) struct Announced {
    api: AtomicU64,
    git: AtomicU64,
    sync: AtomicU64,
}

impl Announced {
    pub(crate) fn count(&self, origin: Origin) {
        self.of(origin).fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn all(&self) -> Vec<(Origin, u64)> {
        let all = [Origin::Api, Origin::Git, Origin::Sync];
        all.map(|origin| (origin, self.of(origin).load(Ordering::Relaxed))).to_vec()
    }

    fn of(&self, origin: Origin) -> &AtomicU64 {
        match origin {
            Origin::Api => &self.api,
            Origin::Git => &self.git,
            Origin::Sync => &self.sync,
        }
    }
}
