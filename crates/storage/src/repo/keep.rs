//! Refs that are no branches: they keep commits.

use super::{Repo, RepoError, revision};
use crate::revision::Revision;

impl Repo {
    /// What the ref with this full name keeps.
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

    /// Lets the ref keep `tip`, whatever it kept before. After a power cut it keeps the one or the other.
    pub(crate) fn set_keeping_ref(&self, name: &str, tip: Revision) -> Result<(), RepoError> {
        self.lock_ref(&self.dir.join(name), "refs")?.set_synced(tip)
    }

    /// Keeps a commit that the branch is about to leave under a name that no client sees. The caller
    /// syncs the file system.
    pub(crate) fn keep_backup(&self, old: Revision) -> Result<(), RepoError> {
        let mut time = time::OffsetDateTime::now_utc().unix_timestamp();
        let name = |time: i64| format!("refs/wiki/backup/{time}");
        // Another one in the same second.
        while self.keeping_ref(&name(time))?.is_some() {
            time += 1;
        }
        self.set_keeping_ref(&name(time), old)
    }
}
