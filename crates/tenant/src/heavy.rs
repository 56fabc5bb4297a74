//! Permits for heavy work: operations that may take seconds of a core, such as a search, a blame or a move.
//!
//! The whole process has a few permits ("places"), so that reading and saving always find a core and a thread. A wiki
//! and a caller may each hold half of the permits. When several requests wait, the next permit goes to the one whose
//! wiki and caller have used the least time lately, so that a crowd at one wiki, or a program with requests for many
//! wikis, delays only itself.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::{Caller, Error, TenantId};

/// The longest wait for a permit. Then the client is asked to retry.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// The maximal length of the queue, and the maximal number of requests per wiki or caller in it.
const WAITING: usize = 1_000;
const WAITING_OF_ONE: usize = 32;
/// Recorded use decays by half in this time.
const HALF_LIFE: Duration = Duration::from_secs(30);
/// Maximal number of remembered users of permits. Beyond it, users with hardly any recorded use are dropped.
const REMEMBERED: usize = 1_000;

/// The permits of a platform. Clones share them.
#[derive(Clone)]
pub(crate) struct HeavyPlaces(Arc<Places>);

struct Places {
    /// The maximal number of permits per wiki or caller.
    share: usize,
    state: Mutex<State>,
}

struct State {
    free: usize,
    waiting: Vec<Waiting>,
    uses: HashMap<User, Uses>,
}

/// A user of permits: all permits of one user are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum User {
    Wiki(TenantId),
    Subject(String),
    Address(IpAddr),
    /// All callers without a subject and without a known address.
    Unknown,
}

/// The permits that one user holds, and its recorded use.
struct Uses {
    held: usize,
    /// Decayed seconds of use, as of `at`.
    used: f64,
    at: Instant,
}

struct Waiting {
    users: [User; 2],
    grant: oneshot::Sender<HeavyPlace>,
}

/// A permit. Dropping it gives it back.
pub(crate) struct HeavyPlace {
    places: Arc<Places>,
    users: [User; 2],
    since: Instant,
}

impl HeavyPlaces {
    /// Makes `most` permits, at least two.
    pub(crate) fn new(most: usize) -> Self {
        let most = most.max(2);
        let state = State { free: most, waiting: Vec::new(), uses: HashMap::new() };
        Self(Arc::new(Places { share: most / 2, state: Mutex::new(state) }))
    }

    /// Waits for a permit for work on a wiki.
    ///
    /// # Errors
    /// [`Error::Busy`]: the queue is full.
    pub(crate) async fn take(&self, wiki: TenantId, caller: &Caller) -> Result<HeavyPlace, Error> {
        let users = [User::Wiki(wiki), User::of(caller)];
        let (grant, granted) = oneshot::channel();
        {
            let mut state = self.0.lock();
            state.waiting.retain(|waiting| !waiting.grant.is_closed());
            let same = |user: &User| {
                state.waiting.iter().filter(|waiting| waiting.users.contains(user)).count()
            };
            if state.waiting.len() >= WAITING || users.iter().any(|u| same(u) >= WAITING_OF_ONE) {
                return Err(busy());
            }
            state.waiting.push(Waiting { users, grant });
        }
        self.0.grant();
        granted.await.map_err(|_| busy())
    }
}

/// The error if no permit is available at present.
pub(crate) fn busy() -> Error {
    Error::Busy("too much heavy work is going on; try again in a moment".to_owned())
}

impl Places {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands the free permits to the next waiting requests.
    fn grant(self: &Arc<Self>) {
        loop {
            let Some((waiting, since)) = self.lock().next(self.share) else { return };
            let Waiting { users, grant } = waiting;
            // If the request was cancelled, sending fails and the permit is given back right here.
            drop(grant.send(HeavyPlace { places: self.clone(), users, since }));
        }
    }
}

impl State {
    /// Removes the next request to get a permit from the queue, if a permit is free and a request may have it.
    fn next(&mut self, share: usize) -> Option<(Waiting, Instant)> {
        if self.free == 0 {
            return None;
        }
        let now = Instant::now();
        let has_room = |user: &User| self.uses.get(user).is_none_or(|uses| uses.held < share);
        let used = |user: &User| self.uses.get(user).map_or(0.0, |uses| uses.faded(now));
        let candidates = self.waiting.iter().enumerate();
        let may = candidates.filter(|(_, waiting)| waiting.users.iter().all(has_room));
        let cost = |waiting: &Waiting| waiting.users.iter().map(used).fold(0.0, f64::max);
        // Among equals, the first in the queue.
        let next = may.min_by(|(_, one), (_, other)| cost(one).total_cmp(&cost(other)));
        let (next, _) = next?;
        let waiting = self.waiting.remove(next);
        self.free -= 1;
        for user in &waiting.users {
            self.uses.entry(user.clone()).or_insert_with(|| Uses::none(now)).held += 1;
        }
        Some((waiting, now))
    }

    fn give_back(&mut self, users: &[User], since: Instant) {
        let now = Instant::now();
        self.free += 1;
        for user in users {
            let Some(uses) = self.uses.get_mut(user) else { continue };
            uses.used = uses.faded(now) + (now - since).as_secs_f64();
            uses.at = now;
            uses.held -= 1;
        }
        if self.uses.len() > REMEMBERED {
            self.uses.retain(|_, uses| uses.held > 0 || uses.faded(now) > 0.01);
        }
    }
}

impl Uses {
    fn none(at: Instant) -> Self {
        Self { held: 0, used: 0.0, at }
    }

    fn faded(&self, now: Instant) -> f64 {
        self.used * 0.5_f64.powf((now - self.at).as_secs_f64() / HALF_LIFE.as_secs_f64())
    }
}

impl User {
    fn of(caller: &Caller) -> Self {
        match (caller.subject(), caller.client()) {
            (Some(subject), _) => Self::Subject(subject.to_owned()),
            (None, Some(address)) => Self::Address(network(address)),
            (None, None) => Self::Unknown,
        }
    }
}

/// The address itself, or the /64 of an IPv6 address, because one host may own a whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address => address,
    }
}

impl Drop for HeavyPlace {
    fn drop(&mut self) {
        self.places.lock().give_back(&self.users, self.since);
        self.places.grant();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> Caller {
        Caller::user_without_email(name, name)
    }

    async fn is_granted(
        take: impl Future<Output = Result<HeavyPlace, Error>>,
    ) -> Option<HeavyPlace> {
        tokio::time::timeout(Duration::from_millis(50), take).await.ok().and_then(Result::ok)
    }

    /// Returns `true` if the future is pending.
    async fn waits(future: &mut (impl Future + Unpin)) -> bool {
        tokio::time::timeout(Duration::ZERO, future).await.is_err()
    }

    #[tokio::test]
    async fn neither_a_wiki_nor_a_caller_takes_more_than_half() {
        let places = HeavyPlaces::new(4);
        let (one, other) = (TenantId::random(), TenantId::random());
        let mut held = Vec::new();
        for name in ["ann", "bob"] {
            held.push(is_granted(places.take(one, &user(name))).await.unwrap());
        }
        assert!(
            is_granted(places.take(one, &user("cid"))).await.is_none(),
            "the wiki has its half"
        );
        held.push(is_granted(places.take(other, &user("ann"))).await.unwrap());
        let third = TenantId::random();
        assert!(is_granted(places.take(third, &user("ann"))).await.is_none(), "so has the caller");
        held.push(is_granted(places.take(third, &user("dan"))).await.unwrap());
        assert!(is_granted(places.take(third, &user("eve"))).await.is_none(), "all are taken");
        held.clear();
        let state = places.0.lock();
        assert_eq!(state.free, 4);
        assert!(state.uses.values().all(|uses| uses.held == 0));
    }

    #[tokio::test]
    async fn the_next_is_the_one_who_used_the_least() {
        let places = HeavyPlaces::new(2);
        let (busy, calm) = (TenantId::random(), TenantId::random());
        let first = places.take(busy, &user("ann")).await.unwrap();
        let second = places.take(TenantId::random(), &user("cid")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(first);
        let first = places.take(busy, &user("ann")).await.unwrap();
        let (bob, caller) = (user("bob"), user("eve"));
        let mut crowd = Box::pin(places.take(busy, &bob));
        let mut late = Box::pin(places.take(calm, &caller));
        assert!(waits(&mut crowd).await);
        assert!(waits(&mut late).await);
        drop(first);
        assert!(late.await.is_ok(), "the crowd came first, and its wiki has used more");
        drop(second);
    }

    #[tokio::test]
    async fn a_place_is_not_lost_when_its_taker_stops_waiting() {
        let places = HeavyPlaces::new(2);
        let wiki = TenantId::random();
        let held = places.take(wiki, &user("ann")).await.unwrap();
        assert!(is_granted(places.take(wiki, &user("bob"))).await.is_none());
        drop(held);
        assert!(is_granted(places.take(wiki, &user("cid"))).await.is_some());
        assert_eq!(places.0.lock().free, 2);
    }

    #[tokio::test]
    async fn a_crowd_that_waits_is_bounded() {
        let places = HeavyPlaces::new(2);
        let (wiki, ann) = (TenantId::random(), user("ann"));
        let _held = places.take(wiki, &ann).await.unwrap();
        let mut waiting: Vec<_> =
            (0..WAITING_OF_ONE).map(|_| Box::pin(places.take(wiki, &ann))).collect();
        for waiting in &mut waiting {
            assert!(waits(waiting).await);
        }
        assert!(matches!(places.take(wiki, &ann).await, Err(Error::Busy(_))));
    }
}
