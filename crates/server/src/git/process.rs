//! A run of the git program.

use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use wikigrove_tenant::storage::fsck::{self, Door};
use wikigrove_tenant::storage::git_program::{Limits, PUSH_CPU, limited};

use super::service::Service;

/// Maximum number of bytes kept of git's error output.
const HEARD: usize = 4096;
/// Settings of upload-pack. It sends only what the branch reaches, and clients can't filter objects,
/// since filtering takes unbounded time.
const GIVING: &[&str] = &[
    "uploadpack.allowAnySHA1InWant=false",
    "uploadpack.allowTipSHA1InWant=false",
    "uploadpack.allowReachableSHA1InWant=false",
    "uploadpack.allowRefInWant=false",
    "uploadpack.allowFilter=false",
];
/// Objects are kept in a pack however few there are. No certificates, no options.
const TAKING: &[&str] = &[
    "receive.unpackLimit=1",
    "transfer.unpackLimit=1",
    "receive.denyDeletes=true",
    "receive.shallowUpdate=false",
    "receive.autogc=false",
    "receive.advertisePushOptions=false",
    "core.logAllRefUpdates=false",
    "core.fsync=all",
];
/// Maximum CPU time of upload-pack.
const GIVING_CPU: Duration = Duration::from_secs(1800);
/// Memory limit of each upload-pack process, in bytes. The process keeps about 200 bytes per object, of
/// which a wiki may have two million, and unpacks an object of up to 100 MB that is stored as a delta
/// against an object that the client doesn't get.
const GIVING_BYTES: u64 = 768 << 20;

/// A running git process in a process group of its own. Dropping it kills the whole group.
pub(super) struct Process {
    child: Child,
}

/// The pipes to the process.
pub(super) struct Pipes {
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
}

/// A git command for a service on a repository. It knows only the wiki's branch: no other ref can be
/// fetched or pushed to, and clients ask for every ref that is advertised.
///
/// The repository's configuration may come from elsewhere; the settings here come last and take
/// precedence. No file that git writes may exceed `file_bytes`.
pub(super) fn command(
    repository: &Path,
    branch: &str,
    service: Service,
    protocol: Option<&str>,
    file_bytes: Option<u64>,
) -> Command {
    let (memory_bytes, cpu) = match service {
        Service::UploadPack => (GIVING_BYTES, GIVING_CPU),
        Service::ReceivePack => (Limits::default().memory_bytes, PUSH_CPU),
    };
    let mut command = limited(Limits { memory_bytes, file_bytes, cpu: Some(cpu) });
    command
        // Run inside the directory, so that git keeps this repository even if it is moved.
        .current_dir(repository)
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .args(["-c", "transfer.hideRefs=refs", "-c", &format!("transfer.hideRefs=!{branch}")])
        .args(["-c", "transfer.advertiseSID=false"]);
    if let Some(protocol) = protocol {
        command.env("GIT_PROTOCOL", protocol);
    }
    let settings = match service {
        Service::UploadPack => GIVING,
        Service::ReceivePack => TAKING,
    };
    for setting in settings {
        command.args(["-c", setting]);
    }
    if service == Service::ReceivePack {
        for setting in fsck::settings(Door::Receive) {
            command.args(["-c", &setting]);
        }
    }
    command
}

impl Process {
    /// Starts the process.
    pub(super) fn start(mut command: Command) -> io::Result<(Self, Pipes)> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut command = tokio::process::Command::from(command);
        let mut child = command.process_group(0).kill_on_drop(true).spawn()?;
        let pipes = match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
            (Some(stdin), Some(stdout), Some(stderr)) => Pipes { stdin, stdout, stderr },
            _ => return Err(io::ErrorKind::BrokenPipe.into()),
        };
        Ok((Self { child }, pipes))
    }

    /// The id of the process and its group. `None` once its end was noticed, as the id may be reused.
    fn pid(&self) -> Option<Pid> {
        self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
    }

    /// Waits until the process exits by itself.
    pub(super) async fn finish(mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Kills the process group, and waits until the process is gone.
    pub(super) async fn end(mut self) {
        self.kill();
        if let Err(error) = self.child.wait().await {
            tracing::warn!(%error, "the end of a git process can't be seen");
        }
    }

    fn kill(&self) {
        if let Some(pid) = self.pid() {
            // An error means that the group is already gone.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads git's error output to the end, so that git never blocks on it, and keeps a bounded part.
pub(super) async fn heard(mut stderr: ChildStderr) -> String {
    let (mut kept, mut buffer) = (Vec::new(), [0; 1024]);
    while let Ok(length @ 1..) = stderr.read(&mut buffer).await {
        let room = HEARD.saturating_sub(kept.len());
        kept.extend_from_slice(&buffer[..length.min(room)]);
    }
    String::from_utf8_lossy(&kept).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_has_two_minutes_of_processor_time_and_a_fetch_more() {
        let has = |service, seconds| {
            let command = command(Path::new("."), "refs/heads/main", service, None, None);
            command.get_args().any(|argument| argument == seconds)
        };
        assert!(has(Service::ReceivePack, "120"));
        assert!(has(Service::UploadPack, "1800"));
    }
}
