//! The platform's own thread, for work that must outlive its caller's runtime.
//!
//! The runtime of a test or of a set-up phase may end at any moment while the platform stays. The tasks spawned into
//! that runtime are then dropped halfway, and its queued blocking work never starts. So the platform has a small
//! runtime of its own, which ends with the platform.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::time::error::Elapsed;
use tracing::instrument::WithSubscriber as _;

use crate::context;

/// A runtime with timers, driven by its own thread. Dropping it ends the thread and drops all running tasks except
/// blocking ones.
pub(crate) struct Background {
    runtime: Handle,
    /// Dropping it ends the thread.
    _end: oneshot::Sender<()>,
}

impl Background {
    /// Starts the thread.
    ///
    /// # Errors
    /// The process has no descriptor or thread left.
    pub(crate) fn start() -> io::Result<Self> {
        let runtime =
            Builder::new_current_thread().enable_time().thread_name("wikigrove").build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        let run = move || {
            // Returns an error as soon as the sender is dropped, which is the event that is waited for.
            let _ = runtime.block_on(ended);
        };
        std::thread::Builder::new().name("wikigrove".to_owned()).spawn(run)?;
        Ok(Self { runtime: handle, _end: end })
    }

    /// Runs a future to its end, even if the caller's future is cancelled or its runtime ends. Keeps the current wiki
    /// and tracing span.
    pub(crate) async fn finish<F>(&self, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        // A tracing subscriber may be set for the caller's thread alone, as tests do.
        let future = context::kept(future).with_current_subscriber();
        context::joined(self.runtime.spawn(future)).await
    }

    /// Like [`tokio::time::timeout`], with the platform's timers: the caller's runtime may have none.
    pub(crate) async fn timeout<F: Future>(
        &self,
        longest: Duration,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        let timeout = {
            let _timers = self.runtime.enter();
            tokio::time::timeout(longest, future)
        };
        timeout.await
    }

    /// Spawns a task that belongs to no request.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        drop(self.runtime.spawn(future));
    }

    /// Runs blocking work that belongs to no request.
    pub(crate) fn spawn_blocking(&self, work: impl FnOnce() + Send + 'static) {
        drop(self.runtime.spawn_blocking(work));
    }
}
