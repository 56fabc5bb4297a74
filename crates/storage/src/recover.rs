//! What happens when a wiki is opened: acknowledged saves that had not reached the repository are
//! repeated, and a branch that a crash damaged is pointed at the last commit known to be good.

use crate::error::Error;
use crate::index;
use crate::redo;
use crate::repo::RepoError;
use crate::revision::Revision;
use crate::wiki::Wiki;

/// Brings the repository to the state that was last acknowledged.
pub(crate) fn recover(wiki: &Wiki) -> Result<(), Error> {
    let Some(database) = wiki.existing_database()? else {
        // Without wiki.db nothing was ever acknowledged; but a damaged branch must be said now.
        wiki.head()?;
        return Ok(());
    };
    let known = database.read(|connection| {
        Ok::<_, Error>([index::indexed(connection)?, redo::durable(connection)?])
    })?;
    let mut writer = wiki.lock_writer()?;
    wiki.replay(&mut writer)?;
    repair_branch(wiki, known)
}

/// After the redo rows, the index or the last checkpoint knows the newest commit. A branch that is
/// unreadable or gone is restored from there: an empty history must never take the place of a real one.
fn repair_branch(wiki: &Wiki, known: [Option<Revision>; 2]) -> Result<(), Error> {
    let damage = match wiki.repo().head() {
        Ok(Some(head)) if wiki.repo().is_commit(head)? => return Ok(()),
        Ok(Some(head)) => format!("it names {head}, which is missing or damaged"),
        Ok(None) => "it is gone".to_owned(),
        Err(RepoError::DamagedRef { source, .. }) => source.to_string(),
        Err(error) => return Err(error.into()),
    };
    match newest(wiki, known)? {
        Some(known) => {
            tracing::error!(
                wiki.id = wiki.id(),
                branch = wiki.repo().branch(),
                damage,
                restored = %known,
                "the branch was damaged and now points to the newest commit that wiki.db knows"
            );
            wiki.repo().lock_branch()?.set(known)?;
            wiki.head_moved(false);
            Ok(())
        }
        None if known == [None, None] && damage == "it is gone" => Ok(()),
        None => Err(Error::Damaged {
            detail: format!(
                "the branch `{}` in `{}` is damaged: {damage}. No good commit is known; restore the repository from a \
                 backup, or point the branch at a commit with `git update-ref`",
                wiki.repo().branch(),
                wiki.repo().dir().display()
            ),
        }),
    }
}

/// The commit that is built on the other; of two that aren't, the first.
fn newest(wiki: &Wiki, known: [Option<Revision>; 2]) -> Result<Option<Revision>, Error> {
    let mut newest = None;
    for commit in known.into_iter().flatten() {
        if !wiki.repo().is_commit(commit)? {
            continue;
        }
        newest = match newest {
            Some(other) if !wiki.repo().is_ancestor(other, commit)? => Some(other),
            _ => Some(commit),
        };
    }
    Ok(newest)
}

impl Wiki {
    /// Writes all objects of the redo rows, and the branch, whether or not they seem to be there.
    pub(crate) fn write_again(&self) -> Result<(), Error> {
        let repo = self.repo();
        let pending =
            self.database()?.read(|connection| Ok::<_, Error>(redo::pending(connection)?))?;
        let mut rewrite = repo.rewrite()?;
        for redo in &pending {
            // What was pushed was synced by itself.
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

    /// Saves that wait belong to the branch they were made on.
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

    /// What was pushed was on the disk before its row was.
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

    /// Repeats every redo row that the repository doesn't show.
    pub(crate) fn replay(&self, writer: &mut crate::publish::Writer) -> Result<(), Error> {
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
            // After a power cut the branch may be where it was before any of them.
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
