//! How many transfers run at once: each is a process, and lasts as long as its client likes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wikigrove_tenant::TenantId;
use wikigrove_tenant::problem::Problem;

use super::limits::GitLimits;
use super::service::Service;

/// After how long a client that found no place should come back, in seconds.
const RETRY_SECONDS: u64 = 10;

/// The places for transfers. Whoever takes all of one wiki's leaves the other wikis theirs, and those
/// who give don't wait for those who take.
pub(super) struct Places {
    fetches: Pool,
    pushes: Pool,
    patience: Duration,
}

struct Pool {
    all: Arc<Semaphore>,
    of_one: usize,
    wikis: Mutex<HashMap<TenantId, Arc<Semaphore>>>,
}

/// A place for one transfer, as long as this is held.
pub(super) struct Place {
    _all: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(limits: &GitLimits) -> Self {
        Self {
            fetches: Pool::new(limits.fetches, limits.fetches_per_wiki),
            pushes: Pool::new(limits.pushes, limits.pushes_per_wiki),
            patience: limits.patience,
        }
    }

    /// Waits for a place, for a while.
    ///
    /// # Errors
    /// 503: there was none.
    pub(super) async fn take(&self, wiki: TenantId, service: Service) -> Result<Place, Problem> {
        let pool = match service {
            Service::UploadPack => &self.fetches,
            Service::ReceivePack => &self.pushes,
        };
        let taken = tokio::time::timeout(self.patience, pool.take(wiki)).await;
        taken.ok().flatten().ok_or_else(|| {
            let detail = "too many transfers are going on; try again in a moment";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).retry_after(RETRY_SECONDS)
        })
    }
}

impl Pool {
    fn new(all: usize, of_one: usize) -> Self {
        let all = Arc::new(Semaphore::new(all.max(1)));
        Self { all, of_one: of_one.max(1), wikis: Mutex::default() }
    }

    /// The wiki's own first, so that a crowd at one wiki waits for itself and not where all do.
    async fn take(&self, wiki: TenantId) -> Option<Place> {
        let own = self.own(wiki).acquire_owned().await.ok()?;
        let all = self.all.clone().acquire_owned().await.ok()?;
        Some(Place { _all: all, _own: own })
    }

    fn own(&self, wiki: TenantId) -> Arc<Semaphore> {
        let mut wikis = self.wikis.lock().unwrap_or_else(PoisonError::into_inner);
        // Who holds or waits for a place counts; the others needn't be remembered.
        if wikis.len() >= 64 {
            wikis.retain(|_, places| Arc::strong_count(places) > 1);
        }
        wikis.entry(wiki).or_insert_with(|| Arc::new(Semaphore::new(self.of_one))).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_crowd_at_one_wiki_leaves_the_others_their_places() {
        let limits = GitLimits { fetches: 3, fetches_per_wiki: 2, ..GitLimits::default() };
        let places = Places::new(&limits);
        let (garden, kitchen) = (TenantId::random(), TenantId::random());
        let take = |wiki| places.take(wiki, Service::UploadPack);
        let held = (take(garden).await.ok(), take(garden).await.ok());
        assert!(held.0.is_some() && held.1.is_some());
        let refused = take(garden).await.err().expect("its places are taken");
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        let other = take(kitchen).await.expect("another wiki has its own");
        assert!(take(kitchen).await.is_err(), "all places are taken");
        assert!(places.take(garden, Service::ReceivePack).await.is_ok());
        drop(held);
        assert!(take(garden).await.is_ok());
        drop(other);
    }
}
