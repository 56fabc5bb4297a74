//! How long and how large anything that arrives over HTTP may be.

mod answers;
mod bytes;
mod in_flight;
mod rate;
mod receiving;

use std::num::NonZeroU32;
use std::time::Duration;

use crate::git::GitLimits;

pub(crate) use answers::{Instead, Pins, SMALL, SMALL_STREAM, held_by, tied};
pub use bytes::ByteBudget;
pub(crate) use bytes::Held;
pub(crate) use in_flight::{Place, Places};
pub(crate) use rate::{Principal, Rate};
pub(crate) use receiving::Receiving;

/// The bounds of one listener. All have defaults that suit a server behind a proxy.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// Bytes in a JSON body. Bodies that aren't JSON are bounded where they are read.
    pub json_bytes: usize,
    /// How long a request may take from its head to the head of its answer. What an answer
    /// streams afterwards isn't counted.
    pub request_timeout: Duration,
    /// The least bytes a second of an upload. Each second's worth that has arrived extends `request_timeout`
    /// by a second, so that large uploads have their time.
    pub slowest_upload: u64,
    /// How long an upload that is waited for may be behind `slowest_upload` before it is refused.
    pub upload_patience: Duration,
    /// How long a client may take to send the head of a request; idle connections, too, are
    /// closed after it.
    pub header_timeout: Duration,
    /// How long a client may leave an answer unread before its connection is cut.
    pub unread_timeout: Duration,
    /// Connections open at once. When there are more, those of silent peers are closed, and the others wait in
    /// the system's queue.
    pub connections: usize,
    /// Those of one address, and of IPv6 of one /64. More of them are closed.
    pub connections_per_address: usize,
    /// Bytes in the head of a request.
    pub header_bytes: usize,
    /// Requests to one wiki that may be in flight at once; more of them are told to come back.
    pub in_flight_per_wiki: usize,
    /// Bytes that are in memory at once for answers that were not read yet and for bodies being received, for
    /// all clients together. Answers and bodies of a few kilobytes aren't counted.
    pub bytes_in_flight: u64,
    /// The same for one principal; of those who show no credential, for one address.
    pub bytes_per_principal: u64,
    /// Requests a second of one principal; of those who show no credential, per address.
    pub rate_per_principal: Option<NonZeroU32>,
    /// Requests a second to one wiki.
    pub rate_per_wiki: Option<NonZeroU32>,
    /// Requests an hour of one principal to audited routes of wikis: each makes a row that is kept for long.
    /// Half of them may come at once. The operator is exempt.
    pub audited_per_hour: Option<NonZeroU32>,
    /// How many may listen to the events of one wiki at once.
    pub listeners_per_wiki: usize,
    /// After how long a silence a stream of events says that it is still there. So long may it take,
    /// too, until a listener is cut off whose rights ended while nothing happened.
    pub events_keep_alive: Duration,
    /// Clones, fetches and pushes.
    pub git: GitLimits,
    /// How long requests in flight may go on once the server stops. Answers without an end, and peers that send
    /// or take nothing, aren't waited for.
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
            unread_timeout: Duration::from_secs(60),
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
