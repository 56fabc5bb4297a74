//! Limits the requests in flight per wiki or webhook, so that slow requests to one of them can't use up
//! the server.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use wikigrove_tenant::TenantId;
use wikigrove_tenant::problem::Problem;

/// Time after which a refused request should be retried, in seconds.
const RETRY_SECONDS: u64 = 1;
/// Number of locks, to reduce contention between wikis.
const SHARDS: usize = 16;

type Counts<K> = HashMap<K, usize>;

/// Permits per key, such as per wiki. A key without requests uses no memory.
#[derive(Debug)]
pub(crate) struct Places<K: Eq + Hash = TenantId> {
    most: usize,
    taken: [Mutex<Counts<K>>; SHARDS],
}

impl<K: Eq + Hash + Clone> Places<K> {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, taken: Default::default() }
    }

    /// Takes a permit for the key.
    ///
    /// # Errors
    /// 503 if none is left.
    pub(crate) fn enter(self: &Arc<Self>, of: K) -> Result<Place<K>, Problem> {
        let mut counts = self.counts(&of);
        let count = counts.entry(of.clone()).or_default();
        if *count >= self.most {
            let detail = "too many requests of this kind are in flight";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
                .retry_after(RETRY_SECONDS));
        }
        *count += 1;
        Ok(Place { places: self.clone(), of })
    }
}

impl<K: Eq + Hash> Places<K> {
    fn counts(&self, of: &K) -> MutexGuard<'_, Counts<K>> {
        use std::hash::{DefaultHasher, Hasher as _};
        let mut hash = DefaultHasher::new();
        of.hash(&mut hash);
        let shard = usize::try_from(hash.finish() % SHARDS as u64).unwrap_or_default();
        // Counting can't panic halfway, so a poisoned lock is still consistent.
        self.taken[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A permit for a request, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place<K: Eq + Hash = TenantId> {
    places: Arc<Places<K>>,
    of: K,
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut counts = self.places.counts(&self.of);
        match counts.get_mut(&self.of) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(counts.remove(&self.of)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wiki_has_places_of_its_own_and_they_are_given_back() {
        let places = Arc::new(Places::new(2));
        let (one, other) = (TenantId::random(), TenantId::random());
        let held = [places.enter(one).unwrap(), places.enter(one).unwrap()];
        let refused = places.enter(one).unwrap_err();
        assert_eq!((refused.status().as_u16(), refused.code()), (503, "busy"));
        assert_eq!(refused.to_response::<Vec<u8>>().headers()["retry-after"], "1");
        drop(places.enter(other).unwrap());
        drop(held);
        drop(places.enter(one).unwrap());
        assert!(places.taken.iter().all(|counts| counts.lock().unwrap().is_empty()));
    }
}
