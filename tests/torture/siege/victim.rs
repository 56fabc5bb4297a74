//! A wiki that has done nothing to anyone, and the time its readers and writers wait.

use std::fmt::{self, Display};
use std::time::{Duration, Instant};

use testkit::{Answer, Call};

use super::scene::Scene;

/// A page is read so often, and every fifth time one is saved.
const PACE: Duration = Duration::from_millis(100);
/// A request that isn't answered by then counts as unanswered.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long each request took; `None` for one that failed.
#[derive(Default)]
pub(super) struct Victim {
    reads: Vec<Option<Duration>>,
    saves: Vec<Option<Duration>>,
}

impl Victim {
    pub(super) async fn watch(scene: &Scene, lasting: Duration) -> Self {
        let wiki = scene.owner.on(Scene::VICTIM);
        let (mut victim, started) = (Self::default(), Instant::now());
        while started.elapsed() < lasting {
            let round = victim.reads.len();
            victim.reads.push(timed(wiki.read("home")).await.map(|(took, _)| took));
            if round % 5 == 0 {
                let page = format!("{}-{round}", scene.unique());
                let saved = timed(wiki.create(&page, "a page like any other\n")).await;
                victim.saves.push(saved.map(|(took, _)| took));
            }
            tokio::time::sleep(PACE).await;
        }
        victim
    }

    pub(super) fn was_always_served(&self) {
        let failed = self.reads.iter().chain(&self.saves).filter(|took| took.is_none()).count();
        assert_eq!(failed, 0, "of {} reads and {} saves", self.reads.len(), self.saves.len());
    }
}

/// What took how long, if it went well and came in time.
pub(super) async fn timed(call: Call) -> Option<(Duration, Answer)> {
    let started = Instant::now();
    let answer = tokio::time::timeout(PATIENCE, call.attempt()).await.ok()?.ok()?;
    (answer.status() < 300).then(|| (started.elapsed(), answer))
}

impl Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quantile = |times: &[Option<Duration>], percent: usize| {
            let mut times: Vec<_> = times.iter().map(|took| took.unwrap_or(PATIENCE)).collect();
            times.sort_unstable();
            times.get((times.len() * percent / 100).min(times.len().saturating_sub(1))).copied()
        };
        let shown = |times: &[Option<Duration>]| {
            let at = |percent| quantile(times, percent).unwrap_or_default().as_millis();
            format!("{} {} ms", at(50), at(99))
        };
        write!(f, "{} | {}", shown(&self.reads), shown(&self.saves))
    }
}
