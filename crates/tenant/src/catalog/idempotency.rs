//! Stored answers to idempotent requests of the control plane.

use rusqlite::Connection;
use wikigrove_storage::db::{DbError, idempotency};
use wikigrove_storage::{Answer, IdempotentRequest, Recall};

use super::{Catalog, CatalogError};

impl Catalog {
    /// Looks a request up among those answered in the last 24 hours.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn recall(&self, request: &IdempotentRequest) -> Result<Recall, CatalogError> {
        self.db.read(|connection| {
            let recall = idempotency::recall(connection, request)?;
            let Recall::Same(Answer { made: Some(made), .. }) = &recall else { return Ok(recall) };
            Ok(if exists(connection, made)? { recall } else { Recall::Removed })
        })
    }

    /// Stores an answer for 24 hours, unless newer ones displace it.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn remember(
        &self,
        request: &IdempotentRequest,
        answer: &Answer,
    ) -> Result<(), CatalogError> {
        Ok(self.db.write(|transaction| idempotency::remember(transaction, request, answer))?)
    }

    /// Removes the answers older than 24 hours.
    ///
    /// # Errors
    /// The file can't be read or written.
    pub(crate) fn forget_old_answers(&self) -> Result<usize, CatalogError> {
        // Usually there are none, and a read doesn't wait for the writer.
        match self.db.read::<_, DbError>(idempotency::has_old)? {
            true => Ok(self.db.write::<_, DbError>(idempotency::expire)?),
            false => Ok(0),
        }
    }
}

/// Returns `true` if the object with this id still exists. Ids are random, so at most one of these tables has it.
fn exists(connection: &Connection, id: &str) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "select 1 from wikis where id = ?1 and state not in ('deleting', 'deleted')
             union all select 1 from tokens where id = ?1
             union all select 1 from invitations where id = ?1
             union all select 1 from links where id = ?1
             union all select 1 from channels where id = ?1",
        )?
        .exists([id])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::{garden, scratch};
    use crate::{NewToken, TokenRole};

    fn request(key: &str) -> IdempotentRequest {
        IdempotentRequest {
            principal: "operator".to_owned(),
            share: "operator".to_owned(),
            method: "POST".to_owned(),
            route: "/admin/v1/wikis".to_owned(),
            key: key.to_owned(),
            body_sha256: [1; 32],
        }
    }

    fn answer(made: Option<String>) -> Answer {
        Answer { status: 201, body: b"{}".to_vec(), made }
    }

    #[test]
    fn an_answer_about_something_that_was_removed_since_is_not_given_again() {
        let (_dir, catalog) = scratch();
        let wiki = garden(&catalog).id;
        let new = NewToken {
            name: "bot".to_owned(),
            role: TokenRole::Operator,
            act_as: false,
            expires: None,
            subject: None,
        };
        let (token, _) = catalog.create_token(&new).unwrap();
        for (key, made) in
            [("wiki", Some(wiki.to_string())), ("token", Some(token.id.clone())), ("user", None)]
        {
            catalog.remember(&request(key), &answer(made.clone())).unwrap();
            assert_eq!(catalog.recall(&request(key)).unwrap(), Recall::Same(answer(made)));
        }
        catalog.begin_delete(wiki).unwrap();
        assert_eq!(catalog.recall(&request("wiki")).unwrap(), Recall::Removed);
        catalog.finish_delete(wiki).unwrap();
        assert_eq!(catalog.recall(&request("wiki")).unwrap(), Recall::Removed);
        catalog.revoke_token(None, &token.id).unwrap();
        assert_eq!(catalog.recall(&request("token")).unwrap(), Recall::Removed);
        assert_eq!(catalog.recall(&request("user")).unwrap(), Recall::Same(answer(None)));
    }
}
