//! Power cuts of a disk that keeps nothing but what was synced, whatever the file system.
//!
//! A server runs under strace, which records each change of its data directory. From the record a
//! [`model`] is built that knows what is durable at any moment, and from the model the states that a
//! power cut may leave at that moment: contents that weren't synced are old, empty or torn, and names in
//! directories that weren't synced are there or not, in any combination. A new server is started on
//! such a state.
//!
//! The record doesn't have what is written through a memory map. That is only SQLite's shared memory
//! (`-shm`), which means nothing after a crash; the test that the model agrees with the real directory
//! would notice another. Neither does the model keep an order that only a file system's journal
//! guarantees: what passes here holds on every POSIX file system on which `fsync`, `fdatasync` and `syncfs`
//! do what they say, a rename is done or not done, and a sector of 4 KiB is written or not written.

mod model;
mod record;
mod replay;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use testkit::{Program, Running};

use crate::aftermath::Aftermath;
use crate::effort;
use crate::grove;
use crate::ledger::Ledger;
use crate::load::Load;
use crate::random;
use model::{Loss, Model};
use replay::Replay;

/// How long a server is recorded, and from how many moments of that a cut is made.
const RECORDED: Duration = Duration::from_millis(2500);
const CUTS_PER_RECORD: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn cuts_of_a_disk_that_keeps_only_what_was_synced_lose_nothing_and_stop_no_wiki() {
    let mut left = effort::rounds(4, 100);
    let mut aftermath = Aftermath::default();
    let mut acknowledged = 0;
    while left > 0 {
        let Some(recorded) = Recorded::run().await else { return };
        acknowledged += recorded.ledger.acknowledged();
        let cuts = left.min(CUTS_PER_RECORD);
        recorded.cut(cuts, &mut aftermath).await;
        left -= cuts;
        aftermath.report("cuts of a volatile disk", acknowledged);
    }
}

/// A server that ran, with all that it wrote.
struct Recorded {
    scratch: tempfile::TempDir,
    /// The directory as it was before the server.
    before: Model,
    calls: Vec<record::Call>,
    ledger: Arc<Ledger>,
    quiet: Vec<String>,
}

impl Recorded {
    /// `None`, said loudly, where there is no strace.
    async fn run() -> Option<Self> {
        if !record::possible() {
            return None;
        }
        let scratch = testkit::scratch();
        let data = scratch.path().join("data");
        let program = crate::program(&data);
        let ledger = Arc::new(Ledger::default());
        let server = program.serve();
        grove::plant(&server, &ledger).await;
        let quiet = grove::look_at_quiet(&server.operator()).await;
        server.stop();
        let before = Model::of(&data);
        let trace = scratch.path().join("trace");
        let server = record::recorded(&program, &trace).serve();
        use_for_a_while(&server, &ledger, &scratch.path().join("clones")).await;
        server.stop();
        let calls = record::read(&trace);
        let recorded = Self { scratch, before, calls, ledger, quiet };
        recorded.check_the_model(&data);
        Some(recorded)
    }

    /// If nothing is lost, the model is what the real directory is.
    fn check_the_model(&self, data: &Path) {
        let mut replay = Replay::new(self.before.clone(), data, &self.calls);
        self.calls.iter().for_each(|call| replay.apply(call));
        replay.model.assert_is(data);
    }

    /// Cuts the power at random moments, in the order of time.
    async fn cut(&self, cuts: usize, aftermath: &mut Aftermath) {
        let data = self.scratch.path().join("data");
        let mut replay = Replay::new(self.before.clone(), &data, &self.calls);
        let mut moments: Vec<SystemTime> = (0..cuts).map(|_| self.a_moment()).collect();
        moments.sort();
        let mut calls = self.calls.iter().peekable();
        for (number, moment) in moments.into_iter().enumerate() {
            while let Some(call) = calls.next_if(|call| call.ended <= moment) {
                replay.apply(call);
            }
            let loss = Loss::ALL[number % Loss::ALL.len()];
            let data = self.scratch.path().join(format!("cut-{number}"));
            replay.model.cut(loss, &data);
            self.check(&crate::program(&data), moment, loss, aftermath).await;
            std::fs::remove_dir_all(&data).unwrap();
        }
    }

    /// Mostly right after an answer, when the most is promised and the least is synced.
    fn a_moment(&self) -> SystemTime {
        let answers = self.ledger.times();
        let started = self.calls[0].ended;
        let answers: Vec<_> = answers.into_iter().filter(|at| *at > started).collect();
        match random(3) {
            0 => self.calls[random(self.calls.len())].ended,
            _ => answers[random(answers.len())],
        }
    }

    async fn check(
        &self,
        program: &Program,
        moment: SystemTime,
        loss: Loss,
        aftermath: &mut Aftermath,
    ) {
        // Shown where a check fails.
        eprintln!("cut at {moment:?}, losing {loss:?}");
        let ledger = self.ledger.as_of(moment);
        let server = program.serve();
        aftermath.check(program, &server, &ledger, moment).await;
        assert_eq!(grove::look_at_quiet(&server.operator()).await, self.quiet);
        server.stop();
        program.git(grove::QUIET).fsck();
    }
}

async fn use_for_a_while(server: &Running, ledger: &Arc<Ledger>, clones: &Path) {
    let load = Load::start(&server.operator(), ledger, clones);
    tokio::time::sleep(RECORDED).await;
    load.end().await;
}
