//! What is known of links that don't keep up: whose remote doesn't answer, and what waits for whom.
//!
//! What waits is in each wiki's own file, and nobody who only looks at figures opens thousands of those.
//! So a link's queue is counted when its wiki is open anyway: after a run, and after a save. Those that
//! can't run, or failed before the process ended, are asked once after a start. Only what isn't empty is
//! remembered.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use time::OffsetDateTime;
use wikigrove_tenant::storage::Queue;
use wikigrove_tenant::{Caller, Error, Link, Platform, Wiki, spawn};

use super::stored::{Loaded, settings};
use super::{Shared, lock};
use crate::sync::{LinkState, Phase, State};

/// So many links are read from the catalog together.
const BATCH: u32 = 200;
/// How long to wait from one wiki to the next, where nobody is in a hurry.
const UNHURRIED: Duration = Duration::from_millis(20);

/// What is known now.
#[derive(Default)]
pub(super) struct Standing {
    known: Mutex<Known>,
    /// Held to count a queue and to take note of it, so that who counted last is believed.
    counting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    queues: HashMap<String, Queue>,
    down: HashSet<String>,
}

/// All links that don't keep up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// Links whose remote didn't answer.
    pub(crate) down: usize,
    /// Links that something waits for.
    pub(crate) links: usize,
    /// How many commits do.
    pub(crate) commits: usize,
    /// When the oldest of them was made.
    pub(crate) oldest: Option<OffsetDateTime>,
}

impl Standing {
    /// Takes note of what a link's state says of its remote.
    pub(super) fn stepped(&self, link: &str, state: &LinkState) {
        let rests = matches!(state.phase, Phase::Offline | Phase::Disabled);
        let mut known = self.known();
        if state.down.is_some() && !rests {
            known.down.insert(link.to_owned());
        } else {
            known.down.remove(link);
        }
    }

    /// Counts what waits for a link.
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

    /// A link is gone.
    pub(super) fn forget(&self, link: &str) {
        let mut known = self.known();
        known.queues.remove(link);
        known.down.remove(link);
    }

    /// Sums it up, without links that went together with their wiki.
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

/// Counts, beside everything else, what waits for these links of one wiki, which was just saved in.
pub(super) fn count_later(shared: &Arc<Shared>, links: Vec<Link>) {
    let shared = shared.clone();
    spawn(async move {
        for link in links.into_iter().filter(pushes) {
            count(&shared, &link).await;
        }
    });
}

/// Counts what waits for the links that were behind when they were last heard of. The others are counted
/// when they run.
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

/// Whether a link can't run, or didn't get through.
fn is_behind(link: &Loaded) -> bool {
    let stands =
        matches!(link.state.state(), State::Paused | State::NeedsDecision | State::Offline);
    stands || link.state.failures > 0
}

async fn count(shared: &Shared, link: &Link) {
    // A wiki that is suspended isn't opened. It is asked when it is active again.
    if let Ok(wiki) = shared.platform.wiki_by_id(link.wiki, Caller::operator()).await {
        shared.standing.count(&wiki, &link.id, link.number()).await;
    }
}

fn pushes(link: &Link) -> bool {
    settings(&link.settings).mode.pushes()
}
