//! The connection permits of a listener.
//!
//! Opening a connection costs a peer nothing. So each address has only a share of the permits, and when
//! all are taken, the connection that has been silent for longest is closed for a new one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::Peer;
use super::activity::Activity;
use crate::auth::proxy::Network;

/// Interval at which connections are checked for silence while no permit is free.
const LOOK: Duration = Duration::from_millis(50);

/// The connections of one listener.
pub(super) struct Crowd {
    most: usize,
    of_one: usize,
    /// Proxies, which carry the connections of many clients.
    proxies: Vec<Network>,
    members: Mutex<Members>,
    left: Notify,
}

#[derive(Default)]
struct Members {
    next: u64,
    open: HashMap<u64, Member>,
    of_origin: HashMap<Origin, usize>,
    /// Number of connections that were told to close and are still open.
    leaving: usize,
}

struct Member {
    activity: Arc<Activity>,
    origin: Option<Origin>,
    is_leaving: bool,
}

/// The unit that shares a limit: an IPv4 address, or an IPv6 /64, which a single host may own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Origin {
    V4([u8; 4]),
    V6([u8; 8]),
}

/// A permit for a connection, until it is dropped.
pub(super) struct Place {
    crowd: Arc<Crowd>,
    number: u64,
}

/// The peer's address has used up its share.
pub(super) struct Refused;

impl Crowd {
    pub(super) fn new(most: usize, of_one: usize, proxies: &[Network]) -> Arc<Self> {
        let (most, of_one) = (most.max(1), of_one.max(1));
        let members = Mutex::default();
        Arc::new(Self { most, of_one, proxies: proxies.to_vec(), members, left: Notify::new() })
    }

    /// Waits for a permit, closing a silent connection if necessary.
    pub(super) async fn enter(
        self: &Arc<Self>,
        peer: Peer,
        activity: &Arc<Activity>,
    ) -> Result<Place, Refused> {
        let origin = self.origin(peer);
        loop {
            let left = self.left.notified();
            if let Some(entered) = self.try_enter(origin, activity) {
                return entered;
            }
            let _ = tokio::time::timeout(LOOK, left).await;
        }
    }

    /// Tries to get a permit; `None` if none is free yet.
    fn try_enter(
        self: &Arc<Self>,
        origin: Option<Origin>,
        activity: &Arc<Activity>,
    ) -> Option<Result<Place, Refused>> {
        let mut members = self.members();
        let of_origin = origin.and_then(|origin| members.of_origin.get(&origin));
        if of_origin.is_some_and(|count| *count >= self.of_one) {
            return Some(Err(Refused));
        }
        // Closing connections keep their descriptors for a moment.
        let is_full = members.open.len() - members.leaving >= self.most;
        if is_full && (members.leaving > self.most / 8 || !members.dismiss_most_silent()) {
            return None;
        }
        Some(Ok(Place { crowd: self.clone(), number: members.add(origin, activity.clone()) }))
    }

    /// Closes the connections that a server that shuts down needn't wait for.
    pub(super) fn dismiss_idle(&self) {
        for member in self.members().open.values() {
            if member.activity.is_idle_at_the_end() {
                member.activity.dismiss();
            }
        }
    }

    /// Closes the connections with responses that are left unread for too long.
    pub(super) fn dismiss_unread(&self) {
        for member in self.members().open.values() {
            if member.activity.is_given_up() {
                tracing::debug!("a connection is closed, since its peer leaves a response unread");
                member.activity.dismiss();
            }
        }
    }

    /// `None` for peers without a share: proxies and this machine.
    fn origin(&self, peer: Peer) -> Option<Origin> {
        let address = peer.address()?;
        if address.is_loopback() || self.proxies.iter().any(|proxy| proxy.contains(address)) {
            return None;
        }
        Some(match address {
            IpAddr::V4(address) => Origin::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Origin::V6([a, b, c, d, e, f, g, h])
            }
        })
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Members {
    fn add(&mut self, origin: Option<Origin>, activity: Arc<Activity>) -> u64 {
        let number = self.next;
        self.next += 1;
        self.open.insert(number, Member { activity, origin, is_leaving: false });
        if let Some(origin) = origin {
            *self.of_origin.entry(origin).or_default() += 1;
        }
        number
    }

    /// Closes the connection that has been silent for longest. Returns `false` if no connection is
    /// silent.
    fn dismiss_most_silent(&mut self) -> bool {
        let staying = self.open.values_mut().filter(|member| !member.is_leaving);
        let silent = staying.filter_map(|member| Some((member.activity.silence()?, member)));
        let Some((_, member)) = silent.max_by_key(|(silence, _)| *silence) else { return false };
        member.is_leaving = true;
        member.activity.dismiss();
        self.leaving += 1;
        true
    }

    fn remove(&mut self, number: u64) {
        let Some(member) = self.open.remove(&number) else { return };
        self.leaving -= usize::from(member.is_leaving);
        if let Some(origin) = member.origin
            && let Entry::Occupied(mut count) = self.of_origin.entry(origin)
        {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.members().remove(self.number);
        self.crowd.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn peer(address: &str) -> Peer {
        Peer::Tcp(SocketAddr::new(address.parse().unwrap(), 1))
    }

    async fn enter(crowd: &Arc<Crowd>, peer: Peer) -> Option<(Place, Arc<Activity>)> {
        let activity = Activity::new();
        let entered = tokio::time::timeout(LOOK * 2, crowd.enter(peer, &activity)).await;
        Some((entered.ok()?.ok()?, activity))
    }

    #[tokio::test]
    async fn an_address_and_a_network_of_ipv6_have_a_share() {
        let crowd = Crowd::new(100, 2, &["10.1.0.0/16".parse().unwrap()]);
        let mut places = Vec::new();
        for (address, is_refused) in [
            ("192.0.2.1", false),
            ("192.0.2.1", false),
            ("192.0.2.1", true),
            ("::ffff:192.0.2.1", true),
            ("192.0.2.2", false),
            ("2001:db8::1", false),
            ("2001:db8::ffff:1", false),
            ("2001:db8::2", true),
            ("2001:db8:0:1::1", false),
        ] {
            let activity = Activity::new();
            let entered = crowd.enter(peer(address), &activity).await;
            assert_eq!(entered.is_err(), is_refused, "{address}");
            places.extend(entered);
        }
        // Many clients may be behind a proxy, on this machine or elsewhere.
        for free in [peer("10.1.2.3"), peer("127.0.0.1"), peer("::1"), Peer::Local] {
            for _ in 0..3 {
                places.push(enter(&crowd, free).await.unwrap().0);
            }
        }
        drop(places);
        assert!(enter(&crowd, peer("192.0.2.1")).await.is_some());
        assert!(crowd.members().open.is_empty() && crowd.members().of_origin.is_empty());
    }

    #[tokio::test]
    async fn the_most_silent_peer_makes_room_and_one_that_is_worked_for_does_not() {
        let crowd = Crowd::new(2, 2, &[]);
        let (_busy, activity) = enter(&crowd, peer("192.0.2.1")).await.unwrap();
        let _working = activity.work();
        let (silent, silent_activity) = enter(&crowd, peer("192.0.2.2")).await.unwrap();
        assert!(enter(&crowd, peer("192.0.2.3")).await.is_none(), "it was heard just now");
        tokio::time::sleep(Duration::from_millis(600)).await;
        let (_third, _) = enter(&crowd, peer("192.0.2.3")).await.unwrap();
        silent_activity.dismissed().await;
        drop(silent);
        assert!(enter(&crowd, peer("192.0.2.4")).await.is_none());
    }
}
