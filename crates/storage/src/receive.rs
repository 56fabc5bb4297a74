//! Receiving a push.
//!
//! git puts it into a scratch repository outside the wiki, which borrows the wiki's objects. There it is
//! [looked at](check), under no lock and without anything of it in the wiki, and synced. Then, under the
//! writer lock: if the branch is still where it was, the files of the objects are moved over, their names are
//! synced, a redo row remembers where the branch goes, and the branch is moved, as with a save.
//!
//! If the process dies before the row, objects that nothing names are left, all of which are whole and were
//! looked at; after it, opening the wiki moves the branch. What was refused never was in the wiki.

mod check;
mod names;
mod refusal;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::Path;

use crate::changes::MAX_CHANGES;
use crate::error::Error;
use crate::files::FileSystem;
use crate::index::{self, shown_path};
use crate::measure::Paths;
use crate::repo::Incoming;
use crate::revision::Revision;
use crate::sync::left_by_changes;
use crate::usage::Sent;
use crate::wiki::Wiki;

pub(crate) use check::{brought, check, check_files};
pub use refusal::PushRefusal;

/// So often a push is looked at again because the branch moved meanwhile.
const TRIES: usize = 3;

/// What a push may bring. Sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushRules {
    /// The largest page.
    pub page_bytes: u64,
    /// The largest other file.
    pub attachment_bytes: u64,
    /// How many files there may be in one commit.
    pub max_files: usize,
    /// How many bytes their paths may have together. The index holds each path several times.
    pub max_path_bytes: u64,
    /// How many bytes the index may take for it, besides `index_per_byte` for each byte that was sent. A push
    /// of a thousand bytes may name a hundred thousand files.
    pub index_bytes: u64,
    /// See `index_bytes`.
    pub index_per_byte: u64,
    /// How deep a file may be: 1 is the top folder.
    pub max_depth: usize,
    /// How many commits one push may bring.
    pub max_commits: usize,
    /// How many objects one push may bring.
    pub max_objects: usize,
    /// Whether the branch may go to a commit that isn't built on what is there. What was there is kept
    /// under `refs/wiki/backup/`.
    pub rewrite: bool,
    /// Whether what a wiki doesn't know may come, to be carried along as it is: links, submodules, and
    /// names that nobody could create here. Not what would do harm to a clone.
    pub carries: bool,
}

impl Default for PushRules {
    /// 5 MB a page, 100 MB a file, 200,000 files with paths of 20 MB, 16 MiB of the index and 64 bytes for
    /// each byte (texts are packed to a third or fourth, and take five times their size), 16 levels, 200,000 commits, 2,000,000 objects,
    /// nothing that a wiki doesn't know, and the branch only goes forward.
    fn default() -> Self {
        Self {
            page_bytes: 5_000_000,
            attachment_bytes: 100_000_000,
            max_files: 200_000,
            max_path_bytes: 20_000_000,
            index_bytes: 16 << 20,
            index_per_byte: 64,
            max_depth: 16,
            max_commits: 200_000,
            max_objects: 2_000_000,
            rewrite: false,
            carries: false,
        }
    }
}

impl PushRules {
    /// Why a commit with these files is refused, if it is. What its parents have already it may have, too.
    pub(crate) fn too_many(&self, now: Paths, before: Paths) -> Option<String> {
        let most = (self.max_files as u64).max(before.files);
        if now.files > most {
            return Some(format!("has more than {most} files"));
        }
        let most = self.max_path_bytes.max(before.bytes);
        (now.bytes > most).then(|| {
            let Paths { files, bytes } = now;
            format!("has {files} files whose paths have {bytes} bytes together; {most} are allowed")
        })
    }
}

/// What became of a push. It is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The branch before.
    pub old: Option<Revision>,
    /// The branch now.
    pub new: Revision,
    /// How many commits are new.
    pub commits: usize,
    /// The pages and attachments that are not as before, by path: the first [`MAX_CHANGES`].
    pub paths: Vec<String>,
    /// Whether there are more of them.
    pub truncated: bool,
    /// Whether the branch went to a commit that isn't built on what was there.
    pub rewritten: bool,
}

impl Wiki {
    /// Makes an empty repository in `dir`, for git to receive one push in. `dir` must not exist, and be
    /// on the file system of the wiki but not inside it. Whoever asked for it removes it.
    ///
    /// # Errors
    /// The directory exists or can't be written.
    pub fn create_scratch(&self, dir: &Path) -> Result<(), Error> {
        self.check_open()?;
        Ok(Incoming::create(dir, self.repo())?)
    }

    /// The rules with the sizes that this wiki has for pages and attachments.
    pub fn push_rules(&self) -> PushRules {
        PushRules {
            page_bytes: self.page_limit(),
            attachment_bytes: self.attachment_limit(),
            ..PushRules::default()
        }
    }

    /// Takes over what git received in a repository that [`create_scratch`](Self::create_scratch) made:
    /// the branch goes to `new`. When this returns, it survives a crash and a power cut. Files are moved
    /// out of the scratch repository, so that it is of no use afterwards.
    ///
    /// # Errors
    /// [`Error::PushRefused`] says what is wrong with it; [`Error::QuotaExceeded`]: nothing of it is in
    /// the wiki then. The disk is full or failing.
    pub fn receive(
        &self,
        scratch: &Path,
        new: Revision,
        rules: &PushRules,
    ) -> Result<Received, Error> {
        for _ in 0..TRIES {
            if let Some(received) = self.try_receive(scratch, new, rules)? {
                self.index_received();
                return Ok(received);
            }
        }
        Err(PushRefusal::new("the wiki was changed all the time meanwhile; fetch and push again")
            .into())
    }

    /// `None`: the branch moved meanwhile, so that what was found out holds no more.
    fn try_receive(
        &self,
        scratch: &Path,
        new: Revision,
        rules: &PushRules,
    ) -> Result<Option<Received>, Error> {
        // Before the first write that is to be synced.
        let disk = FileSystem::watch(self.repo().dir())?;
        let old = self.current()?;
        let incoming = self.incoming(scratch, rules.max_objects)?;
        let checked = check(self.repo(), &incoming, old, new, rules)?;
        let changes = incoming.repo().changes(old, new)?;
        let view = incoming.repo().view();
        let sent = Sent { bytes: incoming.bytes()?, log: checked.log, changes: &changes };
        let weight = self
            .check_made(&sent, rules, |id| view.blob_size(id), |id| view.blob(id))
            .map_err(Error::of_push)?;
        let staged = incoming.stage(self.repo(), &checked.objects)?;
        let added = staged.bytes()?.saturating_add(weight);
        let growth = self.growth(&changes, |id| view.blob_size(id))?;
        let follow = self.follow_conflicts(|| Ok(left_by_changes(&view, &changes)?))?;
        let mut paths: Vec<String> =
            changes.iter().take(MAX_CHANGES).map(|change| shown_path(&change.path)).collect();
        paths.dedup();
        let mut received = Received {
            old,
            new,
            commits: checked.commits,
            paths,
            truncated: changes.len() > MAX_CHANGES,
            rewritten: !checked.is_forward,
        };

        let mut writer = self.lock_writer()?;
        if writer.unapplied {
            self.replay(&mut writer)?;
        }
        if self.repo().head()? != old {
            self.head_moved(false);
            return Ok(None);
        }
        if old == Some(new) {
            return Ok(Some(received));
        }
        let counted = self.check_growth(Some(&writer), old, growth)?;
        self.check_disk_of_push(added, checked.has_files, &changes)?;
        self.repo().adopt(&staged)?;
        if let Some(old) = old.filter(|_| received.rewritten) {
            self.repo().keep_backup(old)?;
        }
        self.repo().sync_adopted(&disk)?;
        // The branch as it was, too.
        writer.durable = old;
        writer.counted = counted.map(|count| (new, count));
        let mut statements = vec![follow];
        if received.rewritten {
            statements.push(self.drop_lost_jobs(new)?);
        }
        received.new = self.publish_stored(&mut writer, old, new, None, statements)?;
        self.checkpoint_if_due(&mut writer);
        Ok(Some(received))
    }

    /// What is in a scratch repository of this wiki.
    pub(crate) fn incoming(&self, scratch: &Path, most: usize) -> Result<Incoming, Error> {
        let incoming = Incoming::open(scratch, self.repo(), most)?;
        incoming.ok_or_else(|| {
            PushRefusal::too_large(format!("more than {most} objects; push them in parts")).into()
        })
    }

    /// A few commits are indexed now, many by whoever asks for it; the push is safe in any case.
    pub(crate) fn index_received(&self) {
        if let Err(error) = self.fresh_index() {
            tracing::warn!(wiki.id = self.id(), %error, "what was pushed can't be indexed yet");
        }
    }

    /// Those of some commits that are part of the branch's history. What else the repository has isn't
    /// told apart from what it hasn't.
    ///
    /// # Errors
    /// The repository can't be read.
    pub fn in_history(&self, ids: HashSet<Revision>) -> Result<HashSet<Revision>, Error> {
        let Some(head) = self.current()?.filter(|_| !ids.is_empty()) else {
            return Ok(HashSet::new());
        };
        if ids.iter().all(|id| *id == head) {
            return Ok(ids);
        }
        // Asking the index takes as long as there are ids, and the walk as long as there are commits.
        if let Some(database) = self.existing_database()?
            && let Some(known) = database.read(|c| Ok::<_, Error>(index::in_log(c, head, &ids)?))?
        {
            return Ok(known);
        }
        let missing = self.repo().not_reachable(head, ids.clone())?;
        Ok(ids.difference(&missing).copied().collect())
    }
}
