//! How many transfers run at once: each is a process, and lasts as long as its client likes.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wikigrove_tenant::TenantId;
use wikigrove_tenant::problem::Problem;

use super::limits::GitLimits;
use super::service::Service;
use crate::limits::Principal;

/// After how long a client that found no place should come back, in seconds.
const RETRY_SECONDS: u64 = 10;

/// The places for transfers. A crowd at one wiki leaves the other wikis theirs, nobody takes all of a
/// wiki's alone, however slowly they read, and those who give don't wait for those who take.
pub(super) struct Places {
    fetches: Pool,
    pushes: Pool,
    patience: Duration,
}

struct Pool {
    all: Arc<Semaphore>,
    wikis: Shares<TenantId>,
    principals: Shares<Principal>,
}

/// So many places for each of many.
struct Shares<K> {
    of_one: usize,
    known: Mutex<HashMap<K, Arc<Semaphore>>>,
}

/// A place for one transfer, as long as this is held.
pub(super) struct Place {
    _all: OwnedSemaphorePermit,
    _wikis: OwnedSemaphorePermit,
    _principals: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(limits: &GitLimits) -> Self {
        Self {
            fetches: Pool::new(
                limits.fetches,
                limits.fetches_per_wiki,
                limits.fetches_per_principal,
            ),
            pushes: Pool::new(limits.pushes, limits.pushes_per_wiki, limits.pushes_per_principal),
            patience: limits.patience,
        }
    }

    /// Waits for a place, for a while.
    ///
    /// # Errors
    /// 503: there was none.
    pub(super) async fn take(
        &self,
        wiki: TenantId,
        who: Principal,
        service: Service,
    ) -> Result<Place, Problem> {
        let pool = match service {
            Service::UploadPack => &self.fetches,
            Service::ReceivePack => &self.pushes,
        };
        let taken = tokio::time::timeout(self.patience, pool.take(wiki, who)).await;
        taken.ok().flatten().ok_or_else(|| {
            let detail = "too many transfers are going on; try again in a moment";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).retry_after(RETRY_SECONDS)
        })
    }
}

impl Pool {
    fn new(all: usize, of_wiki: usize, of_principal: usize) -> Self {
        let all = Arc::new(Semaphore::new(all.max(1)));
        Self { all, wikis: Shares::new(of_wiki), principals: Shares::new(of_principal) }
    }

    /// One's own first, then the wiki's, so that whoever asks for much waits for themselves, and a crowd at
    /// one wiki for itself, and not where all do.
    async fn take(&self, wiki: TenantId, who: Principal) -> Option<Place> {
        let principals = self.principals.of(who).acquire_owned().await.ok()?;
        let wikis = self.wikis.of(wiki).acquire_owned().await.ok()?;
        let all = self.all.clone().acquire_owned().await.ok()?;
        Some(Place { _all: all, _wikis: wikis, _principals: principals })
    }
}

impl<K: Eq + Hash> Shares<K> {
    fn new(of_one: usize) -> Self {
        Self { of_one: of_one.max(1), known: Mutex::default() }
    }

    fn of(&self, one: K) -> Arc<Semaphore> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Who holds or waits for a place counts; the others needn't be remembered.
        if known.len() >= 64 {
            known.retain(|_, places| Arc::strong_count(places) > 1);
        }
        known.entry(one).or_insert_with(|| Arc::new(Semaphore::new(self.of_one))).clone()
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
        let take = |wiki| places.take(wiki, Principal::Nowhere, Service::UploadPack);
        let held = (take(garden).await.ok(), take(garden).await.ok());
        assert!(held.0.is_some() && held.1.is_some());
        let refused = take(garden).await.err().expect("its places are taken");
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        let other = take(kitchen).await.expect("another wiki has its own");
        assert!(take(kitchen).await.is_err(), "all places are taken");
        let push = places.take(garden, Principal::Nowhere, Service::ReceivePack);
        assert!(push.await.is_ok());
        drop(held);
        assert!(take(garden).await.is_ok());
        drop(other);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_takes_all_of_a_wikis_places_alone() {
        let limits =
            GitLimits { fetches_per_wiki: 3, fetches_per_principal: 2, ..GitLimits::default() };
        let places = Places::new(&limits);
        let (garden, kitchen) = (TenantId::random(), TenantId::random());
        let take = |wiki, who| places.take(wiki, Principal::V4(who), Service::UploadPack);
        let held = (take(garden, 1).await.ok(), take(garden, 1).await.ok());
        assert!(held.0.is_some() && held.1.is_some());
        assert!(take(garden, 1).await.is_err() && take(kitchen, 1).await.is_err());
        assert!(take(garden, 2).await.is_ok(), "somebody else gets in");
    }
}
