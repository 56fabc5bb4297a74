//! Limits on concurrent transfers: each is a process and lasts as long as its client likes.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::oneshot;
use wikigrove_tenant::TenantId;
use wikigrove_tenant::problem::Problem;

use super::limits::GitLimits;
use super::service::Service;
use crate::limits::Principal;

/// Time after which a refused client should retry, in seconds.
const RETRY_SECONDS: u64 = 10;
/// Maximum number of waiting clients, in total and per wiki or caller.
const WAITING: usize = 1000;
const WAITING_OF_ONE: usize = 64;

/// Permits for transfers.
///
/// Each wiki and each caller has a share, and a quarter of the permits is reserved for wikis that hold
/// none: a crowd at some wikis, however slowly it reads, leaves permits for the others. A free permit
/// goes to the wiki that holds the fewest, then to the caller that holds the fewest, then to the first
/// in the queue. Pushes don't wait for fetches.
pub(crate) struct Places {
    fetches: Arc<Pool>,
    pushes: Arc<Pool>,
    patience: Duration,
}

struct Pool {
    all: usize,
    /// Number of permits that only a wiki without any may take.
    reserved: usize,
    of_wiki: usize,
    of_principal: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: usize,
    wikis: HashMap<TenantId, usize>,
    principals: HashMap<Principal, usize>,
    waiting: Vec<Waiting>,
}

struct Waiting {
    wiki: TenantId,
    who: Principal,
    grant: oneshot::Sender<Place>,
}

/// A permit for one transfer, until it is dropped.
pub(crate) struct Place {
    pool: Arc<Pool>,
    wiki: TenantId,
    who: Principal,
}

impl Places {
    pub(crate) fn new(limits: &GitLimits) -> Self {
        let pool = |all: usize, of_wiki: usize, of_principal: usize| {
            let all = all.max(1);
            let (of_wiki, of_principal) = (of_wiki.max(1), of_principal.max(1));
            let state = Mutex::default();
            Arc::new(Pool { all, reserved: all / 4, of_wiki, of_principal, state })
        };
        Self {
            fetches: pool(limits.fetches, limits.fetches_per_wiki, limits.fetches_per_principal),
            pushes: pool(limits.pushes, limits.pushes_per_wiki, limits.pushes_per_principal),
            patience: limits.patience,
        }
    }

    /// Waits for a permit to export the whole wiki.
    ///
    /// # Errors
    /// 503 if none became free in time.
    pub(crate) async fn export(&self, wiki: TenantId, who: Principal) -> Result<Place, Problem> {
        self.take(wiki, who, Service::UploadPack).await
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// 503 if none became free in time.
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
        let granted = pool.queue(wiki, who).ok_or_else(busy)?;
        pool.grant();
        let granted = tokio::time::timeout(self.patience, granted).await;
        granted.ok().and_then(Result::ok).ok_or_else(busy)
    }
}

impl Default for Places {
    fn default() -> Self {
        Self::new(&GitLimits::default())
    }
}

fn busy() -> Problem {
    let detail = "too many transfers are going on; try again in a moment";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).retry_after(RETRY_SECONDS)
}

impl Place {
    /// Returns `true` if another client could run if this permit were released.
    pub(super) fn is_contended(&self) -> bool {
        let pool = &self.pool;
        let mut state = pool.lock();
        state.give_back(self.wiki, &self.who);
        let is_contended = pool.next(&state).is_some();
        state.take(self.wiki, &self.who);
        is_contended
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.pool.lock().give_back(self.wiki, &self.who);
        self.pool.grant();
    }
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the queue; `None` if it is full.
    fn queue(&self, wiki: TenantId, who: Principal) -> Option<oneshot::Receiver<Place>> {
        let mut state = self.lock();
        state.waiting.retain(|waiting| !waiting.grant.is_closed());
        let of_wiki = state.waiting.iter().filter(|waiting| waiting.wiki == wiki).count();
        let of_client = state.waiting.iter().filter(|waiting| waiting.who == who).count();
        let is_full = state.waiting.len() >= WAITING;
        if is_full || of_wiki >= WAITING_OF_ONE || of_client >= WAITING_OF_ONE {
            return None;
        }
        let (grant, granted) = oneshot::channel();
        state.waiting.push(Waiting { wiki, who, grant });
        Some(granted)
    }

    /// Hands the free permits to the next clients in the queue.
    fn grant(self: &Arc<Self>) {
        loop {
            let mut state = self.lock();
            let Some(next) = self.next(&state) else { return };
            let Waiting { wiki, who, grant } = state.waiting.remove(next);
            state.take(wiki, &who);
            drop(state);
            // If the client has stopped waiting, dropping the permit releases it again.
            drop(grant.send(Place { pool: self.clone(), wiki, who }));
        }
    }

    /// Position in the queue of the next client that may have a permit now.
    fn next(&self, state: &State) -> Option<usize> {
        let of = |waiting: &Waiting| {
            (count(&state.wikis, &waiting.wiki), count(&state.principals, &waiting.who))
        };
        let may = |waiting: &Waiting| {
            let (wiki, principal) = of(waiting);
            let kept = if wiki == 0 { 0 } else { self.reserved };
            state.held + kept < self.all && wiki < self.of_wiki && principal < self.of_principal
        };
        let waiting = state.waiting.iter().enumerate();
        let may = waiting.filter(|(_, waiting)| !waiting.grant.is_closed() && may(waiting));
        may.min_by_key(|(_, waiting)| of(waiting)).map(|(next, _)| next)
    }
}

impl State {
    fn take(&mut self, wiki: TenantId, who: &Principal) {
        self.held += 1;
        *self.wikis.entry(wiki).or_default() += 1;
        *self.principals.entry(who.clone()).or_default() += 1;
    }

    fn give_back(&mut self, wiki: TenantId, who: &Principal) {
        self.held -= 1;
        subtract(&mut self.wikis, &wiki);
        subtract(&mut self.principals, who);
    }
}

fn count<K: Eq + Hash>(held: &HashMap<K, usize>, one: &K) -> usize {
    held.get(one).copied().unwrap_or_default()
}

/// Decrements a count; a count of zero is removed from the map.
fn subtract<K: Eq + Hash>(held: &mut HashMap<K, usize>, one: &K) {
    if let Some(count) = held.get_mut(one) {
        *count -= 1;
        if *count == 0 {
            held.remove(one);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(limits: GitLimits) -> Places {
        Places::new(&limits)
    }

    /// Takes a permit if one is free.
    async fn free(places: &Places, wiki: TenantId, who: u32) -> Option<Place> {
        places.take(wiki, Principal::V4(who), Service::UploadPack).await.ok()
    }

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
    async fn no_client_takes_all_of_a_wikis_places_alone() {
        let limits =
            GitLimits { fetches_per_wiki: 3, fetches_per_principal: 2, ..GitLimits::default() };
        let places = places(limits);
        let (garden, kitchen) = (TenantId::random(), TenantId::random());
        let held = (free(&places, garden, 1).await, free(&places, garden, 1).await);
        assert!(held.0.is_some() && held.1.is_some());
        assert!(free(&places, garden, 1).await.is_none());
        assert!(free(&places, kitchen, 1).await.is_none());
        assert!(free(&places, garden, 2).await.is_some(), "another client gets in");
    }

    #[tokio::test(start_paused = true)]
    async fn crowds_at_some_wikis_from_many_addresses_leave_places_to_the_others() {
        let places = places(GitLimits::default());
        let crowded: Vec<_> = (0..5).map(|_| TenantId::random()).collect();
        let mut held = Vec::new();
        for n in 0..60 {
            held.extend(free(&places, crowded[n % 5], n as u32 / 6).await);
        }
        assert_eq!(held.len(), 24);
        for _ in 0..8 {
            held.push(free(&places, TenantId::random(), 1000).await.expect("it has none yet"));
            if held.len() == 30 {
                // The client already has its share.
                assert!(free(&places, TenantId::random(), 1000).await.is_none());
                break;
            }
        }
        let garden = TenantId::random();
        held.push(free(&places, garden, 2000).await.unwrap());
        assert!(free(&places, garden, 2001).await.is_none(), "the rest is for others");
        held.push(free(&places, TenantId::random(), 2002).await.unwrap());
        assert!(free(&places, TenantId::random(), 2003).await.is_none(), "all are taken");
        drop(held);
        let state = places.fetches.lock();
        assert!(state.held == 0 && state.wikis.is_empty() && state.principals.is_empty());
        assert!(state.waiting.iter().all(|waiting| waiting.grant.is_closed()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_place_goes_to_the_wiki_that_has_the_fewest() {
        let limits = GitLimits { fetches: 3, ..GitLimits::default() };
        let places = Arc::new(places(limits));
        let (crowded, calm) = (TenantId::random(), TenantId::random());
        let mut held = Vec::new();
        for n in 0..3 {
            held.push(free(&places, crowded, n).await.unwrap());
        }
        assert!(!held[0].is_contended(), "nothing waits");
        let wait = |wiki, who| {
            let places = places.clone();
            wikigrove_tenant::spawn(async move { free(&places, wiki, who).await })
        };
        let crowd: Vec<_> = (10..20).map(|n| wait(crowded, n)).collect();
        tokio::time::sleep(Duration::from_millis(1)).await;
        let late = wait(calm, 30);
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(held[0].is_contended());
        held.pop();
        let late = late.await.unwrap().expect("it came last, and has the fewest");
        drop((late, held));
        for waiting in crowd {
            assert!(waiting.await.unwrap().is_some(), "nothing is lost");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_not_lost_when_its_client_stops_waiting() {
        let places = places(GitLimits { fetches: 1, ..GitLimits::default() });
        let wiki = TenantId::random();
        let held = free(&places, wiki, 1).await.unwrap();
        {
            let mut waiting = Box::pin(free(&places, wiki, 2));
            assert!(tokio::time::timeout(Duration::ZERO, &mut waiting).await.is_err());
        }
        assert!(!held.is_contended());
        drop(held);
        assert!(free(&places, wiki, 3).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_that_waits_is_bounded() {
        let places = places(GitLimits { fetches: 1, ..GitLimits::default() });
        let (garden, kitchen) = (TenantId::random(), TenantId::random());
        let _held = free(&places, garden, 0).await.unwrap();
        let waiting: Vec<_> = (0..WAITING_OF_ONE)
            .map(|n| places.fetches.queue(garden, Principal::V4(n as u32)).unwrap())
            .collect();
        assert!(places.fetches.queue(garden, Principal::V4(1000)).is_none());
        assert!(places.fetches.queue(kitchen, Principal::V4(1000)).is_some());
        drop(waiting);
        assert!(places.fetches.queue(garden, Principal::V4(1000)).is_some());
    }
}
