//! The current wiki: entered in one layer, available to all code below it.
//!
//! The context is a task-local, so no global state is ever swapped and requests on one thread can't see each other's
//! wiki. tokio loses task-locals on `tokio::spawn` and `spawn_blocking`; [`spawn`] and [`spawn_blocking`] keep the
//! current wiki, and response bodies keep it by themselves.

use std::future::Future;

use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};
use tracing::Instrument as _;

use crate::{Error, Wiki};

tokio::task_local! {
    static CURRENT: Wiki;
}

/// The current wiki.
///
/// # Errors
/// [`Error::NoContext`] outside a context. There is no default wiki.
pub fn current() -> Result<Wiki, Error> {
    CURRENT.try_with(Wiki::clone).map_err(|_| Error::NoContext)
}

/// Runs a future with `wiki` as the current one.
///
/// # Errors
/// [`Error::OtherContext`] if another wiki is current already. The same wiki may be entered again.
pub async fn enter<F: Future>(wiki: Wiki, future: F) -> Result<F::Output, Error> {
    if let Ok(current) = current()
        && current.id() != wiki.id()
    {
        return Err(Error::OtherContext {
            current: current.slug().clone(),
            wanted: wiki.slug().clone(),
        });
    }
    Ok(CURRENT.scope(wiki, future).await)
}

/// Like [`tokio::spawn`], and keeps the current wiki and tracing span, if there are any.
///
/// # Panics
/// Outside of a tokio runtime, like [`tokio::spawn`].
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    #[expect(clippy::disallowed_methods, reason = "this is the replacement")]
    tokio::spawn(kept(future))
}

/// Wraps a future so that it keeps the present wiki and tracing span, if there are any.
pub(crate) fn kept<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let (current, future) = (current(), future.in_current_span());
    async move {
        match current {
            Ok(wiki) => CURRENT.scope(wiki, future).await,
            Err(_) => future.await,
        }
    }
}

/// Like [`tokio::task::spawn_blocking`], and keeps the current wiki and tracing span, if there are any.
///
/// # Panics
/// Outside of a tokio runtime, like [`tokio::task::spawn_blocking`].
pub fn spawn_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    let span = tracing::Span::current();
    let current = current();
    #[expect(clippy::disallowed_methods, reason = "this is the replacement")]
    tokio::task::spawn_blocking(move || {
        let _entered = span.enter();
        match current {
            Ok(wiki) => CURRENT.sync_scope(wiki, work),
            Err(_) => work(),
        }
    })
}

/// Runs blocking work and waits for it. The work continues if the waiting future is cancelled.
///
/// # Errors
/// [`Error::NoRuntime`], or the error of `work`.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    Handle::try_current().map_err(|_| Error::NoRuntime)?;
    joined(spawn_blocking(work)).await
}

/// Like [`blocking`], but a panic is returned as an error.
pub(crate) async fn try_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    spawn_blocking(work).await
}

/// Waits for a task and returns its value. A panic of the task is resumed here.
pub(crate) async fn joined<T>(task: JoinHandle<T>) -> T {
    match task.await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that is shutting down cancels the task; no caller is left to resume.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Runs `work` synchronously with `wiki` as the current one, such as a poll of a body that belongs to the wiki.
pub(crate) fn within<T>(wiki: &Wiki, work: impl FnOnce() -> T) -> T {
    CURRENT.sync_scope(wiki.clone(), work)
}

/// Wraps a future so that `wiki` is the current one. Only for the layer, which checked the context before.
pub(crate) fn scoped<F: Future>(wiki: Wiki, future: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(wiki, future)
}

#[cfg(test)]
mod tests {
    use tracing::Span;

    use super::*;

    fn span() -> Option<&'static str> {
        Span::current().metadata().map(|metadata| metadata.name())
    }

    #[tokio::test]
    async fn what_is_spawned_logs_in_the_span_that_it_was_spawned_in() {
        let subscriber = tracing_subscriber::fmt().with_writer(std::io::sink).finish();
        let _default = tracing::subscriber::set_default(subscriber);
        let platform = crate::Platform::in_memory().await.unwrap();
        let background = &platform.0.background;
        let wiki = platform.create("garden").await.unwrap();
        let seen = async {
            let (outside, inside) =
                (spawn(async { span() }), async { spawn(async { span() }).await });
            let inside = enter(wiki, inside).await.unwrap();
            [outside.await.unwrap(), inside.unwrap(), background.finish(async { span() }).await]
        };
        assert_eq!(seen.instrument(tracing::info_span!("request")).await, [Some("request"); 3]);
        assert_eq!(spawn(async { span() }).await.unwrap(), None);
    }
}
