//! Refs that aren't branches: they keep commits in the repository.

use super::{Repo, RepoError, revision};
use crate::revision::Revision;

impl Repo {
    /// The commit that the ref with this full name points to.
    pub(crate) fn keeping_ref(&self, name: &str) -> Result<Option<Revision>, RepoError> {
        let local = self.local();
        let found = local.try_find_reference(name)?;
        Ok(found.and_then(|kept| kept.target().try_id().map(revision)))
    }

    /// All refs below a prefix that ends in a slash, with their full names.
    pub(crate) fn keeping_refs(&self, prefix: &str) -> Result<Vec<(String, Revision)>, RepoError> {
        let local = self.local();
        let platform = local.references()?;
        let mut kept = Vec::new();
        for found in platform.prefixed(prefix)? {
            let found = found?;
            if let Some(id) = found.target().try_id() {
                kept.push((found.name().as_bstr().to_string(), revision(id)));
            }
        }
        Ok(kept)
    }

    /// Points the ref at `tip`, replacing any former commit. After a power cut it has the old value or the
    /// new one.
    pub(crate) fn set_keeping_ref(&self, name: &str, tip: Revision) -> Result<(), RepoError> {
        self.lock_ref(&self.dir.join(name), "refs")?.set_synced(tip)
    }

    /// Keeps a commit that the branch is about to leave, under a ref that clients don't see. The caller
    /// syncs the file system.
    pub(crate) fn keep_backup(&self, old: Revision) -> Result<(), RepoError> {
        let mut time = time::OffsetDateTime::now_utc().unix_timestamp();
        let name = |time: i64| format!("refs/wiki/backup/{time}");
        // The name is taken by another backup of the same second.
        while self.keeping_ref(&name(time))?.is_some() {
            time += 1;
        }
        self.set_keeping_ref(&name(time), old)
    }
}
