//! The table `idempotency`: answers already given, for clients that ask again because they never heard them.
//!
//! The platform's file has one for the control plane, and each wiki's file has one for the wiki's own routes.
//! What is kept is bounded three times: by age, for each share, and for the whole table.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use time::{Duration, OffsetDateTime};

use super::{Database, DbError};

/// How long an answer is kept.
const KEPT_FOR: Duration = Duration::hours(24);
/// The largest answer that is kept whole, in bytes.
pub const ANSWER_BYTES: usize = 64 * 1024;
/// The most answers of one share: an app that sends one a second can ask again for a quarter of an hour.
const SHARE_ROWS: i64 = 1000;
/// The most bytes of answers of one share.
const SHARE_BYTES: i64 = 4 << 20;
/// The most answers of all shares.
const ROWS: i64 = 10_000;
/// The most bytes of answers of all shares.
const BYTES: i64 = 32 << 20;
/// The whole table is measured once in so many answers: that takes longer than a share's part.
const MEASURED_EVERY: i64 = 64;

/// A request that carries a key of its client's choice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// The caller: keys of another one are other keys.
    pub principal: String,
    /// Whose part of the table the answer takes: the principal's own, or one that many have together.
    pub share: String,
    /// The HTTP method.
    pub method: String,
    /// The path.
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
    /// The id of what the request made, where that can be removed later.
    pub made: Option<String>,
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
    /// The same request was answered before, and what it made was removed since.
    Removed,
}

impl Database {
    /// Looks a request up among those answered in the last 24 hours.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn recall(&self, request: &Request) -> Result<Recall, DbError> {
        let found: Option<([u8; 32], Answer)> = self.read::<_, DbError>(|connection| {
            let mut statement = connection.prepare_cached(
                "select request, status, body, made from idempotency
                 where principal = ?1 and method = ?2 and route = ?3 and key = ?4 and created > ?5",
            )?;
            let Request { principal, method, route, key, .. } = request;
            let row =
                statement.query_row(params![principal, method, route, key, horizon()], |row| {
                    let answer =
                        Answer { status: row.get(1)?, body: row.get(2)?, made: row.get(3)? };
                    Ok((row.get(0)?, answer))
                });
            Ok(row.optional()?)
        })?;
        Ok(match found {
            None => Recall::New,
            Some((body, answer)) if body == request.body_sha256 => Recall::Same(answer),
            Some(_) => Recall::Different,
        })
    }

    /// Keeps an answer for 24 hours, unless newer ones need its place. Of two answers to one request the
    /// first is kept: a client may have heard it.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn remember(&self, request: &Request, answer: &Answer) -> Result<(), DbError> {
        self.write(|transaction| {
            expire(transaction)?;
            let Request { principal, share, method, route, key, body_sha256 } = request;
            let inserted = transaction
                .prepare_cached(
                    "insert into idempotency
                         (principal, share, method, route, key, request, status, body, made, created)
                     values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) on conflict do nothing",
                )?
                .execute(params![
                    principal,
                    share,
                    method,
                    route,
                    key,
                    body_sha256,
                    answer.status,
                    answer.body,
                    answer.made,
                    now(),
                ])?;
            if inserted == 1 {
                make_room(transaction, share)?;
            }
            Ok(())
        })
    }

    /// Forgets the answers that are older than 24 hours. Returns how many there were.
    ///
    /// # Errors
    /// The file can't be read or written.
    pub fn forget_old_answers(&self) -> Result<usize, DbError> {
        // Most times there is nothing to do, and the writer needn't be waited for.
        let is_due = self.read::<_, DbError>(|connection| {
            let sql = "select 1 from idempotency where created <= ?1 limit 1";
            Ok(connection.prepare_cached(sql)?.exists([horizon()])?)
        })?;
        if is_due { self.write(|transaction| expire(transaction)) } else { Ok(0) }
    }
}

fn expire(connection: &Connection) -> Result<usize, DbError> {
    let mut statement = connection.prepare_cached("delete from idempotency where created <= ?1")?;
    Ok(statement.execute([horizon()])?)
}

/// Forgets the oldest answers of a share that has too many, and from time to time those of all.
fn make_room(transaction: &Transaction<'_>, share: &str) -> Result<(), DbError> {
    let seq = transaction.last_insert_rowid();
    transaction
        .prepare_cached(
            "delete from idempotency where seq in (
                 select seq from (
                     select seq, row_number() over newest as rows, sum(length(body)) over newest as bytes
                     from idempotency where share = ?1 window newest as (order by seq desc))
                 where rows > ?2 or bytes > ?3)",
        )?
        .execute(params![share, SHARE_ROWS, SHARE_BYTES])?;
    if seq % MEASURED_EVERY == 0 {
        transaction
            .prepare_cached(
                "delete from idempotency where seq in (
                     select seq from (
                         select seq, row_number() over newest as rows,
                             sum(length(body)) over newest as bytes
                         from idempotency window newest as (order by seq desc))
                     where rows > ?1 or bytes > ?2)",
            )?
            .execute(params![ROWS, BYTES])?;
    }
    Ok(())
}

fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

/// Answers given then or before are forgotten.
fn horizon() -> i64 {
    now() - KEPT_FOR.whole_seconds()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Scheduler;
    use crate::layout;
    use crate::wiki::Options;

    const BODY: [u8; 32] = [1; 32];
    const OTHER: [u8; 32] = [2; 32];

    fn scratch() -> (tempfile::TempDir, Database) {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::new("garden-1");
        let database =
            layout::create_database(dir.path(), &options, &Scheduler::default()).unwrap();
        (dir, database)
    }

    fn request() -> Request {
        Request {
            principal: "ann".to_owned(),
            share: "ann".to_owned(),
            method: "POST".to_owned(),
            route: "/moves".to_owned(),
            key: "k".to_owned(),
            body_sha256: BODY,
        }
    }

    fn numbered(share: &str, number: usize) -> Request {
        Request { share: share.to_owned(), key: format!("{share}-{number}"), ..request() }
    }

    fn answer(status: u16) -> Answer {
        Answer { status, body: b"{}".to_vec(), made: None }
    }

    fn count(database: &Database, what: &str) -> i64 {
        let sql = format!("select {what} from idempotency");
        let counted = database
            .read::<_, DbError>(|connection| Ok(connection.query_row(&sql, [], |row| row.get(0))?));
        counted.unwrap()
    }

    fn age(database: &Database, seconds: i64) {
        let changed = database.write::<_, DbError>(|transaction| {
            Ok(transaction.execute("update idempotency set created = created - ?1", [seconds])?)
        });
        assert_eq!(changed.unwrap(), 1);
    }

    #[test]
    fn the_same_request_is_recalled_and_another_body_noticed() {
        let (_dir, database) = scratch();
        assert_eq!(database.recall(&request()).unwrap(), Recall::New);
        database.remember(&request(), &answer(201)).unwrap();
        database.remember(&request(), &answer(409)).unwrap();
        assert_eq!(database.recall(&request()).unwrap(), Recall::Same(answer(201)));
        let other = Request { body_sha256: OTHER, ..request() };
        assert_eq!(database.recall(&other).unwrap(), Recall::Different);
    }

    #[test]
    fn a_key_belongs_to_principal_method_and_route() {
        let (_dir, database) = scratch();
        database.remember(&request(), &answer(201)).unwrap();
        let others = [
            Request { principal: "bob".to_owned(), ..request() },
            Request { method: "PUT".to_owned(), ..request() },
            Request { route: "/reverts".to_owned(), ..request() },
            Request { key: "l".to_owned(), ..request() },
        ];
        for other in others {
            assert_eq!(database.recall(&other).unwrap(), Recall::New, "{other:?}");
        }
    }

    #[test]
    fn after_a_day_an_answer_is_forgotten_whether_or_not_another_comes() {
        let (_dir, database) = scratch();
        database.remember(&request(), &answer(201)).unwrap();
        age(&database, KEPT_FOR.whole_seconds() - 60);
        assert_eq!(database.recall(&request()).unwrap(), Recall::Same(answer(201)));
        assert_eq!(database.forget_old_answers().unwrap(), 0);
        age(&database, 60);
        assert_eq!(database.recall(&request()).unwrap(), Recall::New);
        let other = Request { body_sha256: OTHER, ..request() };
        database.remember(&other, &answer(202)).unwrap();
        assert_eq!(database.recall(&other).unwrap(), Recall::Same(answer(202)));
        age(&database, KEPT_FOR.whole_seconds());
        assert_eq!(database.forget_old_answers().unwrap(), 1);
        assert_eq!(count(&database, "count(*)"), 0);
    }

    #[test]
    fn a_share_keeps_its_newest_answers_and_takes_nothing_from_another() {
        let (_dir, database) = scratch();
        database.remember(&numbered("bob", 0), &answer(201)).unwrap();
        let most = usize::try_from(SHARE_ROWS).unwrap();
        for number in 0..most + 20 {
            database.remember(&numbered("ann", number), &answer(201)).unwrap();
        }
        assert_eq!(count(&database, "count(*)"), SHARE_ROWS + 1);
        for (request, is_known) in [
            (numbered("bob", 0), true),
            (numbered("ann", 19), false),
            (numbered("ann", 20), true),
            (numbered("ann", most + 19), true),
        ] {
            let known = database.recall(&request).unwrap() != Recall::New;
            assert_eq!(known, is_known, "{request:?}");
        }
    }

    #[test]
    fn large_answers_of_one_and_of_many_stay_within_their_bytes() {
        let (_dir, database) = scratch();
        let large = Answer { body: vec![b'x'; ANSWER_BYTES], ..answer(201) };
        for number in 0..100 {
            database.remember(&numbered("ann", number), &large).unwrap();
        }
        assert_eq!(count(&database, "sum(length(body))"), SHARE_BYTES);
        for share in 0..12 {
            for number in 0..64 {
                database.remember(&numbered(&format!("share-{share}"), number), &large).unwrap();
            }
        }
        let bytes = count(&database, "sum(length(body))");
        let slack = MEASURED_EVERY * i64::try_from(ANSWER_BYTES).unwrap();
        assert!(bytes <= BYTES + slack, "{bytes}");
    }
}
