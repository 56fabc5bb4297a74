//! Refs that keep the commits of a link reachable: its last tip, and tips from before a rewrite. They are hidden from
//! clients that fetch the wiki.

use time::OffsetDateTime;

use super::LinkId;
use crate::error::Error;
use crate::files::sync_filesystem;
use crate::page::from_seconds;
use crate::revision::Revision;
use crate::wiki::Wiki;

impl Wiki {
    /// Returns the remote's tip as last seen by the link; `None` if it was never seen.
    ///
    /// # Errors
    /// The ref is damaged.
    pub fn remote_tip(&self, link: LinkId) -> Result<Option<Revision>, Error> {
        self.check_open()?;
        Ok(self.repo().keeping_ref(&remote(link))?)
    }

    /// Records the remote's tip, which must be a commit of this wiki's repository. Not durable: a power cut may lose
    /// it.
    ///
    /// # Errors
    /// The tip isn't a commit of this repository; the disk is full.
    pub fn keep_ref(&self, link: LinkId, tip: Revision) -> Result<(), Error> {
        self.keep(&remote(link), tip)
    }

    /// Keeps a tip that a rewrite is about to make unreachable; durable and idempotent. Backups are named by their
    /// second; a second one in the same second is named by the next. The tips of a partial link never come into the
    /// wiki, so the wiki's commit that contains everything in the tip is kept instead.
    ///
    /// # Errors
    /// As [`keep_ref`](Self::keep_ref).
    pub fn back_up(&self, link: LinkId, tip: Revision) -> Result<(), Error> {
        let tip = match self.repo().is_commit(tip)? {
            true => tip,
            false => self.local_of(link, tip)?.unwrap_or(tip),
        };
        let backups = self.backups(link)?;
        if backups.iter().all(|(_, kept)| *kept != tip) {
            let mut time = OffsetDateTime::now_utc().unix_timestamp();
            while self.repo().keeping_ref(&backup(link, time))?.is_some() {
                time += 1;
            }
            self.keep(&backup(link, time), tip)?;
        }
        Ok(sync_filesystem(self.repo().dir())?)
    }

    /// Returns the kept tips of a link, oldest first.
    ///
    /// # Errors
    /// A ref is damaged.
    pub fn backups(&self, link: LinkId) -> Result<Vec<(OffsetDateTime, Revision)>, Error> {
        self.check_open()?;
        let prefix = format!("refs/wiki/backup/{link}/");
        let mut backups = Vec::new();
        for (name, tip) in self.repo().keeping_refs(&prefix)? {
            if let Some(time) = name.strip_prefix(&prefix).and_then(|time| time.parse().ok()) {
                backups.push((from_seconds(time), tip));
            }
        }
        backups.sort();
        Ok(backups)
    }

    fn keep(&self, name: &str, tip: Revision) -> Result<(), Error> {
        // A ref to a missing object would damage the repository.
        if !self.repo().is_commit(tip)? {
            return Err(Error::UnknownRevision { revision: tip });
        }
        let _writer = self.lock_writer()?;
        Ok(self.repo().set_keeping_ref(name, tip)?)
    }
}

fn remote(link: LinkId) -> String {
    format!("refs/wiki/remote/{link}")
}

fn backup(link: LinkId, time: i64) -> String {
    format!("refs/wiki/backup/{link}/{time}")
}
