//! The platform's own thread, for what must not end with the runtime of its caller.
//!
//! A runtime may be gone at any moment while the platform stays: that of a test or of a set-up phase.
//! The tasks spawned into it are then dropped halfway, and its queued blocking work never starts. So the
//! platform has a small runtime of its own, which ends with it.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::time::error::Elapsed;
use tracing::instrument::WithSubscriber as _;

use crate::context;

/// A runtime with timers, driven by a thread of its own until this is dropped. What runs on it then
/// and isn't blocking is dropped.
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
            // The error is the sender's end, which is waited for.
            let _ = runtime.block_on(ended);
        };
        std::thread::Builder::new().name("wikigrove".to_owned()).spawn(run)?;
        Ok(Self { runtime: handle, _end: end })
    }

    /// Runs a future to its end, even when the waiting is cancelled or the caller's runtime ends. The
    /// current wiki and tracing span are kept.
    pub(crate) async fn finish<F>(&self, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        // A subscriber may be set for the caller's thread alone, as tests do.
        let future = context::kept(future).with_current_subscriber();
        context::joined(self.runtime.spawn(future)).await
    }

    /// As [`tokio::time::timeout`], with the platform's timers: the caller's runtime may have none.
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

    /// Spawns what belongs to no request.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        drop(self.runtime.spawn(future));
    }

    /// Runs blocking work that belongs to no request.
    pub(crate) fn spawn_blocking(&self, work: impl FnOnce() + Send + 'static) {
        drop(self.runtime.spawn_blocking(work));
    }
}
