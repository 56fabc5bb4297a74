//! The client's pack on its way to git, and git's words on their way back.

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

use super::commands::{Asked, Command};
use super::report::{Out, Refused, said_of};
use super::unable;
use crate::git::limits::GitLimits;
use crate::git::pace::{Pace, TooSlow};
use crate::git::packet::{Malformed, Packet};
use crate::git::places::Place;
use crate::git::process::{Pipes, Process, command, heard};
use crate::git::request::{self, Body};
use crate::git::service::Service;

/// How much is read at once, in bytes.
const PIECE: usize = 128 * 1024;
/// The longest report of git, in bytes: it is about one branch.
const LONGEST_REPORT: usize = 64 * 1024;
/// What git may write beside the pack, in bytes: the index of it.
const BESIDE: u64 = 256 << 20;

/// Why a push was ended before git was done with it.
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

/// What the client sends.
pub(super) struct Upload {
    pub(super) body: Body,
    /// What was read of the pack already.
    pub(super) read: BytesMut,
    /// The most bytes of it.
    pub(super) most: u64,
    /// How long the client may take for 64 KiB of it.
    pub(super) idle: Duration,
}

/// The beginning of the answer: told once whether there is one, or which error it is.
pub(super) struct Head(Mutex<Option<oneshot::Sender<Result<(), Problem>>>>);

impl Head {
    pub(super) fn new(head: oneshot::Sender<Result<(), Problem>>) -> Self {
        Self(Mutex::new(Some(head)))
    }

    /// `false`: it was begun before.
    pub(super) fn begin(&self, answer: Result<(), Problem>) -> bool {
        let head = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        head.is_some_and(|head| head.send(answer).is_ok())
    }
}

/// A git that receives.
pub(super) struct Receiving {
    pub(super) process: Process,
    pub(super) pipes: Option<Pipes>,
}

/// Starts git in the repository of a push.
pub(super) fn start(
    dir: &Path,
    branch: &str,
    limits: &GitLimits,
    rewrite: bool,
) -> Result<Receiving, Ended> {
    let file_bytes = limits.pack_bytes.saturating_add(BESIDE);
    let mut command = command(dir, branch, Service::ReceivePack, None, Some(file_bytes));
    command
        .args(["-c", &format!("receive.denyNonFastForwards={}", !rewrite)])
        .args(["-c", &format!("receive.maxInputSize={}", limits.pack_bytes)])
        .args([Service::ReceivePack.command(), "--stateless-rpc", "."]);
    let (process, pipes) = Process::start(command).map_err(Ended::Git)?;
    Ok(Receiving { process, pipes: Some(pipes) })
}

/// What git told.
pub(super) struct Told {
    name: String,
    report: Vec<u8>,
    errors: String,
}

impl Told {
    /// What became of the branch, as far as git goes.
    pub(super) fn result(self, slug: &Slug, is_success: bool) -> Result<(), Refused> {
        let said = said_of(&self.report, &self.name);
        if !is_success || said.is_none() {
            tracing::warn!(wiki.slug = %slug, errors = self.errors, "git failed to receive a push");
        }
        match said {
            Some(Ok(())) if !is_success => Err(Refused::because("the server failed to receive it")),
            Some(said) => said,
            None => Err(Refused::because("the server failed to receive it")),
        }
    }
}

/// Passes the pack to git, and its words to the client. Without git all is only read to its end, so
/// that the client gets to the answer.
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
        // If git has heard enough it says why itself.
        let is_listening = stdin.write_all(&asked.only(command)).await.is_ok();
        pass_on(upload, is_listening.then_some(stdin), place).await?;
        head.begin(Ok(()));
        Ok(())
    };
    let listen = async { Ok(heard(stderr).await) };
    let ((), report, errors) = tokio::try_join!(give, hear(stdout, head, out), listen)?;
    Ok(Some(Told { name: command.name.clone(), report, errors }))
}

/// Reads the pack to its end and gives it to git, for as long as git takes it.
async fn pass_on(upload: Upload, mut to: Option<ChildStdin>, place: &Place) -> Result<(), Ended> {
    let Upload { mut body, read: mut piece, most, idle } = upload;
    let (mut passed, mut pace) = (0, Pace::new(idle));
    loop {
        passed += piece.len() as u64;
        if passed > most {
            return Err(Ended::TooLarge);
        }
        if let Some(git) = &mut to
            && git.write_all(&piece).await.is_err()
        {
            // It has ended. The client reads why when it has sent all.
            to = None;
        }
        piece.clear();
        piece.reserve(PIECE);
        let got = pace.keep(|| place.is_contended(), body.read_buf(&mut piece)).await;
        match got.map_err(|TooSlow| Ended::Stalled)?.map_err(Ended::Unreadable)? {
            0 => return Ok(()),
            length => pace.moved(length),
        }
    }
}

/// Holds git's report back, and lets through what it says to people.
async fn hear(mut stdout: ChildStdout, head: &Head, out: &Out) -> Result<Vec<u8>, Ended> {
    let mut report = Vec::new();
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
                    // The client has to read before git can go on.
                    head.begin(Ok(()));
                    out.say(words).await;
                }
                _ => return Err(malformed(Malformed)),
            }
        }
        buffer.reserve(PIECE);
        if stdout.read_buf(&mut buffer).await.map_err(Ended::Git)? == 0 {
            return Ok(report);
        }
    }
}
