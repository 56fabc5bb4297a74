//! Push: git receives into a separate repository that borrows the wiki's objects; then the wiki examines
//! what arrived and takes it over or refuses it.
//!
//! git's own report is held back until the wiki has decided, so that a push is reported as successful
//! only once it is durable. git's progress messages pass through at once. git only sees the command that
//! moves the wiki's branch; the results of all other commands are known beforehand.

mod commands;
mod exchange;
mod record;
mod report;
mod verdict;

use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::BytesMut;
use http::StatusCode;
use tokio::sync::oneshot;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Incoming, Repository, Revision, Wiki, spawn};

use super::fetch::body_of_pieces;
use super::limits::GitLimits;
use super::places::Place;
use super::service::Service;
use super::{Git, answer, request};
use crate::auth::ClientAddress;
use crate::limits::Principal;
use commands::{Asked, Command};
use exchange::{Ended, Head, Upload};
use record::Record;
use report::{Out, Refused};
use verdict::{Branch, Verdicts, judge};

/// Interval of keep-alive packets while the wiki takes over a push.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Receives a push.
pub(super) async fn receive_pack(
    State(git): State<Git>,
    wiki: Wiki,
    request: Request,
) -> Result<Response, Problem> {
    let service = Service::ReceivePack;
    git.admit(&wiki, service).await?;
    let record = Record::of(&request);
    let who = Principal::of(Some(wiki.caller()), ClientAddress::of(request.extensions()));
    let mut body = request::body(request, service, git.0.limits.pack_bytes)?;
    let mut read = BytesMut::new();
    let Some(asked) = commands::read(&mut body, &mut read).await? else {
        return Ok(answer::good(service, "result", Body::empty()));
    };
    let place = git.0.places.take(wiki.id(), who, service).await?;
    // Opened first, so that the objects that the push borrows stay in place.
    let repository = wiki.open_repository().await.map_err(|error| error.problem())?;
    let incoming = wiki.begin_push().await.map_err(|error| error.problem())?;
    let branch = branch(incoming.dir())?;
    let (pieces, answer) = body_of_pieces();
    let out = Out { pieces, wishes: asked.wishes };
    let (head, begun) = oneshot::channel();
    let limits = git.0.limits;
    let most = incoming.largest_pack(limits.pack_bytes);
    let upload = Upload { body, read, most, idle: limits.idle };
    let push = Push { wiki, asked, branch, incoming, repository, limits, most, record, place };
    spawn(push.run(upload, Head::new(head), out));
    match begun.await {
        Ok(Ok(())) => Ok(answer::good(service, "result", answer)),
        Ok(Err(problem)) => Err(problem),
        Err(_) => Err(unable()),
    }
}

/// The wiki's branch, as in the repository of the push.
fn branch(dir: &Path) -> Result<Branch, Problem> {
    let read = |name: &str| std::fs::read_to_string(dir.join(name));
    let head = read("HEAD").map_err(|error| Problem::internal(&error))?;
    let name = head.trim_end().strip_prefix("ref: ").unwrap_or_default().to_owned();
    let head = match read(&name) {
        Ok(id) => Some(id.trim_end().parse().map_err(|error| Problem::internal(&error))?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(Problem::internal(&error)),
    };
    Ok(Branch { name, head })
}

fn unable() -> Problem {
    let detail = "the push was ended before it was done; nothing of it was taken over";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).retry_after(1)
}

/// A push in progress, with the resources it needs.
struct Push {
    wiki: Wiki,
    asked: Asked,
    branch: Branch,
    incoming: Incoming,
    repository: Repository,
    limits: GitLimits,
    /// Maximum size of the pack, in bytes.
    most: u64,
    record: Record,
    place: Place,
}

impl Push {
    /// Runs until the client has been told the outcome, or leaves before there is one.
    async fn run(mut self, upload: Upload, head: Head, out: Out) {
        let Verdicts { mut results, open } = judge(&self.asked, &self.branch);
        let open = open.map(|index| (index, self.asked.commands[index].clone()));
        let unpacked =
            match self.unpack(open.as_ref().map(|(_, open)| open), upload, &head, &out).await {
                Ok(unpacked) => unpacked,
                Err(why) => {
                    tracing::info!(wiki.slug = %self.wiki.slug(), %why, "a push was ended");
                    if !head.begin(Err(self.problem(&why))) {
                        // Fail the body, so that the client doesn't take it for complete.
                        let _ = out.pieces.try_send(Err(std::io::Error::other(why)));
                    }
                    return;
                }
            };
        // Release disk space and permit before writing the result, which the client may read slowly.
        let Self { wiki, asked, branch, incoming, repository, record, place, .. } = self;
        if let Some((index, command)) = open {
            results[index] = match (unpacked, command.new) {
                (Ok(()), Some(new)) => {
                    let taking_over = take_over(&wiki, incoming, &branch, new, &record, &out);
                    keeping_alive(taking_over, &out).await
                }
                (refused, _) => refused,
            };
        }
        drop((repository, place));
        out.finish(&asked, &results).await;
    }

    /// The response to a push that was ended.
    fn problem(&self, why: &Ended) -> Problem {
        match why {
            Ended::TooLarge if self.most < self.limits.pack_bytes => {
                let most = self.most;
                let detail =
                    format!("the disk space of the wiki leaves room for a push of {most} bytes");
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "quota_exceeded", detail)
                    .field("what", "disk_bytes")
                    .field("limit", most)
            }
            why => why.problem(self.most),
        }
    }

    /// Receives the pack into the repository of the push, and moves the branch there.
    async fn unpack(
        &mut self,
        open: Option<&Command>,
        upload: Upload,
        head: &Head,
        out: &Out,
    ) -> Result<Result<(), Refused>, Ended> {
        let may_rewrite = self.wiki.may_rewrite().await;
        let rewrite = may_rewrite.map_err(|error| Ended::Wiki(error.problem()))?;
        let mut git = match open {
            Some(command) => {
                let (dir, branch) = (self.incoming.dir(), &self.branch.name);
                Some((command, exchange::start(dir, branch, self.most, rewrite)?))
            }
            None => None,
        };
        let pipes = git.as_mut().and_then(|(command, git)| Some((*command, git.pipes.take()?)));
        let unpacked = tokio::select! {
            unpacked = exchange::run(&self.asked, pipes, upload, head, out, &self.place) => unpacked,
            () = out.pieces.closed() => Err(Ended::Left),
            () = self.repository.closing() => Err(Ended::Closed),
            () = tokio::time::sleep(self.limits.total) => Err(Ended::TooLong),
        };
        let Some((_, git)) = git else { return unpacked.map(|_| Ok(())) };
        match unpacked {
            Ok(Some(told)) => {
                let status = git.process.finish().await.map_err(Ended::Git)?;
                Ok(told.result(self.wiki.slug(), status.success()))
            }
            // Wait for git to end before its directory is removed.
            ended => {
                git.process.end().await;
                ended.map(|_| Ok(()))
            }
        }
    }
}

/// Has the wiki take over the push or refuse it. If the client leaves while the push is checked, the check ends
/// and nothing is taken over.
async fn take_over(
    wiki: &Wiki,
    incoming: Incoming,
    branch: &Branch,
    new: Revision,
    record: &Record,
    out: &Out,
) -> Result<(), Refused> {
    let entry = record.begin(wiki, branch, new).await.map_err(|error| refused(&error))?;
    let received = wiki.receive(&incoming, new, out.pieces.closed()).await;
    record.end(wiki, entry, received.as_ref().err()).await;
    received.map(drop).map_err(|error| refused(&error))
}

/// Sends keep-alive packets until the work is done.
async fn keeping_alive<T>(work: impl Future<Output = T>, out: &Out) -> T {
    let mut work = pin!(work);
    loop {
        match tokio::time::timeout(KEEP_ALIVE, work.as_mut()).await {
            Ok(done) => return done,
            Err(_) => out.keep_alive(),
        }
    }
}

/// Maps an error of the wiki to a refusal with an explanation for the user.
fn refused(error: &wikigrove_tenant::Error) -> Refused {
    match error.push_refused() {
        Some(lines) => Refused::explained(lines.to_vec()),
        None => Refused::explained(vec![error.problem().detail().to_owned()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_keeps_nothing_from_being_done() {
        let (pieces, _unread) = body_of_pieces();
        let out = Out { pieces, wishes: commands::Wishes { words: true, ..Default::default() } };
        let work = tokio::time::sleep(KEEP_ALIVE * 100);
        let done = tokio::time::timeout(KEEP_ALIVE * 200, keeping_alive(work, &out));
        done.await.expect("nobody waits for the client");
    }
}
