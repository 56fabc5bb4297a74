//! Streams the client's pack to git, and git's messages back to the client.

use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::oneshot;
use wikigrove_tenant::Slug;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::storage::fsck::Finding;

use super::commands::{Asked, Command};
use super::report::{Out, Refused, said_of};
use super::unable;
use crate::git::pace::{Pace, TooSlow};
use crate::git::packet::{Malformed, Packet};
use crate::git::places::Place;
use crate::git::process::{Pipes, Process, command, heard};
use crate::git::request::{self, Body};
use crate::git::service::Service;

/// Maximum size of one read, in bytes.
const PIECE: usize = 128 * 1024;
/// Maximum size of git's report, in bytes: it covers a single branch.
const LONGEST_REPORT: usize = 64 * 1024;
/// Maximum size of other files that git writes, in bytes: the index of the pack.
const BESIDE: u64 = 256 << 20;

/// The reason why a push was ended before git finished.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("the client went away")]
    Left,
    #[error("nothing moved for too long")]
    Stalled,
    #[error("it took too long")]
    TooLong,
    #[error("it was too large")]
    TooLarge,
    #[error("it was packed too well")]
    Bomb,
    #[error("the wiki was closed")]
    Closed,
    #[error("it can't be read: {0}")]
    Unreadable(io::Error),
    #[error("git can't be used: {0}")]
    Git(io::Error),
    #[error("the wiki can't be used: {}", .0.detail())]
    Wiki(Problem),
}

impl Ended {
    pub(super) fn problem(&self, pack_bytes: u64) -> Problem {
        match self {
            Self::TooLarge => request::too_large(pack_bytes),
            Self::Unreadable(_) => {
                request::unreadable("it ended early, or isn't what it says it is")
            }
            Self::Bomb => {
                request::unreadable("gzip makes it more than 200 times smaller, as no pack is")
            }
            Self::Stalled => {
                let detail = "the push did not arrive in time";
                Problem::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", detail)
            }
            Self::Git(error) => Problem::internal(error),
            Self::Wiki(problem) => problem.clone(),
            Self::Left | Self::TooLong | Self::Closed => unable(),
        }
    }
}

/// The pack that the client sends.
pub(super) struct Upload {
    pub(super) body: Body,
    /// Bytes of the pack that were already read.
    pub(super) read: BytesMut,
    /// Maximum size of the pack, in bytes.
    pub(super) most: u64,
    /// Maximum time for each 64 KiB of the pack.
    pub(super) idle: Duration,
}

/// Starts the response exactly once: with a success status, or with an error.
pub(super) struct Head(Mutex<Option<oneshot::Sender<Result<(), Problem>>>>);

impl Head {
    pub(super) fn new(head: oneshot::Sender<Result<(), Problem>>) -> Self {
        Self(Mutex::new(Some(head)))
    }

    /// Starts the response. Returns `false` if it was started before.
    pub(super) fn begin(&self, answer: Result<(), Problem>) -> bool {
        let head = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        head.is_some_and(|head| head.send(answer).is_ok())
    }
}

/// A running `git receive-pack`.
pub(super) struct Receiving {
    pub(super) process: Process,
    pub(super) pipes: Option<Pipes>,
}

/// Starts git in the repository of a push, whose pack may have `most` bytes.
pub(super) fn start(
    dir: &Path,
    branch: &str,
    most: u64,
    rewrite: bool,
) -> Result<Receiving, Ended> {
    let file_bytes = most.saturating_add(BESIDE);
    let mut command = command(dir, branch, Service::ReceivePack, None, Some(file_bytes));
    command
        .args(["-c", &format!("receive.denyNonFastForwards={}", !rewrite)])
        .args(["-c", &format!("receive.maxInputSize={most}")])
        .args([Service::ReceivePack.command(), "--stateless-rpc", "."]);
    let (process, pipes) = Process::start(command).map_err(Ended::Git)?;
    Ok(Receiving { process, pipes: Some(pipes) })
}

/// git's output: its report and its error messages.
pub(super) struct Told {
    name: String,
    report: Vec<u8>,
    /// The beginning of its messages for users, for finding the reason of a refusal.
    words: Vec<u8>,
    errors: String,
}

impl Told {
    /// git's result for the branch.
    pub(super) fn result(self, slug: &Slug, is_success: bool) -> Result<(), Refused> {
        let said = said_of(&self.report, &self.name);
        if !is_success || said.is_none() {
            tracing::warn!(wiki.slug = %slug, errors = self.errors, "git failed to receive a push");
        }
        match said {
            Some(Ok(())) if !is_success => Err(Refused::because("the server failed to receive it")),
            Some(Err(refused)) => match Finding::of(&String::from_utf8_lossy(&self.words)) {
                Some(finding) => Err(Refused::explained(vec![finding.to_string()])),
                None => Err(refused),
            },
            Some(said) => said,
            None => Err(Refused::because("the server failed to receive it")),
        }
    }
}

/// Streams the pack to git and git's messages to the client. Without git, reads the pack to its end, so
/// that the client reads the response.
pub(super) async fn run(
    asked: &Asked,
    git: Option<(&Command, Pipes)>,
    upload: Upload,
    head: &Head,
    out: &Out,
    place: &Place,
) -> Result<Option<Told>, Ended> {
    let Some((command, Pipes { stdin, stdout, stderr })) = git else {
        if asked.has_pack() {
            pass_on(upload, None, place).await?;
        }
        head.begin(Ok(()));
        return Ok(None);
    };
    let give = async {
        let mut stdin = stdin;
        // If git stops reading, its report says why.
        let is_listening = stdin.write_all(&asked.only(command)).await.is_ok();
        pass_on(upload, is_listening.then_some(stdin), place).await?;
        head.begin(Ok(()));
        Ok(())
    };
    let listen = async { Ok(heard(stderr).await) };
    let ((), (report, words), errors) = tokio::try_join!(give, hear(stdout, head, out), listen)?;
    Ok(Some(Told { name: command.name.clone(), report, words, errors }))
}

/// Reads the pack to its end, and writes it to git until git stops reading.
async fn pass_on(upload: Upload, mut to: Option<ChildStdin>, place: &Place) -> Result<(), Ended> {
    let Upload { mut body, read: mut piece, most, idle } = upload;
    let (mut passed, mut pace) = (0, Pace::new(idle));
    loop {
        passed += piece.len() as u64;
        if passed > most {
            return Err(Ended::TooLarge);
        }
        if body.is_bomb(passed) {
            return Err(Ended::Bomb);
        }
        if let Some(git) = &mut to
            && git.write_all(&piece).await.is_err()
        {
            // git has ended. The client reads the reason after it has sent everything.
            to = None;
        }
        piece.clear();
        piece.reserve(PIECE);
        let received = body.received();
        let got = pace.keep(|| place.is_contended(), body.read_buf(&mut piece)).await;
        match got.map_err(|TooSlow| Ended::Stalled)?.map_err(Ended::Unreadable)? {
            0 => return Ok(()),
            // The pace is that of the bytes sent, not of the unpacked ones.
            _ => pace.moved(usize::try_from(body.received() - received).unwrap_or(usize::MAX)),
        }
    }
}

/// Reads git's output: collects its report, and sends its messages for users to the client. Returns the report and the
/// beginning of the messages.
async fn hear(
    mut stdout: ChildStdout,
    head: &Head,
    out: &Out,
) -> Result<(Vec<u8>, Vec<u8>), Ended> {
    let (mut report, mut said) = (Vec::new(), Vec::new());
    let mut buffer = BytesMut::new();
    loop {
        let malformed = |_| Ended::Git(io::ErrorKind::InvalidData.into());
        while let Some(packet) = Packet::take(&mut buffer).map_err(malformed)? {
            let Packet::Data(data) = packet else { continue };
            match data.split_first() {
                Some((1, [])) => out.keep_alive(),
                Some((1, part)) if report.len() + part.len() <= LONGEST_REPORT => {
                    report.extend_from_slice(part);
                }
                Some((2 | 3, words)) => {
                    // The client must read the messages before git can continue.
                    head.begin(Ok(()));
                    out.say(words).await;
                    let room = LONGEST_REPORT.saturating_sub(said.len());
                    said.extend_from_slice(&words[..words.len().min(room)]);
                }
                _ => return Err(malformed(Malformed)),
            }
        }
        buffer.reserve(PIECE);
        if stdout.read_buf(&mut buffer).await.map_err(Ended::Git)? == 0 {
            return Ok((report, said));
        }
    }
}
