//! How many requests to one wiki are in flight at once, so that nobody takes all the server has by
//! asking one wiki slowly.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use wikigrove_tenant::TenantId;
use wikigrove_tenant::problem::Problem;

/// How long to wait for a place, in seconds.
const RETRY_SECONDS: u64 = 1;
/// Locks that are shared by all wikis, so that they rarely wait for each other.
const SHARDS: usize = 16;

type Counts = HashMap<TenantId, usize>;

/// The places that each wiki has. A wiki that nobody asks takes no memory.
#[derive(Debug)]
pub(crate) struct Places {
    most: usize,
    taken: [Mutex<Counts>; SHARDS],
}

impl Places {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, taken: Default::default() }
    }

    /// Takes a place of a wiki.
    ///
    /// # Errors
    /// There is none left: 503.
    pub(crate) fn enter(self: &Arc<Self>, wiki: TenantId) -> Result<Place, Problem> {
        let mut counts = self.counts(wiki);
        let count = counts.entry(wiki).or_default();
        if *count >= self.most {
            let detail = "too many requests to this wiki are in flight";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
                .retry_after(RETRY_SECONDS));
        }
        *count += 1;
        Ok(Place { places: self.clone(), wiki })
    }

    fn counts(&self, wiki: TenantId) -> MutexGuard<'_, Counts> {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut hash = DefaultHasher::new();
        wiki.hash(&mut hash);
        let shard = usize::try_from(hash.finish() % SHARDS as u64).unwrap_or_default();
        // Counting can't end half way.
        self.taken[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request's place, for as long as this is held.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    wiki: TenantId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.places.counts(self.wiki);
        if let Entry::Occupied(mut count) = counts.entry(self.wiki) {
            if *count.get() > 1 {
                *count.get_mut() -= 1;
            } else {
                count.remove();
            }
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
