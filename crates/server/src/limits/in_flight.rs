//! Limits requests in flight to one wiki or one hook, so that slow requests to one of them can't use up the server.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use wikigrove_tenant::TenantId;
use wikigrove_tenant::problem::Problem;

/// How long to wait for a place, in seconds.
const RETRY_SECONDS: u64 = 1;
/// Locks that are shared by all wikis, so that they rarely wait for each other.
const SHARDS: usize = 16;

type Counts<K> = HashMap<K, usize>;

/// The places of each key, such as each wiki. A key without requests takes no memory.
#[derive(Debug)]
pub(crate) struct Places<K: Eq + Hash = TenantId> {
    most: usize,
    taken: [Mutex<Counts<K>>; SHARDS],
}

impl<K: Eq + Hash + Clone> Places<K> {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, taken: Default::default() }
    }

    /// Takes a place of one of them.
    ///
    /// # Errors
    /// There is none left: 503.
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
        // Counting can't end half way.
        self.taken[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request's place, for as long as this is held.
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
