//! The registry of open wikis. A wiki is opened once for any number of concurrent requests; the number of open wikis is
//! limited; idle wikis are closed, and wikis in use never are.

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

/// The longest wait of a request while the limit of open wikis is reached and all are in use.
const PATIENCE: Duration = Duration::from_secs(2);
/// Maximal number of wikis closed concurrently when the platform is closed. Each may wait for its disk, or for running
/// work.
const CLOSED_AT_ONCE: usize = 16;

/// The open wikis of one platform.
///
/// The methods must not be cancelled halfway, so they are called from tasks of their own.
pub(crate) struct Registry {
    slots: Mutex<Slots>,
    /// One permit per wiki that is open or being opened.
    places: Arc<Semaphore>,
    /// The signals to the followers of each wiki, open or not.
    signals: Mutex<HashMap<TenantId, Arc<watch::Sender<()>>>>,
    started: Instant,
    counts: Counts,
}

/// Counters since the platform was opened.
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
    /// `true` if no wiki may be opened any more.
    shut: bool,
}

/// The entry of one wiki, open or not.
#[derive(Default)]
struct Slot {
    open: Mutex<Option<Open>>,
    /// Held while the wiki is being opened or closed, so that at most one handle exists.
    gate: Arc<tokio::sync::Mutex<()>>,
    /// The time of the last request for the wiki, in milliseconds since the registry was made.
    used: AtomicU64,
}

struct Open {
    wiki: Arc<Live>,
    /// Number of holders that only do background work, which doesn't prevent closing.
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

    /// Takes the wiki out of the slot if it is unused. With `force`, background work doesn't count as use.
    fn take_if_unused(&self, force: bool) -> Option<Open> {
        let mut open = lock(&self.open);
        // No other task can acquire the wiki meanwhile: that takes this lock.
        open.take_if(|open| open.gives_way() && (force || open.background == 0))
    }
}

impl Open {
    fn gives_way(&self) -> bool {
        Arc::strong_count(&self.wiki) == 1 + self.background
    }
}

/// An open wiki held for background work: it may be closed at any moment.
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
            // Both under the lock, so that `gives_way` never sees one of them without the other.
            Some(open) => {
                open.background -= 1;
                drop(wiki);
            }
            // The wiki was closed meanwhile. Dropping it may close its connections, which takes a while, so the lock is
            // freed first.
            None => {
                drop(open);
                drop(wiki);
            }
        }
    }
}

impl Registry {
    /// Makes a registry for at most `limit` open wikis.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            slots: Mutex::default(),
            places: Arc::new(Semaphore::new(limit.max(1))),
            signals: Mutex::default(),
            started: Instant::now(),
            counts: Counts::default(),
        }
    }

    /// The wiki, if it is open and intact. Counts as a request for it.
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

    /// Like [`get`](Self::get), but doesn't count as a request for the wiki, and doesn't check it.
    pub(crate) fn peek(&self, id: TenantId) -> Option<Arc<Live>> {
        let slots = lock(&self.slots);
        let slot = slots.of.get(&id)?;
        lock(&slot.open).as_ref().map(|open| open.wiki.clone())
    }

    /// Returns `true` if a wiki can be opened without closing another one.
    pub(crate) fn has_room(&self) -> bool {
        self.places.available_permits() > 0
    }

    /// The signal to the followers of this wiki.
    pub(crate) fn signal(&self, id: TenantId) -> Arc<watch::Sender<()>> {
        lock(&self.signals).entry(id).or_default().clone()
    }

    /// The wiki, opened with `open` if need be, and `true` if this call opened it.
    ///
    /// # Errors
    /// The error of `open`, or [`Error::Busy`] if the limit of open wikis stays reached.
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

    /// Waits for the gate of a wiki, which keeps other tasks from opening or closing the wiki.
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

    /// Like [`gate`](Self::gate), if the wiki has a slot and its gate is free.
    fn try_gate(&self, id: TenantId) -> Option<Gate<'_>> {
        let slot = lock(&self.slots).of.get(&id)?.clone();
        let guard = slot.gate.clone().try_lock_owned().ok()?;
        Some(Gate { registry: self, id, slot, _guard: guard })
    }

    /// A permit for one more open wiki, if need be by closing the least recently used wiki.
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
            // All are in use. Dropping a handle sends no signal, so poll.
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

    /// Closes wikis without requests for `idle`, and checkpoints the others.
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
        // Empty slots stay behind when a task is cancelled while it waits at a gate.
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

    /// Closes a wiki unless it is in use, or being opened or closed. Returns `true` if it was closed.
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

    /// Closes all wikis, even those in use, and refuses to open any from now on.
    pub(crate) async fn shut(self: &Arc<Self>) {
        let slots: Vec<_> = {
            let mut slots = lock(&self.slots);
            slots.shut = true;
            slots.of.iter().map(|(id, slot)| (*id, slot.clone())).collect()
        };
        // Cancels the work in all wikis first, so that none continues while other wikis are being closed.
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

    /// The ids of the open wikis.
    pub(crate) fn ids(&self) -> Vec<TenantId> {
        let slots = lock(&self.slots);
        slots.of.iter().filter(|(_, slot)| slot.is_open()).map(|(id, _)| *id).collect()
    }

    /// Returns `true` if [`shut`](Self::shut) was called.
    pub(crate) fn is_shut(&self) -> bool {
        lock(&self.slots).shut
    }

    /// Number of open wikis.
    pub(crate) fn len(&self) -> usize {
        lock(&self.slots).of.values().filter(|slot| slot.is_open()).count()
    }

    /// Number of wikis opened and closed so far.
    pub(crate) fn comings(&self) -> Comings {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counts { opened, idle, displaced, ended } = &self.counts;
        let (opened, idle, displaced, ended) = (of(opened), of(idle), of(displaced), of(ended));
        Comings { opened, idle, displaced, ended }
    }

    /// Usage of the connection pools of all open wikis together.
    pub(crate) fn pool_use(&self) -> PoolUse {
        let slots: Vec<_> = lock(&self.slots).of.values().cloned().collect();
        let mut all = PoolUse::default();
        for slot in slots {
            // The lock is held, and the wiki isn't cloned: holding it would keep it from being closed.
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

/// The exclusive right to open or close a wiki.
pub(crate) struct Gate<'a> {
    registry: &'a Registry,
    id: TenantId,
    slot: Arc<Slot>,
    _guard: OwnedMutexGuard<()>,
}

impl Gate<'_> {
    /// Closes the wiki if it must be opened again.
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

    /// Closes the wiki if it is open, even while it is in use; its users get errors from then on.
    pub(crate) async fn close(&self) {
        let open = lock(&self.slot.open).take();
        if let Some(open) = open {
            self.registry.counts.ended.fetch_add(1, Ordering::Relaxed);
            finish(open).await;
        }
    }
}

impl Drop for Gate<'_> {
    /// Removes an empty slot, unless another task is waiting at its gate.
    fn drop(&mut self) {
        let mut slots = lock(&self.registry.slots);
        // The map and this gate hold one reference each.
        if Arc::strong_count(&self.slot) <= 2 && !self.slot.is_open() {
            slots.of.remove(&self.id);
        }
    }
}

/// Closes a wiki that was taken out of its slot. The caller holds the gate.
async fn finish(open: Open) {
    open.wiki.shut().await;
    let closed = try_blocking(move || {
        let closed = open.wiki.close();
        // Drops the connections, too, which takes a while.
        drop(open);
        closed
    });
    log(closed.await, "close");
}

fn closing() -> Error {
    Error::Busy("the platform is being closed".to_owned())
}

/// Logs a failure. A failed checkpoint loses no data, but the operator should know. A panic of one wiki must not keep
/// the others from being closed.
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
