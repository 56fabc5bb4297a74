//! Limits on time, size and number of HTTP requests.

mod answers;
mod bytes;
mod in_flight;
mod rate;
mod receiving;
mod unread;

use std::num::NonZeroU32;
use std::time::Duration;

use crate::git::GitLimits;

pub(crate) use answers::{Instead, Pins, Reserved, SMALL, SMALL_STREAM, held_by, tied};
pub use bytes::ByteBudget;
pub(crate) use bytes::Held;
pub(crate) use in_flight::{Place, Places};
pub(crate) use rate::{Principal, Rate};
pub(crate) use receiving::Receiving;
pub(crate) use unread::Unread;

/// The limits of one listener. The defaults suit a server behind a proxy.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// Maximum size of a JSON body, in bytes. Other bodies are limited where they are read.
    pub json_bytes: usize,
    /// Maximum time from the head of a request to the head of its response. Streaming the response's
    /// body isn't included.
    pub request_timeout: Duration,
    /// Minimum rate of an upload, in bytes per second. Each second's worth of received bytes extends
    /// `request_timeout` by a second, so that large uploads have enough time.
    pub slowest_upload: u64,
    /// Maximum time that an awaited upload may lag behind `slowest_upload` before it is refused.
    pub upload_patience: Duration,
    /// Maximum time to send the head of a request. Idle connections are closed after it, too.
    pub header_timeout: Duration,
    /// Maximum time that a client may leave a response unread before its connection is cut off; 5 seconds
    /// while more than half of `bytes_in_flight` is held.
    pub unread_timeout: Duration,
    /// Maximum number of open connections. Beyond it, connections of silent peers are closed, and new
    /// ones wait in the system's queue.
    pub connections: usize,
    /// Maximum number of connections per IPv4 address or IPv6 /64. More are closed.
    pub connections_per_address: usize,
    /// Maximum size of a request head, in bytes.
    pub header_bytes: usize,
    /// Maximum number of requests in flight per wiki. More are refused with a time to retry.
    pub in_flight_per_wiki: usize,
    /// Maximum number of bytes in memory for unread responses and for bodies being received, of all
    /// clients together. Responses and bodies of a few kilobytes aren't counted.
    pub bytes_in_flight: u64,
    /// The same per principal; for anonymous callers, per address.
    pub bytes_per_principal: u64,
    /// Maximum number of requests per second and principal; for anonymous callers, per address.
    pub rate_per_principal: Option<NonZeroU32>,
    /// Maximum number of requests per second and wiki.
    pub rate_per_wiki: Option<NonZeroU32>,
    /// Maximum number of requests per hour and principal to audited routes of wikis: each adds a row to
    /// the audit log that is kept for long. Half of them may come at once. The operator is exempt.
    pub audited_per_hour: Option<NonZeroU32>,
    /// Maximum number of listeners to the events of one wiki.
    pub listeners_per_wiki: usize,
    /// Interval of keep-alive messages in a silent event stream. It is also the maximum delay until a
    /// listener without permission is disconnected while no events occur.
    pub events_keep_alive: Duration,
    /// Limits of clones, fetches and pushes.
    pub git: GitLimits,
    /// Maximum time that requests in flight may continue after shutdown begins. Endless responses and
    /// silent peers aren't waited for.
    pub shutdown_grace: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            json_bytes: crate::extract::JsonLimit::default().0,
            request_timeout: Duration::from_secs(60),
            slowest_upload: 16 * 1024,
            upload_patience: Duration::from_secs(15),
            header_timeout: Duration::from_secs(30),
            unread_timeout: Duration::from_secs(30),
            connections: 10_000,
            connections_per_address: 2_500,
            header_bytes: 64 * 1024,
            in_flight_per_wiki: 1_000,
            bytes_in_flight: 128 << 20,
            bytes_per_principal: 32 << 20,
            rate_per_principal: None,
            rate_per_wiki: None,
            audited_per_hour: NonZeroU32::new(600),
            listeners_per_wiki: 5_000,
            events_keep_alive: Duration::from_secs(15),
            git: GitLimits::default(),
            shutdown_grace: Duration::from_secs(6),
        }
    }
}
