//! Refs that are no branches: they keep commits.

use gix::refs::transaction::PreviousValue;

use super::{Repo, RepoError, object_id, revision};
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

    /// Lets the ref keep `tip`, whatever it kept before.
    pub(crate) fn set_keeping_ref(&self, name: &str, tip: Revision) -> Result<(), RepoError> {
        let local = self.local();
        local.reference(name, object_id(tip.as_bytes()), PreviousValue::Any, "kept")?;
        Ok(())
    }
}
