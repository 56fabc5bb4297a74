//! Pages kept in memory, shared by any number of wikis that can't see each other's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use moka::sync::Cache;

use crate::page::Page;
use crate::revision::Revision;

/// What an entry costs besides its content and path, in bytes.
const OVERHEAD: usize = 400;

/// A cache of page contents with a bound in bytes for all wikis together.
///
/// Every open wiki has a number of its own in every key, so one wiki can't be answered from
/// another one's entry, and a wiki that is closed and opened again starts with nothing.
#[derive(Clone)]
pub struct PageCache {
    pages: Cache<Key, Cached>,
    next: Arc<AtomicU64>,
}

type Key = (u64, String);

#[derive(Clone)]
struct Cached {
    /// The head at which the page was read. At any other head it may be another page.
    head: Revision,
    page: Arc<Page>,
}

impl PageCache {
    /// A cache that holds about `bytes` bytes.
    pub fn with_capacity(bytes: u64) -> Self {
        let weigh = |key: &Key, cached: &Cached| {
            u32::try_from(OVERHEAD + key.1.len() + cached.page.content.len()).unwrap_or(u32::MAX)
        };
        Self {
            pages: Cache::builder().max_capacity(bytes).weigher(weigh).build(),
            next: Arc::default(),
        }
    }

    /// The view of one wiki.
    pub(crate) fn for_wiki(&self) -> WikiPages {
        WikiPages { pages: self.pages.clone(), wiki: self.next.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Default for PageCache {
    /// 64 MiB.
    fn default() -> Self {
        Self::with_capacity(64 << 20)
    }
}

impl std::fmt::Debug for PageCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PageCache").field("pages", &self.pages.entry_count()).finish()
    }
}

/// One wiki's part of the cache.
pub(crate) struct WikiPages {
    pages: Cache<Key, Cached>,
    wiki: u64,
}

impl WikiPages {
    pub(crate) fn get(&self, path: &str, head: Revision) -> Option<Arc<Page>> {
        let cached = self.pages.get(&(self.wiki, path.to_owned()))?;
        (cached.head == head).then_some(cached.page)
    }

    pub(crate) fn put(&self, path: &str, head: Revision, page: Arc<Page>) {
        self.pages.insert((self.wiki, path.to_owned()), Cached { head, page });
    }
}
