//! One hub for each wiki that has listeners.

mod tail;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::storage::{Log, Most};
use wikigrove_tenant::{
    Caller, Commit, Error, Link, Moves, NewNotice, Reference, Revision, TenantId, Wiki,
};

use super::message::Message;
use crate::limits::{ByteBudget, HttpLimits};

use tail::Tail;
pub(super) use tail::{Follower, Taken};

/// The part of the log that is read at a time, and the most that a slow listener gets at once.
pub(super) const PAGE: Most = Most { items: 100, bytes: 64 << 10 };
/// Interval of the checks for a branch that the git program moved.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Interval in which events are collected after a distribution. The first of many saves is distributed at once; the
/// following ones don't cost one write per listener each.
const COLLECT: Duration = Duration::from_millis(50);
/// Retry delay for clients of a wiki that has too many listeners.
const RETRY_SECONDS: u64 = 30;

/// The hubs of all wikis. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Feeds(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most_listeners: usize,
    keep_alive: Duration,
    budget: ByteBudget,
    hubs: Mutex<HashMap<TenantId, Entry>>,
}

#[derive(Debug)]
struct Entry {
    hub: Arc<Hub>,
    listeners: usize,
    task: AbortHandle,
}

impl Feeds {
    pub(crate) fn new(limits: &HttpLimits, budget: &ByteBudget) -> Self {
        Self(Arc::new(Inner {
            most_listeners: limits.listeners_per_wiki,
            keep_alive: limits.events_keep_alive,
            budget: budget.clone(),
            hubs: Mutex::default(),
        }))
    }

    /// Distributes the state of a remote and new notices about it to the listeners of its wiki. Listeners that haven't
    /// caught up don't get them.
    pub(crate) fn tell_of_remote(&self, link: &Link, notices: &[NewNotice]) {
        if let Some(entry) = self.0.hubs().get(&link.wiki) {
            entry.hub.tell(link, notices);
        }
    }

    /// Number of listeners of all wikis.
    pub(crate) fn listeners(&self) -> usize {
        self.0.hubs().values().map(|entry| entry.listeners).sum()
    }

    /// Takes a place at the wiki's hub, and starts the hub if necessary.
    pub(super) async fn enter(&self, wiki: &Wiki) -> Result<Place, Problem> {
        if let Some(place) = self.enter_existing(wiki.id()) {
            return place;
        }
        let start = async {
            // As the operator, because the hub reads for all listeners; each listener checks its own rights.
            let wiki = wiki.for_caller(Caller::operator()).await?;
            let moves = wiki.reference().moves();
            let head = wiki.head().await?;
            Ok::<_, Error>((wiki.reference(), moves, head))
        };
        let (wiki, moves, head) = start.await.map_err(|error| error.problem())?;
        let mut hubs = self.0.hubs();
        let living = |entry: &&mut Entry| !entry.hub.has_ended();
        if let Some(entry) = hubs.get_mut(&wiki.id()).filter(living) {
            return self.place(wiki.id(), entry);
        }
        let id = wiki.id();
        let hub = Arc::new(Hub::new(head));
        let running = run(Ended(hub.clone()), wiki, moves);
        #[expect(clippy::disallowed_methods, reason = "it serves all listeners, not this request")]
        let task = tokio::spawn(running).abort_handle();
        let mut entry = Entry { hub, listeners: 0, task };
        let place = self.place(id, &mut entry);
        hubs.insert(id, entry);
        place
    }

    fn enter_existing(&self, id: TenantId) -> Option<Result<Place, Problem>> {
        let mut hubs = self.0.hubs();
        let entry = hubs.get_mut(&id).filter(|entry| !entry.hub.has_ended())?;
        Some(self.place(id, entry))
    }

    fn place(&self, wiki: TenantId, entry: &mut Entry) -> Result<Place, Problem> {
        if entry.listeners >= self.0.most_listeners {
            let detail = "too many listen to this wiki";
            let problem =
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_listeners", detail);
            return Err(problem.retry_after(RETRY_SECONDS));
        }
        entry.listeners += 1;
        Ok(Place { feeds: self.clone(), wiki, hub: entry.hub.clone() })
    }
}

impl Default for Feeds {
    fn default() -> Self {
        let limits = HttpLimits::default();
        Self::new(&limits, &ByteBudget::new(&limits))
    }
}

impl Inner {
    fn hubs(&self) -> MutexGuard<'_, HashMap<TenantId, Entry>> {
        self.hubs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A listener's place at a hub. The hub ends when the last one is dropped.
#[derive(Debug)]
pub(super) struct Place {
    feeds: Feeds,
    wiki: TenantId,
    hub: Arc<Hub>,
}

impl Place {
    pub(super) fn hub(&self) -> &Hub {
        &self.hub
    }

    /// The silence after which a keep-alive is sent.
    pub(super) fn keep_alive(&self) -> Duration {
        self.feeds.0.keep_alive
    }

    /// The budget for events that a listener has yet to read.
    pub(super) fn budget(&self) -> &ByteBudget {
        &self.feeds.0.budget
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut hubs = self.feeds.0.hubs();
        // This hub may have ended and been replaced; the new one counts its own listeners.
        let Some(entry) = hubs.get_mut(&self.wiki).filter(|e| Arc::ptr_eq(&e.hub, &self.hub))
        else {
            return;
        };
        entry.listeners -= 1;
        if entry.listeners == 0 {
            entry.task.abort();
            hubs.remove(&self.wiki);
        }
    }
}

/// Reads the log of one wiki for all its listeners.
#[derive(Debug)]
pub(super) struct Hub {
    /// `None` once the hub has ended.
    tail: Mutex<Option<Tail>>,
    /// Changes when there are new messages in the tail.
    news: watch::Sender<()>,
    /// Changes after each check of the log.
    looks: watch::Sender<()>,
}

impl Hub {
    fn new(head: Option<Revision>) -> Self {
        Self {
            tail: Mutex::new(Some(Tail::new(head))),
            news: watch::Sender::new(()),
            looks: watch::Sender::new(()),
        }
    }

    /// Subscribes to all events from now on; also returns the commit before the first of them. `None` after the hub
    /// ended.
    pub(super) fn listen(&self) -> Option<(Follower, Option<Revision>)> {
        let tail = self.tail();
        let tail = tail.as_ref()?;
        Some((Follower::new(tail, self.news.subscribe()), tail.at()))
    }

    /// Takes a follower's new messages. `None` after the hub ended.
    pub(super) fn take(&self, follower: &mut Follower) -> Option<Taken> {
        self.tail().as_ref().map(|tail| tail.take(follower))
    }

    /// A receiver that is notified when the hub has checked the log or has ended.
    pub(super) fn looks(&self) -> watch::Receiver<()> {
        self.looks.subscribe()
    }

    fn at(&self) -> Option<Revision> {
        self.tail().as_ref().and_then(Tail::at)
    }

    fn tell(&self, link: &Link, notices: &[NewNotice]) {
        if let Some(tail) = &mut *self.tail() {
            tail.push(Message::remote(tail.at(), link, notices));
        }
        self.news.send_modify(|()| ());
    }

    fn publish(&self, messages: impl IntoIterator<Item = Message>) {
        for message in messages {
            // Position and event change under one lock: a listener that subscribes in between misses nothing.
            if let Some(tail) = &mut *self.tail() {
                tail.push(message);
            }
        }
        self.news.send_modify(|()| ());
    }

    /// Drops old messages.
    fn tidy(&self) {
        if let Some(tail) = &mut *self.tail() {
            tail.forget_old();
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.tail().is_none()
    }

    fn tail(&self) -> MutexGuard<'_, Option<Tail>> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running hub. Dropping it ends all listeners, even after a panic.
struct Ended(Arc<Hub>);

impl Drop for Ended {
    fn drop(&mut self) {
        *self.0.tail() = None;
        self.0.news.send_modify(|()| ());
        self.0.looks.send_modify(|()| ());
    }
}

/// Between two checks the wiki may be closed: listening needn't keep it open.
async fn run(running: Ended, wiki: Reference, mut moves: Moves) {
    let Ended(hub) = &running;
    loop {
        let before = hub.at();
        if let Err(error) = look(hub, &wiki).await {
            // The wiki was suspended or deleted, or can't be read. Clients that reconnect get the error.
            tracing::info!(wiki.id = %wiki.id(), %error, "the events of a wiki end");
            return;
        }
        hub.looks.send_modify(|()| ());
        if hub.at() != before {
            tokio::time::sleep(COLLECT).await;
        }
        hub.tidy();
        // A timeout has the same effect as a notification.
        let _ = tokio::time::timeout(LOOK_EVERY, moves.next()).await;
    }
}

/// Distributes new commits.
async fn look(hub: &Hub, wiki: &Reference) -> Result<(), Error> {
    // A wiki that was closed to make room stays closed: its next save opens it.
    let Some(wiki) = wiki.open_if_room().await? else { return Ok(()) };
    loop {
        let (at, head) = (hub.at(), wiki.head().await?);
        if at == head {
            return Ok(());
        }
        match next(&wiki, at, head).await? {
            Next::Commits(commits) => hub.publish(commits.iter().map(Message::change)),
            Next::Replaced => hub.publish([Message::reset(head)]),
            Next::NotYet => return Ok(()),
        }
    }
}

/// The log after a position.
pub(super) enum Next {
    Commits(Vec<Commit>),
    /// The commit isn't part of the history (any more).
    Replaced,
    /// Nothing yet: the index is being built, or the position is past the target.
    NotYet,
}

/// Reads the next commits after `at` up to `to`, which must differ. Never one beyond `to`: the log may have a commit
/// that isn't visible yet.
pub(super) async fn next(
    wiki: &Wiki,
    at: Option<Revision>,
    to: Option<Revision>,
) -> Result<Next, Error> {
    let Log { mut commits, more } = wiki.log_since(at, PAGE).await?.unwrap_or_default();
    if let Some(last) = commits.iter().position(|commit| Some(commit.revision) == to) {
        commits.truncate(last + 1);
        return Ok(Next::Commits(commits));
    }
    if more {
        return Ok(Next::Commits(commits));
    }
    match at {
        Some(at) if !wiki.contains(at).await? => Ok(Next::Replaced),
        _ => Ok(Next::NotYet),
    }
}
