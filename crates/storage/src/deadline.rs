//! The end that blocking work has: an instant, or the moment in which its result isn't needed any more.
//!
//! Deep loops, diffs and SQL statements ask [`check`] now and then. The deadline of the work that a thread
//! is doing is kept for that thread, as tokio keeps a task's wiki, so that code far down doesn't have to
//! carry an argument that concerns it only here and there. Without a deadline, work goes on to its end.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

thread_local! {
    static CURRENT: RefCell<Option<Deadline>> = const { RefCell::new(None) };
}

/// The end of a piece of work. Clones share it: cancelling one cancels all.
#[derive(Clone, Debug)]
pub struct Deadline(Arc<End>);

#[derive(Debug)]
struct End {
    at: Option<Instant>,
    is_cancelled: AtomicBool,
    /// Work that this is a part of: when that ends, this does.
    parent: Option<Deadline>,
}

/// The work was interrupted: its time is over, or its result isn't needed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operation was cancelled")]
pub struct Cancelled;

impl Deadline {
    /// An end that comes only by [`cancel`](Self::cancel).
    pub fn unlimited() -> Self {
        Self(Arc::new(End { at: None, is_cancelled: AtomicBool::new(false), parent: None }))
    }

    /// A part of this work, which ends with it, when it is cancelled itself, or after `longest`.
    #[must_use]
    pub fn part(&self, longest: Option<Duration>) -> Self {
        let at = longest.and_then(|longest| Instant::now().checked_add(longest));
        let parent = Some(self.clone());
        Self(Arc::new(End { at, is_cancelled: AtomicBool::new(false), parent }))
    }

    /// Ends the work.
    pub fn cancel(&self) {
        self.0.is_cancelled.store(true, Ordering::Release);
    }

    /// Whether the work has to end.
    pub fn is_over(&self) -> bool {
        self.is_cancelled() || self.0.is_late(Instant::now)
    }

    fn is_cancelled(&self) -> bool {
        let End { is_cancelled, parent, .. } = &*self.0;
        is_cancelled.load(Ordering::Acquire) || parent.as_ref().is_some_and(Self::is_cancelled)
    }

    /// Runs `work` with this as the deadline of the thread.
    pub fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        with(Some(self.clone()), work)
    }
}

impl End {
    /// The clock is read only if there is a time to compare it with.
    fn is_late(&self, now: fn() -> Instant) -> bool {
        self.at.is_some_and(|at| now() >= at)
            || self.parent.as_ref().is_some_and(|parent| parent.0.is_late(now))
    }
}

/// The deadline of the thread's work, if it has one: to take along to another thread.
pub fn current() -> Option<Deadline> {
    CURRENT.with_borrow(Clone::clone)
}

/// Whether the thread's work has to end.
pub fn is_over() -> bool {
    CURRENT.with_borrow(|current| current.as_ref().is_some_and(Deadline::is_over))
}

/// An error once the thread's work has to end.
///
/// # Errors
/// [`Cancelled`]
pub fn check() -> Result<(), Cancelled> {
    if is_over() { Err(Cancelled) } else { Ok(()) }
}

/// Runs `work` without a deadline: for what must not be left half done, such as publishing a save.
pub fn shielded<T>(work: impl FnOnce() -> T) -> T {
    with(None, work)
}

fn with<T>(deadline: Option<Deadline>, work: impl FnOnce() -> T) -> T {
    /// Puts the former deadline back, also when `work` panics.
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
