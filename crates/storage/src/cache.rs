//! The page cache. Wikis share its memory, but can't see each other's pages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use moka::Equivalent;
use moka::sync::Cache;

use crate::allowance::json_size;
use crate::page::Page;
use crate::recent::Position;

/// Estimated bytes of an entry besides its content and path.
const OVERHEAD: usize = 400;

/// A cache of page contents, with a limit in bytes for all wikis together.
///
/// Every open wiki has a unique number in its keys, so a wiki can never get another wiki's entry, and a wiki that is
/// closed and opened again starts with an empty cache.
#[derive(Clone)]
pub struct PageCache {
    pages: Cache<Key, Cached>,
    next: Arc<AtomicU64>,
}

/// The use of a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheUse {
    /// Number of entries.
    pub entries: u64,
    /// Estimated memory of the entries, in bytes.
    pub bytes: u64,
    /// Maximum memory of the entries, in bytes.
    pub capacity: u64,
}

type Key = (u64, String);

/// A borrowed key for lookups. It must hash like a [`Key`].
#[derive(Hash)]
struct Wanted<'a>(u64, &'a str);

impl Equivalent<Key> for Wanted<'_> {
    fn equivalent(&self, (wiki, path): &Key) -> bool {
        self.0 == *wiki && self.1 == path
    }
}

#[derive(Clone)]
struct Cached {
    /// The position at which the page was read.
    position: Position,
    page: Arc<Page>,
}

impl PageCache {
    /// Creates a cache that holds about `bytes` bytes.
    pub fn with_capacity(bytes: u64) -> Self {
        let weigh = |key: &Key, cached: &Cached| {
            // Includes the page's JSON form, which is made later.
            let content = &cached.page.content;
            let page = content.len() + json_size(content);
            u32::try_from(OVERHEAD + key.1.len() + page).unwrap_or(u32::MAX)
        };
        Self {
            pages: Cache::builder().max_capacity(bytes).weigher(weigh).build(),
            next: Arc::default(),
        }
    }

    /// Returns the present use.
    pub fn usage(&self) -> CacheUse {
        // The latest insertions and removals may not be counted yet.
        self.pages.run_pending_tasks();
        CacheUse {
            entries: self.pages.entry_count(),
            bytes: self.pages.weighted_size(),
            capacity: self.pages.policy().max_capacity().unwrap_or_default(),
        }
    }

    /// Returns the part of a new wiki.
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
    /// Returns a page with the position at which it was read. At another position the page may differ.
    pub(crate) fn get(&self, path: &str) -> Option<(Position, Arc<Page>)> {
        let cached = self.pages.get(&Wanted(self.wiki, path))?;
        Some((cached.position, cached.page))
    }

    /// Stores a page, and returns the one to use: of several concurrent readers, the first one's.
    pub(crate) fn put(&self, path: &str, position: Position, page: Arc<Page>) -> Arc<Page> {
        let entry = self.pages.entry((self.wiki, path.to_owned()));
        let is_other = |kept: &Cached| kept.position != position;
        entry.or_insert_with_if(|| Cached { position, page }, is_other).into_value().page
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::PageSummary;

    #[test]
    fn a_page_is_found_by_its_wiki_and_path_only() {
        let cache = PageCache::default();
        let (ours, theirs) = (cache.for_wiki(), cache.for_wiki());
        let position = Position::default();
        let summary = PageSummary {
            path: "a/b".to_owned(),
            title: String::new(),
            etag: crate::revision::Etag::from_bytes([0; 20]),
            revision: crate::Revision::from_bytes([1; 20]),
            size: 1,
            author: crate::author::Author::new("a", "b"),
            modified: time::OffsetDateTime::UNIX_EPOCH,
        };
        ours.put("a/b", position, Arc::new(Page::new(summary, "x".into())));
        assert_eq!(ours.get("a/b").map(|(at, _)| at), Some(position));
        assert!(ours.get("a").is_none() && theirs.get("a/b").is_none());
        let CacheUse { entries, bytes, capacity } = cache.usage();
        assert_eq!((entries, bytes, capacity), (1, OVERHEAD as u64 + 3 + 2, 64 << 20));
    }

    #[test]
    fn those_who_read_a_page_at_once_have_the_same_one() {
        let scratch = crate::testing::Scratch::new();
        scratch.create("p", &"x\n".repeat(1_000_000));
        let path = crate::ExistingPath::new("p").unwrap();
        let read = || scratch.wiki().read(&path).unwrap();
        let pages: Vec<_> = std::thread::scope(|scope| {
            let readers: Vec<_> = (0..16).map(|_| scope.spawn(read)).collect();
            readers.into_iter().map(|reader| reader.join().unwrap()).collect()
        });
        assert!(pages.iter().all(|page| Arc::ptr_eq(page, &pages[0])));
    }
}
