//! Clone and fetch: the git program reads the wiki's own repository.

mod asked;

use std::io;
use std::net::IpAddr;
use std::process::Command;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::{HeaderMap, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Repository, Wiki, spawn};

use super::limits::GitLimits;
use super::pace::{Pace, TooSlow};
use super::packet::{self, FLUSH};
use super::places::Place;
use super::process::{Pipes, Process, command, heard};
use super::service::Service;
use super::{Git, answer, request};
use crate::auth::ClientAddress;
use crate::limits::Principal;
use asked::Verdict;

/// Bytes of a request that are read before it has a permit. Most requests are shorter.
const SHORT: u64 = 64 * 1024;
/// Maximum size of a request for objects, in bytes. A request with as many `have` lines as git sends at
/// once is smaller than one megabyte.
const LONGEST: u64 = 4 << 20;
/// Maximum size of a list of refs, in bytes.
const LONGEST_LIST: u64 = 16 << 20;
/// Maximum size of one read from git, in bytes.
const PIECE: usize = 128 * 1024;
/// Number of pieces that may wait for the client.
const WAITING: usize = 2;

/// Lists the refs, which starts every exchange.
pub(super) async fn advertise(
    git: &Git,
    wiki: &Wiki,
    service: Service,
    headers: &HeaderMap,
    client: Option<IpAddr>,
) -> Result<Response, Problem> {
    let protocol = service.protocol(headers);
    let who = Principal::of(Some(wiki.caller()), client);
    let _place = git.0.places.take(wiki.id(), who, service).await?;
    let mut repository = wiki.open_repository().await.map_err(|error| error.problem())?;
    let mut command = command(repository.dir(), repository.branch(), service, protocol, None);
    command.args([service.command(), "--stateless-rpc", "--http-backend-info-refs", "."]);
    let (process, pipes) = start(command)?;
    drop(pipes.stdin);
    let mut list = BytesMut::new();
    if protocol != Some("version=2") {
        packet::put(&mut list, format!("# service=git-{}\n", service.command()).as_bytes());
        list.extend_from_slice(FLUSH);
    }
    let told = async {
        let mut said = Vec::new();
        let mut stdout = pipes.stdout.take(LONGEST_LIST);
        let (read, errors) = tokio::join!(stdout.read_to_end(&mut said), heard(pipes.stderr));
        read.map(|_| (said, errors))
    };
    let told = tokio::select! {
        told = tokio::time::timeout(git.0.limits.idle, told) => told.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
        () = repository.closing() => Err(io::ErrorKind::Interrupted.into()),
    };
    let Ok((said, errors)) = told else {
        process.end().await;
        return Err(unable());
    };
    let status = process.finish().await.map_err(|error| Problem::internal(&error))?;
    if !status.success() {
        tracing::error!(wiki.slug = %wiki.slug(), errors, "git can't list the branches of a wiki");
        return Err(unable());
    }
    list.extend_from_slice(&said);
    Ok(answer::good(service, "advertisement", list.freeze().into()))
}

/// Sends the requested objects.
pub(super) async fn upload_pack(
    State(git): State<Git>,
    wiki: Wiki,
    request: Request,
) -> Result<Response, Problem> {
    let service = Service::UploadPack;
    git.admit(&wiki, service).await?;
    let protocol = service.protocol(request.headers());
    let who = Principal::of(Some(wiki.caller()), ClientAddress::of(request.extensions()));
    let mut body = request::body(request, service, LONGEST)?;
    let mut asked = Vec::new();
    read(&mut body, SHORT, &mut asked).await?;
    // A request that waits for a permit holds little memory.
    let place = git.0.places.take(wiki.id(), who, service).await?;
    read(&mut body, LONGEST + 1 - SHORT, &mut asked).await?;
    if asked.len() as u64 > LONGEST {
        return Err(request::too_large(LONGEST));
    }
    let repository = wiki.open_repository().await.map_err(|error| error.problem())?;
    let asked = match asked::checked(&wiki, repository.branch(), protocol, &asked).await? {
        Verdict::Ask(asked) => asked,
        Verdict::Refuse(why) => {
            return Ok(answer::good(service, "result", why.freeze().into()));
        }
    };
    let mut command = command(repository.dir(), repository.branch(), service, protocol, None);
    command.args([service.command(), "--stateless-rpc", "--strict", "."]);
    let (process, pipes) = start(command)?;
    let (pieces, body) = body_of_pieces();
    let transfer = Transfer { process, repository, limits: git.0.limits, place };
    spawn(transfer.run(wiki, pipes, asked, pieces));
    Ok(answer::good(service, "result", body))
}

async fn read(body: &mut request::Body, most: u64, into: &mut Vec<u8>) -> Result<(), Problem> {
    let read = body.take(most).read_to_end(into).await;
    read.map(drop).map_err(|_| request::unreadable("it ended early, or isn't what it says it is"))
}

/// A part of a response body, or an error that ends it early.
pub(super) type Piece = io::Result<Bytes>;

/// A body that is written through a channel. The writer notices when the client is gone.
pub(super) fn body_of_pieces() -> (mpsc::Sender<Piece>, Body) {
    let (sender, receiver) = mpsc::channel::<Piece>(WAITING);
    let pieces = stream::unfold(receiver, async |mut receiver| {
        receiver.recv().await.map(|piece| (piece, receiver))
    });
    (sender, Body::from_stream(pieces))
}

fn start(command: Command) -> Result<(Process, Pipes), Problem> {
    Process::start(command).map_err(|error| Problem::internal(&error))
}

fn unable() -> Problem {
    let detail = "the wiki can't be read at the moment; try again";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).retry_after(1)
}

/// A running git process that answers a client, with the resources it needs.
struct Transfer {
    process: Process,
    repository: Repository,
    limits: GitLimits,
    place: Place,
}

/// The reason why a transfer was ended early.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the client went away")]
    Left,
    #[error("nothing moved for too long")]
    Stalled,
    #[error("the client reads too slowly")]
    TooSlow,
    #[error("it took too long")]
    TooLong,
    #[error("the wiki was closed")]
    Closed,
    #[error("its output can't be read: {0}")]
    Unreadable(io::Error),
}

impl Transfer {
    /// Serves until git finishes, the client leaves or stalls, the time is up, or the wiki is about to
    /// be closed.
    async fn run(mut self, wiki: Wiki, pipes: Pipes, asked: Vec<u8>, pieces: mpsc::Sender<Piece>) {
        let answered = tokio::select! {
            answered = answer_all(pipes, &asked, &pieces, &self.limits, &self.place) => answered,
            () = pieces.closed() => Err(Ended::Left),
            () = self.repository.closing() => Err(Ended::Closed),
            () = tokio::time::sleep(self.limits.total) => Err(Ended::TooLong),
        };
        match answered {
            Ok(errors) => match self.process.finish().await {
                Ok(status) if status.success() => {}
                // Usually caused by the client, which has already received git's message.
                Ok(status) => {
                    tracing::info!(wiki.slug = %wiki.slug(), %status, errors, "git ended")
                }
                Err(error) => tracing::error!(%error, "the end of a git process can't be seen"),
            },
            Err(why) => {
                self.process.end().await;
                tracing::info!(wiki.slug = %wiki.slug(), %why, "a transfer was ended");
                // Fail the body, so that the client doesn't take it for complete.
                let _ = pieces.try_send(Err(io::Error::other(why)));
            }
        }
    }
}

/// Passes the request to git and git's response to the client; returns git's error output.
async fn answer_all(
    pipes: Pipes,
    asked: &[u8],
    pieces: &mpsc::Sender<Piece>,
    limits: &GitLimits,
    place: &Place,
) -> Result<String, Ended> {
    let Pipes { mut stdin, mut stdout, stderr } = pipes;
    let ask = async {
        // If git stops reading, its output says why.
        let _ = stdin.write_all(asked).await;
        drop(stdin);
        Ok(())
    };
    let pass_on = async {
        let (mut buffer, mut pace) = (BytesMut::new(), Pace::new(limits.pace));
        loop {
            buffer.reserve(PIECE);
            let read = tokio::time::timeout(limits.idle, stdout.read_buf(&mut buffer)).await;
            let length = read.map_err(|_| Ended::Stalled)?.map_err(Ended::Unreadable)?;
            if length == 0 {
                return Ok(());
            }
            let sent = pieces.send(Ok(buffer.split().freeze()));
            let sent = pace.keep(|| place.is_contended(), sent).await;
            sent.map_err(|TooSlow| Ended::TooSlow)?.map_err(|_| Ended::Left)?;
            pace.moved(length);
        }
    };
    let listen = async { Ok(heard(stderr).await) };
    let ((), (), errors) = tokio::try_join!(ask, pass_on, listen)?;
    Ok(errors)
}
