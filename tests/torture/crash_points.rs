//! One system call of one operation fails, or is the last that the process makes.
//!
//! strace is attached to a server at rest, one operation is sent, and the N-th call of one kind of any
//! thread (children included) is made to fail with `ENOSPC` or `EIO`, or the process is killed instead of
//! it. Then the wiki has to be as before the operation or as after it; as after it, if that was what the
//! server said; and the operation can be sent again.

mod inject;
mod operations;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use testkit::{Git, Program, Running, User};

use crate::effort;
use crate::failures::Failures;
use crate::random;
use inject::{Fault, Injection, Point};
use operations::{Known, Operation, State};

/// Calls that change files or sync them. The first are made by nearly every operation.
const CALLS: [&str; 13] = [
    "write",
    "pwrite64",
    "fdatasync",
    "rename",
    "openat",
    "syncfs",
    "fsync",
    "ftruncate",
    "renameat",
    "linkat",
    "unlink",
    "mkdir",
    "pread64",
];
/// How long an operation may take with which a call fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// No operation is taken to make more calls of a kind in one thread.
const MOST_CALLS: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_fails_or_is_the_last_one_leaves_each_operation_done_or_not_done() {
    if !inject::possible() {
        return;
    }
    let template = Arc::new(Template::make().await);
    let mut tally = Tally::default();
    if effort::is_long() {
        for operation in Operation::QUICK.into_iter().chain([Operation::Maintenance]) {
            let after = Arc::new(template.after(operation).await);
            for call in CALLS {
                for fault in Fault::ALL {
                    every_point(&template, operation, &after, call, fault, &mut tally).await;
                }
            }
            eprintln!("crash points until {operation:?}: {tally:?}");
        }
    } else {
        for operation in Operation::QUICK {
            let after = Arc::new(template.after(operation).await);
            let (call, fault) = (CALLS[random(6)], Fault::ALL[random(3)]);
            let point = Point { call, fault, number: 1 + random(2) };
            tally.add(template.clone().attempt(operation, after, point)).await;
        }
        eprintln!("crash points: {tally:?}");
    }
    tally.failures.none();
}

/// All points of one kind, until the operation makes no more such calls.
async fn every_point(
    template: &Arc<Template>,
    operation: Operation,
    after: &Arc<State>,
    call: &'static str,
    fault: Fault,
    tally: &mut Tally,
) {
    let mut missed = 0;
    for number in 1..=MOST_CALLS {
        let point = Point { call, fault, number };
        let attempt = template.clone().attempt(operation, after.clone(), point);
        // Threads count their calls each for itself, so that a number may be passed over.
        missed = if tally.add(attempt).await == Some(Outcome::Missed) { missed + 1 } else { 0 };
        if missed == 2 {
            return;
        }
    }
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// No such call was made.
    Missed,
    /// What failed wasn't a file of ours.
    Void,
    /// The operation was done nevertheless, and said to be.
    Done,
    /// It was refused, and not done.
    Refused,
    /// It was done, though it was refused or the process died.
    DoneSilently,
    /// The process died before it was done.
    Undone,
}

#[derive(Debug, Default)]
struct Tally {
    points: usize,
    missed: usize,
    void: usize,
    done: usize,
    refused: usize,
    done_silently: usize,
    undone: usize,
    failures: Failures,
}

impl Tally {
    /// Waits for an attempt and counts what became of it; `None` if something was wrong.
    async fn add(
        &mut self,
        attempt: impl Future<Output = Outcome> + Send + 'static,
    ) -> Option<Outcome> {
        self.points += 1;
        let outcome = self.failures.catch(attempt).await?;
        *match outcome {
            Outcome::Missed => &mut self.missed,
            Outcome::Void => &mut self.void,
            Outcome::Done => &mut self.done,
            Outcome::Refused => &mut self.refused,
            Outcome::DoneSilently => &mut self.done_silently,
            Outcome::Undone => &mut self.undone,
        } += 1;
        Some(outcome)
    }
}

/// A data directory that each attempt has a copy of.
struct Template {
    scratch: tempfile::TempDir,
    known: Known,
    clone: Git,
    before: State,
}

impl Template {
    async fn make() -> Self {
        let scratch = testkit::scratch();
        let program = crate::program(&scratch.path().join("template"));
        let server = program.serve();
        let operator = server.operator();
        let known = operations::fill(&operator).await;
        let clone = operations::clone(&operator, &scratch.path().join("clone"));
        server.stop();
        let mut template = Self { scratch, known, clone, before: State::default() };
        let (program, server) = template.start(Operation::Save);
        operations::warm(&server.operator()).await;
        template.before = State::read(&server.operator(), &program).await;
        server.stop();
        template
    }

    /// A server on a new copy.
    fn start(&self, operation: Operation) -> (Program, Running) {
        let data = self.scratch.path().join("data");
        let _ = std::fs::remove_dir_all(&data);
        copy(&self.scratch.path().join("template"), &data);
        // One thread waits for sockets, and it is always the same.
        let program = crate::program(&data).env("TOKIO_WORKER_THREADS", "1");
        operation.prepare(&program);
        let server = program.serve_with(operation.options());
        (program, server)
    }

    /// The state after an operation with which nothing fails.
    async fn after(&self, operation: Operation) -> State {
        let (program, server) = self.start(operation);
        let operator = server.operator();
        operations::warm(&operator).await;
        let status = operation.run(&operator, &self.known, &self.clone, &program).await;
        assert!(status.is_none_or(|status| status < 300), "{operation:?}: {status:?}");
        let after = State::read(&operator, &program).await;
        server.stop();
        after
    }

    async fn attempt(
        self: Arc<Self>,
        operation: Operation,
        after: Arc<State>,
        point: Point,
    ) -> Outcome {
        let what = format!("{operation:?} with {point:?}");
        let (program, mut server) = self.start(operation);
        let operator = server.operator();
        operations::warm(&operator).await;
        let injection = Injection::attach(server.pid(), point, self.scratch.path());
        let run = operation.run(&operator, &self.known, &self.clone, &program);
        let status = tokio::time::timeout(PATIENCE, run).await;
        let status = status.unwrap_or_else(|_| panic!("{what} hangs"));
        let struck = injection.end(server.is_running(), program.data());
        let survived = server.is_running();
        if struck.elsewhere {
            return Outcome::Void;
        }
        if !struck.injected {
            return Outcome::Missed;
        }
        let logged = server.logged();
        assert!(survived || point.fault == Fault::Kill, "{what} ended the server: {logged}");
        if let (Some(status), Fault::NoSpace) = (status, point.fault) {
            assert!(status < 300 || status == 507, "{what}: {status} {logged}");
        }
        let server = if survived { server } else { program.serve_with(operation.options()) };
        let trial = Trial { what, operation, program, template: &self, after: &after };
        trial.judge(server, status).await
    }
}

/// An operation with which something failed.
struct Trial<'a> {
    what: String,
    operation: Operation,
    program: Program,
    template: &'a Template,
    after: &'a State,
}

impl Trial<'_> {
    /// Looks at a wiki now, after the operation was sent again, and after another start.
    async fn judge(&self, server: Running, status: Option<u16>) -> Outcome {
        let (what, before, after) = (&self.what, &self.template.before, self.after);
        let operator = server.operator();
        let acknowledged = status.is_some_and(|status| status < 300);
        let now = State::read(&operator, &self.program).await;
        let is_done = now == *after;
        assert!(is_done || now == *before, "{what}: {}", now.difference(before, after));
        assert!(!acknowledged || is_done, "{what}: acknowledged and lost");
        if !acknowledged {
            let Template { known, clone, .. } = self.template;
            let again = self.operation.run(&operator, known, clone, &self.program).await;
            let told = again.is_none_or(|status| status < 300);
            let told = told || is_done && self.operation.is_refused_twice();
            assert!(told, "{what}, sent again: {again:?}; it was done before: {is_done}");
        }
        write_everywhere(what, &operator, "now").await;
        server.stop();
        let server = self.program.serve();
        write_everywhere(what, &server.operator(), "later").await;
        let last = State::read(&server.operator(), &self.program).await.without("written");
        assert!(last == *after, "{what}, at last: {}", last.difference(before, after));
        server.stop();
        for slug in ["garden", "kitchen"] {
            self.program.git(slug).fsck();
        }
        match (acknowledged, is_done) {
            (true, _) => Outcome::Done,
            (false, true) => Outcome::DoneSilently,
            (false, false) if status.is_some() => Outcome::Refused,
            (false, false) => Outcome::Undone,
        }
    }
}

async fn write_everywhere(what: &str, operator: &User, when: &str) {
    for slug in ["garden", "kitchen"] {
        let answer = operator.on(slug).create(&format!("written/{when}"), "text\n").await;
        assert!(matches!(answer.status(), 200 | 201), "{what}: {slug} can't be written: {answer}");
    }
}

fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success());
}
