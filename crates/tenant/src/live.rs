//! An open wiki that can be closed while handles to it exist.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use wikigrove_storage::deadline::Deadline;
use wikigrove_storage::{Error, PoolUse, Wiki};

/// Maximal number of simultaneous uses of one wiki.
const USES: u32 = 1 << 20;
/// Maximal number of threads occupied by readers of one wiki. All wikis share the threads; reads from memory take no
/// thread.
const READERS: usize = 16;
/// Maximal number of pushes into one wiki that are checked at the same time.
const RECEIVERS: usize = 2;

/// An open wiki and its door, a semaphore that every use passes.
///
/// The files of a wiki are found by their path. When a wiki is deleted and another one takes its name, an operation
/// that still runs on the old wiki would read and write the new one's files. So every use acquires a permit of the
/// door, and closing waits until all permits are back.
pub(crate) struct Live {
    wiki: Wiki,
    /// Each use holds one permit; closing takes all of them and gives none back.
    door: Semaphore,
    /// Queues, first come first served: readers and the one writer wait here without a thread, so that a crowd at one
    /// wiki doesn't delay the requests for other wikis.
    readers: Arc<Semaphore>,
    writer: Arc<Semaphore>,
    receivers: Arc<Semaphore>,
    /// `true` if the wiki was written to since its repository was last maintained.
    written: AtomicBool,
    /// The signal to the followers of the wiki.
    moved: Arc<watch::Sender<()>>,
    /// `true` if the wiki is being closed: long-running users should leave.
    closing: watch::Sender<bool>,
    /// The deadline of all interruptible work on the wiki.
    work: Deadline,
}

/// The kind of an operation on a wiki.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Use {
    Read,
    Write,
    /// Checking a push, which takes long and needs the writer only at its end.
    Receive,
}

impl Live {
    /// `moved` outlives this value: followers stay subscribed while the wiki is closed.
    pub(crate) fn new(wiki: Wiki, moved: Arc<watch::Sender<()>>) -> Self {
        Self {
            wiki,
            door: Semaphore::new(USES as usize),
            readers: Arc::new(Semaphore::new(READERS)),
            writer: Arc::new(Semaphore::new(1)),
            receivers: Arc::new(Semaphore::new(RECEIVERS)),
            // Commits from before the wiki was opened count as well.
            written: AtomicBool::new(true),
            moved,
            closing: watch::Sender::new(false),
            work: Deadline::unlimited(),
        }
    }

    /// Waits for a permit to occupy a thread. The turn ends when the permit is dropped.
    pub(crate) async fn turn(&self, purpose: Use) -> OwnedSemaphorePermit {
        if !matches!(purpose, Use::Read) {
            self.written.store(true, Ordering::Relaxed);
        }
        let queue = match purpose {
            Use::Read => &self.readers,
            Use::Write => &self.writer,
            Use::Receive => &self.receivers,
        };
        queue.clone().acquire_owned().await.expect("the queues are never closed")
    }

    /// The queue of readers, for reads from handles that are open already.
    pub(crate) fn readers(&self) -> Arc<Semaphore> {
        self.readers.clone()
    }

    /// Runs `work` on the wiki. The wiki's files stay in place until it returns.
    ///
    /// # Errors
    /// [`Error::Closed`], or the error of `work`.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&Wiki) -> Result<T, Error>) -> Result<T, Error> {
        let _inside = self.door.try_acquire().map_err(|_| Error::Closed)?;
        let done = work(&self.wiki);
        // Checked after success and failure alike: a file that was cut while mapped reads as zeros, which can look like
        // "not found".
        self.wiki.check_maps()?;
        done
    }

    /// Returns `true` if the wiki must be opened again before the next use.
    pub(crate) fn is_damaged(&self) -> bool {
        self.wiki.check_maps().is_err()
    }

    /// Acquires the wiki for longer than one call.
    ///
    /// # Errors
    /// [`Error::Closed`]
    pub(crate) fn stay(self: &Arc<Self>) -> Result<Stay, Error> {
        self.door.try_acquire().map_err(|_| Error::Closed)?.forget();
        Ok(Stay { live: self.clone(), closing: self.closing.subscribe() })
    }

    /// The deadline of one operation: it ends when the wiki is closed or after `longest`.
    pub(crate) fn work(&self, longest: Option<Duration>) -> Deadline {
        self.work.part(longest)
    }

    /// Returns `true` if the wiki is being closed.
    pub(crate) fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Returns `true` if the wiki was written to since the last call.
    pub(crate) fn takes_written(&self) -> bool {
        self.written.swap(false, Ordering::Relaxed)
    }

    /// Usage of the wiki's connection pool.
    pub(crate) fn pool_use(&self) -> PoolUse {
        self.wiki.pool_use()
    }

    /// Packs the repository if that is due. Closing the wiki interrupts it. Blocks.
    pub(crate) fn maintain(&self) {
        match self.with(Wiki::maintain) {
            Ok(_) | Err(Error::Closed | Error::Cancelled(_)) => {}
            Err(error) => tracing::error!(%error, "a repository could not be packed"),
        }
    }

    /// Signals the followers of the wiki that there may be news.
    pub(crate) fn moved(&self) {
        self.moved.send_modify(|()| ());
    }

    pub(crate) fn moves(&self) -> watch::Receiver<()> {
        self.moved.subscribe()
    }

    /// Cancels all interruptible work on the wiki, and asks long-running users to leave.
    pub(crate) fn end_work(&self) {
        self.work.cancel();
        self.closing.send_replace(true);
    }

    /// Admits no new uses and waits until all present ones have ended.
    pub(crate) async fn shut(&self) {
        self.wiki.stop_indexing();
        self.end_work();
        if let Ok(all) = self.door.acquire_many(USES).await {
            all.forget();
        }
        self.moved();
    }

    /// Makes all changes durable in the repository and closes the wiki, after [`shut`](Self::shut). Blocks.
    ///
    /// # Errors
    /// A change couldn't be made durable in the repository; it is safe in wiki.db all the same.
    pub(crate) fn close(&self) -> Result<(), Error> {
        self.wiki.close()
    }
}

/// A long-running use of a wiki, which keeps the wiki's files in place. Dropping it ends the use.
pub(crate) struct Stay {
    live: Arc<Live>,
    closing: watch::Receiver<bool>,
}

impl Stay {
    /// The wiki.
    pub(crate) fn wiki(&self) -> &Wiki {
        &self.live.wiki
    }

    /// Waits until the wiki is being closed and this use should end.
    pub(crate) async fn asked_to_leave(&mut self) {
        // The sender can't be gone: `self.live` owns it.
        let _ = self.closing.wait_for(|closing| *closing).await;
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.live.door.add_permits(1);
    }
}
