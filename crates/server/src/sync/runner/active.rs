//! A link at work: its run, and the task of its current effect.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wikigrove_tenant::{Link, Revision, spawn};

use super::outcome::of_ours;
use super::run::Run;
use super::stored::Loaded;
use super::tally::Did;
use super::{Shared, conflicts};
use crate::sync::{Effect, Outcome};

/// A link that waits for a turn, runs, or has unsaved state.
pub(super) struct Active {
    pub(super) loaded: Loaded,
    pub(super) task: Option<JoinHandle<()>>,
    pub(super) run: Option<Arc<Run>>,
    pub(super) did: Did,
}

/// The end of an effect.
pub(super) struct Ended {
    pub(super) link: String,
    pub(super) run: u64,
    pub(super) outcome: Outcome,
    pub(super) begun: Option<Arc<Run>>,
}

impl Active {
    pub(super) fn new(loaded: Loaded) -> Self {
        Self { loaded, task: None, run: None, did: Did::default() }
    }

    /// Aborts the current effect, including its processes.
    pub(super) fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }

    /// Starts a long-running effect, after removing the jobs up to these tips from the queue.
    pub(super) fn start(
        &mut self,
        shared: &Arc<Shared>,
        ends: &mpsc::UnboundedSender<Ended>,
        tips: Vec<Revision>,
        effect: Effect,
    ) {
        self.stop();
        let (shared, ends) = (shared.clone(), ends.clone());
        let (link, number) = (self.loaded.link.clone(), self.loaded.state.run);
        let run = self.run.clone();
        self.task = Some(spawn(async move {
            let (outcome, begun) = match run {
                Some(run) => {
                    remove_jobs(&run, tips).await;
                    (timed(&shared, &link, &run, &effect).await, None)
                }
                None => match begin(&shared, &link).await {
                    Ok(run) => {
                        // The previous process may have ended before it stored this notice.
                        conflicts::tell(&shared, &link, &run).await;
                        (timed(&shared, &link, &run, &effect).await, Some(Arc::new(run)))
                    }
                    Err(outcome) => (outcome, None),
                },
            };
            // The supervisor may have ended meanwhile.
            let _ = ends.send(Ended { link: link.id, run: number, outcome, begun });
        }));
    }

    /// Ends the run, and removes the jobs up to these tips from the queue.
    pub(super) fn end_run(&mut self, shared: &Arc<Shared>, tips: Vec<Revision>) {
        let Some(run) = self.run.take() else { return };
        let (shared, link) = (shared.clone(), self.loaded.link.clone());
        spawn(async move {
            remove_jobs(&run, tips).await;
            shared.standing.count(run.wiki(), &link.id, link.number()).await;
        });
    }
}

async fn begin(shared: &Shared, link: &Link) -> Result<Run, Outcome> {
    match &shared.wire {
        Ok(wire) => Run::begin(shared, wire, link).await,
        Err(off) => Err(of_ours(off)),
    }
}

/// Performs an effect, records its duration, and stores a notice of its conflicts.
async fn timed(shared: &Shared, link: &Link, run: &Run, effect: &Effect) -> Outcome {
    let started = Instant::now();
    let outcome = run.perform(effect).await;
    shared.options.metrics.links().step(effect, started.elapsed());
    if matches!(outcome, Outcome::Applied { .. }) {
        conflicts::tell(shared, link, run).await;
    }
    outcome
}

async fn remove_jobs(run: &Run, tips: Vec<Revision>) {
    for tip in tips {
        run.remove_jobs(tip).await;
    }
}
