//! Metrics of runs, derived from the machine's steps.

use crate::sync::words::words;
use crate::sync::{Event, Landing, LinkState, Outcome, Phase};

/// The result of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunEnd {
    /// Commits were taken over, or pushed and confirmed.
    Synced,
    /// Both ends were equal, or the link's mode doesn't carry the difference.
    NothingNew,
    /// Another push was faster; the run is retried.
    Raced,
    /// The merge was postponed, as other ends may be making it.
    PutOff,
    /// The remote refused the push by a rule of its own.
    Rejected,
    /// The run failed and is retried.
    Failed,
    /// The link was paused.
    Paused,
    /// The link needs a user's decision.
    NeedsDecision,
    /// The link was changed or switched off, or may not use the network.
    Cancelled,
}
words!(
    pub(crate) RunEnd {
        Synced = "synced",
        NothingNew = "nothing_new",
        Raced = "raced",
        PutOff = "put_off",
        Rejected = "rejected",
        Failed = "failed",
        Paused = "paused",
        NeedsDecision = "needs_decision",
        Cancelled = "cancelled",
    }
);

/// The reported result of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PushEnd {
    /// The remote accepted it, or already had it.
    Accepted,
    /// Unknown.
    Unknown,
    /// Another push was faster.
    Raced,
    /// The remote refused it by a rule of its own.
    Rejected,
    /// The push failed.
    Failed,
}
words!(
    pub(crate) PushEnd {
        Accepted = "accepted",
        Unknown = "unknown",
        Raced = "raced",
        Rejected = "rejected",
        Failed = "failed",
    }
);

/// The way in which a wiki took over the remote's commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// By a fast-forward.
    FastForward,
    /// By a merge.
    Merge,
}
words!(pub(crate) Taken { FastForward = "fast_forward", Merge = "merge" });

/// The changes of the current run so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Did {
    /// True if the wiki's head or the remote's branch moved.
    moved: bool,
    /// Number of conflicts of the merge in memory.
    conflicts: u32,
}

/// The counts of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) push: Option<PushEnd>,
    /// With the number of conflicts.
    pub(super) taken: Option<(Taken, u32)>,
    pub(super) run: Option<RunEnd>,
}

impl Did {
    /// Records a step.
    pub(super) fn step(&mut self, before: &LinkState, event: &Event, after: &LinkState) -> Counted {
        if !before.phase.is_run() {
            return Counted::default();
        }
        let mut counted = Counted::default();
        if let Event::Done { outcome, .. } = event {
            counted.push = (before.phase == Phase::Pushing).then(|| push_end(outcome)).flatten();
            counted.taken = self.learn(before, outcome);
        }
        if !after.phase.is_run() {
            counted.run = Some(run_end(before, event, after, self.moved));
            *self = Self::default();
        }
        counted
    }

    fn learn(&mut self, before: &LinkState, outcome: &Outcome) -> Option<(Taken, u32)> {
        match outcome {
            Outcome::Merged { conflicts, .. } => self.conflicts = *conflicts,
            Outcome::Seen(Landing::Landed { .. }) => self.moved = true,
            // A save already had the remote's content, or there was none to take over.
            Outcome::Applied { head } if before.running.local == Some(*head) => {}
            Outcome::Applied { head } => {
                self.moved = true;
                let as_it_was = before.running.incoming == Some(*head);
                let how = if as_it_was { Taken::FastForward } else { Taken::Merge };
                return Some((how, std::mem::take(&mut self.conflicts)));
            }
            _ => {}
        }
        None
    }
}

fn push_end(outcome: &Outcome) -> Option<PushEnd> {
    Some(match outcome {
        Outcome::Pushed => PushEnd::Accepted,
        Outcome::PushUnknown => PushEnd::Unknown,
        Outcome::NonFastForward => PushEnd::Raced,
        Outcome::Rejected { .. } => PushEnd::Rejected,
        Outcome::Failed { .. } => PushEnd::Failed,
        _ => return None,
    })
}

fn run_end(before: &LinkState, event: &Event, after: &LinkState, moved: bool) -> RunEnd {
    let is_stopped = after.push_stop.is_some() && before.push_stop.is_none();
    match (after.phase, event) {
        (Phase::NeedsDecision { .. }, _) => RunEnd::NeedsDecision,
        (Phase::Paused { .. }, _) => RunEnd::Paused,
        (_, Event::Done { .. }) if is_stopped => RunEnd::Paused,
        (phase, Event::Done { outcome, .. }) => match outcome {
            Outcome::Failed { .. } | Outcome::Seen(Landing::NotLanded) => RunEnd::Failed,
            Outcome::Rejected { .. } => RunEnd::Rejected,
            Outcome::NonFastForward | Outcome::Seen(Landing::Elsewhere) => RunEnd::Raced,
            _ if phase == Phase::Backoff => RunEnd::PutOff,
            _ if moved => RunEnd::Synced,
            _ => RunEnd::NothingNew,
        },
        // The lease expired.
        (_, Event::Due) => RunEnd::Failed,
        _ => RunEnd::Cancelled,
    }
}

#[cfg(test)]
mod tests {
    use wikigrove_tenant::Revision;

    use super::*;
    use crate::sync::{DecisionReason, Failure, PauseReason, PushStop};

    fn tip(byte: u8) -> Revision {
        Revision::from_bytes([byte; 20])
    }

    fn state(phase: Phase) -> LinkState {
        LinkState { phase, ..LinkState::default() }
    }

    fn done(outcome: Outcome) -> Event {
        Event::Done { run: 0, outcome }
    }

    fn failed() -> Event {
        done(Outcome::Failed { failure: Failure::Local, text: String::new() })
    }

    #[test]
    fn a_run_ends_in_one_way() {
        use Phase::{Backoff, Comparing, Fetching, Idle, Pushing, Verifying};
        let elsewhere = || done(Outcome::Seen(Landing::Elsewhere));
        let asks = Phase::NeedsDecision { reason: DecisionReason::Unrelated, tip: tip(1) };
        let paused = Phase::Paused { reason: PauseReason::Auth };
        let fetched = || done(Outcome::Fetched { incoming: tip(1) });
        for (before, event, after, expected) in [
            (Comparing, fetched(), Idle, RunEnd::NothingNew),
            (Comparing, fetched(), Phase::Due, RunEnd::NothingNew),
            (Comparing, fetched(), Backoff, RunEnd::PutOff),
            (Fetching, failed(), Backoff, RunEnd::Failed),
            (Fetching, failed(), paused, RunEnd::Paused),
            (Comparing, fetched(), asks, RunEnd::NeedsDecision),
            (Pushing, done(Outcome::NonFastForward), Backoff, RunEnd::Raced),
            (Pushing, done(Outcome::Rejected { text: String::new() }), Backoff, RunEnd::Rejected),
            (Verifying, elsewhere(), Backoff, RunEnd::Raced),
            (Verifying, done(Outcome::Seen(Landing::Landed { tip: tip(1) })), Idle, RunEnd::Synced),
            (Fetching, Event::Due, Backoff, RunEnd::Failed),
            (Fetching, Event::Offline, Phase::Offline, RunEnd::Cancelled),
        ] {
            let counted = Did::default().step(&state(before), &event, &state(after));
            assert_eq!(counted.run, Some(expected), "{before:?} {event:?} {after:?}");
        }
        let goes_on = Did::default().step(&state(Fetching), &fetched(), &state(Comparing));
        assert_eq!(goes_on, Counted::default());
        let no_run = Did::default().step(&state(Idle), &Event::Disabled, &state(Phase::Disabled));
        assert_eq!(no_run, Counted::default());
    }

    #[test]
    fn a_push_that_is_refused_for_good_pauses_and_later_pulls_dont() {
        let reason = PauseReason::Rejected;
        let stopped = || {
            let push_stop = Some(PushStop { reason, probe_at: None });
            LinkState { push_stop, ..LinkState::default() }
        };
        let refused = done(Outcome::Rejected { text: String::new() });
        let counted = Did::default().step(&state(Phase::Pushing), &refused, &stopped());
        assert_eq!((counted.push, counted.run), (Some(PushEnd::Rejected), Some(RunEnd::Paused)));
        let before = LinkState { phase: Phase::Comparing, ..stopped() };
        let event = done(Outcome::Fetched { incoming: tip(1) });
        let counted = Did::default().step(&before, &event, &stopped());
        assert_eq!(counted.run, Some(RunEnd::NothingNew));
    }

    #[test]
    fn what_is_taken_over_is_told_from_what_is_merged() {
        let mut applying = state(Phase::Applying);
        applying.running.local = Some(tip(1));
        applying.running.incoming = Some(tip(2));
        let applied = |head| done(Outcome::Applied { head: tip(head) });
        let pushing = state(Phase::Pushing);
        let counted = Did::default().step(&applying, &applied(2), &state(Phase::Idle));
        assert_eq!(counted.taken, Some((Taken::FastForward, 0)));
        assert_eq!(counted.run, Some(RunEnd::Synced));
        let mut did = Did::default();
        let merged = Outcome::Merged { conflicts: 3, deletions: crate::sync::Deletions::default() };
        did.step(&state(Phase::Merging), &done(merged), &applying);
        let counted = did.step(&applying, &applied(3), &pushing);
        assert_eq!((counted.taken, counted.run), (Some((Taken::Merge, 3)), None));
        let counted = did.step(&applying, &applied(1), &pushing);
        assert_eq!(counted.taken, None);
    }
}
