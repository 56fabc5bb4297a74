//! The queue of a link: what the other end has not been seen to have yet.

use std::sync::PoisonError;

use rusqlite::{Transaction, params};
use time::OffsetDateTime;

use super::LinkId;
use crate::db::DbError;
use crate::error::Error;
use crate::page::from_seconds;
use crate::revision::Revision;
use crate::unit::Statement;
use crate::wiki::Wiki;

/// How much waits for a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Commits that wait.
    pub waiting: usize,
    /// When the oldest of them was made; `None` when nothing waits.
    pub oldest: Option<OffsetDateTime>,
}

/// A commit that waits, and its number in the queue.
pub(super) type Job = (i64, Revision);

/// Adds a commit to the queues of the links, in its own transaction.
pub(crate) fn add(
    transaction: &Transaction<'_>,
    links: &[LinkId],
    target: Revision,
) -> Result<(), DbError> {
    if links.is_empty() {
        return Ok(());
    }
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let mut insert = transaction.prepare_cached(
        "insert into sync_job (link, seq, target, created)
         select ?1, coalesce(max(seq), 0) + 1, ?2, ?3 from sync_job where link = ?1",
    )?;
    for link in links {
        insert.execute(params![link.0, target.as_bytes(), now])?;
    }
    Ok(())
}

impl Wiki {
    /// The enabled links that a new commit waits for: all but the one it came from.
    pub(crate) fn links_to_tell(&self, from: Option<LinkId>) -> Vec<LinkId> {
        let links = self.links().read().unwrap_or_else(PoisonError::into_inner);
        links.iter().copied().filter(|link| Some(*link) != from).collect()
    }

    /// The commits that a link has not been seen to have, oldest first.
    ///
    /// # Errors
    /// wiki.db can't be read.
    pub fn jobs(&self, link: LinkId) -> Result<Vec<Revision>, Error> {
        Ok(self.queued(link)?.into_iter().map(|(_, target)| target).collect())
    }

    pub(super) fn queued(&self, link: LinkId) -> Result<Vec<Job>, Error> {
        self.check_open()?;
        let Some(database) = self.existing_database()? else { return Ok(Vec::new()) };
        database.read(|connection| {
            let queued = || {
                let mut select = connection.prepare_cached(
                    "select seq, target from sync_job where link = ?1 order by seq",
                )?;
                let rows = select.query_map([link.0], |row| {
                    Ok((row.get(0)?, Revision::from_bytes(row.get(1)?)))
                })?;
                rows.collect::<Result<_, _>>()
            };
            Ok(queued().map_err(DbError::from)?)
        })
    }

    /// How much waits for a link, and for how long.
    ///
    /// # Errors
    /// wiki.db can't be read.
    pub fn queue(&self, link: LinkId) -> Result<Queue, Error> {
        self.check_open()?;
        let Some(database) = self.existing_database()? else {
            return Ok(Queue { waiting: 0, oldest: None });
        };
        database.read(|connection| {
            let queue = connection
                .prepare_cached("select count(*), min(created) from sync_job where link = ?1")
                .and_then(|mut select| {
                    select.query_row([link.0], |row| {
                        let oldest: Option<i64> = row.get(1)?;
                        let waiting: i64 = row.get(0)?;
                        Ok(Queue {
                            waiting: usize::try_from(waiting).unwrap_or(0),
                            oldest: oldest.map(from_seconds),
                        })
                    })
                });
            Ok(queue.map_err(DbError::from)?)
        })
    }

    /// Notes that the other end was seen to have `verified`: of the queue only what is neither that
    /// commit nor one it is built on stays. Returns how many are done.
    ///
    /// # Errors
    /// `verified` is no commit of this wiki's repository; wiki.db can't be written.
    pub fn jobs_done(&self, link: LinkId, verified: Revision) -> Result<usize, Error> {
        if !self.repo().is_commit(verified)? {
            return Err(Error::UnknownRevision { revision: verified });
        }
        let jobs = self.queued(link)?;
        if jobs.is_empty() {
            return Ok(0);
        }
        let targets = jobs.iter().map(|(_, target)| *target).collect();
        let missing = self.repo().not_reachable(verified, targets)?;
        let done: Vec<Job> =
            jobs.into_iter().filter(|(_, target)| !missing.contains(target)).collect();
        self.remove_jobs(link, &done)?;
        Ok(done.len())
    }

    /// Takes jobs out of a queue. A number alone doesn't say which job is meant: it is used again once it
    /// was the last and is gone.
    pub(super) fn remove_jobs(&self, link: LinkId, jobs: &[Job]) -> Result<(), Error> {
        self.database()?.write(|transaction| {
            let delete = || {
                let mut delete = transaction.prepare_cached(
                    "delete from sync_job where link = ?1 and seq = ?2 and target = ?3",
                )?;
                jobs.iter().try_for_each(|(seq, target)| {
                    delete.execute(params![link.0, seq, target.as_bytes()]).map(drop)
                })
            };
            Ok(delete().map_err(DbError::from)?)
        })
    }

    /// Takes out of all queues what is no part of `head`, which replaces the history of the wiki: no other end
    /// can be expected to have it ever. To be done in the transaction that replaces it.
    pub(crate) fn drop_lost_jobs(&self, head: Revision) -> Result<Statement<'static>, Error> {
        let targets = self.database()?.read(|connection| {
            let targets = || {
                let mut select =
                    connection.prepare_cached("select distinct target from sync_job")?;
                let rows = select.query_map([], |row| Ok(Revision::from_bytes(row.get(0)?)))?;
                rows.collect::<Result<_, _>>()
            };
            Ok::<_, Error>(targets().map_err(DbError::from)?)
        })?;
        let lost = self.repo().not_reachable(head, targets)?;
        Ok(Box::new(move |transaction| {
            let mut delete =
                transaction.prepare_cached("delete from sync_job where target = ?1")?;
            lost.iter().try_for_each(|target| delete.execute([target.as_bytes()]).map(drop))?;
            Ok(())
        }))
    }

    /// Forgets the queue of a link that was removed.
    ///
    /// # Errors
    /// wiki.db can't be written.
    pub fn forget_jobs(&self, link: LinkId) -> Result<(), Error> {
        self.check_open()?;
        let Some(database) = self.existing_database()? else { return Ok(()) };
        database.write(|transaction| {
            let sql = "delete from sync_job where link = ?1";
            transaction.execute(sql, [link.0]).map_err(DbError::from)?;
            Ok(())
        })
    }
}
