//! Orderly shutdown of the process, within a deadline.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use rustix::process::{Pid, Signal, getpid, kill_process_group};
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use tokio::sync::oneshot;

use crate::cli::Failure;

/// Time beyond the requests' grace period in which links and wikis are closed.
const CLOSING: Duration = Duration::from_secs(2);

/// The current step of the shutdown.
pub(super) struct Ending(Arc<Mutex<&'static str>>);

impl Ending {
    /// Returns a future that completes at the first SIGINT or SIGTERM. From then on the process has
    /// `grace` and [`CLOSING`] to end by itself; at the second signal it exits at once. Everything that
    /// was acknowledged is durable: unfinished work is finished at the next start.
    pub(super) fn on_signal(
        grace: Duration,
    ) -> Result<(Self, impl Future<Output = ()> + use<>), Failure> {
        let step = Arc::new(Mutex::new("requests are being answered"));
        let watched = step.clone();
        let signalled = watch(grace + CLOSING, move |why| leave(&watched, why))?;
        let signalled = async move {
            // Without the thread no signal is noticed any more, and the server serves on.
            if signalled.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        Ok((Self(step), signalled))
    }

    /// Sets the step that is logged if the shutdown takes too long.
    pub(super) fn goes_on_to(&self, step: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = step;
    }
}

impl Drop for Ending {
    /// Child processes don't outlive the server.
    fn drop(&mut self) {
        end_children();
    }
}

/// Waits for signals in a thread with a runtime of its own, since all threads of the server's runtime may be
/// occupied. At the first signal the receiver is told; `leave` is called after the time `longest`, or at the second
/// signal.
fn watch(
    longest: Duration,
    leave: impl FnOnce(&'static str) + Send + 'static,
) -> io::Result<oneshot::Receiver<()>> {
    let (tell, told) = oneshot::channel();
    let (ready, is_ready) = mpsc::channel();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let runtime = match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(ready.send(Err(error))),
        };
        let why = runtime.block_on(async {
            let registered = signal(SignalKind::interrupt())
                .and_then(|interrupt| Ok((interrupt, signal(SignalKind::terminate())?)));
            let mut signals = match registered {
                Ok(signals) => signals,
                Err(error) => {
                    let _ = ready.send(Err(error));
                    return None;
                }
            };
            let _ = ready.send(Ok(()));
            next(&mut signals).await;
            let _ = tell.send(());
            Some(match tokio::time::timeout(longest, next(&mut signals)).await {
                Ok(()) => "there was a second signal",
                Err(_) => "the time to end is over",
            })
        });
        if let Some(why) = why {
            leave(why);
        }
    })?;
    is_ready.recv().map_err(io::Error::other)??;
    Ok(told)
}

async fn next((interrupt, terminate): &mut (Signals, Signals)) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Exits the process immediately.
fn leave(step: &Mutex<&'static str>, why: &str) {
    let step = *step.lock().unwrap_or_else(PoisonError::into_inner);
    tracing::warn!(
        step,
        "{why}: the server ends at once, and the next start finishes what is left"
    );
    end_children();
    std::process::exit(0);
}

/// Kills the child processes, each with its process group.
fn end_children() {
    for child in children(getpid()) {
        // Each child leads a process group of its own; an error means that it has already ended.
        let _ = kill_process_group(child, Signal::KILL);
    }
}

/// The child processes of `parent`, as far as /proc lists them.
fn children(parent: Pid) -> Vec<Pid> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let parent = parent.as_raw_nonzero().get().to_string();
    let is_child = |stat: &str| {
        // The name, in parentheses, may contain any characters. The state and the parent follow it.
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)) == Some(&*parent)
    };
    processes
        .flatten()
        .filter_map(|process| Pid::from_raw(process.file_name().to_str()?.parse().ok()?))
        .filter(|pid| {
            let stat = format!("/proc/{}/stat", pid.as_raw_nonzero());
            std::fs::read_to_string(stat).is_ok_and(|stat| is_child(&stat))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;

    use super::*;

    #[tokio::test]
    async fn the_time_to_end_runs_while_the_runtime_is_occupied() {
        for (signals, expected) in
            [(1, "the time to end is over"), (2, "there was a second signal")]
        {
            let (leave, left) = mpsc::channel();
            let longest = Duration::from_millis(if signals == 1 { 100 } else { 60_000 });
            let mut told = watch(longest, move |why| leave.send(why).unwrap()).unwrap();
            assert!(told.try_recv().is_err());
            for _ in 0..signals {
                rustix::process::kill_process(getpid(), Signal::TERM).unwrap();
                // Signals of the same kind that arrive together are one.
                std::thread::sleep(Duration::from_millis(300));
            }
            // This thread, the only one of the runtime, does nothing else meanwhile.
            assert_eq!(left.recv_timeout(Duration::from_secs(30)), Ok(expected));
            told.await.unwrap();
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn children_are_found_and_ended_with_what_they_started() {
        let mut child = std::process::Command::new("/bin/sh")
            .args(["-c", "sleep 60 & wait"])
            .process_group(0)
            .spawn()
            .unwrap();
        let id = Pid::from_child(&child);
        assert!(children(getpid()).contains(&id));
        kill_process_group(id, Signal::KILL).unwrap();
        assert!(!child.wait().unwrap().success());
        assert!(!children(getpid()).contains(&id));
    }
}
