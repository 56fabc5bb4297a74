//! Receives a push.
//!
//! git puts it into a scratch repository outside the wiki, which borrows the wiki's objects. There it is
//! [checked](check) and synced, under no lock and with nothing of it in the wiki. Then, under the writer lock, if the
//! branch is still where it was: the object files are moved over, their names are synced, a redo row records the
//! branch's new commit, and the branch is moved, as with a save.
//!
//! If the process dies before the row, unreferenced objects are left over, all of which are complete and checked; if it
//! dies after the row, opening the wiki moves the branch. A refused push is never in the wiki.

mod alike;
mod check;
mod names;
mod refusal;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use crate::changes::MAX_CHANGES;
use crate::deadline;
use crate::error::Error;
use crate::files::FileSystem;
use crate::index::{self, shown_path};
use crate::measure::Paths;
use crate::repo::Incoming;
use crate::revision::Revision;
use crate::sync::left_by_changes;
use crate::usage::Sent;
use crate::wiki::Wiki;

use check::Checked;
pub(crate) use check::{brought, check, check_files};
pub use refusal::PushRefusal;

/// Maximum number of times that a push is checked, if the branch moves meanwhile.
const TRIES: usize = 3;

/// The limits of a push. Sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushRules {
    /// Maximum size of a page.
    pub page_bytes: u64,
    /// Maximum size of another file.
    pub attachment_bytes: u64,
    /// Maximum number of files in one commit.
    pub max_files: usize,
    /// Maximum total length of their paths. The index holds each path several times.
    pub max_path_bytes: u64,
    /// Maximum growth of the index, plus `index_per_byte` for each byte of the push. A push of a thousand bytes may
    /// name a hundred thousand files.
    pub index_bytes: u64,
    /// See `index_bytes`.
    pub index_per_byte: u64,
    /// Maximum depth of a file; 1 is the top folder.
    pub max_depth: usize,
    /// Maximum number of commits in one push.
    pub max_commits: usize,
    /// Maximum number of objects in one push.
    pub max_objects: usize,
    /// Maximum time to check one push.
    pub longest_check: Duration,
    /// Whether the branch may go to a commit that isn't built on what is there. What was there is kept
    /// under `refs/wiki/backup/`.
    pub rewrite: bool,
    /// Accepts entries that a wiki can't use, and keeps them unchanged: symbolic links, submodules, and names that
    /// can't be created here. Entries that would harm a clone are still refused.
    pub carries: bool,
}

impl Default for PushRules {
    /// 5 MB a page, 100 MB a file, 200,000 files with paths of 20 MB, 16 MiB of the index and 64 bytes for each byte
    /// sent (texts are compressed to a third or a fourth, and take five times their size in the index), 16 levels,
    /// 200,000 commits, 2,000,000 objects, two minutes, only entries that a wiki can use, and only fast-forwards.
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
            longest_check: Duration::from_secs(120),
            rewrite: false,
            carries: false,
        }
    }
}

impl PushRules {
    /// Returns the reason to refuse a commit with these files; `None` if it is within the limits, or has no more than
    /// its parents have.
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

/// The outcome of an accepted push. It is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The branch's commit before.
    pub old: Option<Revision>,
    /// The branch's commit now.
    pub new: Revision,
    /// Number of new commits.
    pub commits: usize,
    /// The first [`MAX_CHANGES`] changed pages and attachments, by path.
    pub paths: Vec<String>,
    /// True if there are more of them.
    pub truncated: bool,
    /// True if the branch moved to a commit that doesn't descend from the old one.
    pub rewritten: bool,
}

impl Wiki {
    /// Makes an empty repository in `dir`, for git to receive one push in. `dir` must not exist; it must be on the
    /// wiki's file system, but outside of its directory. The caller removes it.
    ///
    /// # Errors
    /// The directory exists or can't be written.
    pub fn create_scratch(&self, dir: &Path) -> Result<(), Error> {
        self.check_open()?;
        Ok(Incoming::create(dir, self.repo())?)
    }

    /// Returns the default rules with this wiki's limits for pages and attachments.
    pub fn push_rules(&self) -> PushRules {
        PushRules {
            page_bytes: self.page_limit(),
            attachment_bytes: self.attachment_limit(),
            ..PushRules::default()
        }
    }

    /// Takes over the push that git received in a repository made by [`create_scratch`](Self::create_scratch): moves
    /// the branch to `new`. On return the change is durable: it survives a crash and a power cut. Files are moved out
    /// of the scratch repository, which is unusable afterwards.
    ///
    /// # Errors
    /// [`Error::PushRefused`] with the problems found; [`Error::QuotaExceeded`]: in both cases nothing of the push is
    /// in the wiki. The disk is full or failing.
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

    /// Returns `None` if the branch moved meanwhile, so that the checks are out of date.
    fn try_receive(
        &self,
        scratch: &Path,
        new: Revision,
        rules: &PushRules,
    ) -> Result<Option<Received>, Error> {
        // Start watching before the first write that the later sync has to cover.
        let disk = FileSystem::watch(self.repo().dir())?;
        let old = self.current()?;
        let incoming = self.incoming(scratch, rules.max_objects)?;
        let checked = self.check_in_time(&incoming, old, new, rules)?;
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
        // The sync covers the branch's old commit, too.
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

    /// Looks at a push, and refuses one that takes too long.
    fn check_in_time(
        &self,
        incoming: &Incoming,
        old: Option<Revision>,
        new: Revision,
        rules: &PushRules,
    ) -> Result<Checked, Error> {
        let longest = rules.longest_check;
        match deadline::within(longest, || check(self.repo(), incoming, old, new, rules)) {
            Err(Error::Cancelled(_)) if !deadline::is_over() => {
                let seconds = longest.as_secs();
                let line = format!("it takes more than {seconds} s to check it; push it in parts");
                Err(PushRefusal::too_large(line).into())
            }
            checked => checked,
        }
    }

    /// What is in a scratch repository of this wiki.
    pub(crate) fn incoming(&self, scratch: &Path, most: usize) -> Result<Incoming, Error> {
        let incoming = Incoming::open(scratch, self.repo(), most)?;
        incoming.ok_or_else(|| {
            PushRefusal::too_large(format!("more than {most} objects; push them in parts")).into()
        })
    }

    /// Indexes the new commits if they are few; otherwise the next reader of the index does. The push is safe in any
    /// case.
    pub(crate) fn index_received(&self) {
        if let Err(error) = self.fresh_index() {
            tracing::warn!(wiki.id = self.id(), %error, "what was pushed can't be indexed yet");
        }
    }

    /// Returns those of the given commits that are in the branch's history. Commits elsewhere in the repository are
    /// treated as missing ones.
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
        // The index takes time in proportion to the ids, the walk in proportion to the history.
        if let Some(database) = self.existing_database()?
            && let Some(known) = database.read(|c| Ok::<_, Error>(index::in_log(c, head, &ids)?))?
        {
            return Ok(known);
        }
        let missing = self.repo().not_reachable(head, ids.clone())?;
        Ok(ids.difference(&missing).copied().collect())
    }
}
