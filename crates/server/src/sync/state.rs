//! What is known of a link, and stored.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use wikigrove_tenant::Revision;

use super::clock::Time;
use super::effect::Plan;
use super::link::{Choice, DecisionReason, PauseReason, State};

/// How many tips a link remembers, to know its own pushes when the host tells of them.
pub const REMEMBERED: usize = 64;

/// What is known of a link: all of it is stored after each [`step`](super::step), but for what a run
/// knows of itself. A run that is cut off is begun again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkState {
    /// What it is doing.
    pub phase: Phase,
    /// The remote's last tip that is part of the wiki's history: pulled, or pushed and seen there. A tip that
    /// hasn't this as an ancestor is a rewrite. It is the remote's commit, too, where the link covers a part.
    pub seen: Option<Revision>,
    /// The tips before, oldest first; at most [`REMEMBERED`].
    pub recent: VecDeque<Revision>,
    /// When [`Event::Due`](super::Event::Due) is to be sent.
    pub next_at: Option<Time>,
    /// When it looks by itself.
    pub look_at: Option<Time>,
    /// Saves that aren't on their way yet.
    pub burst: Option<Burst>,
    /// Another run is wanted as soon as this one ends.
    pub pending: bool,
    /// Something was on its way when the process ended: the next one looks at once.
    #[serde(default)]
    pub hurry: bool,
    /// The network isn't to be used.
    pub offline: bool,
    /// Until when readers don't cause a look.
    pub cooldown_until: Option<Time>,
    /// Runs that failed in a row.
    pub failures: u32,
    /// Pushes in a row that somebody else was faster than.
    pub races: u32,
    /// A merge that somebody else may be making as well.
    pub tie: Option<Tie>,
    /// When a merge of this link last had conflicts.
    pub conflicted_at: Option<Time>,
    /// Pushes in a row that the remote refused by a rule of its own.
    pub rejections: u32,
    /// The remote doesn't answer.
    pub down: Option<Down>,
    /// The remote answers that there is nothing.
    pub gone: Option<Gone>,
    /// What somebody chose, until it is done.
    pub decision: Option<Decision>,
    /// The remote takes no pushes from us. Pulling goes on.
    pub push_stop: Option<PushStop>,
    /// The pause that people were told of, so that an attempt that fails again isn't told. (A question is asked
    /// once by itself, and a stop of the pushes is told when it begins.)
    pub told: Option<PauseReason>,
    /// What the remote, git or the system said when something failed last. Empty after a run that worked.
    pub last_error: Option<String>,
    /// The number of the run that is on, or was last.
    pub run: u64,
    /// What the run that is on knows. Not stored.
    #[serde(skip)]
    pub(super) running: Running,
}

/// What a link is doing. In a run it has a turn of the scheduler, and the wiki to itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nothing, until `next_at` or a trigger.
    #[default]
    Idle,
    /// Waits for the scheduler.
    Due,
    /// In a run: fetches.
    Fetching,
    /// In a run: compares.
    Comparing,
    /// In a run: merges.
    Merging,
    /// In a run: makes the result the head.
    Applying,
    /// In a run: pushes.
    Pushing,
    /// In a run: looks whether the push landed.
    Verifying,
    /// Waits until `next_at`, after a failure.
    Backoff,
    /// Waits for a choice.
    NeedsDecision {
        /// What about.
        reason: DecisionReason,
        /// The remote's tip that it is about.
        tip: Revision,
    },
    /// Waits for somebody to mend something; may try by itself at `next_at`.
    Paused {
        /// Why.
        reason: PauseReason,
    },
    /// Waits for the network to be allowed.
    Offline,
    /// Switched off.
    Disabled,
}

impl Phase {
    /// Whether a run is on.
    pub fn is_run(self) -> bool {
        matches!(
            self,
            Self::Fetching
                | Self::Comparing
                | Self::Merging
                | Self::Applying
                | Self::Pushing
                | Self::Verifying
        )
    }
}

impl LinkState {
    /// The state in one word, as it is shown and searched for.
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Idle if self.push_stop.is_some() => State::Paused,
            Phase::Idle => State::Idle,
            Phase::Due => State::Due,
            Phase::Fetching => State::Fetching,
            Phase::Comparing => State::Comparing,
            Phase::Merging => State::Merging,
            Phase::Applying => State::Applying,
            Phase::Pushing => State::Pushing,
            Phase::Verifying => State::Verifying,
            Phase::Backoff => State::Backoff,
            Phase::NeedsDecision { .. } => State::NeedsDecision,
            Phase::Paused { .. } => State::Paused,
            Phase::Offline => State::Offline,
            Phase::Disabled => State::Disabled,
        }
    }

    /// Why, if the state has a reason.
    pub fn reason(&self) -> Option<&'static str> {
        match (self.phase, self.push_stop) {
            (Phase::NeedsDecision { reason, .. }, _) => Some(reason.as_str()),
            (Phase::Paused { reason }, _) | (Phase::Idle, Some(PushStop { reason, .. })) => {
                Some(reason.as_str())
            }
            _ => None,
        }
    }

    /// Whether this commit is one that the remote has from us, or we from it: news of it is none.
    pub fn knows(&self, tip: Revision) -> bool {
        self.running.pushed == Some(tip)
            || self.running.incoming == Some(tip)
            || self.seen == Some(tip)
            || self.recent.contains(&tip)
    }

    /// Takes note of a tip that is part of both histories.
    pub(super) fn see(&mut self, tip: Revision) {
        if let Some(before) = self.seen.replace(tip)
            && before != tip
            && !self.recent.contains(&before)
        {
            if self.recent.len() == REMEMBERED {
                self.recent.pop_front();
            }
            self.recent.push_back(before);
        }
    }
}

/// Saves that came one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burst {
    /// When the first came.
    pub first: Time,
    /// When to send them, if no other comes.
    pub at: Time,
}

/// A merge that was put off, since others may be making the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tie {
    /// The wiki's head.
    pub local: Revision,
    /// The remote's tip.
    pub incoming: Revision,
    /// How many merges were put off, each within a while after the one before.
    pub count: u32,
    /// How many of them since a merge was made.
    #[serde(default)]
    pub row: u32,
    /// When this one was.
    pub since: Time,
}

/// The remote doesn't answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Down {
    /// Since when.
    pub since: Time,
    /// How often that was told: after ten minutes, and after a day.
    pub told: u8,
}

/// The remote answers that there is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// Since when.
    pub since: Time,
    /// How often it said so.
    pub answers: u32,
}

/// What somebody chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What it was about.
    pub reason: DecisionReason,
    /// What was chosen.
    pub choice: Choice,
    /// The remote's tip that it was about. It holds for this tip and for what is built on it.
    pub tip: Revision,
}

/// The remote takes no pushes from us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushStop {
    /// Why.
    pub reason: PauseReason,
    /// When to try again, if it may end by itself.
    pub probe_at: Option<Time>,
}

/// What a run knows of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Running {
    /// The wiki's head that it was compared with.
    pub(super) local: Option<Revision>,
    /// What was fetched.
    pub(super) incoming: Option<Revision>,
    /// How it is taken over.
    pub(super) plan: Option<Plan>,
    /// How often the head moved away under the merge.
    pub(super) moved: u32,
    /// The merge is made, whoever else makes it.
    pub(super) settled: bool,
    /// What was pushed.
    pub(super) pushed: Option<Revision>,
}
