//! Rendered pages in memory.

use std::sync::Arc;

use wikigrove_tenant::storage::Resolved;
use wikigrove_tenant::storage::links::{LinkStyle, Sought};
use wikigrove_tenant::{CacheUse, Etag, TenantId};

use crate::render::Rendered;

/// How much is kept, in bytes.
const CAPACITY: u64 = 32 << 20;
/// What an entry costs besides its text, in bytes.
const OVERHEAD: usize = 800;

/// What a rendered page depends on, besides what exists in the wiki. With the wiki's id in it, no
/// wiki is answered from another one's entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) wiki: TenantId,
    pub(super) base: String,
    pub(super) path: String,
    pub(super) etag: Etag,
    pub(super) style: LinkStyle,
    /// Whether wiki links find pages by name.
    pub(super) by_name: bool,
}

/// A page as it was rendered when it led to `found`.
pub(crate) struct Entry {
    /// What its links may mean.
    pub(super) wanted: Vec<Sought>,
    /// What each of them led to. As long as this holds, so does what was rendered.
    pub(super) found: Vec<Resolved>,
    pub(super) rendered: Rendered,
}

impl Entry {
    /// About how many bytes it takes.
    fn size(&self) -> usize {
        let paths =
            self.wanted.iter().flat_map(|sought| sought.candidates.iter().chain(&sought.names));
        let wanted: usize = paths.map(|path| 2 * path.len() + 100).sum();
        let links: usize = self.rendered.links.iter().map(|link| link.target.len() + 50).sum();
        let headings: usize = self.rendered.headings.iter().map(|h| 2 * h.text.len() + 100).sum();
        OVERHEAD + self.rendered.html.len() + wanted + links + headings
    }
}

/// A cache with a bound in bytes for all wikis together.
#[derive(Clone)]
pub(super) struct Cache(moka::sync::Cache<Key, Arc<Entry>>);

impl Cache {
    /// How full it is.
    pub(super) fn usage(&self) -> CacheUse {
        // What was put in or taken out of late may not be counted yet.
        self.0.run_pending_tasks();
        let (entries, bytes) = (self.0.entry_count(), self.0.weighted_size());
        CacheUse { entries, bytes, capacity: CAPACITY }
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        self.0.get(key)
    }

    pub(super) fn put(&self, key: Key, entry: Arc<Entry>) {
        self.0.insert(key, entry);
    }
}

impl Default for Cache {
    fn default() -> Self {
        let weigh = |key: &Key, entry: &Arc<Entry>| {
            let size = key.base.len() + key.path.len() + entry.size();
            u32::try_from(size).unwrap_or(u32::MAX)
        };
        Self(moka::sync::Cache::builder().max_capacity(CAPACITY).weigher(weigh).build())
    }
}
