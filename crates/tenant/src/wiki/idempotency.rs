//! Stored answers to idempotent requests to this wiki.

use wikigrove_storage::{Answer, IdempotentRequest, Recall};

use super::Wiki;
use crate::Error;

impl Wiki {
    /// Looks up an earlier answer. The caller's rights aren't checked again: the request was admitted, and an answer
    /// can be found only by its own principal.
    pub(crate) async fn recall(&self, request: IdempotentRequest) -> Result<Recall, Error> {
        self.run(move |wiki| wiki.recall(&request)).await
    }

    /// Stores an answer. Uses a reader's turn, because the queue of writers may be long.
    pub(crate) async fn remember(
        &self,
        request: IdempotentRequest,
        answer: Answer,
    ) -> Result<(), Error> {
        self.run(move |wiki| wiki.remember(&request, &answer)).await
    }
}
