//! Figures about a platform as a whole, for whoever watches it. None of them opens a wiki, and none is
//! about one.

use std::sync::atomic::{AtomicU64, Ordering};

use wikigrove_storage::{CacheUse, PoolUse};

use crate::Origin;

/// What is in memory at one moment, and what happened since the platform was opened.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Wikis that are open.
    pub open_wikis: usize,
    /// How many may be open at once.
    pub most_open_wikis: usize,
    /// How often wikis were opened and closed.
    pub comings: Comings,
    /// How many changes were announced, by the door they came through.
    pub changes: Vec<(Origin, u64)>,
    /// The pool of platform.db.
    pub platform_pool: PoolUse,
    /// The pools of all open wikis together.
    pub wiki_pools: PoolUse,
    /// The memory for pages.
    pub pages: CacheUse,
    /// Rows of the catalog that are kept in memory.
    pub catalog_rows: u64,
}

/// How often wikis were opened, and closed for which reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Comings {
    /// Opened.
    pub opened: u64,
    /// Closed because nobody asked for them for a while.
    pub idle: u64,
    /// Closed because their place was needed for another.
    pub displaced: u64,
    /// Closed with the wiki or with the platform.
    pub ended: u64,
}

/// What is in the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Census {
    /// How many wikis are in which state. States that no wiki is in aren't there.
    pub wikis: Vec<(String, u32)>,
    /// How many links are in which state, for which reason.
    pub links: Vec<LinkCount>,
    /// Notices that wait to be sent, counted for each channel.
    pub notices: u32,
}

/// How many links are in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkCount {
    /// The state in one word.
    pub word: String,
    /// Why. `None` if there is no reason, or if it wasn't asked for.
    pub reason: Option<String>,
    /// So many.
    pub links: u32,
}

/// Counts changes.
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
