//! An open wiki that can be closed under those who hold it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use wikigrove_storage::deadline::Deadline;
use wikigrove_storage::{Error, PoolUse, Wiki};

/// How many may use one wiki at the same moment.
const USES: u32 = 1 << 20;
/// How many readers of one wiki may occupy a thread at the same moment. The threads are all wikis'
/// together, and what is in memory takes none.
const READERS: usize = 16;
/// How many pushes into one wiki are looked at at the same moment.
const RECEIVERS: usize = 2;

/// An open wiki and its door.
///
/// The files of a wiki are found by their path. When a wiki is deleted and another one takes its
/// name, whatever still runs on the old one would read and write the new one's files. So every use
/// goes through the door, and closing waits until nobody is inside.
pub(crate) struct Live {
    wiki: Wiki,
    /// Each use takes one; closing takes all and gives none back.
    door: Semaphore,
    /// Readers and the one writer wait here, each in order and without a thread, so that a crowd at
    /// one wiki doesn't keep the others' requests from being served.
    readers: Arc<Semaphore>,
    writer: Arc<Semaphore>,
    receivers: Arc<Semaphore>,
    /// Whether it was written to since somebody looked after its repository.
    written: AtomicBool,
    /// Marked whenever those who follow the wiki should look.
    moved: Arc<watch::Sender<()>>,
    /// Whether the wiki is being closed: whoever stays inside for long should leave.
    closing: watch::Sender<bool>,
    /// The end of all work on the wiki that may be interrupted.
    work: Deadline,
}

/// What somebody is about to do with a wiki.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Use {
    Read,
    Write,
    /// To look at a push, which takes long and needs the writer only at its end.
    Receive,
}

impl Live {
    /// `moved` outlives it: who follows the wiki does so also while it is closed.
    pub(crate) fn new(wiki: Wiki, moved: Arc<watch::Sender<()>>) -> Self {
        Self {
            wiki,
            door: Semaphore::new(USES as usize),
            readers: Arc::new(Semaphore::new(READERS)),
            writer: Arc::new(Semaphore::new(1)),
            receivers: Arc::new(Semaphore::new(RECEIVERS)),
            // What came into it before it was opened counts as well.
            written: AtomicBool::new(true),
            moved,
            closing: watch::Sender::new(false),
            work: Deadline::unlimited(),
        }
    }

    /// Waits until it is one's turn to take a thread. Holds as long as what it returns.
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

    /// Where readers wait for their turn, for those who read what they have open already.
    pub(crate) fn readers(&self) -> Arc<Semaphore> {
        self.readers.clone()
    }

    /// Uses the wiki. Until `work` returns, its files stay where they are.
    ///
    /// # Errors
    /// [`Error::Closed`], or what `work` says.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&Wiki) -> Result<T, Error>) -> Result<T, Error> {
        let _inside = self.door.try_acquire().map_err(|_| Error::Closed)?;
        let done = work(&self.wiki);
        // Whatever came of it: nothing may have been found because there are zeros now.
        self.wiki.check_maps()?;
        done
    }

    /// Whether it has to be opened again before it is used.
    pub(crate) fn is_damaged(&self) -> bool {
        self.wiki.check_maps().is_err()
    }

    /// Uses the wiki for longer than one call.
    ///
    /// # Errors
    /// [`Error::Closed`]
    pub(crate) fn stay(self: &Arc<Self>) -> Result<Stay, Error> {
        self.door.try_acquire().map_err(|_| Error::Closed)?.forget();
        Ok(Stay { live: self.clone(), closing: self.closing.subscribe() })
    }

    /// A piece of work on the wiki, which ends when the wiki is closed or after `longest`.
    pub(crate) fn work(&self, longest: Option<Duration>) -> Deadline {
        self.work.part(longest)
    }

    /// Whether the wiki is being closed.
    pub(crate) fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Whether it was written to since the last call.
    pub(crate) fn takes_written(&self) -> bool {
        self.written.swap(false, Ordering::Relaxed)
    }

    /// How much of its pool is in use.
    pub(crate) fn pool_use(&self) -> PoolUse {
        self.wiki.pool_use()
    }

    /// Packs the repository, if it is time for that. Shutting the wiki ends it. Blocks.
    pub(crate) fn maintain(&self) {
        match self.with(Wiki::maintain) {
            Ok(_) | Err(Error::Closed | Error::Cancelled(_)) => {}
            Err(error) => tracing::error!(%error, "a repository could not be packed"),
        }
    }

    /// Tells those who follow the wiki that there may be something new.
    pub(crate) fn moved(&self) {
        self.moved.send_modify(|()| ());
    }

    pub(crate) fn moves(&self) -> watch::Receiver<()> {
        self.moved.subscribe()
    }

    /// Ends all work on the wiki that may be interrupted, and asks those who stay for long to leave.
    pub(crate) fn end_work(&self) {
        self.work.cancel();
        self.closing.send_replace(true);
    }

    /// Lets nobody in any more and waits until all have left.
    pub(crate) async fn shut(&self) {
        self.wiki.stop_indexing();
        self.end_work();
        if let Ok(all) = self.door.acquire_many(USES).await {
            all.forget();
        }
        self.moved();
    }

    /// Makes everything durable and ends the wiki, behind the shut door. Blocks.
    ///
    /// # Errors
    /// What couldn't be made durable in the repository; it is safe in wiki.db all the same.
    pub(crate) fn close(&self) -> Result<(), Error> {
        self.wiki.close()
    }
}

/// Somebody inside, who keeps the wiki's files where they are. Leaves when dropped.
pub(crate) struct Stay {
    live: Arc<Live>,
    closing: watch::Receiver<bool>,
}

impl Stay {
    /// The wiki.
    pub(crate) fn wiki(&self) -> &Wiki {
        &self.live.wiki
    }

    /// Waits until somebody waits for this one to leave.
    pub(crate) async fn asked_to_leave(&mut self) {
        // An error can't be: the sender is ours, too.
        let _ = self.closing.wait_for(|closing| *closing).await;
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.live.door.add_permits(1);
    }
}
