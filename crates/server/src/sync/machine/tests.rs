//! One test for each row of the machine's transition table.

mod deciding;
mod running;
mod standing;
mod waking;

use std::time::Duration;

use wikigrove_tenant::Revision;

use crate::sync::{
    Deletions, Effect, Event, Facts, Failure, Landing, LinkState, Moment, Notice, Outcome,
    PauseReason, Phase, Relation, Settings, State, Time, step,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

const OLD: Revision = revision(1);
const HEAD: Revision = revision(2);
const TIP: Revision = revision(3);
const MERGE: Revision = revision(4);

const fn revision(number: u8) -> Revision {
    Revision::from_bytes([number; 20])
}

/// One link and its clock; tests send events to it.
#[derive(Clone)]
struct Desk {
    settings: Settings,
    state: LinkState,
    now: Time,
    random: u64,
}

impl Desk {
    /// An idle link that has seen `OLD` at its remote.
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let now = Time(1_800_000_000_000);
        let state = LinkState {
            seen: Some(OLD),
            look_at: Some(now + 5 * MINUTE),
            next_at: Some(now + 5 * MINUTE),
            ..LinkState::default()
        };
        Self { settings, state, now, random: 1 }
    }

    /// A link that has never met its remote.
    fn unmet(settings: Settings) -> Self {
        let mut desk = Self::with(settings);
        desk.state.seen = None;
        desk
    }

    fn tell(&mut self, event: &Event) -> Vec<Effect> {
        self.random += 1;
        let moment = Moment { now: self.now, random: self.random };
        let (state, mut effects) = step(&self.settings, self.state.clone(), event, moment);
        self.state = state;
        // The timer is part of the state, so tests don't compare it.
        effects.retain(|effect| !matches!(effect, Effect::SetTimer { .. }));
        effects
    }

    fn done(&mut self, outcome: Outcome) -> Vec<Effect> {
        self.tell(&Event::Done { run: self.state.run, outcome })
    }

    fn fails(&mut self, failure: Failure) -> Vec<Effect> {
        self.done(Outcome::Failed { failure, text: format!("{failure:?}") })
    }

    /// Moves the clock to the timer, and sends its event.
    fn wait(&mut self) -> Vec<Effect> {
        self.now = self.state.next_at.expect("a timer").max(self.now);
        self.tell(&Event::Due)
    }

    /// Brings the link into a run: it is fetching.
    fn fetching(&mut self) -> &mut Self {
        match self.state.phase {
            Phase::Due => {}
            Phase::Idle => drop(self.tell(&Event::Webhook { after: None })),
            _ => drop(self.wait()),
        }
        assert_eq!(self.tell(&Event::Started), [Effect::Fetch]);
        self
    }

    /// … and has fetched `TIP`.
    fn comparing(&mut self) -> &mut Self {
        self.fetching();
        let decided = self.state.decision.map(|decision| decision.tip);
        let compare = Effect::Compare { incoming: TIP, seen: self.state.seen, decided };
        assert_eq!(self.done(Outcome::Fetched { incoming: TIP }), [compare]);
        self
    }

    /// The effects of this result of the comparison.
    fn compared(&mut self, facts: Facts) -> Vec<Effect> {
        self.comparing();
        self.done(Outcome::Compared(facts))
    }

    /// … and pushes `HEAD`, since the wiki is ahead.
    fn pushing(&mut self) -> &mut Self {
        let effects = self.compared(facts(Relation::Ahead));
        assert_eq!(effects.last(), Some(&push(HEAD)));
        self
    }

    /// … and checks if the push landed.
    fn verifying(&mut self) -> &mut Self {
        self.pushing();
        assert_eq!(self.done(Outcome::Pushed), [Effect::Verify { pushed: HEAD }]);
        self
    }

    fn waits(&self) -> Duration {
        self.state.next_at.expect("a timer").since(self.now)
    }
}

fn facts(relation: Relation) -> Facts {
    Facts {
        local: Some(HEAD),
        relation,
        same_tree: relation == Relation::Same,
        rewritten: false,
        local_only: true,
        deletions: Deletions { pages: 150, deleted: 0 },
        trivial: false,
        decided: false,
    }
}

fn merged(conflicts: u32) -> Outcome {
    Outcome::Merged { conflicts, deletions: Deletions { pages: 150, deleted: 0 } }
}

fn notices(effects: &[Effect]) -> Vec<Notice> {
    let notices = effects.iter().filter_map(|effect| match effect {
        Effect::Notify(notice) => Some(*notice),
        _ => None,
    });
    notices.collect()
}

fn push(commit: Revision) -> Effect {
    Effect::Push { commit, from: Some(TIP) }
}

fn transient() -> Failure {
    Failure::Transient { retry_after: None, answered: false }
}

fn landed(tip: Revision) -> Outcome {
    Outcome::Seen(Landing::Landed { tip })
}

fn paused(reason: PauseReason) -> Effect {
    Effect::Notify(Notice::Paused { reason })
}

#[test]
fn what_is_stored_comes_back_but_for_what_a_run_knew() {
    let mut desk = Desk::new();
    desk.pushing();
    let stored = serde_json::to_string(&desk.state).unwrap();
    let mut back: LinkState = serde_json::from_str(&stored).unwrap();
    assert_ne!(back, desk.state);
    back.running = desk.state.running;
    assert_eq!(back, desk.state);
    assert_eq!(back.state(), State::Pushing);
}

#[test]
fn the_same_step_from_the_same_state_is_the_same() {
    let desk = Desk::new();
    let moment = Moment { now: desk.now, random: 5 };
    let once = step(&desk.settings, desk.state.clone(), &Event::Restarted, moment);
    assert_eq!(once, step(&desk.settings, desk.state.clone(), &Event::Restarted, moment));
}
