//! Refs that keep what a link had: its last tip, and tips that were rewritten. git hides them from
//! everybody who fetches.

use time::OffsetDateTime;

use super::LinkId;
use crate::error::Error;
use crate::files::sync_filesystem;
use crate::page::from_seconds;
use crate::revision::Revision;
use crate::wiki::Wiki;

impl Wiki {
    /// The tip that the link was last seen at; `None` if it never was.
    ///
    /// # Errors
    /// The ref is damaged.
    pub fn remote_tip(&self, link: LinkId) -> Result<Option<Revision>, Error> {
        self.check_open()?;
        Ok(self.repo().keeping_ref(&remote(link))?)
    }

    /// Remembers the tip that a link was seen at, a commit of this wiki's repository. It may be forgotten
    /// in a power cut.
    ///
    /// # Errors
    /// It is no such commit; the disk is full.
    pub fn keep_ref(&self, link: LinkId, tip: Revision) -> Result<(), Error> {
        self.keep(&remote(link), tip)
    }

    /// Keeps a tip that is about to be lost from sight, durably, and once. Of two in one second the second gets
    /// the next. The tips of a link that covers a part never come into the wiki: kept is the commit of ours
    /// that holds everything of it.
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

    /// The tips that were kept of a link, oldest first.
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
        // A ref to nothing would be damage.
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
