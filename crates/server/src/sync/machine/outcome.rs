//! The part of the transition function that handles outcomes of effects.

use std::time::Duration;

use wikigrove_tenant::Revision;

use super::{
    GONE_ANSWERS, GONE_FOR, MANY_CONFLICTS, MANY_TIES, MOVED_HEADS, Machine, REJECTIONS, SAME_TIE,
};
use crate::sync::backoff;
use crate::sync::effect::{Effect, Notice, Plan};
use crate::sync::event::{Deletions, Facts, Failure, Landing, Outcome, Relation};
use crate::sync::link::{Choice, DecisionReason, FirstRun, Mode, OnRewrite, PauseReason};
use crate::sync::schedule;
use crate::sync::state::{Decision, Gone, Phase, PushStop, Tie};

impl Machine<'_> {
    pub(super) fn outcome(&mut self, outcome: &Outcome) {
        match (self.state.phase, outcome) {
            (Phase::Fetching, Outcome::Fetched { incoming }) => self.compare(*incoming),
            (Phase::Fetching, Outcome::BranchAbsent { empty, local }) => {
                self.absent(*empty, *local)
            }
            (Phase::Fetching, Outcome::HostileTree { incoming, text }) => {
                self.state.last_error = Some(text.clone());
                self.ask(DecisionReason::HostileTree, *incoming);
            }
            (Phase::Fetching, Outcome::Unmappable { incoming }) => {
                self.ask(DecisionReason::Mapping, *incoming);
            }
            (Phase::Comparing, Outcome::Compared(facts)) => self.compared(facts),
            (Phase::Merging, Outcome::Merged { conflicts, deletions }) => {
                self.merged(*conflicts, *deletions);
            }
            (Phase::Applying, Outcome::Applied { head }) => self.applied(*head),
            (Phase::Applying, Outcome::HeadMoved) => {
                self.state.running.moved += 1;
                if let Some(incoming) = self.state.running.incoming {
                    self.compare(incoming);
                }
            }
            (Phase::Pushing, Outcome::Pushed | Outcome::PushUnknown) => self.verify(),
            (Phase::Pushing, Outcome::NonFastForward) => self.raced(),
            (Phase::Pushing, Outcome::Rejected { text }) => self.rejected(text),
            (Phase::Verifying, Outcome::Seen(landing)) => self.landed(*landing),
            (_, Outcome::Failed { failure, text }) => {
                self.state.last_error = Some(text.clone());
                self.failed(*failure);
            }
            _ => {}
        }
    }

    fn compare(&mut self, incoming: Revision) {
        self.state.gone = None;
        self.state.running.incoming = Some(incoming);
        self.state.phase = Phase::Comparing;
        self.effects.push(Effect::Compare {
            incoming,
            seen: self.state.seen,
            decided: self.state.decision.map(|decision| decision.tip),
        });
    }

    /// The branch is missing. It is created only in an empty remote that never had it.
    fn absent(&mut self, empty: bool, local: Option<Revision>) {
        if self.state.seen.is_some() || !empty {
            self.pause(PauseReason::BranchMissing);
            return;
        }
        match local {
            Some(local) => self.push(local),
            None => self.finish(),
        }
    }

    fn compared(&mut self, facts: &Facts) {
        let Some(incoming) = self.state.running.incoming else { return };
        // The remote has just reported this tip, so it has these commits, even if the run fails later.
        self.effects.push(Effect::RemoveJobs { up_to: incoming });
        self.state.running.local = facts.local;
        if !facts.decided {
            self.state.decision = None;
        }
        let rewritten = self.state.seen.filter(|_| facts.rewritten);
        let plan = match self.state.decision {
            Some(decision) => Ok(chosen(decision, facts, rewritten)),
            None => self.unasked(facts, rewritten),
        };
        match plan {
            Err(reason) => self.ask(reason, incoming),
            Ok(Some(Plan::Merge)) if facts.same_tree && self.puts_off() => {}
            Ok(Some(plan)) if plan.merges() => {
                self.state.running.plan = Some(plan);
                self.state.phase = Phase::Merging;
                let winner = self.settings.winner;
                self.effects.push(Effect::Merge { incoming, plan, winner });
            }
            Ok(Some(plan)) => self.apply(incoming, plan),
            Ok(None) => {
                self.accept(incoming);
                match facts.local {
                    Some(local) if facts.relation == Relation::Ahead => self.push(local),
                    _ => self.finish(),
                }
            }
        }
    }

    /// The plan for an ordinary run, or the question to ask. `None` if the wiki already has all of the remote's
    /// commits.
    fn unasked(
        &self,
        facts: &Facts,
        rewritten: Option<Revision>,
    ) -> Result<Option<Plan>, DecisionReason> {
        if facts.relation == Relation::Same {
            return Ok(None);
        }
        let plan = if let Some(seen) = rewritten {
            let follows = self.settings.on_rewrite == OnRewrite::Follow;
            if !follows || !self.settings.mode.pulls() || facts.local_only {
                return Err(DecisionReason::ForcePushed);
            }
            Plan::Since(seen)
        } else {
            match facts.relation {
                Relation::Same | Relation::Ahead => return Ok(None),
                Relation::Unrelated if self.settings.first_run == FirstRun::Import => Plan::Theirs,
                Relation::Unrelated
                    if facts.trivial || self.settings.first_run == FirstRun::Merge =>
                {
                    Plan::Merge
                }
                Relation::Unrelated => return Err(DecisionReason::Unrelated),
                _ if self.settings.mode == Mode::Push => {
                    return Err(DecisionReason::ForeignCommits);
                }
                Relation::Behind => Plan::FastForward,
                Relation::Diverged => Plan::Merge,
            }
        };
        if plan == Plan::FastForward && facts.deletions.are_many() {
            return Err(DecisionReason::MassDelete);
        }
        Ok(Some(plan))
    }

    fn merged(&mut self, conflicts: u32, deletions: Deletions) {
        let (Some(incoming), Some(plan)) = (self.state.running.incoming, self.state.running.plan)
        else {
            return;
        };
        if deletions.are_many() && self.state.decision.is_none() {
            self.ask(DecisionReason::MassDelete, incoming);
            return;
        }
        let asked = self
            .state
            .decision
            .is_some_and(|decision| decision.reason == DecisionReason::TooManyConflicts);
        if conflicts > MANY_CONFLICTS && !asked {
            self.ask(DecisionReason::TooManyConflicts, incoming);
            return;
        }
        if conflicts > 0 {
            let again = self.state.conflicted_at.is_some_and(|at| self.now.since(at) < SAME_TIE);
            if again && self.puts_off() {
                return;
            }
            self.state.running.settled = true;
            self.state.conflicted_at = Some(self.now);
        }
        self.apply(incoming, plan);
    }

    /// Postpones a merge that other ends may be making as well, unless it was postponed before and is still to be made.
    /// If several wikis with several remotes were all equally quick, each would merge the merges of all the others
    /// forever. This applies only to histories that differ over the same text, and to conflicts between ends that
    /// settled the last one differently, so no content arrives late because of it.
    ///
    /// While users keep editing, both ends have moved at every run, merged or not: so a merge is postponed only a
    /// limited number of times, and never because of a save that came during the run.
    fn puts_off(&mut self) -> bool {
        let (Some(local), Some(incoming)) = (self.state.running.local, self.state.running.incoming)
        else {
            return false;
        };
        if self.state.running.settled {
            return false;
        }
        let before = self.state.tie.filter(|tie| self.now.since(tie.since) < SAME_TIE);
        let nobody = before.is_some_and(|tie| (tie.local, tie.incoming) == (local, incoming));
        let row = before.map_or(0, |tie| tie.row);
        if nobody || row >= MANY_TIES {
            self.state.running.settled = true;
            if let Some(tie) = &mut self.state.tie {
                tie.row = 0;
            }
            return false;
        }
        let count = before.map_or(0, |tie| tie.count + 1);
        self.state.tie = Some(Tie { local, incoming, count, row: row + 1, since: self.now });
        let wait = backoff::tie(count, &mut self.dice);
        self.release();
        self.rest(Phase::Backoff, Some(self.now + wait));
        true
    }

    fn apply(&mut self, incoming: Revision, plan: Plan) {
        self.state.phase = Phase::Applying;
        let insist = self.state.running.moved >= MOVED_HEADS;
        self.effects.push(Effect::Apply { incoming, plan, insist });
    }

    fn applied(&mut self, head: Revision) {
        let Some(incoming) = self.state.running.incoming else { return };
        self.accept(incoming);
        if head == incoming {
            self.finish();
        } else {
            self.push(head);
        }
    }

    /// Records that the remote's tip is part of the wiki's history now, and that a decision about it is done.
    fn accept(&mut self, incoming: Revision) {
        self.state.see(incoming);
        self.state.decision = None;
    }

    /// Pushes, if the link's mode pushes and the remote accepts pushes.
    fn push(&mut self, commit: Revision) {
        let stopped =
            self.state.push_stop.is_some_and(|stop| stop.probe_at.is_none_or(|at| at > self.now));
        if stopped || !self.settings.mode.pushes() {
            self.finish();
            return;
        }
        self.state.phase = Phase::Pushing;
        self.state.running.pushed = Some(commit);
        let from = self.state.running.incoming;
        self.effects.push(Effect::Push { commit, from });
    }

    fn verify(&mut self) {
        let Some(pushed) = self.state.running.pushed else { return };
        self.state.phase = Phase::Verifying;
        self.effects.push(Effect::Verify { pushed });
    }

    fn landed(&mut self, landing: Landing) {
        let Some(pushed) = self.state.running.pushed else { return };
        match landing {
            Landing::Landed { tip } => {
                self.effects.push(Effect::RemoveJobs { up_to: tip });
                // From now on a tip without this commit is a rewrite. Commits that others built on it aren't taken over
                // yet.
                self.accept(pushed);
                self.state.rejections = 0;
                self.state.push_stop = None;
                self.state.pending |= tip != pushed;
                self.finish();
            }
            Landing::NotLanded => self.unreachable(None),
            Landing::Elsewhere => self.raced(),
        }
    }

    /// Another push was faster: retries quickly, a limited number of times.
    fn raced(&mut self) {
        self.release();
        self.state.races += 1;
        if self.state.races > backoff::QUICK_RETRIES {
            self.wait(None);
        } else {
            let wait = backoff::quick(&mut self.dice);
            self.rest(Phase::Backoff, Some(self.now + wait));
        }
    }

    fn rejected(&mut self, text: &str) {
        self.state.last_error = Some(text.to_owned());
        self.state.rejections = self.state.rejections.saturating_add(1);
        if self.state.rejections >= REJECTIONS {
            self.stop_pushing(PauseReason::Rejected, Some(schedule::PROBE));
        } else {
            self.release();
            self.wait(None);
        }
    }

    /// Stops pushing, as the remote refuses it; pulling goes on.
    fn stop_pushing(&mut self, reason: PauseReason, probe: Option<Duration>) {
        let probe_at = probe.map(|probe| self.now + probe);
        let before = self.state.push_stop.replace(PushStop { reason, probe_at });
        if before.is_none_or(|before| before.reason != reason) {
            self.effects.push(Effect::Notify(Notice::Paused { reason }));
        }
        self.finish();
    }

    fn failed(&mut self, failure: Failure) {
        match (self.state.phase, failure) {
            // Effects that don't use the network.
            (Phase::Comparing | Phase::Merging | Phase::Applying, _) => self.failed_here(),
            (Phase::Pushing, Failure::Auth) => {
                let probe = self.settings.renews.then_some(schedule::RENEWAL);
                self.stop_pushing(PauseReason::Auth, probe);
            }
            (Phase::Pushing, Failure::Transient { retry_after, answered: true }) => {
                self.unreachable(retry_after);
            }
            (
                Phase::Pushing,
                Failure::Transient { .. }
                | Failure::Local
                | Failure::Gone
                | Failure::TooLarge
                | Failure::Unsupported,
            ) => self.verify(),
            (_, Failure::Transient { retry_after, .. }) => self.unreachable(retry_after),
            (_, Failure::Local) => self.failed_here(),
            (_, Failure::Gone) => self.gone(),
            (_, Failure::Auth) => self.pause(PauseReason::Auth),
            (_, Failure::HostKey) => self.pause(PauseReason::HostKeyChanged),
            (_, Failure::BlockedAddress | Failure::Redirected) => {
                self.pause(PauseReason::BlockedAddress);
            }
            (_, Failure::TooLarge) => self.pause(PauseReason::RemoteTooLarge),
            (_, Failure::Unsupported) => self.pause(PauseReason::Unsupported),
        }
    }

    fn failed_here(&mut self) {
        self.release();
        self.wait(None);
    }

    fn gone(&mut self) {
        let gone = self.state.gone.get_or_insert(Gone { since: self.now, answers: 0 });
        gone.answers = gone.answers.saturating_add(1);
        if gone.answers >= GONE_ANSWERS && self.now.since(gone.since) >= GONE_FOR {
            self.pause(PauseReason::RemoteGone);
        } else {
            self.unreachable(None);
        }
    }
}

/// The plan that carries out a user's choice for these two histories; `None` if a push is enough. `rewritten` is the
/// last seen tip, if the remote's history was rewritten.
pub fn chosen(decision: Decision, facts: &Facts, rewritten: Option<Revision>) -> Option<Plan> {
    let ordinary = match facts.relation {
        Relation::Same | Relation::Ahead => None,
        Relation::Behind => Some(Plan::FastForward),
        Relation::Diverged | Relation::Unrelated => Some(Plan::Merge),
    };
    match (decision.choice, decision.reason, rewritten) {
        (Choice::Wiki, ..) if facts.local.is_some() => ordinary.map(|_| Plan::Ours),
        // Not a second time: it may have been applied in a run whose end was lost.
        (Choice::Remote, DecisionReason::TooManyConflicts, _) if !facts.same_tree => {
            Some(Plan::Theirs)
        }
        // Even if the remote was only set back: the wiki has all its commits, but the user chose to lose the newer
        // ones.
        (Choice::Remote, _, Some(seen)) => Some(Plan::Since(seen)),
        (Choice::Remote, ..) if facts.relation == Relation::Unrelated => Some(Plan::Theirs),
        _ => ordinary,
    }
}
