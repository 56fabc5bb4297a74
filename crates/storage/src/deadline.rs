//! Deadlines and cancellation of blocking work.
//!
//! Deep loops, diffs and SQL statements call [`check`] from time to time. The deadline belongs to the thread, so that
//! deeply nested functions need no extra argument for it. Without a deadline, work is never interrupted.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

thread_local! {
    static CURRENT: RefCell<Option<Deadline>> = const { RefCell::new(None) };
}

/// The deadline of a unit of work. Clones share it: cancelling one cancels all.
#[derive(Clone, Debug)]
pub struct Deadline(Arc<End>);

#[derive(Debug)]
struct End {
    at: Option<Instant>,
    is_cancelled: AtomicBool,
    /// The deadline of the enclosing work, which ends this work, too.
    parent: Option<Deadline>,
}

/// The work was interrupted: its deadline has passed, or it was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operation was cancelled")]
pub struct Cancelled;

impl Deadline {
    /// A deadline without a time limit, for use with [`cancel`](Self::cancel).
    pub fn unlimited() -> Self {
        Self(Arc::new(End { at: None, is_cancelled: AtomicBool::new(false), parent: None }))
    }

    /// A deadline for a part of this work. It ends with this one, by its own cancellation, or after `longest`.
    #[must_use]
    pub fn part(&self, longest: Option<Duration>) -> Self {
        let at = longest.and_then(|longest| Instant::now().checked_add(longest));
        let parent = Some(self.clone());
        Self(Arc::new(End { at, is_cancelled: AtomicBool::new(false), parent }))
    }

    /// Cancels the work.
    pub fn cancel(&self) {
        self.0.is_cancelled.store(true, Ordering::Release);
    }

    /// Returns `true` if the work must end.
    pub fn is_over(&self) -> bool {
        self.is_cancelled() || self.0.is_late(Instant::now)
    }

    fn is_cancelled(&self) -> bool {
        let End { is_cancelled, parent, .. } = &*self.0;
        is_cancelled.load(Ordering::Acquire) || parent.as_ref().is_some_and(Self::is_cancelled)
    }

    /// Runs `work` with this as the thread's deadline.
    pub fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        with(Some(self.clone()), work)
    }
}

impl End {
    /// Reads the clock only if there is a time limit.
    fn is_late(&self, now: fn() -> Instant) -> bool {
        self.at.is_some_and(|at| now() >= at)
            || self.parent.as_ref().is_some_and(|parent| parent.0.is_late(now))
    }
}

/// Runs `work` as a part of the thread's work that may take so long.
pub fn within<T>(longest: Duration, work: impl FnOnce() -> T) -> T {
    current().unwrap_or_else(Deadline::unlimited).part(Some(longest)).enter(work)
}

/// The deadline of the thread's work, if it has one: to take along to another thread.
pub fn current() -> Option<Deadline> {
    CURRENT.with_borrow(Clone::clone)
}

/// Returns `true` if the thread's work must end.
pub fn is_over() -> bool {
    CURRENT.with_borrow(|current| current.as_ref().is_some_and(Deadline::is_over))
}

/// Fails once the thread's work must end.
///
/// # Errors
/// [`Cancelled`]
pub fn check() -> Result<(), Cancelled> {
    if is_over() { Err(Cancelled) } else { Ok(()) }
}

/// Runs `work` without a deadline, because it must not be interrupted, such as publishing a save.
pub fn shielded<T>(work: impl FnOnce() -> T) -> T {
    with(None, work)
}

fn with<T>(deadline: Option<Deadline>, work: impl FnOnce() -> T) -> T {
    /// Restores the previous deadline, even if `work` panics.
    struct Restore(Option<Deadline>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0.take());
        }
    }
    let _restore = Restore(CURRENT.replace(deadline));
    work()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_without_a_deadline_goes_on() {
        assert_eq!(check(), Ok(()));
        assert_eq!(Deadline::unlimited().enter(check), Ok(()));
    }

    #[test]
    fn work_ends_when_it_is_cancelled_or_late_or_when_the_whole_of_it_ends() {
        let whole = Deadline::unlimited();
        let part = whole.part(None);
        let late = whole.part(Some(Duration::ZERO));
        assert_eq!(part.enter(check), Ok(()));
        assert_eq!(late.enter(check), Err(Cancelled));
        assert_eq!(late.part(None).enter(check), Err(Cancelled));
        whole.cancel();
        assert_eq!(part.enter(check), Err(Cancelled));
        assert_eq!(part.part(Some(Duration::from_secs(60))).enter(check), Err(Cancelled));
    }

    #[test]
    fn a_shield_holds_inside_and_the_deadline_is_back_afterwards() {
        let over = Deadline::unlimited();
        over.cancel();
        over.enter(|| {
            assert_eq!(shielded(check), Ok(()));
            let panicked = std::panic::catch_unwind(|| shielded(|| panic!("on purpose")));
            assert!(panicked.is_err());
            assert_eq!(check(), Err(Cancelled));
        });
        assert_eq!(check(), Ok(()));
    }
}
