//! Stored answers of a wiki's routes, for repeated requests.

use crate::db::{DbError, idempotency};
use crate::error::Error;
use crate::wiki::Wiki;

pub use crate::db::idempotency::{ANSWER_BYTES, Answer, Recall, Request};

impl Wiki {
    /// Looks up a request among those answered in the last 24 hours.
    ///
    /// # Errors
    /// wiki.db can't be read.
    pub fn recall(&self, request: &Request) -> Result<Recall, Error> {
        self.check_open()?;
        match self.existing_database()? {
            Some(database) => {
                Ok(database.read(|connection| idempotency::recall(connection, request))?)
            }
            None => Ok(Recall::New),
        }
    }

    /// Keeps an answer for 24 hours, unless newer ones need its place.
    ///
    /// # Errors
    /// wiki.db can't be written.
    pub fn remember(&self, request: &Request, answer: &Answer) -> Result<(), Error> {
        self.check_open()?;
        let database = self.database()?;
        Ok(database.write(|transaction| idempotency::remember(transaction, request, answer))?)
    }

    /// Deletes the answers that are older than 24 hours.
    ///
    /// # Errors
    /// wiki.db can't be read or written.
    pub(crate) fn forget_old_answers(&self) -> Result<(), Error> {
        let Some(database) = self.existing_database()? else { return Ok(()) };
        if database.read::<_, DbError>(idempotency::has_old)? {
            database.write::<_, DbError>(idempotency::expire)?;
        }
        Ok(())
    }
}
