//! Open wikis: each opened once however many ask for it, bounded in number, closed when idle and
//! never while in use.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use wikigrove_storage::{PoolUse, Wiki};

use crate::context::{blocking, try_blocking};
use crate::figures::Comings;
use crate::live::Live;
use crate::{Error, TenantId};

/// How long a request waits for a place when as many wikis are in use as may be open.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many wikis are closed at once when all are. Each may wait for its disk, or for work that goes on.
const CLOSED_AT_ONCE: usize = 16;

/// The open wikis of one platform.
///
/// Its methods must not be cancelled halfway: they are called from tasks of their own.
pub(crate) struct Registry {
    slots: Mutex<Slots>,
    /// One permit per wiki that is open or being opened.
    places: Arc<Semaphore>,
    /// What those are told by who follow a wiki, open or not.
    signals: Mutex<HashMap<TenantId, Arc<watch::Sender<()>>>>,
    started: Instant,
    counts: Counts,
}

/// What happened so far.
#[derive(Default)]
struct Counts {
    opened: AtomicU64,
    idle: AtomicU64,
    displaced: AtomicU64,
    ended: AtomicU64,
}

#[derive(Default)]
struct Slots {
    of: HashMap<TenantId, Arc<Slot>>,
    /// Nothing is opened any more.
    shut: bool,
}

/// The place of one wiki, open or not.
#[derive(Default)]
struct Slot {
    open: Mutex<Option<Open>>,
    /// Held while the wiki is being opened or closed: there is never more than one handle.
    gate: Arc<tokio::sync::Mutex<()>>,
    /// When the wiki was last asked for, in milliseconds since the registry was made.
    used: AtomicU64,
}

struct Open {
    wiki: Arc<Live>,
    /// How many hold the wiki only for work that gives way to whoever wants to close it.
    background: usize,
    _place: OwnedSemaphorePermit,
}

impl Slot {
    fn is_open(&self) -> bool {
        lock(&self.open).is_some()
    }

    fn is_unused(&self) -> bool {
        lock(&self.open).as_ref().is_some_and(Open::gives_way)
    }

    /// Takes the wiki out if nobody holds it; with `force`, also if somebody does for work that gives
    /// way.
    fn take_if_unused(&self, force: bool) -> Option<Open> {
        let mut open = lock(&self.open);
        // Nobody can get hold of it meanwhile: that takes this lock.
        open.take_if(|open| open.gives_way() && (force || open.background == 0))
    }
}

impl Open {
    fn gives_way(&self) -> bool {
        Arc::strong_count(&self.wiki) == 1 + self.background
    }
}

/// An open wiki that is held for work that gives way: it may be closed at any moment.
pub(crate) struct InBackground {
    wiki: Option<Arc<Live>>,
    slot: Arc<Slot>,
}

impl InBackground {
    fn hold(slot: Arc<Slot>) -> Option<Self> {
        let wiki = {
            let mut open = lock(&slot.open);
            let open = open.as_mut()?;
            open.background += 1;
            open.wiki.clone()
        };
        Some(Self { wiki: Some(wiki), slot })
    }

    /// The wiki.
    pub(crate) fn wiki(&self) -> &Live {
        self.wiki.as_ref().expect("there until this is dropped")
    }
}

impl Drop for InBackground {
    fn drop(&mut self) {
        let Some(wiki) = self.wiki.take() else { return };
        let mut open = lock(&self.slot.open);
        match open.as_mut().filter(|open| Arc::ptr_eq(&open.wiki, &wiki)) {
            // In one step for whoever counts.
            Some(open) => {
                open.background -= 1;
                drop(wiki);
            }
            // It was closed meanwhile. With it may go its connections, which takes a while.
            None => {
                drop(open);
                drop(wiki);
            }
        }
    }
}

impl Registry {
    /// A registry for at most `limit` open wikis.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            slots: Mutex::default(),
            places: Arc::new(Semaphore::new(limit.max(1))),
            signals: Mutex::default(),
            started: Instant::now(),
            counts: Counts::default(),
        }
    }

    /// The wiki, if it is open and can be used.
    pub(crate) fn get(&self, id: TenantId) -> Option<Arc<Live>> {
        let slots = lock(&self.slots);
        let slot = slots.of.get(&id)?;
        let wiki = lock(&slot.open).as_ref()?.wiki.clone();
        if wiki.is_damaged() {
            return None;
        }
        slot.used.store(self.now(), Ordering::Relaxed);
        Some(wiki)
    }

    /// As [`get`](Self::get), by somebody who only watches.
    pub(crate) fn peek(&self, id: TenantId) -> Option<Arc<Live>> {
        let slots = lock(&self.slots);
        let slot = slots.of.get(&id)?;
        lock(&slot.open).as_ref().map(|open| open.wiki.clone())
    }

    /// Whether a wiki can be opened without closing another one.
    pub(crate) fn has_room(&self) -> bool {
        self.places.available_permits() > 0
    }

    /// What those are told by who follow this wiki.
    pub(crate) fn signal(&self, id: TenantId) -> Arc<watch::Sender<()>> {
        lock(&self.signals).entry(id).or_default().clone()
    }

    /// The wiki, opened by `open` if need be, and whether it was.
    ///
    /// # Errors
    /// What `open` says, or that no place became free.
    pub(crate) async fn open(
        &self,
        id: TenantId,
        open: impl FnOnce() -> Result<Wiki, Error> + Send + 'static,
    ) -> Result<(Arc<Live>, bool), Error> {
        let gate = self.gate(id).await?;
        gate.slot.used.store(self.now(), Ordering::Relaxed);
        gate.close_damaged().await;
        if let Some(open) = lock(&gate.slot.open).as_ref() {
            return Ok((open.wiki.clone(), false));
        }
        let place = self.place().await?;
        let wiki = Arc::new(Live::new(blocking(open).await?, self.signal(id)));
        *lock(&gate.slot.open) = Some(Open { wiki: wiki.clone(), background: 0, _place: place });
        self.counts.opened.fetch_add(1, Ordering::Relaxed);
        Ok((wiki, true))
    }

    /// Keeps a wiki from being opened or closed by anybody else.
    ///
    /// # Errors
    /// The platform is being closed.
    pub(crate) async fn gate(&self, id: TenantId) -> Result<Gate<'_>, Error> {
        let slot = {
            let mut slots = lock(&self.slots);
            if slots.shut {
                return Err(closing());
            }
            slots.of.entry(id).or_default().clone()
        };
        let guard = slot.gate.clone().lock_owned().await;
        Ok(Gate { registry: self, id, slot, _guard: guard })
    }

    /// As [`gate`](Self::gate), for a wiki that is there and that nobody opens or closes just now.
    fn try_gate(&self, id: TenantId) -> Option<Gate<'_>> {
        let slot = lock(&self.slots).of.get(&id)?.clone();
        let guard = slot.gate.clone().try_lock_owned().ok()?;
        Some(Gate { registry: self, id, slot, _guard: guard })
    }

    /// A place for one more wiki, made by closing the one that was unused for the longest time.
    async fn place(&self) -> Result<OwnedSemaphorePermit, Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(place) = self.places.clone().try_acquire_owned() {
                return Ok(place);
            }
            if self.close_oldest().await {
                continue;
            }
            if Instant::now() >= deadline {
                return Err(Error::Busy(
                    "as many wikis are in use as may be open at once".to_owned(),
                ));
            }
            // All are in use. A handle that is dropped tells nobody, so look again soon.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn close_oldest(&self) -> bool {
        let mut candidates: Vec<(u64, TenantId)> = lock(&self.slots)
            .of
            .iter()
            .filter(|(_, slot)| slot.is_unused())
            .map(|(id, slot)| (slot.used.load(Ordering::Relaxed), *id))
            .collect();
        candidates.sort_unstable();
        for (_, id) in candidates {
            if self.close_unused(id, true).await {
                return true;
            }
        }
        false
    }

    /// Closes what nobody asked for within `idle`, and checkpoints what stays open.
    pub(crate) async fn tidy(&self, idle: Duration) {
        let now = self.now();
        let slots: Vec<(TenantId, u64)> = lock(&self.slots)
            .of
            .iter()
            .map(|(id, slot)| (*id, slot.used.load(Ordering::Relaxed)))
            .collect();
        for (id, used) in slots {
            if Duration::from_millis(now.saturating_sub(used)) >= idle {
                self.close_unused(id, false).await;
            } else {
                self.checkpoint(id).await;
            }
        }
        let is_used = |signal: &Arc<watch::Sender<()>>| {
            Arc::strong_count(signal) > 1 || signal.receiver_count() > 0
        };
        lock(&self.signals).retain(|_, signal| is_used(signal));
        // Left by those who gave up waiting at a gate.
        lock(&self.slots).of.retain(|_, slot| slot.is_open() || Arc::strong_count(slot) > 1);
    }

    async fn checkpoint(&self, id: TenantId) {
        let open = lock(&self.slots).of.get(&id).cloned();
        let wiki = open.and_then(|slot| Some(lock(&slot.open).as_ref()?.wiki.clone()));
        if let Some(wiki) = wiki {
            log(try_blocking(move || wiki.with(Wiki::checkpoint)).await, "checkpoint");
        }
    }

    /// The open wikis that were written to since the last call.
    pub(crate) fn written(&self) -> Vec<InBackground> {
        let slots: Vec<_> = lock(&self.slots).of.values().cloned().collect();
        let held = slots.into_iter().filter_map(InBackground::hold);
        held.filter(|held| held.wiki().takes_written()).collect()
    }

    /// Closes a wiki unless somebody holds it, or is opening or closing it.
    async fn close_unused(&self, id: TenantId, force: bool) -> bool {
        let Some(gate) = self.try_gate(id) else { return false };
        match gate.slot.take_if_unused(force) {
            Some(open) => {
                let count = if force { &self.counts.displaced } else { &self.counts.idle };
                count.fetch_add(1, Ordering::Relaxed);
                finish(open).await;
                true
            }
            None => false,
        }
    }

    /// Closes all wikis, even those that are in use, and opens none from now on.
    pub(crate) async fn shut(self: &Arc<Self>) {
        let slots: Vec<_> = {
            let mut slots = lock(&self.slots);
            slots.shut = true;
            slots.of.iter().map(|(id, slot)| (*id, slot.clone())).collect()
        };
        // In all of them first, so that no work goes on while other wikis are closed.
        for (_, slot) in &slots {
            if let Some(open) = lock(&slot.open).as_ref() {
                open.wiki.end_work();
            }
        }
        let mut closing = JoinSet::new();
        for (id, slot) in slots {
            if closing.len() == CLOSED_AT_ONCE {
                closing.join_next().await;
            }
            let registry = self.clone();
            closing.spawn(async move {
                let guard = slot.gate.clone().lock_owned().await;
                Gate { registry: &registry, id, slot, _guard: guard }.close().await;
            });
        }
        while closing.join_next().await.is_some() {}
    }

    /// The open wikis.
    pub(crate) fn ids(&self) -> Vec<TenantId> {
        let slots = lock(&self.slots);
        slots.of.iter().filter(|(_, slot)| slot.is_open()).map(|(id, _)| *id).collect()
    }

    /// Whether [`shut`](Self::shut) was called.
    pub(crate) fn is_shut(&self) -> bool {
        lock(&self.slots).shut
    }

    /// The number of open wikis.
    pub(crate) fn len(&self) -> usize {
        lock(&self.slots).of.values().filter(|slot| slot.is_open()).count()
    }

    /// How often wikis were opened and closed.
    pub(crate) fn comings(&self) -> Comings {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counts { opened, idle, displaced, ended } = &self.counts;
        let (opened, idle, displaced, ended) = (of(opened), of(idle), of(displaced), of(ended));
        Comings { opened, idle, displaced, ended }
    }

    /// How much of the pools of all open wikis is in use.
    pub(crate) fn pool_use(&self) -> PoolUse {
        let slots: Vec<_> = lock(&self.slots).of.values().cloned().collect();
        let mut all = PoolUse::default();
        for slot in slots {
            // Not held longer than that: whoever holds a wiki keeps it from being closed.
            if let Some(open) = lock(&slot.open).as_ref() {
                all += open.wiki.pool_use();
            }
        }
        all
    }

    #[cfg(test)]
    pub(crate) fn slots(&self) -> usize {
        lock(&self.slots).of.len()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// While this is held nobody else opens or closes the wiki.
pub(crate) struct Gate<'a> {
    registry: &'a Registry,
    id: TenantId,
    slot: Arc<Slot>,
    _guard: OwnedMutexGuard<()>,
}

impl Gate<'_> {
    /// Closes the wiki if it has to be opened again.
    async fn close_damaged(&self) {
        let damaged = {
            let mut open = lock(&self.slot.open);
            open.take_if(|open| open.wiki.is_damaged())
        };
        if let Some(damaged) = damaged {
            tracing::error!(wiki.id = %self.id, "a file of the wiki was cut while it was open; it is opened again");
            self.registry.counts.ended.fetch_add(1, Ordering::Relaxed);
            finish(damaged).await;
        }
    }

    /// The wiki, if it is open.
    pub(crate) fn open_wiki(&self) -> Option<Arc<Live>> {
        lock(&self.slot.open).as_ref().map(|open| open.wiki.clone())
    }

    /// Closes the wiki, if it is open, even if somebody holds it; they get errors from then on.
    pub(crate) async fn close(&self) {
        let open = lock(&self.slot.open).take();
        if let Some(open) = open {
            self.registry.counts.ended.fetch_add(1, Ordering::Relaxed);
            finish(open).await;
        }
    }
}

impl Drop for Gate<'_> {
    /// Forgets a slot with nothing in it, unless somebody else is waiting at its gate.
    fn drop(&mut self) {
        let mut slots = lock(&self.registry.slots);
        // One count is the map's, one is ours.
        if Arc::strong_count(&self.slot) <= 2 && !self.slot.is_open() {
            slots.of.remove(&self.id);
        }
    }
}

/// Closes what was taken out of its slot, by whoever holds its gate.
async fn finish(open: Open) {
    open.wiki.shut().await;
    let closed = try_blocking(move || {
        let closed = open.wiki.close();
        // With its connections, which takes a while.
        drop(open);
        closed
    });
    log(closed.await, "close");
}

fn closing() -> Error {
    Error::Busy("the platform is being closed".to_owned())
}

/// A failing checkpoint loses nothing, but the operator should know; and one wiki that panics must
/// not keep the others from being closed.
fn log(done: Result<Result<(), wikigrove_storage::Error>, tokio::task::JoinError>, what: &str) {
    let error: Box<dyn std::error::Error> = match done {
        Ok(Ok(()) | Err(wikigrove_storage::Error::Closed)) => return,
        Ok(Err(error)) => error.into(),
        Err(error) => error.into(),
    };
    tracing::error!(error = &*error, "{what} failed; acknowledged saves are safe in wiki.db");
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
