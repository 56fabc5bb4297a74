//! Fast-forwards the branch to a commit that was fetched into the repository.

use crate::error::Error;
use crate::files::sync_filesystem;
use crate::revision::Revision;
use crate::sync::left_by_changes;
use crate::wiki::Wiki;

impl Wiki {
    /// Returns `true` if the branch can be fast-forwarded to `to`.
    ///
    /// # Errors
    /// `to` isn't a commit in this repository.
    pub fn is_behind(&self, to: Revision) -> Result<bool, Error> {
        if !self.repo().is_commit(to)? {
            return Err(Error::UnknownRevision { revision: to });
        }
        Ok(match self.head()? {
            Some(head) => self.repo().is_ancestor(head, to)?,
            None => true,
        })
    }

    /// Fast-forwards the branch to `to`, a commit that is in the repository already. Returns `false`, without any
    /// change, if the branch has commits that `to` lacks.
    ///
    /// # Errors
    /// `to` isn't a commit in this repository; the wiki would exceed its quota; the index would take more room than the
    /// size of the repository accounts for; the disk is failing.
    pub fn fast_forward(&self, to: Revision) -> Result<bool, Error> {
        // Before the writer lock is taken. A concurrent commit makes little difference.
        if self.is_behind(to)? {
            self.check_history(self.current()?, to)?;
        }
        let mut writer = self.lock_writer()?;
        // The branch must contain all acknowledged changes first.
        if writer.unapplied {
            self.replay(&mut writer)?;
        }
        self.head_moved(false);
        if !self.is_behind(to)? {
            return Ok(false);
        }
        let old = self.repo().head()?;
        let counted = self.check_tip(&writer, old, to)?;
        // git wrote the objects already.
        self.repo().count_size()?;
        self.room().forget();
        self.check_disk(0)?;
        // Other programs wrote the objects and may not have synced them.
        sync_filesystem(self.repo().dir())?;
        writer.counted = counted.map(|count| (to, count));
        let view = self.repo().view();
        let follow =
            self.follow_conflicts(|| Ok(left_by_changes(&view, &view.changes(old, to)?)?))?;
        self.publish_stored(&mut writer, old, to, None, vec![follow])?;
        self.checkpoint_if_due(&mut writer);
        drop(writer);
        self.update_index(|_| ())?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Scratch;

    #[test]
    fn only_a_commit_that_has_everything_is_moved_to() {
        let scratch = Scratch::new();
        scratch.create("roses", "red");
        let theirs = scratch.commit_with_git("tulips.md", "yellow").parse().unwrap();
        let before = scratch.page("roses").summary.revision;
        scratch.git(&["update-ref", "refs/heads/main", &before.to_string()]);
        assert_eq!(scratch.paths(), ["roses"]);
        assert!(scratch.wiki().is_behind(theirs).unwrap());
        assert!(scratch.wiki().fast_forward(theirs).unwrap());
        assert_eq!(scratch.paths(), ["roses", "tulips"]);

        let ours = scratch.update("roses", "white").revision;
        assert!(!scratch.wiki().fast_forward(theirs).unwrap());
        assert_eq!(scratch.wiki().head().unwrap(), Some(ours));
        let missing = "0123456789012345678901234567890123456789".parse().unwrap();
        assert!(scratch.wiki().fast_forward(missing).unwrap_err().is_not_found());
        scratch.create("lilies", "on top");
        assert_eq!(scratch.text("tulips"), "yellow");
    }
}
