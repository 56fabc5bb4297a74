//! A budget for the memory that requests use: unread responses and bodies being received.
//!
//! A client that requests much and reads nothing uses memory until its connection is cut off. So the
//! bytes held for clients are counted, for the whole process and for each [`Principal`], and a response
//! that would exceed the budget is refused with 503 before it is sent. A reservation ([`Held`])
//! accompanies the bytes and ends when the last of them has been handed to the socket.
//!
//! A principal may hold its share, but never more than the budget that would be left: the fuller the
//! budget, the less it gets. So newcomers always find some budget, however many principals try to use
//! all of it. The last part of the budget is for principals that hold little.
//!
//! Responses that are left unread end after [`ByteBudget::patience`].

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use wikigrove_tenant::problem::Problem;

use super::{HttpLimits, Principal};

/// Time after which a refused request should be retried, in seconds.
const RETRY_SECONDS: u64 = 1;

/// The part of the budget that is reserved for principals that hold little: a quarter.
const RESERVE: u64 = 4;
/// The part of the budget that counts as little: half a megabyte of the default.
const LITTLE: u64 = 256;
/// Maximum time that a response may be left unread while more than half of the budget is held.
const SHORT_PATIENCE: Duration = Duration::from_secs(5);

/// The budget of one process. Cheap to clone; all clones share one count.
#[derive(Clone, Debug)]
pub struct ByteBudget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Maximum number of bytes held by all principals together.
    most: u64,
    /// Maximum number of bytes held by one principal.
    share: u64,
    /// Maximum time that a response may be left unread.
    patience: Duration,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// Bytes held by all principals. Shared bytes count once.
    held: u64,
    /// Bytes held by each principal. Shared bytes count once per principal.
    of: HashMap<Principal, u64>,
    /// Holders of shared bytes, by address, which isn't reused while a reservation keeps the bytes
    /// alive.
    shared: HashMap<usize, Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    bytes: u64,
    /// Number of reservations of each principal.
    holders: HashMap<Principal, usize>,
}

impl ByteBudget {
    /// A budget with the maxima of `limits`.
    pub fn new(limits: &HttpLimits) -> Self {
        let (most, share) = (limits.bytes_in_flight, limits.bytes_per_principal);
        let patience = limits.unread_timeout;
        Self(Arc::new(Inner { most, share, patience, counts: Mutex::default() }))
    }

    /// Bytes held now.
    pub fn held(&self) -> u64 {
        self.counts().held
    }

    /// Maximum number of bytes held at once.
    pub fn most(&self) -> u64 {
        self.0.most
    }

    /// Maximum time, at present, in which a client must read something of a response.
    pub(crate) fn patience(&self) -> Duration {
        let is_short = self.held() > self.0.most / 2;
        if is_short { self.0.patience.min(SHORT_PATIENCE) } else { self.0.patience }
    }

    /// Reserves bytes for a principal.
    ///
    /// # Errors
    /// 503 `busy` if the principal, or all principals together, hold too much.
    pub(crate) fn take(&self, principal: Principal, bytes: u64) -> Result<Held, Problem> {
        self.try_take(principal, bytes).ok_or_else(busy)
    }

    /// Like [`take`](Self::take), for work that waits instead of failing.
    pub(crate) fn try_take(&self, principal: Principal, bytes: u64) -> Option<Held> {
        let mut counts = self.counts();
        if !self.has_room(&counts, &principal, bytes, bytes) {
            return None;
        }
        counts.add(&principal, bytes);
        counts.held += bytes;
        drop(counts);
        Some(Held { budget: self.clone(), principal, kind: Kind::Own(bytes) })
    }

    /// Reserves bytes that others may share, such as a page in the cache. They count once.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(crate) fn share(&self, principal: Principal, bytes: &Bytes) -> Result<Held, Problem> {
        let (at, size) = (bytes.as_ptr().addr(), bytes.len() as u64);
        let mut counts = self.counts();
        let known = counts.shared.get(&at);
        if !known.is_some_and(|shared| shared.holders.contains_key(&principal)) {
            let more = if known.is_some() { 0 } else { size };
            if !self.has_room(&counts, &principal, size, more) {
                return Err(busy());
            }
            counts.add(&principal, size);
            counts.held += more;
        }
        let shared = counts.shared.entry(at).or_default();
        shared.bytes = size;
        *shared.holders.entry(principal.clone()).or_default() += 1;
        drop(counts);
        Ok(Held { budget: self.clone(), principal, kind: Kind::Shared(bytes.clone()) })
    }

    /// Returns `true` if the principal may hold `bytes` more, of which `more` aren't held by other
    /// principals.
    fn has_room(&self, counts: &Counts, principal: &Principal, bytes: u64, more: u64) -> bool {
        let has = counts.of.get(principal).copied().unwrap_or_default();
        let would_hold = has.saturating_add(bytes);
        let left = self.0.most.saturating_sub(counts.held).checked_sub(more);
        let is_little = would_hold <= self.0.most / LITTLE;
        let has_reserve = left.is_some_and(|left| left >= self.0.most / RESERVE);
        would_hold <= self.0.share
            && left.is_some_and(|left| more == 0 || would_hold <= left)
            && (more == 0 || is_little || has_reserve)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Counting can't panic halfway, so a poisoned lock is still consistent.
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn busy() -> Problem {
    let detail =
        "too many bytes are being sent or received at once; read what was asked for, or try again";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).retry_after(RETRY_SECONDS)
}

impl Counts {
    fn add(&mut self, principal: &Principal, bytes: u64) {
        *self.of.entry(principal.clone()).or_default() += bytes;
    }

    fn remove(&mut self, principal: &Principal, bytes: u64) {
        if let Entry::Occupied(mut of) = self.of.entry(principal.clone()) {
            *of.get_mut() = of.get().saturating_sub(bytes);
            if *of.get() == 0 {
                of.remove();
            }
        }
    }

    /// Ends one reservation of shared bytes.
    fn unshare(&mut self, principal: &Principal, at: usize) {
        let Entry::Occupied(mut shared) = self.shared.entry(at) else { return };
        let bytes = shared.get().bytes;
        let Entry::Occupied(mut holder) = shared.get_mut().holders.entry(principal.clone()) else {
            return;
        };
        *holder.get_mut() -= 1;
        if *holder.get() > 0 {
            return;
        }
        holder.remove();
        if shared.get().holders.is_empty() {
            shared.remove();
            self.held -= bytes;
        }
        self.remove(principal, bytes);
    }
}

/// A reservation of bytes, released when dropped.
#[derive(Debug)]
pub(crate) struct Held {
    budget: ByteBudget,
    principal: Principal,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Own(u64),
    /// Keeps the bytes alive, so that their address isn't reused.
    Shared(Bytes),
}

impl Held {
    /// The budget in which it is.
    pub(crate) fn budget(&self) -> &ByteBudget {
        &self.budget
    }

    /// Enlarges the reservation.
    ///
    /// # Errors
    /// As [`ByteBudget::take`]; the existing reservation is kept.
    pub(crate) fn grow(&mut self, by: u64) -> Result<(), Problem> {
        let Kind::Own(bytes) = &mut self.kind else { return Ok(()) };
        let mut counts = self.budget.counts();
        if !self.budget.has_room(&counts, &self.principal, by, by) {
            return Err(busy());
        }
        counts.add(&self.principal, by);
        counts.held += by;
        *bytes += by;
        Ok(())
    }

    /// Corrects a reservation that was made before the size was known.
    pub(crate) fn is_in_fact(&mut self, size: u64) {
        let Kind::Own(bytes) = &mut self.kind else { return };
        let mut counts = self.budget.counts();
        counts.remove(&self.principal, *bytes);
        counts.held = (counts.held - *bytes) + size;
        counts.add(&self.principal, size);
        *bytes = size;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut counts = self.budget.counts();
        match &self.kind {
            Kind::Own(bytes) => {
                counts.remove(&self.principal, *bytes);
                counts.held -= *bytes;
            }
            Kind::Shared(bytes) => counts.unshare(&self.principal, bytes.as_ptr().addr()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(most: u64, share: u64) -> ByteBudget {
        ByteBudget::new(&HttpLimits {
            bytes_in_flight: most,
            bytes_per_principal: share,
            ..HttpLimits::default()
        })
    }

    fn nth(n: u32) -> Principal {
        Principal::V4(n)
    }

    #[test]
    fn a_principal_holds_its_share_and_gives_it_back() {
        let budget = budget(1000, 100);
        let mut held = budget.take(nth(1), 60).unwrap();
        held.grow(40).unwrap();
        let refused = held.grow(1).unwrap_err();
        assert_eq!((refused.status().as_u16(), refused.code()), (503, "busy"));
        assert_eq!(refused.to_response::<Vec<u8>>().headers()["retry-after"], "1");
        budget.take(nth(1), 1).unwrap_err();
        drop(budget.take(nth(2), 100).unwrap());
        assert_eq!(budget.held(), 100);
        drop(held);
        assert_eq!(budget.held(), 0);
        assert!(budget.counts().of.is_empty());
    }

    #[test]
    fn a_newcomer_finds_something_left_however_many_try_to_hold_all() {
        let budget = budget(1 << 20, 1 << 18);
        let mut held = Vec::new();
        for n in 0..10_000 {
            held.extend((0..100).map_while(|_| budget.take(nth(n), 1000).ok()));
        }
        assert!(budget.held() <= budget.most());
        budget.take(nth(10_001), 100).unwrap();
        drop(held);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn those_who_hold_little_have_a_reserve() {
        let budget = budget(128 << 20, 32 << 20);
        let mut held = Vec::new();
        for n in 0..100 {
            held.extend((0..100).map_while(|_| budget.take(nth(n), 1 << 20).ok()));
        }
        assert!(budget.held() <= budget.most());
        let little: Vec<_> = (0..20).map(|n| budget.take(nth(1000 + n), 100 << 10)).collect();
        assert!(little.iter().all(Result::is_ok));
        budget.take(nth(1000), 1 << 20).unwrap_err();
        drop((held, little));
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn what_many_read_counts_once_for_all_and_once_for_each() {
        let budget = budget(1000, 100);
        let page = Bytes::from(vec![b'x'; 80]);
        let mut held: Vec<_> = (0..30).map(|n| budget.share(nth(n % 3), &page).unwrap()).collect();
        assert_eq!(budget.held(), 80);
        budget.take(nth(0), 21).unwrap_err();
        budget.share(nth(0), &Bytes::from(vec![b'y'; 80])).unwrap_err();
        held.retain(|held| held.principal != nth(0));
        budget.take(nth(0), 100).unwrap();
        assert_eq!(budget.held(), 80);
        drop(held);
        let counts = budget.counts();
        assert!(counts.held == 0 && counts.of.is_empty() && counts.shared.is_empty());
    }

    #[test]
    fn what_others_hold_already_is_shared_also_when_the_budget_is_full() {
        let budget = budget(100, 100);
        let page = Bytes::from(vec![b'x'; 50]);
        let _held = budget.share(nth(1), &page).unwrap();
        budget.take(nth(2), 26).unwrap_err();
        budget.share(nth(2), &page).unwrap();
    }
}
