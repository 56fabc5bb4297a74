//! The `git` program, for transfers, packing and checks, which it does better than a library.

use std::io::{self, Read as _, Seek as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

/// Interval at which [`run`] checks whether git has ended or must be killed.
const LOOK: Duration = Duration::from_millis(20);

/// Starts git within its limits. A shell sets them before it starts git: limits set from outside afterwards would miss
/// programs that git has started already. No part of the command is interpolated into the script.
///
/// A process with the highest `oom_score_adj` is the first that the kernel kills when memory is short, so a clone ends
/// and not the server. The soft limits stay below an existing hard limit.
const LAUNCH: &str = r#"{ echo 1000 >/proc/self/oom_score_adj
ulimit -c 0
ulimit -S -d "$1"
ulimit -S -f "$2"
ulimit -S -t "$3"
} 2>/dev/null
shift 3
exec git "$@""#;

/// Settings for every git process. The first two disable hooks and the owner check of repositories; the others limit
/// the memory of one git, which by default grows with the machine and with the largest object. With them, packing ten
/// texts of 12 MB and four files of 60 MB takes 64 MB instead of 285 MB, most of it mapped files that the system can
/// reclaim.
const SETTINGS: [&str; 9] = [
    "core.hooksPath=/dev/null",
    "safe.directory=*",
    "pack.threads=1",
    // Memory for the objects among which delta bases are searched.
    "pack.windowMemory=32m",
    // Memory for deltas that aren't written yet.
    "pack.deltaCacheSize=8m",
    // Larger objects are streamed and not stored as deltas. A page has at most 5 MB.
    "core.bigFileThreshold=8m",
    "core.deltaBaseCacheLimit=16m",
    "core.packedGitWindowSize=8m",
    "core.packedGitLimit=64m",
];

/// Maximum processor time of each program that receives a push or packs its objects. A few megabytes of differences
/// may stand for many gigabytes, all of which git makes.
pub const PUSH_CPU: Duration = Duration::from_secs(120);

/// What git, and each program that it starts, may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Maximum private memory of a process, in bytes; mapped files don't count.
    pub memory_bytes: u64,
    /// Maximum size of a written file, in bytes.
    pub file_bytes: Option<u64>,
    /// Maximum processor time.
    pub cpu: Option<Duration>,
}

impl Default for Limits {
    /// A gibibyte of memory. A few bytes of a pack may name an object of any size, which git builds in memory; objects
    /// within the limits of a wiki need less than half of this.
    fn default() -> Self {
        Self { memory_bytes: 1 << 30, file_bytes: None, cpu: None }
    }
}

/// git with the default [`Limits`]; see [`limited`].
pub fn command() -> Command {
    limited(Limits::default())
}

/// git without user or system configuration, hooks and prompts, with limited memory, in a process group of its own, and
/// the first process to be killed when memory is short. Only local files are allowed as a protocol. Arguments are
/// appended after the settings.
///
/// Text from users must be passed only as data: after `--`, as a full ref name or as an object id.
pub fn limited(limits: Limits) -> Command {
    let or_unlimited = |limit: Option<u64>| limit.map_or("unlimited".to_owned(), |n| n.to_string());
    let mut command = Command::new("/bin/sh");
    command.env_clear();
    command
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ALLOW_PROTOCOL", "file")
        .process_group(0)
        .args(["-c", LAUNCH, "sh"])
        // The shell's units are kibibytes, blocks of 512 bytes, and seconds.
        .arg((limits.memory_bytes / 1024).max(1).to_string())
        .arg(or_unlimited(limits.file_bytes.map(|bytes| (bytes / 512).max(1))))
        .arg(or_unlimited(limits.cpu.map(|time| time.as_secs().max(1))));
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    command
}

/// Runs git to its end, without input. Returns its exit status, standard output and standard error, which are buffered
/// in `dir`. If `is_ended` returns `true`, git is killed and the result is `None`.
pub(crate) fn run(
    command: &mut Command,
    dir: &Path,
    is_ended: impl Fn() -> bool,
) -> io::Result<Option<(ExitStatus, String, String)>> {
    // Unnamed files as buffers, so that git never blocks on output.
    let (mut printed, mut said) = (tempfile::tempfile_in(dir)?, tempfile::tempfile_in(dir)?);
    command.stdin(Stdio::null()).stdout(printed.try_clone()?).stderr(said.try_clone()?);
    let mut child = Guard(command.spawn()?);
    let status = loop {
        if let Some(status) = child.0.try_wait()? {
            break status;
        }
        if is_ended() {
            return Ok(None);
        }
        std::thread::sleep(LOOK);
    };
    let text = |file: &mut std::fs::File| {
        let mut text = Vec::new();
        file.rewind()?;
        file.take(64 * 1024).read_to_end(&mut text)?;
        Ok::<_, io::Error>(String::from_utf8_lossy(&text).into_owned())
    };
    Ok(Some((status, text(&mut printed)?, text(&mut said)?)))
}

/// A child process that is killed with all its descendants on drop.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // These calls fail if the process has ended already, or leads no group.
        if let Some(group) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw)
            && let Ok(None) = self.0.try_wait()
        {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn what_it_prints_is_returned_and_a_failure_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let (status, printed, _) =
            run(command().arg("--version"), dir.path(), || false).unwrap().unwrap();
        assert!(status.success() && printed.starts_with("git version"));
        let (status, _, said) =
            run(command().arg("nonsense"), dir.path(), || false).unwrap().unwrap();
        assert!(!status.success() && said.contains("nonsense"), "{said}");
    }

    /// Runs a shell script in place of git, with the same limits, and returns its output.
    fn printed_by_git(limits: Limits, script: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("git");
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&file, executable).unwrap();
        let path = format!("{}:/usr/bin:/bin", dir.path().display());
        let mut git = limited(limits);
        let output = git.env("PATH", path).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn git_and_all_it_starts_die_before_the_server_does() {
        let script = "sh -c 'cat /proc/self/oom_score_adj'";
        assert_eq!(printed_by_git(Limits::default(), script), "1000\n");
    }

    #[test]
    fn limits_hold_before_git_begins() {
        let script = "ulimit -c; ulimit -d; ulimit -f; ulimit -t";
        assert_eq!(printed_by_git(Limits::default(), script), "0\n1048576\nunlimited\nunlimited\n");
        let limits = Limits {
            memory_bytes: 64 << 20,
            file_bytes: Some(1 << 20),
            cpu: Some(Duration::from_secs(7)),
        };
        assert_eq!(printed_by_git(limits, script), "0\n65536\n2048\n7\n");
    }

    #[test]
    fn packing_large_and_similar_objects_takes_little_memory() {
        let dir = tempfile::tempdir().unwrap();
        let git = |args: &[&str], input: &[u8]| {
            std::fs::write(dir.path().join("input"), input).unwrap();
            let mut command = limited(Limits { memory_bytes: 48 << 20, ..Limits::default() });
            command.env("GIT_DIR", dir.path().join("repo")).args(args);
            let input = std::fs::File::open(dir.path().join("input")).unwrap();
            let output = command.stdin(input).output().unwrap();
            assert!(output.status.success(), "{args:?}: {output:?}");
            output.stdout
        };
        git(&["init", "--quiet", "--bare"], b"");
        let mut names = Vec::new();
        for n in 0..3_u8 {
            // Compression alone doesn't shrink these numbers, and the three files are nearly equal.
            let mut large: Vec<u8> = (0..3_000_000_u32)
                .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
                .collect();
            large[0] = n;
            names.extend(git(&["hash-object", "-w", "--stdin"], &large));
        }
        let packed = git(&["pack-objects", "-q", "--stdout"], &names);
        assert!(packed.starts_with(b"PACK"));
    }

    #[test]
    fn it_is_killed_when_nobody_waits() {
        let (dir, start) = (tempfile::tempdir().unwrap(), Instant::now());
        let is_late = || start.elapsed() > Duration::from_millis(50);
        assert!(run(Command::new("sleep").arg("60"), dir.path(), is_late).unwrap().is_none());
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}
