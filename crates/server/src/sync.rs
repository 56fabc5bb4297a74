//! The decision logic of synchronisation, which keeps a wiki and a git remote identical in both directions.
//!
//! One [`Link`](LinkState) ties one wiki to one branch of one remote. Its whole behaviour is the pure function
//! [`step`]: it takes the current state, an event and the time, and returns the next state and the effects to perform.
//! It uses no network, disk, clock or thread, so thousands of random histories run in seconds (see the simulation
//! beside the tests).
//!
//! # Contract of the runner, which performs the effects
//!
//! 1. One step at a time per link. The state is stored after each step, **in one transaction with the notices** among
//!    its effects. The other effects are performed after that, in order.
//! 2. The outcome of an effect comes back as [`Event::Done`] with the number of the run that the effect belongs to
//!    ([`LinkState::run`] when the effect was returned). Every effect that has an outcome ends in exactly one such
//!    event, if only after a deadline. A run whose outcome never arrives ends when its lease expires.
//! 3. After a start each link gets [`Event::Restarted`]. Nothing else is carried over from the previous process: an
//!    interrupted run starts over, and finds out from the wiki and the remote how far it had come.
//! 4. A save that commits writes one job for each link whose mode pushes, in the save's own transaction, and sends
//!    [`Event::Saved`]. An applied merge does the same for the wiki's other links. If the event is lost, the next
//!    periodic run finds the commit.
//! 5. [`Effect::Queue`] and [`Effect::Release`] are addressed to the [`Fair`] scheduler, which answers with
//!    [`Event::Started`].
//!
//! # Invariants
//!
//! - A job is removed only when a tip that the remote itself reported contains its commit.
//! - Nothing is ever force-pushed. There is no effect for it.
//! - A head is only ever replaced by one of its descendants, so no text is lost, regardless of the decision. A tip that
//!   the remote dropped is kept under a backup ref before anything else is done.
//! - The wiki accepts saves in every state of the link; their jobs wait.

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
