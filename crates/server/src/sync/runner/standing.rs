//! The backlog of the links: remotes that don't answer, and commits that wait for them.
//!
//! Queues are in each wiki's own database, and a request for metrics must not open thousands of these. So a link's
//! queue is counted when its wiki is open anyway: after a run and after a save. Links that can't run, or failed before
//! the process ended, are counted once after a start. Only queues that aren't empty are remembered.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use time::OffsetDateTime;
use wikigrove_tenant::storage::Queue;
use wikigrove_tenant::{Caller, Error, Link, Platform, Wiki, spawn};

use super::stored::{Loaded, settings};
use super::{Shared, lock};
use crate::sync::{LinkState, Phase, State};

/// Number of links read from the catalog at once.
const BATCH: u32 = 200;
/// Pause between two wikis in background work.
const UNHURRIED: Duration = Duration::from_millis(20);

/// The known backlog.
#[derive(Default)]
pub(super) struct Standing {
    known: Mutex<Known>,
    /// Held while counting a queue and storing the result, so that the latest count wins.
    counting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    queues: HashMap<String, Queue>,
    down: HashSet<String>,
}

/// The backlog of all links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// Number of links whose remote doesn't answer.
    pub(crate) down: usize,
    /// Number of links with waiting commits.
    pub(crate) links: usize,
    /// Number of waiting commits.
    pub(crate) commits: usize,
    /// The time of the oldest waiting commit.
    pub(crate) oldest: Option<OffsetDateTime>,
}

impl Standing {
    /// Records from a link's state if its remote answers.
    pub(super) fn stepped(&self, link: &str, state: &LinkState) {
        let rests = matches!(state.phase, Phase::Offline | Phase::Disabled);
        let mut known = self.known();
        if state.down.is_some() && !rests {
            known.down.insert(link.to_owned());
        } else {
            known.down.remove(link);
        }
    }

    /// Counts the queue of a link.
    pub(super) async fn count(&self, wiki: &Wiki, link: &str, number: i64) {
        let _turn = self.counting.lock().await;
        match wiki.sync_queue(number).await {
            Ok(Queue { waiting: 0, .. }) => {
                self.known().queues.remove(link);
            }
            Ok(queue) => {
                self.known().queues.insert(link.to_owned(), queue);
            }
            Err(error) => tracing::debug!(link, %error, "a queue can't be counted"),
        }
    }

    /// Forgets a deleted link.
    pub(super) fn forget(&self, link: &str) {
        let mut known = self.known();
        known.queues.remove(link);
        known.down.remove(link);
    }

    /// Sums up the backlog, without links that were deleted with their wiki.
    pub(super) async fn waiting(&self, platform: &Platform) -> Result<Waiting, Error> {
        let ids: HashSet<_> = {
            let known = self.known();
            known.queues.keys().chain(&known.down).cloned().collect()
        };
        if ids.is_empty() {
            return Ok(Waiting::default());
        }
        let left = platform.links_left(ids.iter().cloned().collect()).await?;
        let left: HashSet<_> = left.into_iter().collect();
        ids.difference(&left).for_each(|gone| self.forget(gone));
        let known = self.known();
        Ok(Waiting {
            down: known.down.len(),
            links: known.queues.len(),
            commits: known.queues.values().map(|queue| queue.waiting).sum(),
            oldest: known.queues.values().filter_map(|queue| queue.oldest).min(),
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        lock(&self.known)
    }
}

/// Counts the queues of these links in the background, after a save in their wiki.
pub(super) fn count_later(shared: &Arc<Shared>, links: Vec<Link>) {
    let shared = shared.clone();
    spawn(async move {
        for link in links.into_iter().filter(pushes) {
            count(&shared, &link).await;
        }
    });
}

/// Counts the queues of the links that were behind at the last stored state. The others are counted when they run.
pub(super) async fn survey(shared: Arc<Shared>) {
    let mut after = None;
    loop {
        let links = match shared.platform.all_links(None, after.as_deref(), BATCH).await {
            Ok(links) => links,
            Err(error) => {
                tracing::warn!(%error, "what waits for links can't be counted");
                return;
            }
        };
        let Some(last) = links.last() else { return };
        after = Some(last.id.clone());
        for link in links.into_iter().filter(pushes).map(Loaded::new).filter(is_behind) {
            count(&shared, &link.link).await;
            tokio::time::sleep(UNHURRIED).await;
        }
    }
}

/// Returns `true` if a link can't run, or failed last time.
fn is_behind(link: &Loaded) -> bool {
    let stands =
        matches!(link.state.state(), State::Paused | State::NeedsDecision | State::Offline);
    stands || link.state.failures > 0
}

async fn count(shared: &Shared, link: &Link) {
    // A suspended wiki can't be opened. Its queues are counted when it is active again.
    if let Ok(wiki) = shared.platform.wiki_by_id(link.wiki, Caller::operator()).await {
        shared.standing.count(&wiki, &link.id, link.number()).await;
    }
}

fn pushes(link: &Link) -> bool {
    settings(&link.settings).mode.pushes()
}
