//! Runs a program until it ends or its deadline passes, including all its child processes.

use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The longest output kept per stream, in bytes.
const MAX_OUTPUT: usize = 1024 * 1024;

/// Limits for a program and its child processes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The largest file that it may write.
    pub(super) file_bytes: u64,
    /// Memory that each process may allocate, without mapped files.
    pub(super) memory_bytes: u64,
    /// Limit on the elapsed time and on the CPU time.
    pub(super) time: Duration,
}

/// The result of a program.
#[derive(Debug)]
pub(super) struct Ran {
    /// The exit code; `None` if a signal ended it.
    pub(super) code: Option<i32>,
    pub(super) signal: Option<i32>,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    /// True if its standard output was longer than the kept part.
    pub(super) cut: bool,
}

/// The reason for which a program has no result.
#[derive(Debug)]
pub(super) enum NotRun {
    /// It took too long and was killed, including its child processes.
    Timeout,
    /// It can't be started, or its output can't be read.
    Io(io::Error),
}

/// The same command with limits on file size, memory and CPU time, at a low priority, and as the first candidate for
/// the OOM killer.
///
/// A shell sets the limits before it executes the program: set from outside, they could come after the program had
/// started child processes. No part of the command becomes part of the script.
pub(super) fn limited(command: &Command, limits: Limits) -> Command {
    const SCRIPT: &str = r#"{ echo 1000 >/proc/self/oom_score_adj; } 2>/dev/null; ulimit -c 0 && ulimit -f "$1" && ulimit -d "$2" && ulimit -t "$3" &&
        shift 3 && exec nice -n 10 "$@""#;
    let mut limited = Command::new("/bin/sh");
    limited.env_clear();
    let blocks = (limits.file_bytes / 512).max(1).to_string();
    let seconds = limits.time.as_secs().max(1).to_string();
    let kibibytes = (limits.memory_bytes / 1024).max(1).to_string();
    limited.args(["-c", SCRIPT, "sh", &blocks, &kibibytes, &seconds]);
    limited.arg(command.get_program()).args(command.get_args());
    limited.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    if let Some(dir) = command.get_current_dir() {
        limited.current_dir(dir);
    }
    limited
}

/// Runs a command in a process group of its own, without input. The whole group is killed at the deadline, and if the
/// future is dropped.
pub(super) async fn run(command: &Command, limits: Limits) -> Result<Ran, NotRun> {
    let mut command = limited(command, limits);
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        tokio::process::Command::from(command).kill_on_drop(true).spawn().map_err(NotRun::Io)?;
    let group = Group(child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)));
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(NotRun::Io(io::ErrorKind::BrokenPipe.into()));
    };
    let finished = async {
        let (stdout, stderr, status) =
            tokio::try_join!(beginning(stdout), end(stderr), child.wait())?;
        Ok::<_, io::Error>((stdout, stderr, status))
    };
    match tokio::time::timeout(limits.time, finished).await {
        Ok(Ok(((stdout, cut), stderr, status))) => {
            // All processes with these outputs have ended, so the group's number may be reused by now.
            group.leave();
            Ok(Ran { code: status.code(), signal: status.signal(), stdout, stderr, cut })
        }
        Ok(Err(error)) => Err(NotRun::Io(error)),
        Err(_) => Err(NotRun::Timeout),
    }
}

/// Kills a process group when dropped.
struct Group(Option<Pid>);

impl Group {
    fn leave(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Fails if all processes have ended, which is fine.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Reads everything, and keeps the beginning. Also returns if there was more.
async fn beginning(mut from: impl AsyncRead + Unpin) -> io::Result<(Vec<u8>, bool)> {
    let mut kept = Vec::new();
    (&mut from).take(MAX_OUTPUT as u64).read_to_end(&mut kept).await?;
    let more = tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok((kept, more > 0))
}

/// Reads everything, and keeps the end, where errors are.
async fn end(mut from: impl AsyncRead + Unpin) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(kept);
        }
        if kept.len() + read > MAX_OUTPUT {
            kept.drain(..kept.len() / 2);
        }
        kept.extend_from_slice(&buffer[..read]);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const LIMITS: Limits = Limits {
        file_bytes: 1024 * 1024,
        memory_bytes: 1024 * 1024 * 1024,
        time: Duration::from_secs(20),
    };

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.env_clear().env("PATH", "/usr/bin:/bin").args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn a_program_gets_its_environment_and_no_other() {
        let mut command = shell("env | sort");
        command.env("SECRET", "a b");
        let ran = run(&command, LIMITS).await.unwrap();
        let said = String::from_utf8(ran.stdout).unwrap();
        assert!(said.contains("SECRET=a b\n"), "{said}");
        assert!(!said.contains("CARGO"), "{said}");
    }

    #[tokio::test]
    async fn at_the_deadline_all_that_was_started_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let mut command = shell("sleep 60 & echo $! > child; sleep 60");
        command.current_dir(dir.path());
        let began = Instant::now();
        let limits = Limits { time: Duration::from_secs(1), ..LIMITS };
        let error = run(&command, limits).await.unwrap_err();
        assert!(matches!(error, NotRun::Timeout), "{error:?}");
        assert!(began.elapsed() < Duration::from_secs(20));
        let child = std::fs::read_to_string(dir.path().join("child")).unwrap();
        assert_gone(child.trim()).await;
    }

    #[tokio::test]
    async fn nobody_waiting_any_more_is_like_the_deadline() {
        let dir = tempfile::tempdir().unwrap();
        let mut command = shell("sleep 60 & echo $! > child.new; mv child.new child; sleep 60");
        command.current_dir(dir.path());
        let file = dir.path().join("child");
        let there = async {
            while !file.exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            _ = run(&command, LIMITS) => panic!("it ended by itself"),
            () = there => {}
        }
        assert_gone(std::fs::read_to_string(file).unwrap().trim()).await;
    }

    /// Waits until a process has ended, even if it remains as a zombie.
    async fn assert_gone(pid: &str) {
        for _ in 0..500 {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            if stat.is_empty() || stat.contains(") Z ") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{pid} is still there");
    }

    #[tokio::test]
    async fn what_is_printed_without_an_end_is_cut() {
        let ran = run(&shell("head -c 3000000 /dev/zero; echo the end >&2"), LIMITS).await.unwrap();
        assert!(ran.cut && ran.stdout.len() == MAX_OUTPUT);
        let ran =
            run(&shell("head -c 3000000 /dev/zero >&2; echo the end >&2"), LIMITS).await.unwrap();
        assert!(ran.stderr.ends_with(b"the end\n") && ran.stderr.len() <= MAX_OUTPUT);
    }

    #[tokio::test]
    async fn limits_hold_before_the_program_begins() {
        let script = "ulimit -f; ulimit -c; ulimit -d; ulimit -t; nice; head -c 2000000 /dev/zero > big; wc -c < big";
        let dir = tempfile::tempdir().unwrap();
        let mut command = shell(script);
        command.current_dir(dir.path());
        let ran = run(&command, LIMITS).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&ran.stdout), "2048\n0\n1048576\n20\n10\n1048576\n");
    }
}
