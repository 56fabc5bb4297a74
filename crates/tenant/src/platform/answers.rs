//! Stored answers to idempotent requests.

use wikigrove_storage::{Answer, IdempotentRequest, Recall};

use crate::turns::{Turn, TurnKey};
use crate::{Error, Platform, Wiki};

/// The answers of the last 24 hours to requests with an idempotency key: of the control plane, or of one wiki, which
/// stores them in its own file. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Answers(Kept);

#[derive(Clone, Debug)]
enum Kept {
    OfPlatform(Platform),
    OfWiki(Wiki),
}

impl Platform {
    /// The stored answers to requests about the platform.
    pub fn answers(&self) -> Answers {
        Answers(Kept::OfPlatform(self.clone()))
    }
}

impl Wiki {
    /// The stored answers to requests to this wiki.
    pub fn answers(&self) -> Answers {
        Answers(Kept::OfWiki(self.clone()))
    }
}

impl Answers {
    /// Waits until no other request with the same caller, route and key is being answered. Dropping the future leaves
    /// the queue.
    ///
    /// # Errors
    /// [`Error::is_busy`]: many requests with this key wait already.
    pub async fn turn(&self, request: &IdempotentRequest) -> Result<Turn, Error> {
        let (turns, wiki) = match &self.0 {
            Kept::OfPlatform(platform) => (&platform.0.turns, None),
            Kept::OfWiki(wiki) => (&wiki.platform().0.turns, Some(wiki.id())),
        };
        turns.take(TurnKey::of(wiki, request)).await
    }

    /// Looks up the answer to an earlier request with the same key.
    ///
    /// # Errors
    /// The file can't be read.
    pub async fn recall(&self, request: IdempotentRequest) -> Result<Recall, Error> {
        match &self.0 {
            Kept::OfPlatform(platform) => {
                platform.catalog(move |catalog| catalog.recall(&request)).await
            }
            Kept::OfWiki(wiki) => wiki.recall(request).await,
        }
    }

    /// Stores an answer for 24 hours, for retries of the request. Per caller, the newest thousand answers are kept.
    ///
    /// # Errors
    /// The file can't be written.
    pub async fn remember(&self, request: IdempotentRequest, answer: Answer) -> Result<(), Error> {
        match &self.0 {
            Kept::OfPlatform(platform) => {
                platform.catalog(move |catalog| catalog.remember(&request, &answer)).await
            }
            Kept::OfWiki(wiki) => wiki.remember(request, answer).await,
        }
    }
}
