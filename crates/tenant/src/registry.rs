//! Open wikis: each opened once however many ask for it, bounded in number, closed when idle and
//! never while in use.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wikigrove_storage::{Error as StorageError, Wiki};

use crate::context::{blocking, spawn};
use crate::{Error, TenantId};

/// How long a request waits for a place when as many wikis are in use as may be open.
const PATIENCE: Duration = Duration::from_secs(2);

/// The open wikis of one platform.
pub(crate) struct Registry {
    slots: Mutex<HashMap<TenantId, Arc<Slot>>>,
    /// One permit per wiki that is open or being opened.
    places: Arc<Semaphore>,
    started: Instant,
}

/// The place of one wiki, open or not.
#[derive(Default)]
struct Slot {
    open: Mutex<Option<Open>>,
    /// Held while the wiki is being opened or closed: there is never more than one handle.
    gate: tokio::sync::Mutex<()>,
    /// When the wiki was last asked for, in milliseconds since the registry was made.
    used: AtomicU64,
}

struct Open {
    wiki: Arc<Wiki>,
    _place: OwnedSemaphorePermit,
}

impl Registry {
    /// A registry for at most `limit` open wikis.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            slots: Mutex::default(),
            places: Arc::new(Semaphore::new(limit)),
            started: Instant::now(),
        }
    }

    /// The wiki, if it is open.
    pub(crate) fn get(&self, id: TenantId) -> Option<Arc<Wiki>> {
        let slot = lock(&self.slots).get(&id)?.clone();
        let open = lock(&slot.open);
        let wiki = open.as_ref()?.wiki.clone();
        slot.used.store(self.now(), Ordering::Relaxed);
        Some(wiki)
    }

    /// The wiki, opened by `open` if need be.
    ///
    /// # Errors
    /// What `open` says, or that no place became free.
    pub(crate) async fn open(
        self: &Arc<Self>,
        id: TenantId,
        open: impl FnOnce() -> Result<Wiki, StorageError> + Send + 'static,
    ) -> Result<Result<Arc<Wiki>, StorageError>, Error> {
        let registry = self.clone();
        // In a task of its own: a caller who goes away must not leave a half-opened wiki behind,
        // with the gate open for a second handle.
        let opening = spawn(async move { registry.open_in_slot(id, open).await });
        match opening.await {
            Ok(opened) => opened,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => std::future::pending().await,
            },
        }
    }

    async fn open_in_slot(
        &self,
        id: TenantId,
        open: impl FnOnce() -> Result<Wiki, StorageError> + Send + 'static,
    ) -> Result<Result<Arc<Wiki>, StorageError>, Error> {
        let slot = lock(&self.slots).entry(id).or_default().clone();
        let _gate = slot.gate.lock().await;
        slot.used.store(self.now(), Ordering::Relaxed);
        if let Some(open) = lock(&slot.open).as_ref() {
            return Ok(Ok(open.wiki.clone()));
        }
        let place = self.place().await?;
        match blocking(open).await {
            Ok(wiki) => {
                let wiki = Arc::new(wiki);
                *lock(&slot.open) = Some(Open { wiki: wiki.clone(), _place: place });
                Ok(Ok(wiki))
            }
            Err(error) => {
                self.forget(id);
                Ok(Err(error))
            }
        }
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
            .iter()
            .filter(|(_, slot)| {
                lock(&slot.open).as_ref().is_some_and(|open| Arc::strong_count(&open.wiki) == 1)
            })
            .map(|(id, slot)| (slot.used.load(Ordering::Relaxed), *id))
            .collect();
        candidates.sort_unstable();
        for (_, id) in candidates {
            if self.close_unused(id).await {
                return true;
            }
        }
        false
    }

    /// Closes what nobody asked for within `idle`, and checkpoints what stays open.
    pub(crate) async fn tidy(&self, idle: Duration) {
        let now = self.now();
        let slots: Vec<_> =
            lock(&self.slots).iter().map(|(id, slot)| (*id, slot.clone())).collect();
        for (id, slot) in slots {
            let unused_for = now.saturating_sub(slot.used.load(Ordering::Relaxed));
            if Duration::from_millis(unused_for) >= idle {
                self.close_unused(id).await;
                continue;
            }
            let wiki = lock(&slot.open).as_ref().map(|open| open.wiki.clone());
            if let Some(wiki) = wiki {
                blocking(move || log(wiki.checkpoint(), "checkpoint")).await;
            }
        }
    }

    /// Closes a wiki unless somebody holds it.
    async fn close_unused(&self, id: TenantId) -> bool {
        let Some(slot) = lock(&self.slots).get(&id).cloned() else { return false };
        let _gate = slot.gate.lock().await;
        let unused = {
            let mut open = lock(&slot.open);
            // Nobody can get hold of it meanwhile: that takes this lock.
            match &*open {
                Some(held) if Arc::strong_count(&held.wiki) == 1 => open.take(),
                _ => None,
            }
        };
        self.finish(id, unused).await
    }

    /// Closes a wiki even if somebody holds it; they get errors from then on.
    pub(crate) async fn close(&self, id: TenantId) {
        let Some(slot) = lock(&self.slots).get(&id).cloned() else { return };
        let _gate = slot.gate.lock().await;
        let open = lock(&slot.open).take();
        self.finish(id, open).await;
    }

    /// Closes all wikis.
    pub(crate) async fn close_all(&self) {
        let ids: Vec<_> = lock(&self.slots).keys().copied().collect();
        for id in ids {
            self.close(id).await;
        }
    }

    /// The number of open wikis.
    pub(crate) fn len(&self) -> usize {
        lock(&self.slots).values().filter(|slot| lock(&slot.open).is_some()).count()
    }

    /// Closes what was taken out of its slot. The caller holds the slot's gate.
    async fn finish(&self, id: TenantId, open: Option<Open>) -> bool {
        let Some(open) = open else { return false };
        blocking(move || {
            log(open.wiki.close(), "close");
            drop(open);
        })
        .await;
        self.forget(id);
        true
    }

    /// Drops the slot unless somebody else is waiting at its gate.
    fn forget(&self, id: TenantId) {
        let mut slots = lock(&self.slots);
        // One count is the map's, one the caller's.
        if slots
            .get(&id)
            .is_some_and(|slot| Arc::strong_count(slot) <= 2 && lock(&slot.open).is_none())
        {
            slots.remove(&id);
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A failing checkpoint loses nothing, but the operator should know.
fn log(result: Result<(), StorageError>, what: &str) {
    if let Err(error) = result {
        tracing::error!(%error, "{what} failed; acknowledged saves are safe in wiki.db");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
