//! The queue of a link: the commits that the remote isn't yet known to have.

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

/// Size and age of a link's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Number of queued commits.
    pub waiting: usize,
    /// Time at which the oldest of them was queued; `None` if the queue is empty.
    pub oldest: Option<OffsetDateTime>,
}

/// A queued commit, with its number in the queue.
pub(super) type Job = (i64, Revision);

/// Adds a commit to the queues of `links`, in the transaction that publishes the commit.
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
    /// Returns the enabled links that have to be sent a new commit: all but `from`, the link that brought it.
    pub(crate) fn links_to_tell(&self, from: Option<LinkId>) -> Vec<LinkId> {
        let links = self.links().read().unwrap_or_else(PoisonError::into_inner);
        links.iter().copied().filter(|link| Some(*link) != from).collect()
    }

    /// Returns the commits that the link's remote isn't known to have, oldest first.
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

    /// Returns the size and age of a link's queue.
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

    /// Records that the remote has `verified`: removes that commit and its ancestors from the queue. Returns the number
    /// of removed jobs.
    ///
    /// # Errors
    /// `verified` isn't a commit of this wiki's repository; wiki.db can't be read or written.
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

    /// Removes jobs from a queue. The number alone doesn't identify a job: after the last job is removed, its number is
    /// used again.
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

    /// Removes the commits that aren't part of `head` from all queues. `head` replaces the wiki's history, so these
    /// commits are never pushed. The statement belongs in the transaction that replaces the history.
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

    /// Deletes the queue of a link that was removed.
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
