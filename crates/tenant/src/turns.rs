//! Serialises requests with the same idempotency key, which may be retries of each other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wikigrove_storage::IdempotentRequest;

use crate::{Error, TenantId};

/// Maximal number of requests with one key that wait or are being answered. A client retries a few times; more requests
/// would only hold their bodies in memory.
const MOST_AT_ONCE: usize = 16;

/// The identity of an idempotent request: requests with the same key may be retries of each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TurnKey {
    wiki: Option<TenantId>,
    principal: String,
    method: String,
    route: String,
    key: String,
}

impl TurnKey {
    pub(crate) fn of(wiki: Option<TenantId>, request: &IdempotentRequest) -> Self {
        let IdempotentRequest { principal, method, route, key, .. } = request.clone();
        Self { wiki, principal, method, route, key }
    }
}

/// The queues of all keys in use. Unused keys take no memory. No two keys share a queue, so one caller can't delay
/// another.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<TurnKey, Queue>>);

#[derive(Debug)]
struct Queue {
    turn: Arc<Semaphore>,
    /// Number of requests that wait or are being answered.
    places: usize,
}

/// The right to answer a request. Ends on drop.
#[derive(Debug)]
pub struct Turn {
    _permit: OwnedSemaphorePermit,
    _place: Place,
}

/// A place in the queue of a key, taken when a request begins to wait.
#[derive(Debug)]
struct Place {
    turns: Arc<Turns>,
    key: TurnKey,
}

impl Turns {
    /// Waits for the turn of a request. Dropping the future leaves the queue.
    ///
    /// # Errors
    /// [`Error::Busy`]: too many requests wait.
    pub(crate) async fn take(self: &Arc<Self>, key: TurnKey) -> Result<Turn, Error> {
        let (turn, place) = self.enter(key)?;
        let permit = turn.acquire_owned().await.expect("the queues are never closed");
        Ok(Turn { _permit: permit, _place: place })
    }

    fn enter(self: &Arc<Self>, key: TurnKey) -> Result<(Arc<Semaphore>, Place), Error> {
        let mut queues = self.queues();
        let queue = queues
            .entry(key.clone())
            .or_insert_with(|| Queue { turn: Arc::new(Semaphore::new(1)), places: 0 });
        if queue.places >= MOST_AT_ONCE {
            let why = "many requests with this Idempotency-Key wait for the same answer";
            return Err(Error::Busy(why.to_owned()));
        }
        queue.places += 1;
        let turn = queue.turn.clone();
        drop(queues);
        Ok((turn, Place { turns: self.clone(), key }))
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<TurnKey, Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut queues = self.turns.queues();
        if let Some(queue) = queues.get_mut(&self.key) {
            queue.places -= 1;
            if queue.places == 0 {
                queues.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn key(wiki: Option<TenantId>, principal: &str, key: &str) -> TurnKey {
        let (principal, key) = (principal.to_owned(), key.to_owned());
        TurnKey { wiki, principal, method: "POST".to_owned(), route: "/moves".to_owned(), key }
    }

    type Taking<'a> = Pin<Box<dyn Future<Output = Result<Turn, Error>> + 'a>>;

    fn taking(turns: &Arc<Turns>, key: TurnKey) -> Taking<'_> {
        Box::pin(turns.take(key))
    }

    /// The result, if the future is ready without waiting.
    fn at_once(taking: &mut Taking<'_>) -> Option<Result<Turn, Error>> {
        match taking.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(taken) => Some(taken),
            Poll::Pending => None,
        }
    }

    fn waits(turns: &Arc<Turns>, key: TurnKey) -> bool {
        at_once(&mut taking(turns, key)).is_none()
    }

    #[test]
    fn only_the_same_key_of_the_same_caller_in_the_same_wiki_waits() {
        let turns = Arc::<Turns>::default();
        let garden = Some(TenantId::random());
        let held: Vec<_> = (0..1000)
            .map(|number| {
                let key = key(garden, "ann", &format!("k-{number}"));
                at_once(&mut taking(&turns, key)).unwrap().unwrap()
            })
            .collect();
        assert!(waits(&turns, key(garden, "ann", "k-1")));
        for other in [
            key(garden, "bob", "k-1"),
            key(garden, "ann", "new"),
            key(Some(TenantId::random()), "ann", "k-1"),
            key(None, "ann", "k-1"),
        ] {
            assert!(!waits(&turns, other));
        }
        drop(held);
        assert!(!waits(&turns, key(garden, "ann", "k-1")));
        assert!(turns.queues().is_empty());
    }

    #[test]
    fn giving_up_leaves_the_queue_and_a_long_one_takes_no_more() {
        let turns = Arc::<Turns>::default();
        let same = || key(None, "ann", "k");
        let first = at_once(&mut taking(&turns, same())).unwrap().unwrap();
        let mut waiting: Vec<_> = (1..MOST_AT_ONCE).map(|_| taking(&turns, same())).collect();
        assert!(waiting.iter_mut().all(|waiting| at_once(waiting).is_none()));
        let refused = at_once(&mut taking(&turns, same())).unwrap();
        assert!(refused.unwrap_err().is_busy());
        drop(waiting);
        drop(first);
        assert!(!waits(&turns, same()));
        assert!(turns.queues().is_empty());
    }
}
