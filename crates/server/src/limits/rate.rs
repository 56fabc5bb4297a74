//! How often somebody may ask.

use std::convert::Infallible;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http::StatusCode;
use http::request::Parts;
use moka::sync::Cache;
use wikigrove_tenant::Caller;
use wikigrove_tenant::problem::Problem;

use crate::auth::ClientAddress;

/// What may come at once, in seconds' worth: an app's page asks for many things, and then for nothing.
const BURST: u32 = 5;
/// How many are remembered at once. Who is forgotten begins anew.
const REMEMBERED: u64 = 100_000;
/// After this long without a request nothing is left to remember of a limit per second.
const IDLE: Duration = Duration::from_secs(60);
/// After this long, of a limit per hour.
const HOUR: Duration = Duration::from_secs(3600);

/// A limit for each of many.
pub(crate) struct Rate<K> {
    quota: Quota,
    known: Cache<K, Arc<DefaultDirectRateLimiter>>,
}

impl<K: Hash + Eq + Send + Sync + 'static> Rate<K> {
    /// So many requests a second, for each.
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        let burst = per_second.saturating_mul(NonZeroU32::MIN.saturating_add(BURST - 1));
        Self::of(Quota::per_second(per_second).allow_burst(burst), IDLE)
    }

    /// So many requests an hour, for each; half of them may come at once.
    pub(crate) fn hourly(per_hour: NonZeroU32) -> Self {
        let burst = NonZeroU32::new(per_hour.get().div_ceil(2)).unwrap_or(NonZeroU32::MIN);
        Self::of(Quota::per_hour(per_hour).allow_burst(burst), HOUR)
    }

    /// `idle` is after how long without a request all of the quota is there again.
    fn of(quota: Quota, idle: Duration) -> Self {
        let known = Cache::builder().max_capacity(REMEMBERED).time_to_idle(idle).build();
        Self { quota, known }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// It is one too many: 429, with how long to wait.
    pub(crate) fn take(&self, who: K) -> Result<(), Problem> {
        let limiter = self.known.get_with(who, || Arc::new(RateLimiter::direct(self.quota)));
        limiter.check().map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            let detail = "too many requests came in a short time";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail)
                .retry_after(seconds.max(1))
        })
    }
}

/// Whose requests are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Principal {
    /// Somebody who showed who they are.
    Subject(String),
    /// An address.
    V4(u32),
    /// A network of which one host may have all addresses: a /64.
    V6(u64),
    /// All who are nowhere, such as behind a Unix socket.
    Nowhere,
}

impl Principal {
    pub(crate) fn of(caller: Option<&Caller>, client: Option<IpAddr>) -> Self {
        match (caller.and_then(Caller::subject), client.map(|address| address.to_canonical())) {
            (Some(subject), _) => Self::Subject(subject.to_owned()),
            (None, Some(IpAddr::V4(address))) => Self::V4(address.to_bits()),
            (None, Some(IpAddr::V6(address))) => {
                Self::V6(u64::try_from(address.to_bits() >> 64).unwrap_or_default())
            }
            (None, None) => Self::Nowhere,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Principal {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let extensions = &parts.extensions;
        Ok(Self::of(extensions.get(), ClientAddress::of(extensions)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> Principal {
        Principal::of(None, Some(address.parse().unwrap()))
    }

    #[test]
    fn everybody_has_a_burst_of_their_own() {
        let rate = Rate::new(NonZeroU32::new(2).unwrap());
        for who in ["192.0.2.1", "192.0.2.2", "2001:db8::1"] {
            for _ in 0..10 {
                rate.take(at(who)).unwrap();
            }
            let refused = rate.take(at(who)).unwrap_err();
            assert_eq!((refused.status().as_u16(), refused.code()), (429, "rate_limited"));
            assert_eq!(refused.to_response::<Vec<u8>>().headers()["retry-after"], "1");
        }
    }

    #[test]
    fn half_an_hours_worth_may_come_at_once() {
        let rate = Rate::hourly(NonZeroU32::new(60).unwrap());
        for _ in 0..30 {
            rate.take(at("192.0.2.1")).unwrap();
        }
        let refused = rate.take(at("192.0.2.1")).unwrap_err();
        let refused = refused.to_response::<Vec<u8>>();
        let seconds: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((50..=60).contains(&seconds), "{seconds}");
        rate.take(at("192.0.2.2")).unwrap();
    }

    #[test]
    fn a_host_with_many_addresses_is_one() {
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:1"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
        let ann = Caller::user_without_email("ann", "Ann");
        let from = |address: &str| Principal::of(Some(&ann), address.parse().ok());
        assert_eq!(from("192.0.2.1"), from("192.0.2.2"));
    }

    #[test]
    fn only_so_many_are_remembered() {
        let rate = Rate::new(NonZeroU32::MIN);
        for address in 0..300_000 {
            rate.take(Principal::V4(address)).unwrap();
        }
        rate.known.run_pending_tasks();
        assert!(rate.known.entry_count() <= REMEMBERED);
    }
}
