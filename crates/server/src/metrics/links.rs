//! Metrics of the links of all wikis.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::Label;
use crate::sync::Effect;
use crate::sync::runner::{PushEnd, RunEnd, Taken};

/// Histogram buckets for the steps of a run, in seconds; the last is about the longest duration of a call.
const SECONDS: [f64; 10] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0];
/// The kinds of notices.
const NOTICES: [&str; 5] = ["conflicts", "decision_needed", "paused", "peer_down", "peer_up"];
/// The measured steps of a run.
const STEPS: [&str; 6] = ["fetch", "compare", "merge", "apply", "push", "verify"];

/// The result of delivering a notice to one channel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Delivered {
    /// It was delivered.
    Yes,
    /// It was refused permanently, or too often.
    GivenUp,
    /// The channel or the wiki is gone.
    Unwanted,
}

impl Delivered {
    const ALL: [Self; 3] = [Self::Yes, Self::GivenUp, Self::Unwanted];

    fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "delivered",
            Self::GivenUp => "given_up",
            Self::Unwanted => "unwanted",
        }
    }
}

/// Counters of links. Every series exists from the start, so that the first event shows as an increase.
pub(crate) struct LinkCounts {
    runs: Family<Label, Counter>,
    pushes: Family<Label, Counter>,
    taken: Family<Label, Counter>,
    conflicts: Counter,
    notices: Family<Label, Counter>,
    deliveries: Family<Label, Counter>,
    steps: Family<Label, Histogram, fn() -> Histogram>,
}

impl LinkCounts {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let counts = Self {
            runs: zeros("outcome", RunEnd::ALL.iter().map(|end| end.as_str())),
            pushes: zeros("result", PushEnd::ALL.iter().map(|end| end.as_str())),
            taken: zeros("how", Taken::ALL.iter().map(|how| how.as_str())),
            conflicts: Counter::default(),
            notices: zeros("kind", NOTICES),
            deliveries: zeros("result", Delivered::ALL.map(Delivered::as_str)),
            steps: Family::new_with_constructor(|| Histogram::new(SECONDS)),
        };
        for step in STEPS {
            drop(counts.steps.get_or_create(&[("step", step)]));
        }
        counts.register(registry);
        counts
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("sync_runs", "Runs of links that ended, by how", self.runs.clone());
        registry.register(
            "sync_pushes",
            "Pushes to remotes, by what was heard of them; unknown: the connection ended before an \
             answer, and it was looked afterwards",
            self.pushes.clone(),
        );
        registry.register(
            "sync_merges",
            "How often a wiki took over what a remote had: by a merge, or as it was (fast_forward)",
            self.taken.clone(),
        );
        registry.register(
            "sync_conflicts",
            "Places that a merge left for somebody to look at",
            self.conflicts.clone(),
        );
        registry.register(
            "sync_notices",
            "Things that people are told of links, by their kind",
            self.notices.clone(),
        );
        registry.register(
            "sync_deliveries",
            "What became of notices, once for each webhook and address that they were for",
            self.deliveries.clone(),
        );
        registry.register_with_unit(
            "sync_step_duration",
            "How long the steps of runs took that ended by themselves",
            Unit::Seconds,
            self.steps.clone(),
        );
    }

    pub(crate) fn run(&self, end: RunEnd) {
        self.runs.get_or_create(&[("outcome", end.as_str())]).inc();
    }

    pub(crate) fn push(&self, end: PushEnd) {
        self.pushes.get_or_create(&[("result", end.as_str())]).inc();
    }

    pub(crate) fn taken(&self, how: Taken, conflicts: u32) {
        self.taken.get_or_create(&[("how", how.as_str())]).inc();
        self.conflicts.inc_by(conflicts.into());
    }

    /// Counts a new notice.
    pub(crate) fn notice(&self, kind: &str) {
        let known = NOTICES.into_iter().find(|known| *known == kind);
        debug_assert!(known.is_some(), "{kind} isn't among the kinds that are counted");
        if let Some(kind) = known {
            self.notices.get_or_create(&[("kind", kind)]).inc();
        }
    }

    pub(crate) fn delivered(&self, result: Delivered) {
        self.deliveries.get_or_create(&[("result", result.as_str())]).inc();
    }

    /// Records the duration of a step.
    pub(crate) fn step(&self, effect: &Effect, took: Duration) {
        let step = match effect {
            Effect::Fetch => "fetch",
            Effect::Compare { .. } => "compare",
            Effect::Merge { .. } => "merge",
            Effect::Apply { .. } => "apply",
            Effect::Push { .. } => "push",
            Effect::Verify { .. } => "verify",
            // These effects are immediate.
            _ => return,
        };
        self.steps.get_or_create(&[("step", step)]).observe(took.as_secs_f64());
    }
}

/// A family whose series all exist.
fn zeros(
    label: &'static str,
    words: impl IntoIterator<Item = &'static str>,
) -> Family<Label, Counter> {
    let family = Family::default();
    for word in words {
        drop(family.get_or_create(&[(label, word)]));
    }
    family
}
