//! Orderly shutdown of the process, within a deadline.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, getpid, kill_process_group};
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};

use crate::cli::Failure;

/// Time beyond the requests' grace period in which links and wikis are closed.
const CLOSING: Duration = Duration::from_secs(2);

/// The current step of the shutdown.
pub(super) struct Ending(Arc<Mutex<&'static str>>);

impl Ending {
    /// Returns a future that completes at the first SIGINT or SIGTERM. From then on the process has
    /// `grace` and [`CLOSING`] to end by itself; at the second signal it exits at once. Everything that
    /// was acknowledged is durable: unfinished work is finished at the next start.
    pub(super) fn on_signal(grace: Duration) -> Result<(Self, impl Future<Output = ()>), Failure> {
        let mut signals = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let step = Arc::new(Mutex::new("requests are being answered"));
        let watched = step.clone();
        let signalled = async move {
            next(&mut signals).await;
            // In a thread, because the runtime itself may hang.
            let at_last = watched.clone();
            std::thread::spawn(move || {
                std::thread::sleep(grace + CLOSING);
                leave(&at_last, "the time to end is over");
            });
            #[expect(clippy::disallowed_methods, reason = "it belongs to no wiki")]
            tokio::spawn(async move {
                next(&mut signals).await;
                leave(&watched, "there was a second signal");
            });
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
