//! The table `idempotency`: stored answers, for clients that repeat a request because they never got the answer.
//!
//! The platform's file has one for the control plane, and each wiki's file has one for the wiki's own routes. The table
//! is bounded by age, by a limit for each share, and by a limit for all shares.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use time::{Duration, OffsetDateTime};

use super::DbError;

/// Time that an answer is kept.
const KEPT_FOR: Duration = Duration::hours(24);
/// Maximum size of an answer that is kept whole, in bytes.
pub const ANSWER_BYTES: usize = 64 * 1024;
/// Maximum number of answers per share: an app that sends one a second can retry for a quarter of an hour.
const SHARE_ROWS: i64 = 1000;
/// Maximum bytes of answers per share.
const SHARE_BYTES: i64 = 4 << 20;
/// Maximum number of answers of all shares.
const ROWS: i64 = 10_000;
/// Maximum bytes of answers of all shares.
const BYTES: i64 = 32 << 20;
/// The whole table is measured once per this many answers, because that takes longer than measuring one share.
const MEASURED_EVERY: i64 = 64;

/// A request that carries an idempotency key chosen by the client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// The caller: each caller has keys of its own.
    pub principal: String,
    /// The share of the table that the answer counts towards: the principal's own, or a common one.
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

/// An answer as it was sent, without any secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// The id of the created resource, if that can be removed later.
    pub made: Option<String>,
}

/// The result of looking up a request's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recall {
    /// The key wasn't used before.
    New,
    /// The same request was answered, with this answer.
    Same(Answer),
    /// The key was used for a request with another body.
    Different,
    /// The same request was answered, and the resource it created was removed since.
    Removed,
}

/// Looks up a request among those answered in the last 24 hours.
///
/// # Errors
/// The file can't be read.
pub fn recall(connection: &Connection, request: &Request) -> Result<Recall, DbError> {
    let mut statement = connection.prepare_cached(
        "select request, status, body, made from idempotency
         where principal = ?1 and method = ?2 and route = ?3 and key = ?4 and created > ?5",
    )?;
    let Request { principal, method, route, key, .. } = request;
    let row = statement.query_row(params![principal, method, route, key, horizon()], |row| {
        let answer = Answer { status: row.get(1)?, body: row.get(2)?, made: row.get(3)? };
        Ok((row.get::<_, [u8; 32]>(0)?, answer))
    });
    Ok(match row.optional()? {
        None => Recall::New,
        Some((body, answer)) if body == request.body_sha256 => Recall::Same(answer),
        Some(_) => Recall::Different,
    })
}

/// Keeps an answer for 24 hours, unless newer ones need its place. Of two answers to one request the first is kept,
/// since the client may have received it.
///
/// # Errors
/// The file can't be written.
pub fn remember(
    transaction: &Transaction<'_>,
    request: &Request,
    answer: &Answer,
) -> Result<(), DbError> {
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
    if inserted == 1 { make_room(transaction, share) } else { Ok(()) }
}

/// Returns `true` if there are answers older than 24 hours.
///
/// # Errors
/// The file can't be read.
pub fn has_old(connection: &Connection) -> Result<bool, DbError> {
    let sql = "select 1 from idempotency where created <= ?1 limit 1";
    Ok(connection.prepare_cached(sql)?.exists([horizon()])?)
}

/// Deletes the answers that are older than 24 hours. Returns their number.
///
/// # Errors
/// The file can't be written.
pub fn expire(transaction: &Transaction<'_>) -> Result<usize, DbError> {
    let mut statement =
        transaction.prepare_cached("delete from idempotency where created <= ?1")?;
    Ok(statement.execute([horizon()])?)
}

/// Deletes the oldest answers of a share that exceeds its limits, and once in [`MEASURED_EVERY`] answers those of the
/// whole table.
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

/// Answers from this time or earlier are expired.
fn horizon() -> i64 {
    now() - KEPT_FOR.whole_seconds()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Database, Scheduler};
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

    fn recalled(database: &Database, request: &Request) -> Recall {
        database.read(|connection| recall(connection, request)).unwrap()
    }

    fn keep(database: &Database, request: &Request, answer: &Answer) {
        database.write(|transaction| remember(transaction, request, answer)).unwrap();
    }

    fn expired(database: &Database) -> usize {
        let is_due = database.read(has_old).unwrap();
        let expired = database.write(expire).unwrap();
        assert_eq!(is_due, expired > 0);
        expired
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
        assert_eq!(recalled(&database, &request()), Recall::New);
        keep(&database, &request(), &answer(201));
        keep(&database, &request(), &answer(409));
        assert_eq!(recalled(&database, &request()), Recall::Same(answer(201)));
        let other = Request { body_sha256: OTHER, ..request() };
        assert_eq!(recalled(&database, &other), Recall::Different);
    }

    #[test]
    fn a_key_belongs_to_principal_method_and_route() {
        let (_dir, database) = scratch();
        keep(&database, &request(), &answer(201));
        let others = [
            Request { principal: "bob".to_owned(), ..request() },
            Request { method: "PUT".to_owned(), ..request() },
            Request { route: "/reverts".to_owned(), ..request() },
            Request { key: "l".to_owned(), ..request() },
        ];
        for other in others {
            assert_eq!(recalled(&database, &other), Recall::New, "{other:?}");
        }
    }

    #[test]
    fn after_a_day_an_answer_is_forgotten_whether_or_not_another_comes() {
        let (_dir, database) = scratch();
        keep(&database, &request(), &answer(201));
        age(&database, KEPT_FOR.whole_seconds() - 60);
        assert_eq!(recalled(&database, &request()), Recall::Same(answer(201)));
        assert_eq!(expired(&database), 0);
        age(&database, 60);
        assert_eq!(recalled(&database, &request()), Recall::New);
        let other = Request { body_sha256: OTHER, ..request() };
        keep(&database, &other, &answer(202));
        assert_eq!(recalled(&database, &other), Recall::Same(answer(202)));
        age(&database, KEPT_FOR.whole_seconds());
        assert_eq!(expired(&database), 1);
        assert_eq!(count(&database, "count(*)"), 0);
    }

    #[test]
    fn a_share_keeps_its_newest_answers_and_takes_nothing_from_another() {
        let (_dir, database) = scratch();
        keep(&database, &numbered("bob", 0), &answer(201));
        let most = usize::try_from(SHARE_ROWS).unwrap();
        for number in 0..most + 20 {
            keep(&database, &numbered("ann", number), &answer(201));
        }
        assert_eq!(count(&database, "count(*)"), SHARE_ROWS + 1);
        for (request, is_known) in [
            (numbered("bob", 0), true),
            (numbered("ann", 19), false),
            (numbered("ann", 20), true),
            (numbered("ann", most + 19), true),
        ] {
            let known = recalled(&database, &request) != Recall::New;
            assert_eq!(known, is_known, "{request:?}");
        }
    }

    #[test]
    fn large_answers_of_one_and_of_many_stay_within_their_bytes() {
        let (_dir, database) = scratch();
        let large = Answer { body: vec![b'x'; ANSWER_BYTES], ..answer(201) };
        for number in 0..100 {
            keep(&database, &numbered("ann", number), &large);
        }
        assert_eq!(count(&database, "sum(length(body))"), SHARE_BYTES);
        for share in 0..12 {
            for number in 0..64 {
                keep(&database, &numbered(&format!("share-{share}"), number), &large);
            }
        }
        let bytes = count(&database, "sum(length(body))");
        let slack = MEASURED_EVERY * i64::try_from(ANSWER_BYTES).unwrap();
        assert!(bytes <= BYTES + slack, "{bytes}");
    }
}
