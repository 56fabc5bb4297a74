//! One run of the git program.

use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use wikigrove_tenant::storage::git_program::{Limits, limited};

use super::service::Service;

/// How much is kept of what git says to the operator, in bytes.
const HEARD: usize = 4096;
/// Only what the branch has is given, and what to leave out isn't for clients to say: finding that out
/// takes time that nothing bounds.
const GIVING: &[&str] = &[
    "uploadpack.allowAnySHA1InWant=false",
    "uploadpack.allowTipSHA1InWant=false",
    "uploadpack.allowReachableSHA1InWant=false",
    "uploadpack.allowRefInWant=false",
    "uploadpack.allowFilter=false",
];
/// Each object is checked, and kept in a pack however few there are. No certificates, no options.
const TAKING: &[&str] = &[
    "receive.fsckObjects=true",
    "receive.unpackLimit=1",
    "transfer.unpackLimit=1",
    "receive.denyDeletes=true",
    "receive.shallowUpdate=false",
    "receive.autogc=false",
    "receive.advertisePushOptions=false",
    "core.logAllRefUpdates=false",
    "core.fsync=all",
];
/// How long a run may compute.
const CPU: Duration = Duration::from_secs(1800);
/// How much memory each process that gives may take for itself, in bytes. It keeps about 200 bytes of each
/// object, of which a wiki may have two million, and makes the whole of one of up to 100 MB where that is
/// stored as a difference from one that the client doesn't get.
const GIVING_BYTES: u64 = 768 << 20;

/// A running git, alone in its group: it and its helpers end when this is dropped.
pub(super) struct Process {
    child: Child,
}

/// The ends of its pipes.
pub(super) struct Pipes {
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
}

/// git on a repository, for a service. Of all refs there may be it knows the branch only: nothing else
/// can be fetched or pushed to, and a client that is shown something asks for it.
///
/// The repository may bring its own configuration from elsewhere. What is given here comes last and
/// counts. No file that it writes may become larger than `file_bytes`.
pub(super) fn command(
    repository: &Path,
    branch: &str,
    service: Service,
    protocol: Option<&str>,
    file_bytes: Option<u64>,
) -> Command {
    let memory_bytes = match service {
        Service::UploadPack => GIVING_BYTES,
        Service::ReceivePack => Limits::default().memory_bytes,
    };
    let mut command = limited(Limits { memory_bytes, file_bytes, cpu: Some(CPU) });
    command
        // From within, so that it goes on with this repository if that is moved away.
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
    command
}

impl Process {
    /// Starts it.
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

    /// Its id and its group's, until its end was noticed: after that it may be another's.
    fn pid(&self) -> Option<Pid> {
        self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
    }

    /// Waits until it has ended by itself.
    pub(super) async fn finish(mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Ends it, and waits until it has.
    pub(super) async fn end(mut self) {
        self.kill();
        if let Err(error) = self.child.wait().await {
            tracing::warn!(%error, "the end of a git process can't be seen");
        }
    }

    fn kill(&self) {
        if let Some(pid) = self.pid() {
            // Gone already is as good.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What git says to the operator, up to a bound; read to its end, so that git never waits.
pub(super) async fn heard(mut stderr: ChildStderr) -> String {
    let (mut kept, mut buffer) = (Vec::new(), [0; 1024]);
    while let Ok(length @ 1..) = stderr.read(&mut buffer).await {
        let room = HEARD.saturating_sub(kept.len());
        kept.extend_from_slice(&buffer[..length.min(room)]);
    }
    String::from_utf8_lossy(&kept).trim().to_owned()
}
