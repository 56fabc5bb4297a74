//! Answers to requests that may be sent twice.

use crate::catalog::{Answer, Recall, Request};
use crate::{Error, Platform};

/// What was answered in the last 24 hours to requests that carry a key. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Answers(Platform);

impl Platform {
    /// The answers that may have to be given again.
    pub fn answers(&self) -> Answers {
        Answers(self.clone())
    }
}

impl Answers {
    /// What was answered to a request that may have been sent before.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub async fn recall(&self, request: Request) -> Result<Recall, Error> {
        self.0.catalog(move |catalog| catalog.recall(&request)).await
    }

    /// Keeps an answer for a day, for when the request is sent again.
    ///
    /// # Errors
    /// The catalog can't be written.
    pub async fn remember(&self, request: Request, answer: Answer) -> Result<(), Error> {
        self.0.catalog(move |catalog| catalog.remember(&request, &answer)).await
    }
}
