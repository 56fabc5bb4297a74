//! One client that listens.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout};
use wikigrove_tenant::{Action, Error, Reference, Revision, Wiki};

use super::hub::{Follower, Next, PAGE, Place, Taken, next};
use super::message::{GREETING, KEEP_ALIVE, Message, joined};
use crate::auth::{Authenticator, Credentials};
use crate::limits::{Held, Principal, held_by};

/// Pieces of up to so many bytes aren't counted in the budget.
const SMALL: usize = 16 << 10;
/// How long to wait for room in the budget before looking again.
const AGAIN: Duration = Duration::from_secs(1);

/// Where a stream is to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Now,
    After(Revision),
    /// After something that can't be a commit.
    Unknown,
}

impl Start {
    /// Reads the id of the last event that a client has; it has none if that is empty.
    pub(super) fn after(id: &str) -> Self {
        match id.trim() {
            "" => Self::Now,
            id => id.parse().map_or(Self::Unknown, Self::After),
        }
    }
}

/// What a listener's rights rest on. They are looked at again for as long as it listens.
pub(super) struct Access {
    pub(super) wiki: Reference,
    /// The credentials of the request and who checks them, unless an app around us does.
    pub(super) auth: Option<(Authenticator, Credentials)>,
    /// For whom what it hasn't read yet is counted.
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

/// A client, and how far in the log it is. It keeps no wiki open.
pub(super) struct Listener {
    access: Access,
    place: Place,
    at: Option<Revision>,
    stage: Stage,
    heard: Instant,
    /// What is to be sent next, and what was reserved for it.
    ready: VecDeque<Bytes>,
}

enum Stage {
    /// Nothing was sent yet.
    New { is_known: bool },
    /// It has to read the log itself until it is where the hub is.
    Behind,
    /// What the hub hands out comes next.
    Following(Follower),
}

impl Listener {
    /// A listener to a wiki that is open.
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

    /// What to send next; `None` at the end.
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
        // At last, so that nothing is sent that the client may not have any more.
        self.access.holds().await.then_some(piece)
    }

    /// Waits until there is something to send. `None` at the end.
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

    /// Takes what the hub handed out. What is large is the same bytes for all who listen, and counted once.
    fn told(&mut self, messages: Vec<Message>) {
        let at = messages.last().and_then(|message| message.at);
        let mut ready = joined(messages.into_iter().map(|message| message.text));
        for piece in ready.iter_mut().filter(|piece| piece.len() > SMALL) {
            let principal = self.access.principal.clone();
            match self.place.budget().share(principal, piece) {
                Ok(held) => *piece = held_by(std::mem::take(piece), held),
                // It reads these from the log, once there is room.
                Err(_) => return self.stage = Stage::Behind,
            }
        }
        (self.ready, self.at) = (ready, at);
    }

    /// One step towards the hub.
    async fn catch_up(&mut self) -> Result<(), Error> {
        let mut looks = self.place.hub().looks();
        let Some((follower, hub)) = self.place.hub().listen() else { return Ok(()) };
        if self.at == hub {
            self.stage = Stage::Following(follower);
            return Ok(());
        }
        // Before it is read: a listener that reads nothing costs nothing.
        let principal = self.access.principal.clone();
        let Some(held) = self.place.budget().try_take(principal, PAGE.bytes as u64) else {
            sleep(AGAIN.min(self.place.keep_alive())).await;
            return Ok(());
        };
        let wiki = match self.access.wiki.open().await {
            Ok(wiki) => wiki,
            // No place is free for it just now.
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
                // The hub has yet to come here. It looks every second at least; an error says that
                // it ended, which is met by the caller.
                let _ = looks.changed().await;
            }
        }
        Ok(())
    }

    /// Takes what was read from the log for this listener alone.
    fn read(&mut self, messages: Vec<Message>, mut held: Held) {
        let text: Vec<Bytes> = messages.into_iter().map(|message| message.text).collect();
        let text = Bytes::from(text.concat());
        held.is_in_fact(text.len() as u64);
        self.ready.push_back(held_by(text, held));
    }

    /// Goes on from where the hub is. `None` at the end.
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
