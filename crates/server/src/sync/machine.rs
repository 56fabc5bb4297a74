//! The transition function of a link: from an event to the next state and its effects.

mod outcome;
#[cfg(test)]
mod tests;

use std::time::Duration;

use wikigrove_tenant::Revision;

use super::backoff;
use super::clock::{Dice, Moment, Time};
use super::effect::{Effect, Notice};
use super::event::Event;
use super::link::{Choice, DecisionReason, Mode, PauseReason, Settings};
use super::schedule;
pub use outcome::chosen;

use super::state::{Burst, Decision, Down, LinkState, Phase, Running};

/// A merge with more conflicts than this needs a decision; with fewer, the conflicts become pages.
pub const MANY_CONFLICTS: u32 = 100;
/// A remote that deletes more pages than this, and more than half of them, needs a decision.
pub const MANY_DELETIONS: u32 = 20;
/// Number of merges restarted because of a concurrent save, before the merge insists.
pub const MOVED_HEADS: u32 = 5;
/// Number of refusals in a row after which pushing stops.
pub const REJECTIONS: u32 = 3;
/// Number of merges in a row that are postponed because other ends may be making them; the next is made regardless.
const MANY_TIES: u32 = 3;

/// A remote that doesn't answer is announced after this long, and once more after a day.
const DOWN: [Duration; 2] = [Duration::from_secs(10 * 60), Duration::from_secs(24 * 60 * 60)];
/// A repository is gone if the remote has said so for a day …
const GONE_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// … and this often: a clock that jumps doesn't make a day.
const GONE_ANSWERS: u32 = 8;

/// The last error of a link whose key has never been used.
const UNUSED_KEY: &str =
    "the key is new: add its public half to the repository there, and run the link";

/// Postponed merges, and merges with conflicts, that are further apart than this are unrelated.
const SAME_TIE: Duration = Duration::from_secs(10 * 60);

/// Computes the next state and the effects of an event.
///
/// Pure: the result depends only on the arguments. An event that has no meaning in a state changes nothing, so events
/// may arrive late, twice, or for a run that is over.
pub fn step(
    settings: &Settings,
    state: LinkState,
    event: &Event,
    moment: Moment,
) -> (LinkState, Vec<Effect>) {
    let timer = state.next_at;
    let mut machine = Machine {
        settings,
        state,
        now: moment.now,
        dice: Dice::new(moment.random),
        effects: Vec::new(),
    };
    machine.event(event);
    if let Some(at) = machine.state.next_at
        && machine.state.next_at != timer
    {
        machine.effects.push(Effect::SetTimer { at });
    }
    (machine.state, machine.effects)
}

struct Machine<'a> {
    settings: &'a Settings,
    state: LinkState,
    now: Time,
    dice: Dice,
    effects: Vec<Effect>,
}

impl Machine<'_> {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Saved => self.saved(),
            Event::Due => self.timer(),
            Event::Webhook { after } => {
                // A report of our own push is no news.
                if !after.is_some_and(|tip| self.state.knows(tip)) {
                    self.wanted();
                }
            }
            Event::Requested => self.requested(),
            Event::Read => {
                let over = self.state.cooldown_until.is_none_or(|until| until <= self.now);
                if over && self.state.phase == Phase::Idle {
                    self.due();
                }
            }
            Event::Started => self.started(),
            Event::Done { run, outcome } => {
                if *run == self.state.run && self.state.phase.is_run() {
                    self.outcome(outcome);
                }
            }
            Event::Decided { choice, tip } => self.decided(*choice, *tip),
            Event::Resumed => self.resumed(),
            Event::Changed { remote, unused_key } => self.changed(*remote, *unused_key),
            Event::Offline => {
                self.state.offline = true;
                if matches!(self.state.phase, Phase::Idle | Phase::Due | Phase::Backoff)
                    || self.state.phase.is_run()
                {
                    self.leave();
                    self.rest(Phase::Offline, None);
                }
            }
            Event::Online => {
                self.state.offline = false;
                if self.state.phase == Phase::Offline {
                    self.due();
                }
            }
            Event::Disabled => {
                self.leave();
                self.rest(Phase::Disabled, None);
            }
            Event::Restarted => self.restarted(),
            Event::ClockMoved => self.clock_moved(),
        }
    }

    /// A save waits for a moment, as others may follow. While the link can't run, a save changes nothing: its job is
    /// queued, and the end of each kind of wait starts a run.
    fn saved(&mut self) {
        if !self.settings.mode.pushes() {
            return;
        }
        let idle = self.state.phase == Phase::Idle;
        if idle || self.state.phase.is_run() {
            let first = self.state.burst.map_or(self.now, |burst| burst.first);
            let at = schedule::debounced(first, self.now);
            self.state.burst = Some(Burst { first, at });
            if idle {
                self.idle_until();
            }
        }
    }

    /// Starts a run, or asks for another one after the current run.
    fn wanted(&mut self) {
        match self.state.phase {
            Phase::Idle => self.due(),
            phase if phase.is_run() => self.state.pending = true,
            _ => {}
        }
    }

    /// Starts a run on a user's order, even after a failure or in a pause. A repeated failure then sends no second
    /// notice. If pushing is stopped, the run only pulls: pushing again needs [`resumed`](Self::resumed).
    fn requested(&mut self) {
        match self.state.phase {
            Phase::Backoff | Phase::Paused { .. } => self.due(),
            _ => self.wanted(),
        }
    }

    fn timer(&mut self) {
        if self.state.next_at.is_none_or(|at| at > self.now) {
            return;
        }
        match self.state.phase {
            Phase::Idle | Phase::Backoff | Phase::Paused { .. } => self.due(),
            phase if phase.is_run() => {
                self.state.last_error = Some("the run didn't end in its time".to_owned());
                self.fail(None);
            }
            _ => {}
        }
    }

    fn started(&mut self) {
        if self.state.phase != Phase::Due {
            self.effects.push(Effect::Release);
            return;
        }
        self.state.run += 1;
        self.state.running = Running::default();
        self.state.hurry = false;
        self.state.phase = Phase::Fetching;
        self.state.next_at = Some(self.now + schedule::LEASE);
        self.state.cooldown_until = Some(self.now + self.settings.cooldown);
        self.effects.push(Effect::Fetch);
    }

    fn decided(&mut self, choice: Choice, shown: Option<Revision>) {
        let Phase::NeedsDecision { reason, tip } = self.state.phase else { return };
        if shown.is_some_and(|shown| shown != tip) || !reason.choices().contains(&choice) {
            return;
        }
        self.state.decision = (choice != Choice::Retry).then_some(Decision { reason, choice, tip });
        self.state.told = None;
        self.due();
    }

    fn resumed(&mut self) {
        let stopped = self.state.push_stop.take().is_some();
        let paused = matches!(self.state.phase, Phase::Paused { .. });
        if stopped || paused {
            self.state.rejections = 0;
            self.state.gone = None;
        }
        if paused {
            self.state.told = None;
            self.due();
        } else if stopped {
            self.wanted();
        }
    }

    fn changed(&mut self, remote: bool, unused_key: bool) {
        self.leave();
        let state = &mut self.state;
        if remote {
            state.seen = None;
            state.recent.clear();
            state.decision = None;
            state.down = None;
        }
        state.told = None;
        state.push_stop = None;
        state.gone = None;
        state.last_error = None;
        (state.rejections, state.races, state.failures) = (0, 0, 0);
        if unused_key && self.settings.mode != Mode::Off {
            let reason = PauseReason::Auth;
            self.state.told = Some(reason);
            self.state.last_error = Some(UNUSED_KEY.to_owned());
            self.rest(Phase::Paused { reason }, None);
        } else {
            self.due();
        }
    }

    /// After a restart no run is in progress, even if the state says so. Each link runs once, at different times.
    fn restarted(&mut self) {
        // It may be only the link's state that was lost, and not the process with all its runs.
        self.leave();
        let phase = self.state.phase;
        // The allowed addresses are set at the start, so a blocked link may be allowed now.
        let blocked = phase == Phase::Paused { reason: PauseReason::BlockedAddress };
        let rests = matches!(phase, Phase::Idle | Phase::Due | Phase::Backoff);
        if phase.is_run() || rests || blocked {
            let was_at_it = phase.is_run() || phase == Phase::Due || self.state.burst.is_some();
            self.state.hurry |= was_at_it;
            // A user may be waiting to see if a new link works.
            let spread = match self.state.hurry || self.state.seen.is_none() {
                true => schedule::SOON,
                false => self.settings.interval,
            };
            let wait = schedule::after_a_start(spread, &mut self.dice);
            self.state.burst = None;
            self.state.pending = false;
            self.state.phase = Phase::Idle;
            self.state.look_at = Some(self.now + wait);
            self.idle_until();
        }
        self.clock_moved();
    }

    /// Limits every wait to what it would be if it began now, and moves every beginning in the future to now.
    fn clock_moved(&mut self) {
        let now = self.now;
        let longest = match self.state.phase {
            Phase::Idle => schedule::longest_interval(self.settings.interval),
            // The wait that the remote asked for is no longer known: run, and be told again.
            Phase::Backoff => backoff::CAP,
            Phase::Paused { .. } => schedule::PROBE,
            _ => schedule::LEASE,
        };
        let earlier = |at: &mut Option<Time>, latest: Time| {
            if let Some(at) = at {
                *at = (*at).min(latest);
            }
        };
        let state = &mut self.state;
        earlier(&mut state.look_at, now + longest);
        earlier(&mut state.cooldown_until, now + self.settings.cooldown);
        if let Some(burst) = &mut state.burst {
            burst.first = burst.first.min(now);
            burst.at = burst.at.min(now + schedule::LONGEST_DEBOUNCE);
        }
        if let Some(down) = &mut state.down {
            down.since = down.since.min(now);
        }
        if let Some(tie) = &mut state.tie {
            tie.since = tie.since.min(now);
        }
        earlier(&mut state.conflicted_at, now);
        if let Some(gone) = &mut state.gone {
            gone.since = gone.since.min(now);
        }
        if let Some(stop) = &mut state.push_stop {
            earlier(&mut stop.probe_at, now + schedule::PROBE);
        }
        if state.phase == Phase::Idle {
            self.idle_until();
        } else {
            earlier(&mut state.next_at, now + longest);
        }
    }

    /// Waits for a turn. The next run covers every pending trigger.
    fn due(&mut self) {
        if self.settings.mode == Mode::Off {
            self.rest(Phase::Disabled, None);
        } else if self.state.offline {
            self.rest(Phase::Offline, None);
        } else {
            self.rest(Phase::Due, None);
            self.effects.push(Effect::Queue);
        }
    }

    /// Enters a phase outside a run.
    fn rest(&mut self, phase: Phase, next_at: Option<Time>) {
        self.state.phase = phase;
        self.state.next_at = next_at;
        self.state.burst = None;
        self.state.pending = false;
    }

    /// Leaves the scheduler, and cancels the work in progress.
    fn leave(&mut self) {
        if self.state.phase.is_run() {
            self.effects.push(Effect::Cancel);
        }
        if self.state.phase.is_run() || self.state.phase == Phase::Due {
            self.effects.push(Effect::Release);
        }
        self.state.running = Running::default();
    }

    /// Ends a run whose effect has just ended, so that there is nothing to cancel.
    fn release(&mut self) {
        self.effects.push(Effect::Release);
        self.state.running = Running::default();
    }

    /// Ends a successful run.
    fn finish(&mut self) {
        self.release();
        self.up();
        (self.state.failures, self.state.races) = (0, 0);
        self.state.told = None;
        if self.state.push_stop.is_none() {
            self.state.last_error = None;
        }
        if self.state.pending {
            self.due();
            return;
        }
        let interval = schedule::interval(self.settings.interval, &mut self.dice);
        self.state.phase = Phase::Idle;
        self.state.look_at = Some(self.now + interval);
        self.idle_until();
    }

    fn idle_until(&mut self) {
        let burst = self.state.burst.map(|burst| burst.at);
        self.state.next_at = [self.state.look_at, burst].into_iter().flatten().min();
    }

    /// Cancels a run in the middle of an effect, for a reason that says nothing about the remote.
    fn fail(&mut self, retry_after: Option<Duration>) {
        self.leave();
        self.wait(retry_after);
    }

    /// Waits after a failure.
    fn wait(&mut self, retry_after: Option<Duration>) {
        let wait = backoff::wait(self.state.failures, retry_after, &mut self.dice);
        self.state.failures = self.state.failures.saturating_add(1);
        self.rest(Phase::Backoff, Some(self.now + wait));
    }

    /// Records that the remote didn't answer properly, and waits.
    fn unreachable(&mut self, retry_after: Option<Duration>) {
        let down = self.state.down.get_or_insert(Down { since: self.now, told: 0 });
        let since = down.since;
        let news = DOWN.iter().filter(|limit| self.now.since(since) >= **limit).count();
        let news = u8::try_from(news).unwrap_or(u8::MAX);
        if news > down.told {
            down.told = news;
            self.effects.push(Effect::Notify(Notice::PeerDown { since }));
        }
        self.release();
        self.wait(retry_after);
    }

    /// Records that the remote answers properly.
    fn up(&mut self) {
        self.state.gone = None;
        if let Some(down) = self.state.down.take()
            && down.told > 0
        {
            let after = self.now.since(down.since);
            self.effects.push(Effect::Notify(Notice::PeerUp { after }));
        }
    }

    /// Pauses until a user fixes the cause.
    fn pause(&mut self, reason: PauseReason) {
        self.release();
        if !matches!(
            reason,
            PauseReason::RemoteGone | PauseReason::HostKeyChanged | PauseReason::BlockedAddress
        ) {
            self.up();
        }
        let probe = match reason {
            PauseReason::RemoteGone => Some(self.now + schedule::PROBE),
            PauseReason::Auth if self.settings.renews => Some(self.now + schedule::RENEWAL),
            _ => None,
        };
        self.rest(Phase::Paused { reason }, probe);
        if self.state.told.replace(reason) != Some(reason) {
            self.effects.push(Effect::Notify(Notice::Paused { reason }));
        }
    }

    /// Waits for a user's decision.
    fn ask(&mut self, reason: DecisionReason, tip: Revision) {
        self.release();
        self.up();
        self.state.decision = None;
        self.rest(Phase::NeedsDecision { reason, tip }, None);
        self.state.told = None;
        self.effects.push(Effect::Notify(Notice::DecisionNeeded { reason, tip }));
    }
}
