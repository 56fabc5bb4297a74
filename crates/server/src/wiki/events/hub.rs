//! One hub for each wiki that somebody listens to.

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

/// How much of the log is read at a time, and a slow listener is handed at once.
pub(super) const PAGE: Most = Most { items: 100, bytes: 64 << 10 };
/// How often the branch is looked at, which somebody may move with the git program.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long what is new is collected after something was handed out. The first of many saves is told at
/// once; those that follow don't cost a write to each listener each.
const COLLECT: Duration = Duration::from_millis(50);
/// When to come back to a wiki that has too many listeners.
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

    /// Tells those who listen to a link's wiki how the link stands, and what people are told of it. Who
    /// isn't up to date misses it.
    pub(crate) fn tell_of_remote(&self, link: &Link, notices: &[NewNotice]) {
        if let Some(entry) = self.0.hubs().get(&link.wiki) {
            entry.hub.tell(link, notices);
        }
    }

    /// How many listen, to whatever wiki.
    pub(crate) fn listeners(&self) -> usize {
        self.0.hubs().values().map(|entry| entry.listeners).sum()
    }

    /// A place at the wiki's hub, which is started if there is none.
    pub(super) async fn enter(&self, wiki: &Wiki) -> Result<Place, Problem> {
        if let Some(place) = self.enter_existing(wiki.id()) {
            return place;
        }
        let start = async {
            // With nobody's rights in particular: it reads for all, and each listener sees to its own.
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

    /// After how long a silence to say that one is still there.
    pub(super) fn keep_alive(&self) -> Duration {
        self.feeds.0.keep_alive
    }

    /// What the events are counted in that a listener hasn't read yet.
    pub(super) fn budget(&self) -> &ByteBudget {
        &self.feeds.0.budget
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut hubs = self.feeds.0.hubs();
        // A hub that ended may have been replaced, and nobody counts its listeners any more.
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

/// Reads the log of one wiki for all who listen.
#[derive(Debug)]
pub(super) struct Hub {
    /// `None` once the hub has ended.
    tail: Mutex<Option<Tail>>,
    /// Marked when there is something new at the tail.
    news: watch::Sender<()>,
    /// Marked after each look at the log.
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

    /// All events from now on, and the commit that the first of them follows. `None` at the end.
    pub(super) fn listen(&self) -> Option<(Follower, Option<Revision>)> {
        let tail = self.tail();
        let tail = tail.as_ref()?;
        Some((Follower::new(tail, self.news.subscribe()), tail.at()))
    }

    /// What is new to a follower, which has it then. `None` at the end.
    pub(super) fn take(&self, follower: &mut Follower) -> Option<Taken> {
        self.tail().as_ref().map(|tail| tail.take(follower))
    }

    /// Tells when the hub has looked at the log again, or has ended.
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
            // Position and event change together: a listener that comes between two has no gap.
            if let Some(tail) = &mut *self.tail() {
                tail.push(message);
            }
        }
        self.news.send_modify(|()| ());
    }

    /// Forgets what everybody who keeps up has by now.
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

/// A running hub, which ends all its listeners when it ends, however it does.
struct Ended(Arc<Hub>);

impl Drop for Ended {
    fn drop(&mut self) {
        *self.0.tail() = None;
        self.0.news.send_modify(|()| ());
        self.0.looks.send_modify(|()| ());
    }
}

/// Between two looks the wiki may be closed: somebody who only listens doesn't need it.
async fn run(running: Ended, wiki: Reference, mut moves: Moves) {
    let Ended(hub) = &running;
    loop {
        let before = hub.at();
        if let Err(error) = look(hub, &wiki).await {
            // The wiki was suspended or deleted, or can't be read. Who comes back is told.
            tracing::info!(wiki.id = %wiki.id(), %error, "the events of a wiki end");
            return;
        }
        hub.looks.send_modify(|()| ());
        if hub.at() != before {
            tokio::time::sleep(COLLECT).await;
        }
        hub.tidy();
        // Too late is as good as told.
        let _ = tokio::time::timeout(LOOK_EVERY, moves.next()).await;
    }
}

/// Hands out what is new.
async fn look(hub: &Hub, wiki: &Reference) -> Result<(), Error> {
    // A wiki that had to make room for another is left closed: what happens in it opens it.
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

/// What follows a place in the log.
pub(super) enum Next {
    Commits(Vec<Commit>),
    /// Nothing ever: that commit isn't part of the history (any more).
    Replaced,
    /// Nothing now: the index is being built, or the place is ahead of where one wants to go.
    NotYet,
}

/// The next commits on the way from `at` to `to`, which is another place. Never one beyond `to`: the
/// log may have a commit that isn't visible yet.
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
