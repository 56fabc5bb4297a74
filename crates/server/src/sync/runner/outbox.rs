//! Sends notices. Each channel has a queue of its own in platform.db: it gets one notice at a time, and an unreachable
//! channel delays no other. A notice is retried for a day.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use time::OffsetDateTime;
use wikigrove_tenant::{DueNotice, Error, TenantId};

use super::channels;
use super::notices::worded;
use super::{Shared, now, random};
use crate::metrics::Delivered;
use crate::remote::notice::{Channel, NotDelivered};
use crate::sync::backoff;
use crate::sync::clock::Dice;

/// Number of channels that are sent to at once.
const AT_ONCE: usize = 16;
/// Maximum number of these channels per wiki, so that a wiki whose channels all hang delays no other wiki.
const PER_WIKI: usize = 2;
/// Age at which a notice is given up.
const GIVEN_UP: time::Duration = time::Duration::DAY;
/// Longest time between two looks at the queue. A new notice wakes the outbox, but the clock may be set back.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Wait after a result that can't be stored.
const AGAIN: Duration = Duration::from_secs(30);

/// The sender of notices.
pub(super) struct Outbox {
    shared: Arc<Shared>,
    /// The platform's own channels by id.
    platform: HashMap<String, Channel>,
    /// The channels that are being sent to, with the wiki they belong to.
    busy: HashMap<String, Option<TenantId>>,
    /// When old notices were last given up.
    tidied: Option<Instant>,
}

/// Resolves to the id of its channel after a delivery or a failure.
type Sending = BoxFuture<'static, String>;

impl Outbox {
    /// Opens the outbox for these channels of the platform and for the channels of each wiki.
    ///
    /// # Errors
    /// The catalog can't be written.
    pub(super) async fn open(shared: Arc<Shared>, channels: &[Channel]) -> Result<Self, Error> {
        let platform: HashMap<_, _> =
            channels.iter().map(|channel| (channel.platform_id(), channel.clone())).collect();
        shared.platform.set_platform_channels(platform.keys().cloned().collect()).await?;
        Ok(Self { shared, platform, busy: HashMap::new(), tidied: None })
    }

    /// Sends notices until it is dropped.
    pub(super) async fn run(mut self) {
        let mut sending = FuturesUnordered::new();
        loop {
            let wait = match self.start(&mut sending).await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::warn!(%error, "notices can't be looked at");
                    LOOK_EVERY
                }
            };
            tokio::select! {
                Some(channel) = sending.next() => {
                    self.busy.remove(&channel);
                }
                () = self.shared.news.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Starts all deliveries that are due. Returns the wait until the next one.
    async fn start(&mut self, sending: &mut FuturesUnordered<Sending>) -> Result<Duration, Error> {
        self.tidy().await?;
        loop {
            let free = AT_ONCE.saturating_sub(self.busy.len());
            if free == 0 {
                return Ok(LOOK_EVERY);
            }
            let busy = self.busy.keys().cloned().collect();
            let limit = u32::try_from(free).unwrap_or(u32::MAX);
            let next = self.shared.platform.next_notices(busy, self.full(), limit).await?;
            if next.is_empty() {
                return Ok(LOOK_EVERY);
            }
            for due in next {
                let wait = due.at - now().0;
                if wait > 0 {
                    return Ok(Duration::from_millis(wait.unsigned_abs()).min(LOOK_EVERY));
                }
                if due.of.is_none_or(|wiki| self.busy_of(wiki) < PER_WIKI) {
                    self.busy.insert(due.channel.clone(), due.of);
                    sending.push(Box::pin(self.send(due)));
                }
            }
        }
    }

    /// Gives up old notices, at most once per [`LOOK_EVERY`].
    async fn tidy(&mut self) -> Result<(), Error> {
        if self.tidied.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
            return Ok(());
        }
        let longest = i64::try_from(backoff::CAP.as_millis()).unwrap_or(i64::MAX);
        let before = OffsetDateTime::now_utc() - GIVEN_UP;
        let given_up = self.shared.platform.give_up_notices(before, longest).await?;
        for _ in 0..given_up {
            self.shared.options.metrics.links().delivered(Delivered::GivenUp);
        }
        if given_up > 0 {
            tracing::warn!(notices = given_up, "nobody could be told for a day");
        }
        self.tidied = Some(Instant::now());
        Ok(())
    }

    fn busy_of(&self, wiki: TenantId) -> usize {
        self.busy.values().filter(|of| **of == Some(wiki)).count()
    }

    /// The wikis that have used up their share of concurrent deliveries.
    fn full(&self) -> Vec<TenantId> {
        let wikis = self.busy.values().flatten().copied();
        wikis.filter(|wiki| self.busy_of(*wiki) >= PER_WIKI).collect()
    }

    fn send(&self, due: DueNotice) -> impl Future<Output = String> + Send + 'static {
        let (shared, ours) = (self.shared.clone(), self.platform.get(&due.channel).cloned());
        async move {
            if let Err(error) = send(&shared, ours, &due).await {
                tracing::warn!(channel = due.channel, %error, "a notice can't be seen to now");
                tokio::time::sleep(AGAIN).await;
            }
            due.channel
        }
    }
}

/// Delivers a notice to a channel once, and stores the result. If the process ends in between, the notice is sent again
/// under the same id.
async fn send(shared: &Shared, ours: Option<Channel>, due: &DueNotice) -> Result<(), Error> {
    let DueNotice { channel, attempts, notice, .. } = due;
    let platform = &shared.platform;
    let to = match ours {
        Some(ours) => Some(ours),
        None => channels::opened(platform, channel).await?,
    };
    let slug = platform.slug_of(notice.wiki).await?;
    // The wiki or the channel may have been deleted meanwhile.
    let counts = shared.options.metrics.links();
    let (Some(to), Some(slug)) = (to, slug) else {
        counts.delivered(Delivered::Unwanted);
        return platform.notice_settled(channel, notice.id).await;
    };
    match shared.notifier.deliver(&worded(notice, slug.as_str()), &to).await {
        Ok(()) => counts.delivered(Delivered::Yes),
        // The next start may have a relay configured.
        Err(error @ (NotDelivered::Later(_) | NotDelivered::NoRelay)) => {
            tracing::info!(channel, notice = notice.id, %error, "a notice has to wait");
            let wait = backoff::wait(*attempts, None, &mut Dice::new(random()));
            return platform.notice_postponed(channel, (now() + wait).0).await;
        }
        Err(error) => {
            tracing::warn!(channel, notice = notice.id, %error, "a notice is not delivered");
            counts.delivered(Delivered::GivenUp);
        }
    }
    platform.notice_settled(channel, notice.id).await
}
