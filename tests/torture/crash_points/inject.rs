//! Failures of system calls, made by strace.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// What happens instead of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Kill,
    NoSpace,
    InputOutput,
}

impl Fault {
    pub(super) const ALL: [Self; 3] = [Self::Kill, Self::NoSpace, Self::InputOutput];

    fn as_strace_has_it(self) -> &'static str {
        match self {
            Self::Kill => "signal=KILL",
            Self::NoSpace => "error=ENOSPC",
            Self::InputOutput => "error=EIO",
        }
    }
}

/// Where it happens: at the call of this number, as each thread counts them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) call: &'static str,
    pub(super) fault: Fault,
    pub(super) number: usize,
}

/// What an injection did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Struck {
    /// There was such a call.
    pub(super) injected: bool,
    /// It wasn't about a file of the data directory, but a pipe or a file of the system, say.
    pub(super) elsewhere: bool,
}

/// Whether there is strace; says so loudly if not.
pub(super) fn possible() -> bool {
    let there = Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok();
    if !there {
        testkit::skip("this test makes system calls fail with strace");
    }
    there
}

/// strace, attached to a process.
pub(super) struct Injection {
    strace: Child,
    log: PathBuf,
}

impl Injection {
    pub(super) fn attach(pid: Pid, point: Point, scratch: &Path) -> Self {
        let log = scratch.join("injected");
        let Point { call, fault, number } = point;
        let effect = fault.as_strace_has_it();
        let mut strace = Command::new("strace");
        strace.args(["-y", "-e", "signal=none", "-o"]).arg(&log);
        strace.args(["-e", &format!("trace={call}")]);
        strace.args(["-e", &format!("inject={call}:{effect}:when={number}")]);
        let mut attached = 1;
        if call == "write" && fault != Fault::Kill {
            let threads = threads_that_wait_for_no_socket(pid);
            attached = threads.len();
            strace.args(threads.iter().flat_map(|thread| ["-p", thread]));
        } else {
            // All threads, and all children.
            strace.arg("-f").arg("-p").arg(pid.as_raw_nonzero().to_string());
        }
        let mut strace = strace.stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(strace.stderr.take().unwrap());
        for _ in 0..attached {
            let mut line = String::new();
            said.read_line(&mut line).unwrap();
            assert!(line.contains("attached"), "{line}");
        }
        // Nothing stops for want of a reader.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Self { strace, log }
    }

    /// Detaches, and says what happened to calls that mean files below `data`.
    pub(super) fn end(mut self, detach: bool, data: &Path) -> Struck {
        if detach {
            // It may have ended with the process. Not `INT`, which what runs in the background ignores.
            let _ = kill_process(Pid::from_child(&self.strace), Signal::TERM);
        }
        let patience = Instant::now() + Duration::from_secs(10);
        while self.strace.try_wait().unwrap().is_none() {
            // Now and then it misses the death of a thread, waits for it for ever, and heeds no `TERM`.
            if Instant::now() > patience {
                self.strace.kill().unwrap();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let log = std::fs::read_to_string(&self.log).unwrap();
        let struck: Vec<_> = log.lines().filter(|line| line.contains("(INJECTED")).collect();
        let killed = log.contains("+++ killed by SIGKILL +++");
        let data = data.to_str().unwrap();
        let elsewhere = struck.iter().any(|line| !line.contains(data));
        Struck { injected: !struck.is_empty() || killed, elsewhere }
    }
}

/// The threads that work with files. One that waits for sockets wakes others by writing to a descriptor
/// that isn't a file; tokio ends the process if that fails.
fn threads_that_wait_for_no_socket(pid: Pid) -> Vec<String> {
    let threads = std::fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).unwrap();
    let threads = threads.map(|entry| entry.unwrap().path());
    let polls = |thread: &PathBuf| {
        let waits = std::fs::read_to_string(thread.join("wchan")).unwrap_or_default();
        waits.contains("poll")
    };
    let name = |thread: PathBuf| thread.file_name().unwrap().to_str().unwrap().to_owned();
    threads.filter(|thread| !polls(thread)).map(name).collect()
}
