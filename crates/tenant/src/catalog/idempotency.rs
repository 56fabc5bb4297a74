//! Answers already given, for clients that ask again because they never heard them.

use rusqlite::{OptionalExtension as _, params};
use time::Duration;

use super::{Catalog, CatalogError, now};

/// How long an answer is remembered.
const MEMORY: Duration = Duration::hours(24);

/// A request that carries a key of its client's choice.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who asks: the subject.
    pub principal: String,
    /// The HTTP method.
    pub method: String,
    /// The path, the wiki's name included.
    pub route: String,
    /// The client's key.
    pub key: String,
    /// SHA-256 of the body.
    pub body_sha256: [u8; 32],
}

/// An answer as it was given, without any secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// What is known about a request's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recall {
    /// Nothing.
    New,
    /// The same request was answered so.
    Same(Answer),
    /// The key was used for a request with another body.
    Different,
}

impl Catalog {
    /// Looks a request up among those answered in the last 24 hours.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn recall(&self, request: &Request) -> Result<Recall, CatalogError> {
        let found: Option<([u8; 32], Answer)> = self.db.read::<_, CatalogError>(|connection| {
            let mut statement = connection.prepare_cached(
                "select request, status, body from idempotency
                 where principal = ?1 and method = ?2 and route = ?3 and key = ?4 and created > ?5",
            )?;
            let Request { principal, method, route, key, .. } = request;
            let row = statement
                .query_row(params![principal, method, route, key, horizon()], |row| {
                    Ok((row.get(0)?, Answer { status: row.get(1)?, body: row.get(2)? }))
                });
            Ok(row.optional()?)
        })?;
        Ok(match found {
            None => Recall::New,
            Some((body, answer)) if body == request.body_sha256 => Recall::Same(answer),
            Some(_) => Recall::Different,
        })
    }

    /// Remembers an answer for 24 hours, and forgets older ones. Of two answers to one request the
    /// first is kept: somebody may have heard it.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn remember(&self, request: &Request, answer: &Answer) -> Result<(), CatalogError> {
        self.db.write(|transaction| {
            transaction.execute("delete from idempotency where created <= ?1", [horizon()])?;
            transaction.execute(
                "insert into idempotency (principal, method, route, key, request, status, body, created)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) on conflict do nothing",
                params![
                    request.principal,
                    request.method,
                    request.route,
                    request.key,
                    request.body_sha256,
                    answer.status,
                    answer.body,
                    now().unix_timestamp(),
                ],
            )?;
            Ok(())
        })
    }
}

/// What was answered then or before is forgotten.
fn horizon() -> i64 {
    (now() - MEMORY).unix_timestamp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::scratch;

    const BODY: [u8; 32] = [1; 32];
    const OTHER: [u8; 32] = [2; 32];

    fn request() -> Request {
        Request {
            principal: "ann".to_owned(),
            method: "POST".to_owned(),
            route: "/admin/v1/wikis".to_owned(),
            key: "k".to_owned(),
            body_sha256: BODY,
        }
    }

    fn answer(status: u16) -> Answer {
        Answer { status, body: b"{}".to_vec() }
    }

    fn age(catalog: &Catalog, seconds: i64) {
        let changed = catalog.db.write::<_, CatalogError>(|transaction| {
            Ok(transaction.execute("update idempotency set created = created - ?1", [seconds])?)
        });
        assert_eq!(changed.unwrap(), 1);
    }

    #[test]
    fn the_same_request_is_recalled_and_another_body_noticed() {
        let (_dir, catalog) = scratch();
        assert_eq!(catalog.recall(&request()).unwrap(), Recall::New);
        catalog.remember(&request(), &answer(201)).unwrap();
        catalog.remember(&request(), &answer(409)).unwrap();
        assert_eq!(catalog.recall(&request()).unwrap(), Recall::Same(answer(201)));
        assert_eq!(
            catalog.recall(&Request { body_sha256: OTHER, ..request() }).unwrap(),
            Recall::Different
        );
    }

    #[test]
    fn a_key_belongs_to_principal_method_and_route() {
        let (_dir, catalog) = scratch();
        catalog.remember(&request(), &answer(201)).unwrap();
        let others = [
            Request { principal: "bob".to_owned(), ..request() },
            Request { method: "PUT".to_owned(), ..request() },
            Request { route: "/admin/v1/tokens".to_owned(), ..request() },
            Request { key: "l".to_owned(), ..request() },
        ];
        for other in others {
            assert_eq!(catalog.recall(&other).unwrap(), Recall::New, "{other:?}");
        }
    }

    #[test]
    fn after_a_day_an_answer_is_forgotten() {
        let (_dir, catalog) = scratch();
        catalog.remember(&request(), &answer(201)).unwrap();
        age(&catalog, MEMORY.whole_seconds() - 60);
        assert_eq!(catalog.recall(&request()).unwrap(), Recall::Same(answer(201)));
        age(&catalog, 60);
        assert_eq!(catalog.recall(&request()).unwrap(), Recall::New);
        catalog.remember(&Request { body_sha256: OTHER, ..request() }, &answer(202)).unwrap();
        let now = catalog.recall(&Request { body_sha256: OTHER, ..request() }).unwrap();
        assert_eq!(now, Recall::Same(answer(202)));
    }
}
