//! Equal requests for a page that isn't rendered yet: one does the work, and the others wait for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::{Mutex as Turn, MutexGuard as TurnGuard};
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::storage::links::Sought;

use super::cache::{Entry, Key};

/// Maximum time to wait for an equal request.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time after which a refused request should be retried, in seconds.
const RETRY_SECONDS: u64 = 1;

/// The requests in flight. Without any it takes no memory.
#[derive(Clone, Default)]
pub(super) struct Joined(Arc<Mutex<HashMap<Key, Arc<Turn<Shared>>>>>);

/// The results that equal requests have so far.
#[derive(Default)]
pub(super) struct Shared {
    /// The candidates of the page's links.
    pub(super) wanted: Option<Arc<Vec<Sought>>>,
    /// The page as it was rendered last. What its links lead to may have changed since then.
    pub(super) entry: Option<Arc<Entry>>,
}

/// A request's part in what equal requests share.
pub(super) struct Slot {
    joined: Joined,
    key: Key,
    /// `None` while it is dropped.
    shared: Option<Arc<Turn<Shared>>>,
}

impl Joined {
    /// Joins the requests of the same key.
    pub(super) fn slot(&self, key: &Key) -> Slot {
        let shared = Some(self.slots().entry(key.clone()).or_default().clone());
        Slot { joined: self.clone(), key: key.clone(), shared }
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<Key, Arc<Turn<Shared>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Waits until no equal request works, and takes part in what it has found out. If it failed or was cancelled,
    /// the next one does the work.
    ///
    /// # Errors
    /// 503 if that takes too long.
    pub(super) async fn enter(&self) -> Result<TurnGuard<'_, Shared>, Problem> {
        let busy = || {
            let detail = "the page is being rendered for others; try again in a moment";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).retry_after(RETRY_SECONDS)
        };
        let shared = self.shared.as_ref().ok_or_else(busy)?;
        tokio::time::timeout(PATIENCE, shared.lock()).await.map_err(|_| busy())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut slots = self.joined.slots();
        self.shared = None;
        if slots.get(&self.key).is_some_and(|shared| Arc::strong_count(shared) == 1) {
            slots.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use wikigrove_tenant::storage::links::LinkStyle;
    use wikigrove_tenant::{Etag, TenantId};

    use super::*;

    fn key(wiki: TenantId, path: &str) -> Key {
        let etag = Etag::from_bytes([7; 20]);
        let (base, path) = ("/w/garden".to_owned(), path.to_owned());
        Key { wiki, base, path, etag, style: LinkStyle::TargetFirst, by_name: true }
    }

    #[tokio::test]
    async fn equal_requests_do_the_work_once() {
        let (joined, wiki) = (Joined::default(), TenantId::random());
        let slots: Vec<_> = (0..100).map(|_| joined.slot(&key(wiki, "roses"))).collect();
        let mut made = 0;
        for slot in &slots {
            let mut shared = slot.enter().await.unwrap();
            shared.wanted.get_or_insert_with(|| {
                made += 1;
                Arc::default()
            });
        }
        assert_eq!(made, 1);
        let other = joined.slot(&key(wiki, "tulips"));
        assert!(other.enter().await.unwrap().wanted.is_none());
        drop((slots, other));
        assert!(joined.slots().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_work_is_waited_for_as_long_as_it_takes_in_reason() {
        let (joined, wiki) = (Joined::default(), TenantId::random());
        let (first, second) = (joined.slot(&key(wiki, "a")), joined.slot(&key(wiki, "a")));
        let working = first.enter().await.unwrap();
        let refused = second.enter().await.map(drop).unwrap_err();
        assert_eq!((refused.status().as_u16(), refused.code()), (503, "busy"));
        drop(working);
        drop(second.enter().await.unwrap());
    }
}
