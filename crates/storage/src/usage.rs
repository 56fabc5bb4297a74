//! The size of a wiki, and its quota.
//!
//! The index counts its own rows, so a save under a quota reads two numbers and looks only at the files it changes.
//! While the index is behind, all files are counted in git once.

mod disk;
mod made;
use std::collections::BTreeMap;
use std::sync::PoisonError;

use crate::error::Error;
use crate::index;
use crate::page_path::ExistingPath;
use crate::publish::Writer;
use crate::repo::{Edit, Entry, FileChange, RepoError, View};
use crate::revision::{Etag, Revision};
use crate::wiki::Wiki;

use disk::DiskUse;
pub(crate) use disk::Room;
pub(crate) use made::Sent;

/// The limits of a wiki. A change that makes the wiki smaller, or leaves its size as it is, is never refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Maximum bytes of all files in the newest revision; `None`: no limit.
    pub bytes: Option<u64>,
    /// Maximum number of pages; `None`: no limit.
    pub pages: Option<u64>,
    /// Maximum bytes on the disk: the repository with all its history, wiki.db with the index and the drafts, and
    /// app.db. `None`: no limit.
    pub disk_bytes: Option<u64>,
}

/// The size of a wiki.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Number of pages in the newest revision.
    pub pages: u64,
    /// Number of its other files.
    pub attachments: u64,
    /// Bytes of all these files.
    pub bytes: u64,
    /// Bytes of the repository on the disk, with the whole history.
    pub repository_bytes: u64,
    /// Bytes of wiki.db, without its free pages: the index, the drafts and the settings.
    pub database_bytes: u64,
    /// Bytes of all drafts in it.
    pub draft_bytes: u64,
    /// Bytes of app.db.
    pub app_bytes: u64,
}

impl Usage {
    /// Returns the bytes that the wiki takes on the disk.
    pub fn disk_bytes(&self) -> u64 {
        self.repository_bytes + self.database_bytes + self.app_bytes
    }
}

/// Counts of the files in one revision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) pages: u64,
    pub(crate) attachments: u64,
    pub(crate) bytes: u64,
}

/// The counts of the files that a change removes and adds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Growth {
    removed: Count,
    added: Count,
}

impl Count {
    /// Counts a file. The callers leave out links, submodules and names that aren't UTF-8.
    fn add(&mut self, path: &[u8], size: u64) {
        if std::str::from_utf8(path).is_ok_and(|path| ExistingPath::of_file(path).is_some()) {
            self.pages += 1;
        } else {
            self.attachments += 1;
        }
        self.bytes = self.bytes.saturating_add(size);
    }

    /// Returns the counts after a change.
    fn after(self, Growth { removed, added }: Growth) -> Self {
        let of = |count: fn(Self) -> u64| {
            count(self).saturating_sub(count(removed)).saturating_add(count(added))
        };
        Self {
            pages: of(|count| count.pages),
            attachments: of(|count| count.attachments),
            bytes: of(|count| count.bytes),
        }
    }
}

impl Quota {
    fn check(self, before: Count, after: Count) -> Result<(), Error> {
        let limits = [
            ("pages", self.pages, before.pages, after.pages),
            ("bytes", self.bytes, before.bytes, after.bytes),
        ];
        for (what, limit, before, would_be) in limits {
            match limit {
                Some(limit) if would_be > limit && would_be > before => {
                    return Err(Error::QuotaExceeded { what, limit, would_be });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Wiki {
    /// Sets the quota from now on.
    pub fn set_quota(&self, quota: Quota) {
        *self.quota.lock().unwrap_or_else(PoisonError::into_inner) = quota;
        self.room().forget();
    }

    /// Measures the wiki.
    ///
    /// # Errors
    /// The repository or wiki.db can't be read.
    pub fn usage(&self) -> Result<Usage, Error> {
        let Count { pages, attachments, bytes } = self.count(self.current()?)?;
        self.repo().count_size()?;
        let DiskUse { repository, database, drafts, app } = self.disk_use()?;
        Ok(Usage {
            pages,
            attachments,
            bytes,
            repository_bytes: repository,
            database_bytes: database,
            draft_bytes: drafts,
            app_bytes: app,
        })
    }

    /// Checks that the present content is within the quota, even if it was written without this check.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`]; the repository or wiki.db can't be read.
    pub fn check_quota(&self) -> Result<(), Error> {
        match self.quota() {
            Some(quota) => quota.check(Count::default(), self.count(self.current()?)?),
            None => Ok(()),
        }
    }

    /// Refuses edits on top of `head` that would exceed the quota.
    pub(crate) fn check_edits(
        &self,
        writer: &Writer,
        view: &View,
        head: Option<Revision>,
        edits: &[Edit],
    ) -> Result<Option<Count>, Error> {
        if self.quota().is_none() {
            return Ok(None);
        }
        let sizes: BTreeMap<Etag, u64> = edits
            .iter()
            .filter_map(|edit| Some((edit.new?.id, edit.content.as_ref()?.len() as u64)))
            .collect();
        let size = |id| match sizes.get(&id) {
            Some(size) => Ok(*size),
            None => view.blob_size(id),
        };
        let growth = self.growth(&view.changes_by(head, edits)?, size)?;
        self.check_growth(Some(writer), head, growth)
    }

    /// As [`check_edits`](Self::check_edits), for a commit that is stored already.
    pub(crate) fn check_tip(
        &self,
        writer: &Writer,
        head: Option<Revision>,
        new: Revision,
    ) -> Result<Option<Count>, Error> {
        if self.quota().is_none() {
            return Ok(None);
        }
        let view = self.repo().view();
        let changes = view.changes(head, new)?;
        self.check_growth(Some(writer), head, self.growth(&changes, |id| view.blob_size(id))?)
    }

    /// Computes the growth that changes cause; `None` without a quota. Reads the size of each file, so callers do this
    /// before they take the writer lock, if possible.
    pub(crate) fn growth(
        &self,
        changes: &[FileChange],
        size: impl Fn(Etag) -> Result<u64, RepoError>,
    ) -> Result<Option<Growth>, Error> {
        if self.quota().is_none() {
            return Ok(None);
        }
        let mut growth = Growth::default();
        for FileChange { path, old, new } in changes {
            for (entry, count) in [(old, &mut growth.removed), (new, &mut growth.added)] {
                if let Some(entry) = entry.filter(|entry| is_counted(path, *entry)) {
                    count.add(path, size(entry.id)?);
                }
            }
        }
        Ok(Some(growth))
    }

    /// Refuses changes of `head` that would exceed the quota. Returns the new counts, which the holder of the writer
    /// lock keeps for the next save.
    pub(crate) fn check_growth(
        &self,
        writer: Option<&Writer>,
        head: Option<Revision>,
        growth: Option<Growth>,
    ) -> Result<Option<Count>, Error> {
        let (Some(quota), Some(growth)) = (self.quota(), growth) else { return Ok(None) };
        let known = writer.and_then(|writer| writer.counted).filter(|(of, _)| Some(*of) == head);
        let before = match known {
            Some((_, count)) => count,
            None => self.count(head)?,
        };
        let after = before.after(growth);
        quota.check(before, after)?;
        Ok(Some(after))
    }

    /// Returns the quota, if it limits pages or bytes.
    fn quota(&self) -> Option<Quota> {
        let quota = *self.quota.lock().unwrap_or_else(PoisonError::into_inner);
        (quota.bytes.is_some() || quota.pages.is_some()).then_some(quota)
    }

    /// Maximum bytes on the disk.
    pub(crate) fn disk_limit(&self) -> Option<u64> {
        self.quota.lock().unwrap_or_else(PoisonError::into_inner).disk_bytes
    }

    /// Counts the files of `head`; from the index, if that describes `head`.
    fn count(&self, head: Option<Revision>) -> Result<Count, Error> {
        let Some(head) = head else { return Ok(Count::default()) };
        if let Some(database) = self.existing_database()? {
            let counted = database.read(|c| Ok::<_, Error>(index::counted(c, head)?))?;
            if let Some(count) = counted {
                return Ok(count);
            }
        }
        let view = self.repo().view();
        let mut count = Count::default();
        for (path, entry) in self.repo().files(head)? {
            if is_counted(&path, entry) {
                count.add(&path, view.blob_size(entry.id)?);
            }
        }
        Ok(count)
    }
}

fn is_counted(path: &[u8], entry: Entry) -> bool {
    entry.is_file() && std::str::from_utf8(path).is_ok()
}

#[cfg(test)]
mod tests;
