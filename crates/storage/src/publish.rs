//! Publishes a unit of work: first durable, then visible, then acknowledged.
//!
//! 1. The commit is built in memory.
//! 2. One SQLite transaction records it, with everything else that the unit changes. The commit of this transaction is
//!    the durability point.
//! 3. The objects are written and the branch is moved, by compare-and-swap.
//!
//! A pushed commit exists already. It is synced, and then takes steps 2 and 3 ([`Wiki::publish_stored`]).
//!
//! If the process dies after 2, opening the wiki does 3. If 3 fails (a full disk), the next write does it. If another
//! program moved the branch between 1 and 3, both histories are merged; the other program's commits are never
//! overwritten.

use rusqlite::Transaction;

use crate::author::Author;
use crate::db::Database;
use crate::deadline;
use crate::error::Error;
use crate::files::{FileSystem, sync_filesystem};
use crate::index::{self, Described};
use crate::merge::files::Winner;
use crate::redo::{self, Redo};
use crate::repo::{Commit, Draft, Edit, Prepared, RepoError};
use crate::revision::Revision;
use crate::sync::{self, LinkId, NewConflicts};
use crate::unit::{INLINE_BYTES, Statement, Unit};
use crate::usage::Count;
use crate::wiki::Wiki;

/// Number of saves after which a checkpoint makes their objects durable and removes their redo rows. More rows make a
/// longer recovery, fewer rows more waits for the disk: 256 replay in well under a second.
const CHECKPOINT_AFTER: usize = 256;

/// Maximum number of changed files that are indexed in the transaction of the save.
const INDEXED_AT_ONCE: usize = 256;

/// The outcome of publishing a unit's commit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Published {
    /// The revision that contains the commit.
    pub(crate) revision: Revision,
    /// True if another program moved the branch meanwhile, so that the revision contains more than the unit.
    pub(crate) merged: bool,
}

/// The state guarded by the writer lock.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    /// Number of saves in redo rows whose objects may not be on the disk yet.
    pub(crate) pending: usize,
    /// True if the last save is durable but could not be made visible.
    pub(crate) unapplied: bool,
    /// True if damage was met in the repository since the last attempt at repair.
    pub(crate) doubtful: bool,
    /// The file system, opened before the first of the pending saves was written, so that the sync reports every failed
    /// write.
    pub(crate) disk: Option<FileSystem>,
    /// True if a sync failed. Data that it should have written may look intact without being on the disk, and the next
    /// sync wouldn't report it: everything must be written again.
    pub(crate) unsynced: bool,
    /// A commit that would survive a power cut: it was synced, or a redo row records it.
    pub(crate) durable: Option<Revision>,
    /// The last commit under a quota, with the size of its content.
    pub(crate) counted: Option<(Revision, Count)>,
}

/// A merge that is ready to be published.
pub(crate) struct PreparedMerge {
    pub(crate) prepared: Prepared,
    /// Changes against the first parent.
    pub(crate) edits: Vec<Edit>,
    /// The conflicts that people have to settle.
    pub(crate) conflicts: NewConflicts,
    /// Further changes for the same transaction.
    pub(crate) statements: Vec<Statement<'static>>,
}

impl Wiki {
    /// Fills a unit of work under the writer lock and publishes it. Returns the closure's value and the outcome of the
    /// unit's commit, if it made one.
    pub(crate) fn write<'a, T>(
        &'a self,
        fill: impl FnOnce(&mut Unit<'a>) -> Result<T, Error>,
    ) -> Result<(T, Option<Published>), Error> {
        let mut writer = self.lock_writer()?;
        if writer.unapplied {
            deadline::shielded(|| self.replay(&mut writer))?;
        }
        let written = self.write_locked(&mut writer, fill);
        if let Err(Error::Damaged { .. }) = written {
            // The next write starts with a repair.
            writer.doubtful = true;
        }
        written
    }

    fn write_locked<'a, T>(
        &'a self,
        writer: &mut Writer,
        fill: impl FnOnce(&mut Unit<'a>) -> Result<T, Error>,
    ) -> Result<(T, Option<Published>), Error> {
        if let Some(database) = self.existing_database()? {
            self.catch_up_a_little(database)?;
        }
        // Read the head again: another program may have moved the branch.
        let mut unit = Unit::new(self.repo(), self.repo().head()?, self.preferences()?);
        let value = fill(&mut unit)?;
        // From here on, the work runs to its end, even if the request is cancelled.
        let published = deadline::shielded(|| self.publish(writer, unit));
        // A save that is durable but not visible is still in progress.
        self.head_moved(writer.unapplied);
        let published = published?;
        deadline::shielded(|| self.checkpoint_if_due(writer));
        Ok((value, published))
    }

    pub(crate) fn checkpoint_if_due(&self, writer: &mut Writer) {
        if writer.pending >= CHECKPOINT_AFTER
            && let Err(error) = self.checkpoint_locked(writer)
        {
            // The save itself is safe; the rows stay until a checkpoint succeeds.
            tracing::warn!(wiki.id = self.id(), %error, "checkpoint failed");
        }
    }

    fn publish(&self, writer: &mut Writer, unit: Unit<'_>) -> Result<Option<Published>, Error> {
        let Unit { view, head, preferences, edits, moves, signed, mut statements } = unit;
        let database = self.database()?;
        let Some(signed) = signed else {
            if !statements.is_empty() {
                database.write(|tx| statements.into_iter().try_for_each(|change| change(tx)))?;
            }
            return Ok(None);
        };
        let counted = self.check_edits(writer, &view, head, &edits)?;
        self.check_disk_for(&view, head, &edits)?;
        // A change of very many files is indexed later, so that no save waits for it.
        let described = match edits.len() {
            0..=INDEXED_AT_ONCE => {
                Described::new(&view, head, &edits, &moves, preferences.link_style())?
            }
            _ => None,
        };
        if edits.iter().any(|edit| edit.new.is_none()) {
            let left = || Ok(sync::left_by_edits(&view, head, &edits, &moves)?);
            statements.push(self.follow_conflicts(left)?);
        }
        let edits = self.small_enough(edits)?;
        let parents: Vec<Revision> = head.into_iter().collect();
        let (author, message, time) = (&signed.author, signed.message.as_str(), signed.time);
        let prepared =
            view.prepare(&Draft { parents: &parents, edits: &edits, author, message, time })?;
        self.room().spend(prepared.bytes());
        let new = prepared.revision;
        let commit = Commit { parents, author: author.clone(), time, message: message.to_owned() };
        let redo = Redo {
            branch: self.repo().branch(),
            old: head,
            new,
            commit: Some(prepared.commit.clone()),
            edits,
        };
        self.record(writer, &redo, None, |transaction| {
            let is_indexed = match &described {
                Some(described) => described.apply(transaction, head, new, &commit)?,
                None => false,
            };
            if !is_indexed {
                index::tell_moves(transaction, new, &moves)?;
            }
            Ok(statements.into_iter().try_for_each(|change| change(transaction))?)
        })?;
        writer.counted = counted.map(|count| (new, count));
        let visible = self
            .repo()
            .write_objects(&prepared)
            .map_err(Error::from)
            .and_then(|()| self.make_visible(writer, head, new));
        let revision = self.or_repeat(writer, new, visible)?;
        Ok(Some(Published { revision, merged: revision != new }))
    }

    /// Publishes an existing commit, which is on the disk with all its objects. `from` is the link that brought it, if
    /// one did. The statements run in the same transaction. Returns the head.
    pub(crate) fn publish_stored(
        &self,
        writer: &mut Writer,
        old: Option<Revision>,
        new: Revision,
        from: Option<LinkId>,
        statements: Vec<Statement<'static>>,
    ) -> Result<Revision, Error> {
        let branch = self.repo().branch();
        let redo = Redo { branch, old, new, commit: None, edits: Vec::new() };
        let published = deadline::shielded(|| {
            self.record(writer, &redo, from, |transaction| {
                Ok(statements.into_iter().try_for_each(|change| change(transaction))?)
            })?;
            let visible = self.make_visible(writer, old, new);
            self.or_repeat(writer, new, visible)
        });
        self.head_moved(writer.unapplied);
        published
    }

    /// Publishes a merge.
    pub(crate) fn publish_merge(
        &self,
        writer: &mut Writer,
        old: Option<Revision>,
        merge: PreparedMerge,
    ) -> Result<Revision, Error> {
        let PreparedMerge { prepared, edits, conflicts, statements } = merge;
        let edits = self.small_enough(edits)?;
        let new = prepared.revision;
        let branch = self.repo().branch();
        let redo = Redo { branch, old, new, commit: Some(prepared.commit.clone()), edits };
        let published = deadline::shielded(|| {
            self.record(writer, &redo, None, |transaction| {
                conflicts.record(transaction, new)?;
                Ok(statements.into_iter().try_for_each(|change| change(transaction))?)
            })?;
            let visible = self
                .repo()
                .write_objects(&prepared)
                .map_err(Error::from)
                .and_then(|()| self.make_visible(writer, old, new));
            self.or_repeat(writer, new, visible)
        });
        self.head_moved(writer.unapplied);
        published
    }

    /// Tries again to make a durable change visible, in case the failure was temporary.
    fn or_repeat(
        &self,
        writer: &mut Writer,
        new: Revision,
        visible: Result<Revision, Error>,
    ) -> Result<Revision, Error> {
        let Err(error) = visible else { return visible };
        match self.replay(writer) {
            Ok(()) => {
                tracing::warn!(wiki.id = self.id(), %error, "a change became visible at the second attempt");
                self.is_visible(new);
                Ok(self.repo().head()?.unwrap_or(new))
            }
            // The first error says more.
            Err(_) => Err(error),
        }
    }

    /// Makes a change durable, together with the jobs for all links except `from`, which brought it, and the statements
    /// of `also`. If anything fails after this, the next write or the next open completes it.
    fn record(
        &self,
        writer: &mut Writer,
        redo: &Redo,
        from: Option<LinkId>,
        also: impl FnOnce(&Transaction<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if redo.old != writer.durable {
            // Another program made the old head, and not all programs sync their writes. A save that survives a power
            // cut can't build on a commit that doesn't.
            sync_filesystem(self.repo().dir())?;
            writer.durable = redo.old;
        }
        self.head_will_move(redo);
        let links = self.links_to_tell(from);
        let database = self.database()?;
        let recorded = database.write(|transaction| -> Result<(), Error> {
            // Everything that the commit depends on has been read.
            self.check_maps()?;
            redo::record(transaction, redo)?;
            sync::add_jobs(transaction, &links, redo.new)?;
            also(transaction)
        });
        // The file may have been removed or replaced, which is noticed after the transaction's commit.
        let is_recorded = |database: &Database| {
            let newest = database.read(|connection| Ok::<_, Error>(redo::commits(connection)?));
            newest.is_ok_and(|commits| commits.last() == Some(&redo.new))
        };
        if recorded.is_ok() || is_recorded(database) {
            self.is_durable(redo.new);
            writer.pending += 1;
            writer.unapplied = true;
        }
        recorded?;
        if writer.disk.is_none() {
            writer.disk = Some(FileSystem::watch(self.repo().dir())?);
        }
        Ok(())
    }

    /// Moves the branch to a recorded commit whose objects are written.
    fn make_visible(
        &self,
        writer: &mut Writer,
        old: Option<Revision>,
        new: Revision,
    ) -> Result<Revision, Error> {
        let revision = self.settle(&[old], new)?;
        self.is_visible(new);
        writer.unapplied = false;
        writer.durable = Some(new);
        Ok(revision)
    }

    /// Makes the branch contain `new`, whose objects are written and whose predecessors are `before`, wherever the
    /// branch is now. Returns the head.
    pub(crate) fn settle(
        &self,
        before: &[Option<Revision>],
        new: Revision,
    ) -> Result<Revision, Error> {
        let settled = self.try_settle(before, new);
        self.head_moved(settled.is_err());
        settled
    }

    fn try_settle(&self, before: &[Option<Revision>], new: Revision) -> Result<Revision, Error> {
        let repo = self.repo();
        // While this process holds git's own lock, no other program can move the branch, however fast it pushes.
        let lock = repo.lock_branch()?;
        let settled = match repo.head() {
            // The branch wasn't moved meanwhile.
            Ok(head) if before.contains(&head) => new,
            // A crash left an unreadable branch: the acknowledged commit replaces it.
            Err(RepoError::DamagedRef { .. }) | Ok(None) => new,
            Ok(Some(head)) if !repo.is_commit(head)? => new,
            Ok(Some(head)) if repo.is_ancestor(new, head)? => return Ok(head),
            Ok(Some(head)) if repo.is_ancestor(head, new)? => new,
            Ok(Some(head)) => self.merge_histories(new, head)?,
            Err(error) => return Err(error.into()),
        };
        lock.set(settled)?;
        Ok(settled)
    }

    /// Commits a durable merge of the acknowledged history `ours` with `theirs`; the branch is not moved.
    fn merge_histories(&self, ours: Revision, theirs: Revision) -> Result<Revision, Error> {
        let repo = self.repo();
        let view = repo.view();
        let merge = view.merge(Some(ours), theirs, Winner::Wiki)?;
        let edits = self.small_enough(merge.edits(&merge.ours))?;
        // The merge builds on objects that other programs wrote and may not have synced.
        sync_filesystem(repo.dir())?;
        for conflict in &merge.conflicts {
            tracing::warn!(
                wiki.id = self.id(),
                path = %String::from_utf8_lossy(&conflict.path),
                kind = ?conflict.kind,
                kept_as = conflict.beside.as_deref().map(String::from_utf8_lossy).as_deref(),
                "both histories want the same place: what is ours stays, what is theirs is kept"
            );
        }
        let author = Author::new("wikigrove", "");
        let message =
            format!("Merge {theirs}\n\nThe branch was moved while a save was on its way.");
        let time = time::OffsetDateTime::now_utc().unix_timestamp();
        let parents = [ours, theirs];
        let draft =
            Draft { parents: &parents, edits: &edits, author: &author, message: &message, time };
        let prepared = view.prepare(&draft)?;
        let new = prepared.revision;
        let redo = Redo {
            branch: repo.branch(),
            old: Some(theirs),
            new,
            commit: Some(prepared.commit.clone()),
            edits,
        };
        let left = merge.left()?;
        let follow = self.follow_conflicts(|| Ok(left))?;
        let conflicts = NewConflicts { link: None, conflicts: merge.conflicts };
        let links = self.links_to_tell(None);
        self.database()?.write(|transaction| -> Result<(), Error> {
            self.check_maps()?;
            redo::record(transaction, &redo)?;
            follow(transaction)?;
            conflicts.record(transaction, new)?;
            Ok(sync::add_jobs(transaction, &links, new)?)
        })?;
        repo.write_objects(&prepared)?;
        Ok(new)
    }

    /// Writes contents that are too large for a redo row as durable objects.
    pub(crate) fn small_enough(&self, mut edits: Vec<Edit>) -> Result<Vec<Edit>, Error> {
        for edit in &mut edits {
            if let Some(content) = edit.content.take_if(|content| content.len() > INLINE_BYTES) {
                self.repo().write_durable_blob(&content)?;
            }
        }
        Ok(edits)
    }

    pub(crate) fn checkpoint_locked(&self, writer: &mut Writer) -> Result<(), Error> {
        if writer.unapplied {
            self.replay(writer)?;
        }
        if writer.pending == 0 {
            return Ok(());
        }
        let database = self.database()?;
        let Some(newest) = database.read(|connection| Ok::<_, Error>(redo::newest(connection)?))?
        else {
            writer.pending = 0;
            return Ok(());
        };
        let disk = match writer.disk.take() {
            Some(disk) => disk,
            None => FileSystem::watch(self.repo().dir())?,
        };
        if writer.unsynced {
            self.write_again()?;
        }
        // If the branch was damaged meanwhile, the redo rows may know the newest commit.
        let head = self.mend_branch(writer)?;
        writer.unsynced = true;
        disk.sync()?;
        writer.unsynced = false;
        let size = self.repo().known_size();
        // If a pack was truncated, the rows may hold what was in it.
        self.check_maps()?;
        database.write(|tx| Ok::<_, Error>(redo::forget(tx, newest, head, size)?))?;
        writer.durable = head;
        writer.pending = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
