//! Rate limits.

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

/// Size of a burst, in seconds' worth of requests: an application's page makes many requests at once and
/// then none.
const BURST: u32 = 5;
/// Maximum number of remembered keys. A forgotten key starts with a full quota.
const REMEMBERED: u64 = 100_000;
/// Idle time after which a quota per second is full again, so that its key can be forgotten.
const IDLE: Duration = Duration::from_secs(60);
/// The same for a quota per hour.
const HOUR: Duration = Duration::from_secs(3600);

/// A rate limit for each key.
pub(crate) struct Rate<K> {
    quota: Quota,
    known: Cache<K, Arc<DefaultDirectRateLimiter>>,
}

impl<K: Hash + Eq + Send + Sync + 'static> Rate<K> {
    /// Limits each key to this many requests per second.
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        let burst = per_second.saturating_mul(NonZeroU32::MIN.saturating_add(BURST - 1));
        Self::of(Quota::per_second(per_second).allow_burst(burst), IDLE)
    }

    /// Limits each key to this many requests per hour; half of them may come at once.
    pub(crate) fn hourly(per_hour: NonZeroU32) -> Self {
        let burst = NonZeroU32::new(per_hour.get().div_ceil(2)).unwrap_or(NonZeroU32::MIN);
        Self::of(Quota::per_hour(per_hour).allow_burst(burst), HOUR)
    }

    /// `idle` is the time without requests after which a quota is full again.
    fn of(quota: Quota, idle: Duration) -> Self {
        let known = Cache::builder().max_capacity(REMEMBERED).time_to_idle(idle).build();
        Self { quota, known }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// 429 with the time to wait if the limit is exceeded.
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

/// The unit by which requests and bytes are limited.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Principal {
    /// An authenticated caller's subject.
    Subject(String),
    /// An IPv4 address.
    V4(u32),
    /// An IPv6 /64, all of whose addresses a single host may own.
    V6(u64),
    /// All clients without an address, such as those of a Unix socket.
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
