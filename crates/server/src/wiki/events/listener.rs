//! One client that listens to a wiki's events.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout};
use wikigrove_tenant::{Action, Error, Reference, Revision, Wiki};

use super::hub::{Follower, Next, PAGE, Place, Taken, next};
use super::message::{GREETING, KEEP_ALIVE, Message, joined};
use crate::auth::{Authenticator, Credentials};
use crate::limits::{Held, Principal, held_by};

/// Pieces of up to this size, in bytes, aren't counted in the budget.
const SMALL: usize = 16 << 10;
/// Interval of the checks for room in the budget.
const AGAIN: Duration = Duration::from_secs(1);

/// The position at which a stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Now,
    After(Revision),
    /// After an id that can't be a commit.
    Unknown,
}

impl Start {
    /// Parses the client's last event id; an empty id means none.
    pub(super) fn after(id: &str) -> Self {
        match id.trim() {
            "" => Self::Now,
            id => id.parse().map_or(Self::Unknown, Self::After),
        }
    }
}

/// The basis of a listener's rights, which are checked again while it listens.
pub(super) struct Access {
    pub(super) wiki: Reference,
    /// The credentials of the request and their authenticator; `None` if an embedding application authenticates.
    pub(super) auth: Option<(Authenticator, Credentials)>,
    /// The principal whose budget unread events are counted in.
    pub(super) principal: Principal,
}

impl Access {
    async fn holds(&self) -> bool {
        if let Some((auth, credentials)) = &self.auth
            && auth.holder(credentials).await.is_err()
        {
            return false;
        }
        self.wiki.allow(Action::Read).await.is_ok()
    }
}

/// A client and its position in the log. It doesn't keep the wiki open.
pub(super) struct Listener {
    access: Access,
    place: Place,
    at: Option<Revision>,
    stage: Stage,
    heard: Instant,
    /// Pieces to send next, with their reserved bytes.
    ready: VecDeque<Bytes>,
}

enum Stage {
    /// Nothing has been sent yet.
    New { is_known: bool },
    /// Reads the log itself until it has caught up with the hub.
    Behind,
    /// Gets its messages from the hub.
    Following(Follower),
}

impl Listener {
    /// Creates a listener of an open wiki.
    pub(super) async fn new(
        wiki: Wiki,
        access: Access,
        place: Place,
        start: Start,
    ) -> Result<Self, Error> {
        let head = wiki.head().await?;
        let (at, is_known) = match start {
            Start::Now => (head, true),
            Start::After(known) => {
                (Some(known), Some(known) == head || wiki.contains(known).await?)
            }
            Start::Unknown => (None, false),
        };
        let (stage, heard) = (Stage::New { is_known }, Instant::now());
        Ok(Self { access, place, at, stage, heard, ready: VecDeque::new() })
    }

    /// Returns the next piece to send; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        if self.ready.is_empty() {
            match self.stage {
                Stage::New { is_known } => {
                    self.stage = Stage::Behind;
                    self.ready.push_back(GREETING);
                    if !is_known {
                        self.reset()?;
                    }
                }
                _ => self.fill().await?,
            }
        }
        let piece = self.ready.pop_front()?;
        self.heard = Instant::now();
        // Checked last, so that nothing is sent to a client that has lost its access.
        self.access.holds().await.then_some(piece)
    }

    /// Waits for something to send. `None` at the end.
    async fn fill(&mut self) -> Option<()> {
        while self.ready.is_empty() {
            match &mut self.stage {
                Stage::Following(follower) => match self.place.hub().take(follower)? {
                    Taken::Messages(messages) => self.told(messages),
                    Taken::Missed => self.stage = Stage::Behind,
                    Taken::Nothing => {
                        if timeout(self.place.keep_alive(), follower.news()).await.is_err() {
                            self.ready.push_back(KEEP_ALIVE);
                        }
                    }
                },
                Stage::New { .. } | Stage::Behind => {
                    if let Err(error) = self.catch_up().await {
                        tracing::info!(wiki.id = %self.access.wiki.id(), %error, "events end");
                        return None;
                    }
                    if self.place.hub().has_ended() {
                        return None;
                    }
                    if self.ready.is_empty() && self.heard.elapsed() >= self.place.keep_alive() {
                        self.ready.push_back(KEEP_ALIVE);
                    }
                }
            }
        }
        Some(())
    }

    /// Takes messages of the hub. All listeners share the bytes of large ones, which are counted once.
    fn told(&mut self, messages: Vec<Message>) {
        let at = messages.last().and_then(|message| message.at);
        let mut ready = joined(messages.into_iter().map(|message| message.text));
        for piece in ready.iter_mut().filter(|piece| piece.len() > SMALL) {
            let principal = self.access.principal.clone();
            match self.place.budget().share(principal, piece) {
                Ok(held) => *piece = held_by(std::mem::take(piece), held),
                // The listener reads these from the log when there is room.
                Err(_) => return self.stage = Stage::Behind,
            }
        }
        (self.ready, self.at) = (ready, at);
    }

    /// Reads one part of the log.
    async fn catch_up(&mut self) -> Result<(), Error> {
        let mut looks = self.place.hub().looks();
        let Some((follower, hub)) = self.place.hub().listen() else { return Ok(()) };
        if self.at == hub {
            self.stage = Stage::Following(follower);
            return Ok(());
        }
        // Reserved before reading the log: a client that doesn't take its events causes no work.
        let principal = self.access.principal.clone();
        let Some(held) = self.place.budget().try_take(principal, PAGE.bytes as u64) else {
            sleep(AGAIN.min(self.place.keep_alive())).await;
            return Ok(());
        };
        let wiki = match self.access.wiki.open().await {
            Ok(wiki) => wiki,
            // The platform has no free place at the moment.
            Err(error) if error.is_busy() => {
                sleep(AGAIN.min(self.place.keep_alive())).await;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        match next(&wiki, self.at, hub).await? {
            Next::Commits(commits) => {
                let messages: Vec<Message> = commits.iter().map(Message::change).collect();
                self.at = commits.last().map(|commit| commit.revision);
                self.read(messages, held);
            }
            Next::Replaced => drop(self.reset()),
            Next::NotYet => {
                drop((wiki, held));
                // The hub hasn't reached this commit. It checks the log at least once per second; an error means that
                // it ended, which the caller notices.
                let _ = looks.changed().await;
            }
        }
        Ok(())
    }

    /// Takes messages that were read from the log for this listener alone.
    fn read(&mut self, messages: Vec<Message>, mut held: Held) {
        let text: Vec<Bytes> = messages.into_iter().map(|message| message.text).collect();
        let text = Bytes::from(text.concat());
        held.is_in_fact(text.len() as u64);
        self.ready.push_back(held_by(text, held));
    }

    /// Resumes at the hub's position. `None` at the end.
    fn reset(&mut self) -> Option<()> {
        let (follower, hub) = self.place.hub().listen()?;
        self.at = hub;
        self.stage = Stage::Following(follower);
        self.ready.push_back(Message::reset(hub).text);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_revision_or_nothing_that_is_known() {
        let revision = Revision::from_bytes([7; 20]);
        assert_eq!(Start::after(&format!(" {revision} ")), Start::After(revision));
        assert_eq!(Start::after(""), Start::Now);
        for other in ["HEAD", "7", "?", &revision.to_string()[1..]] {
            assert_eq!(Start::after(other), Start::Unknown, "{other}");
        }
    }
}
