//! One client that listens.

use bytes::Bytes;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::{Instant, timeout};
use wikigrove_tenant::{Action, Error, Revision, Wiki};

use super::hub::{Next, PAGE, Place, next};
use super::message::{GREETING, KEEP_ALIVE, Message};
use crate::auth::{Authenticator, Credentials};

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
    pub(super) wiki: Wiki,
    /// The credentials of the request and who checks them, unless an app around us does.
    pub(super) auth: Option<(Authenticator, Credentials)>,
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

/// A client, and how far in the log it is.
pub(super) struct Listener {
    access: Access,
    place: Place,
    at: Option<Revision>,
    stage: Stage,
    heard: Instant,
}

enum Stage {
    /// Nothing was sent yet.
    New { is_known: bool },
    /// It has to read the log itself until it is where the hub is.
    Behind,
    /// What the hub hands out comes next.
    Following(Receiver<Message>),
}

impl Listener {
    pub(super) async fn new(access: Access, place: Place, start: Start) -> Result<Self, Error> {
        let head = access.wiki.head().await?;
        let (at, is_known) = match start {
            Start::Now => (head, true),
            Start::After(known) => {
                (Some(known), Some(known) == head || access.wiki.contains(known).await?)
            }
            Start::Unknown => (None, false),
        };
        Ok(Self { access, place, at, stage: Stage::New { is_known }, heard: Instant::now() })
    }

    /// What to send next; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        let text = match self.stage {
            Stage::New { is_known } => {
                self.stage = Stage::Behind;
                if is_known { GREETING } else { self.reset(GREETING)? }
            }
            _ => self.something().await?,
        };
        self.heard = Instant::now();
        // At last, so that nothing is sent that the client may not have any more.
        self.access.holds().await.then_some(text)
    }

    async fn something(&mut self) -> Option<Bytes> {
        loop {
            match &mut self.stage {
                Stage::Following(events) => {
                    match timeout(self.place.keep_alive(), events.recv()).await {
                        Ok(Ok(event)) => {
                            let (mut texts, mut missed) = (vec![event.text], false);
                            self.at = event.at;
                            // What came at once is sent at once.
                            while texts.len() < PAGE && !missed {
                                match events.try_recv() {
                                    Ok(event) => {
                                        texts.push(event.text);
                                        self.at = event.at;
                                    }
                                    Err(TryRecvError::Lagged(_)) => missed = true,
                                    Err(_) => break,
                                }
                            }
                            if missed {
                                self.stage = Stage::Behind;
                            }
                            return Some(texts.concat().into());
                        }
                        Ok(Err(RecvError::Lagged(_))) => self.stage = Stage::Behind,
                        Ok(Err(RecvError::Closed)) => return None,
                        Err(_) => return Some(KEEP_ALIVE),
                    }
                }
                Stage::New { .. } | Stage::Behind => match self.catch_up().await {
                    Ok(Some(text)) => return Some(text),
                    Ok(None) => {
                        if self.place.hub().has_ended() {
                            return None;
                        }
                        if self.heard.elapsed() >= self.place.keep_alive() {
                            return Some(KEEP_ALIVE);
                        }
                    }
                    Err(error) => {
                        tracing::info!(wiki.id = %self.access.wiki.id(), %error, "events end");
                        return None;
                    }
                },
            }
        }
    }

    /// One step towards the hub: the text of events, if there are any.
    async fn catch_up(&mut self) -> Result<Option<Bytes>, Error> {
        let mut looks = self.place.hub().looks();
        let Some((events, hub)) = self.place.hub().listen() else { return Ok(None) };
        if self.at == hub {
            self.stage = Stage::Following(events);
            return Ok(None);
        }
        match next(&self.access.wiki, self.at, hub).await? {
            Next::Commits(commits) => {
                let messages = commits.iter().map(Message::change);
                let text: Vec<Bytes> = messages.map(|message| message.text).collect();
                self.at = commits.last().map(|commit| commit.revision);
                Ok(Some(text.concat().into()))
            }
            Next::Replaced => Ok(self.reset(Bytes::new())),
            Next::NotYet => {
                // The hub has yet to come here. It looks every second at least; an error says that
                // it ended, which is met above.
                let _ = looks.changed().await;
                Ok(None)
            }
        }
    }

    /// Goes on from where the hub is.
    fn reset(&mut self, before: Bytes) -> Option<Bytes> {
        let (events, hub) = self.place.hub().listen()?;
        self.at = hub;
        self.stage = Stage::Following(events);
        Some([before, Message::reset(hub).text].concat().into())
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
