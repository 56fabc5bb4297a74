//! Recovery. When a wiki is opened, acknowledged saves that had not reached the repository are replayed. A damaged
//! branch is pointed at the last commit known to be good, as soon as the damage is noticed.

use crate::error::Error;
use crate::index;
use crate::publish::Writer;
use crate::redo;
use crate::repo::RepoError;
use crate::revision::Revision;
use crate::wiki::Wiki;

/// Brings the repository to the last acknowledged state.
pub(crate) fn recover(wiki: &Wiki) -> Result<(), Error> {
    if let Some(database) = wiki.existing_database()? {
        let mut writer = wiki.lock_writer_only()?;
        // The process may have died before the clients of these commits got an answer.
        let pending = database.read(|connection| Ok::<_, Error>(redo::commits(connection)?))?;
        pending.into_iter().for_each(|commit| wiki.is_durable(commit));
        wiki.replay(&mut writer)?;
        wiki.mend_branch(&writer)?;
        return wiki.head().map(drop);
    }
    // A damaged branch must be reported now. Without any commit, nothing was ever acknowledged.
    if wiki.head()?.is_some() && !wiki.is_new() {
        tracing::error!(
            wiki.id = wiki.id(),
            directory = %wiki.dir().display(),
            "wiki.db is missing, though the wiki has a history: drafts, preferences and users are gone. A new one is \
             made when it is needed; to have them back, restore wiki.db from a backup before"
        );
    }
    Ok(())
}

impl Wiki {
    /// Returns the branch's commit. A branch that is unreadable or missing, or names a missing commit, is pointed at
    /// the newest commit that the writer, the index or the last checkpoint knows: an empty history must never replace a
    /// real one.
    ///
    /// # Errors
    /// The branch is damaged and no good commit is known.
    pub(crate) fn mend_branch(&self, writer: &Writer) -> Result<Option<Revision>, Error> {
        let head = self.repo().head();
        if let Ok(Some(head)) = head {
            if self.is_good_head(head)? {
                return Ok(Some(head));
            }
            // The commit may be in a pack that has lost its index.
            if !self.repo().is_commit(head)? && self.mend_packs()? && self.is_good_head(head)? {
                return Ok(Some(head));
            }
        }
        let damage = match head {
            Ok(Some(head)) if self.repo().is_commit(head)? => {
                format!("it is gone, and packed-refs has an older commit of it, {head}")
            }
            Ok(Some(head)) if self.repo().lacks_packs() => {
                let detail = format!(
                    "the branch `{}` in `{}` names {head}, which is missing, and so are packs: restore them from a \
                     backup and open the wiki again. What was set aside is in `set-aside`; once it is of no use, remove it",
                    self.branch(),
                    self.repo().dir().display()
                );
                return Err(Error::Damaged { detail });
            }
            Ok(Some(head)) => format!("it names {head}, which is missing or damaged"),
            Ok(None) => "it is gone".to_owned(),
            Err(RepoError::DamagedRef { source, .. }) => source.to_string(),
            Err(error) => return Err(error.into()),
        };
        let mut known = self.known_commits()?;
        known.extend(writer.durable);
        match self.newest_of(&known)? {
            Some(known) => {
                tracing::error!(
                    wiki.id = self.id(),
                    branch = self.branch(),
                    damage,
                    restored = %known,
                    "the branch was damaged and now points to the newest commit that wiki.db knows"
                );
                self.repo().clear_branch()?;
                self.repo().lock_branch()?.set_synced(known)?;
                self.head_moved(writer.unapplied);
                Ok(Some(known))
            }
            None if known.is_empty() && damage == "it is gone" => Ok(None),
            None => Err(self.damaged_branch(&damage)),
        }
    }

    /// Rebuilds lost pack indexes, unless a running git may have written a pack and not its index yet. Returns `false`
    /// in that case.
    pub(crate) fn mend_packs(&self) -> Result<bool, Error> {
        let Ok(_alone) = self.maintaining.try_lock() else { return Ok(false) };
        self.repo().mend_packs()?;
        Ok(true)
    }

    pub(crate) fn damaged_branch(&self, damage: &str) -> Error {
        Error::Damaged {
            detail: format!(
                "the branch `{}` in `{}` is damaged: {damage}. No good commit is known; restore the repository from a \
                 backup, or point the branch at a commit with `git update-ref`",
                self.branch(),
                self.repo().dir().display()
            ),
        }
    }

    /// Returns `true` if the branch's commit comes from packed-refs, which git ignores while the branch has its own
    /// file, and a newer known commit descends from it.
    pub(crate) fn is_outdated(&self, head: Revision) -> Result<bool, Error> {
        if self.repo().has_branch_file() {
            return Ok(false);
        }
        for known in self.known_commits()? {
            let is_newer = known != head && self.repo().is_commit(known)?;
            if is_newer && self.repo().is_ancestor(head, known)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the commits that the branch is known to have been at.
    fn known_commits(&self) -> Result<Vec<Revision>, Error> {
        let mut known = vec![self.last_head()];
        if let Some(database) = self.existing_database()? {
            known.extend(database.read(|connection| {
                Ok::<_, Error>([index::indexed(connection)?, redo::durable(connection)?])
            })?);
        }
        Ok(known.into_iter().flatten().collect())
    }

    /// Returns the commit that descends from the others. Of two unrelated ones, the first.
    fn newest_of(&self, known: &[Revision]) -> Result<Option<Revision>, Error> {
        let mut newest = None;
        for commit in known.iter().copied() {
            if !self.repo().is_commit(commit)? {
                continue;
            }
            newest = match newest {
                Some(other) if !self.repo().is_ancestor(other, commit)? => Some(other),
                _ => Some(commit),
            };
        }
        Ok(newest)
    }

    /// Rewrites all objects of the redo rows, and the branch, even if they seem to exist.
    pub(crate) fn write_again(&self) -> Result<(), Error> {
        let repo = self.repo();
        let pending =
            self.database()?.read(|connection| Ok::<_, Error>(redo::pending(connection)?))?;
        let mut rewrite = repo.rewrite()?;
        for redo in &pending {
            // The objects of a push were synced before its row was written.
            let Some(commit) = &redo.commit else { continue };
            rewrite.add(&repo.view().rebuild(commit, &redo.edits)?)?;
        }
        rewrite.finish()?;
        let lock = repo.lock_branch()?;
        if let Some(head) = repo.head()? {
            lock.set(head)?;
        }
        self.head_moved(false);
        Ok(())
    }

    /// Checks that HEAD still names the branch that the pending saves were made on.
    fn check_branch(&self, branch: &str) -> Result<(), Error> {
        let current = self.repo().branch();
        if branch == current {
            return Ok(());
        }
        Err(Error::Damaged {
            detail: format!(
                "HEAD of `{}` was pointed at `{current}` while acknowledged saves to `{branch}` were waiting; \
                 point it back with `git symbolic-ref HEAD {branch}`, open and close the wiki, then switch",
                self.repo().dir().display()
            ),
        })
    }

    /// Checks that a pushed commit is in the repository. Its objects were on the disk before its row was.
    fn check_stored(&self, new: Revision) -> Result<(), Error> {
        if self.repo().is_commit(new)? {
            return Ok(());
        }
        Err(Error::Damaged {
            detail: format!(
                "commit {new}, which was pushed and acknowledged, is missing or damaged in `{}`; fetch it \
                 from whoever pushed it, or restore the repository from a backup",
                self.repo().dir().display()
            ),
        })
    }

    /// Replays the redo rows of an exchanged wiki.db. In most cases the branch contains all of these saves already, and
    /// a commit on the branch was synced.
    pub(crate) fn settle_redo_rows(&self, writer: &mut Writer) -> Result<(), Error> {
        let Some(database) = self.existing_database()? else { return Ok(()) };
        let head = self.mend_branch(writer)?;
        let (pending, newest) = database.read(|connection| {
            Ok::<_, Error>((redo::pending(connection)?, redo::newest(connection)?))
        })?;
        let is_shown = match (pending.last(), head) {
            (None, _) => true,
            (Some(last), Some(head)) => {
                self.repo().is_commit(last.new)? && self.repo().is_ancestor(last.new, head)?
            }
            (Some(_), None) => false,
        };
        // After a failed sync nothing counts as synced.
        if writer.unsynced || !is_shown {
            return self.replay(writer);
        }
        if let Some(newest) = newest {
            let size = self.repo().known_size();
            database.write(|tx| Ok::<_, Error>(redo::forget(tx, newest, head, size)?))?;
        }
        writer.unapplied = false;
        writer.pending = 0;
        writer.durable = head;
        Ok(())
    }

    /// Replays every redo row whose save isn't in the repository.
    pub(crate) fn replay(&self, writer: &mut Writer) -> Result<(), Error> {
        let Some(database) = self.existing_database()? else { return Ok(()) };
        let pending = database.read(|connection| Ok::<_, Error>(redo::pending(connection)?))?;
        let mut repaired = 0;
        for redo in &pending {
            self.check_branch(&redo.branch)?;
            let Some(commit) = &redo.commit else {
                self.check_stored(redo.new)?;
                continue;
            };
            let prepared = self.repo().view().rebuild(commit, &redo.edits)?;
            if prepared.revision != redo.new {
                return Err(Error::Damaged {
                    detail: format!("the redo row of {} describes {}", redo.new, prepared.revision),
                });
            }
            repaired += self.repo().repair_objects(&prepared)?;
        }
        if let Some(last) = pending.last() {
            // After a power cut the branch may be at any commit from before these saves.
            let before: Vec<_> =
                pending.iter().flat_map(|redo| [redo.old, Some(redo.new)]).collect();
            self.settle(&before, last.new)?;
        }
        if repaired > 0 {
            tracing::info!(
                wiki.id = self.id(),
                saves = pending.len(),
                objects = repaired,
                "repeated acknowledged saves"
            );
        }
        writer.unapplied = false;
        writer.pending = pending.len();
        writer.durable = match pending.last() {
            Some(last) => Some(last.new),
            None => database.read(|connection| Ok::<_, Error>(redo::durable(connection)?))?,
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests;
