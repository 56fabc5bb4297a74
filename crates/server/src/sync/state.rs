//! The stored state of a link.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use wikigrove_tenant::Revision;

use super::clock::Time;
use super::effect::Plan;
use super::link::{Choice, DecisionReason, PauseReason, State};

/// Number of tips that a link remembers, to recognise its own pushes when the host reports them.
pub const REMEMBERED: usize = 64;

/// The state of a link. All of it is stored after each [`step`](super::step), except the data of the current run: an
/// interrupted run starts over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkState {
    /// The current phase.
    pub phase: Phase,
    /// The remote's last tip that is part of the wiki's history: pulled, or pushed and confirmed there. A new tip
    /// without this ancestor is a rewrite. For a link that covers a part, too, this is the remote's commit.
    pub seen: Option<Revision>,
    /// The tips before `seen`, oldest first; at most [`REMEMBERED`].
    pub recent: VecDeque<Revision>,
    /// When [`Event::Due`](super::Event::Due) is to be sent.
    pub next_at: Option<Time>,
    /// The time of the next periodic run.
    pub look_at: Option<Time>,
    /// Saves that wait to be sent.
    pub burst: Option<Burst>,
    /// Another run is wanted as soon as the current one ends.
    pub pending: bool,
    /// A run was in progress when the process ended: the next process starts one soon.
    #[serde(default)]
    pub hurry: bool,
    /// The network must not be used.
    pub offline: bool,
    /// Until this time, reads of the wiki don't start a run.
    pub cooldown_until: Option<Time>,
    /// Number of failed runs in a row.
    pub failures: u32,
    /// Number of pushes in a row that lost a race against another push.
    pub races: u32,
    /// A postponed merge that another end may be making as well.
    pub tie: Option<Tie>,
    /// When a merge of this link last had conflicts.
    pub conflicted_at: Option<Time>,
    /// Number of pushes in a row that the remote refused by a rule of its own.
    pub rejections: u32,
    /// The current outage of the remote.
    pub down: Option<Down>,
    /// The remote's answers that the repository doesn't exist.
    pub gone: Option<Gone>,
    /// A user's decision that hasn't been carried out yet.
    pub decision: Option<Decision>,
    /// The remote refuses our pushes. Pulling goes on.
    pub push_stop: Option<PushStop>,
    /// The pause that was last announced, so that a repeated failure sends no second notice. (A question is asked only
    /// once anyway, and a stop of the pushes is announced when it begins.)
    pub told: Option<PauseReason>,
    /// The message of the remote, git or the system at the last failure. Empty after a successful run.
    pub last_error: Option<String>,
    /// The number of the current or last run.
    pub run: u64,
    /// The data of the current run. Not stored.
    #[serde(skip)]
    pub(super) running: Running,
}

/// The phase of a link. During a run it holds a turn of the scheduler and the lease on the wiki.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Idle until `next_at` or a trigger.
    #[default]
    Idle,
    /// Waiting for the scheduler.
    Due,
    /// In a run: fetching.
    Fetching,
    /// In a run: comparing.
    Comparing,
    /// In a run: merging.
    Merging,
    /// In a run: making the result the wiki's head.
    Applying,
    /// In a run: pushing.
    Pushing,
    /// In a run: checking if the push landed.
    Verifying,
    /// Waiting until `next_at` after a failure.
    Backoff,
    /// Waiting for a user's decision.
    NeedsDecision {
        /// The reason for the question.
        reason: DecisionReason,
        /// The remote's tip that the question is about.
        tip: Revision,
    },
    /// Waiting until a user fixes the cause; may retry by itself at `next_at`.
    Paused {
        /// The reason for the pause.
        reason: PauseReason,
    },
    /// Waiting until the network may be used.
    Offline,
    /// Switched off.
    Disabled,
}

impl Phase {
    /// Returns `true` during a run.
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
    /// The state in one word, for display and search.
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

    /// The reason of the state, if it has one.
    pub fn reason(&self) -> Option<&'static str> {
        match (self.phase, self.push_stop) {
            (Phase::NeedsDecision { reason, .. }, _) => Some(reason.as_str()),
            (Phase::Paused { reason }, _) | (Phase::Idle, Some(PushStop { reason, .. })) => {
                Some(reason.as_str())
            }
            _ => None,
        }
    }

    /// Returns `true` if this link has pulled or pushed the commit, so that a report of it is no news.
    pub fn knows(&self, tip: Revision) -> bool {
        self.running.pushed == Some(tip)
            || self.running.incoming == Some(tip)
            || self.seen == Some(tip)
            || self.recent.contains(&tip)
    }

    /// Records a tip that is part of both histories.
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

/// A series of saves in quick succession.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burst {
    /// The time of the first save.
    pub first: Time,
    /// When to send them, unless another save follows.
    pub at: Time,
}

/// A postponed merge, which other ends may be making as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tie {
    /// The wiki's head.
    pub local: Revision,
    /// The remote's tip.
    pub incoming: Revision,
    /// Number of postponed merges so far, each shortly after the one before.
    pub count: u32,
    /// Number of postponed merges since the last merge that was made.
    #[serde(default)]
    pub row: u32,
    /// When this merge was postponed.
    pub since: Time,
}

/// An outage of the remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Down {
    /// When the outage began.
    pub since: Time,
    /// Number of notices sent: one after ten minutes, one after a day.
    pub told: u8,
}

/// The remote answers that the repository doesn't exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// The time of the first such answer.
    pub since: Time,
    /// Number of such answers.
    pub answers: u32,
}

/// A user's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The reason for the question.
    pub reason: DecisionReason,
    /// The chosen option.
    pub choice: Choice,
    /// The remote's tip that the question was about. The decision holds for this tip and its descendants.
    pub tip: Revision,
}

/// A stop of pushing: the remote refuses our pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushStop {
    /// The reason for the stop.
    pub reason: PauseReason,
    /// When to try again, if the cause may go away by itself.
    pub probe_at: Option<Time>,
}

/// The data of the current run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Running {
    /// The wiki's head at the comparison.
    pub(super) local: Option<Revision>,
    /// The fetched tip.
    pub(super) incoming: Option<Revision>,
    /// The planned merge.
    pub(super) plan: Option<Plan>,
    /// Number of times that the head moved during the merge.
    pub(super) moved: u32,
    /// The merge is made now, even if another end makes it as well.
    pub(super) settled: bool,
    /// The pushed commit.
    pub(super) pushed: Option<Revision>,
}
