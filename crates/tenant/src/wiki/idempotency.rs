//! Answers to requests to this wiki that may be sent twice.

use wikigrove_storage::{Answer, IdempotentRequest, Recall};

use super::Wiki;
use crate::Error;

impl Wiki {
    /// Looks up an earlier answer. The caller's rights aren't checked again: the request was let in, and an
    /// answer is found only by its own principal.
    pub(crate) async fn recall(&self, request: IdempotentRequest) -> Result<Recall, Error> {
        self.run(move |wiki| wiki.recall(&request)).await
    }

    /// Keeps an answer. It takes no turn among the writers of pages, who may be many.
    pub(crate) async fn remember(
        &self,
        request: IdempotentRequest,
        answer: Answer,
    ) -> Result<(), Error> {
        self.run(move |wiki| wiki.remember(&request, &answer)).await
    }
}
