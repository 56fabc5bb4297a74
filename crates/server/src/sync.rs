//! Keeping a wiki and a git remote the same, in both directions, whatever happens: the part that thinks.
//!
//! One [`Link`](LinkState) ties one wiki to one branch of one remote. All that it does follows from
//! [`step`]: the state so far, what happened and the time go in, the next state and what is to be done
//! come out. There is no network here, no disk, no clock and no thread, so that the whole of it can be
//! run through thousands of random lives in seconds (see the simulation beside the tests).
//!
//! # What the one who performs the effects owes
//!
//! 1. One step at a time per link. The state is stored after each, **in one transaction with the notices**
//!    among its effects. What the effects want done is done after it, in order.
//! 2. What an effect finds out comes back as [`Event::Done`] with the number of the run that it was for
//!    ([`LinkState::run`] when the effect was handed out). Every effect that finds something out ends in
//!    exactly one of these, if only after a deadline. What never comes back costs the run its lease.
//! 3. After a start each link gets [`Event::Restarted`]. Nothing else of the life before is needed: a run
//!    that was cut off is begun again, and finds out by looking what it had done.
//! 4. A save that commits writes one job for each link whose mode pushes, in the save's own transaction,
//!    and sends [`Event::Saved`]. An applied merge does the same for the wiki's other links. If the
//!    event is lost, the next look finds the commit all the same.
//! 5. [`Effect::Queue`] and [`Effect::Release`] belong to the [`Fair`] scheduler; its answer is
//!    [`Event::Started`].
//!
//! # What holds
//!
//! - A job goes only when a tip that the remote itself reported contains its commit.
//! - Nothing is ever forced. There is no effect for it.
//! - A head is only ever replaced by one that has it as an ancestor, so no text gets lost, whatever is
//!   decided. A tip that the remote gave up is kept under a backup ref before anything else is done.
//! - Whatever the link's state is, the wiki takes saves; their jobs wait.

pub mod backoff;
pub mod clock;
pub mod runner;
pub mod schedule;

mod effect;
mod event;
mod fair;
mod link;
mod machine;
mod state;
mod words;

#[cfg(test)]
mod simulation;

pub use clock::{Moment, Time};
pub use effect::{Effect, Notice, Plan};
pub use event::{Deletions, Event, Facts, Failure, Landing, Outcome, Relation};
pub use fair::{Fair, Limits};
pub use link::{
    Choice, DecisionReason, FirstRun, Mode, OnRewrite, PauseReason, Settings, State, Winner,
};
pub use machine::{MANY_CONFLICTS, MANY_DELETIONS, MOVED_HEADS, REJECTIONS, chosen, step};
pub use state::{Burst, Decision, Down, Gone, LinkState, Phase, PushStop, REMEMBERED, Tie};
pub use words::UnknownWord;
