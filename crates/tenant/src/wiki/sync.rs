//! The operations for synchronising a wiki with a remote repository. Fetched commits stay in quarantine, outside the
//! wiki, until they are integrated.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use wikigrove_storage as storage;
use wikigrove_storage::{
    Comparison, Etag, Integrate, Integrated, LinkId, Mapping, Outgoing, PartComparison, Preview,
    Queue, Resolve, Revision, SyncConflict, Winner,
};

use super::Wiki;
use crate::changes::Origin;
use crate::live::Use;
use crate::{Action, Author, Error};

/// A temporary repository for one fetch. It borrows the wiki's objects, and is removed when the value is dropped.
#[derive(Debug)]
pub struct Quarantine {
    dir: tempfile::TempDir,
}

impl Quarantine {
    /// The path of the repository.
    pub fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("repo")
    }
}

/// The parameters of an integration of fetched commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncOrder {
    /// The number of the link that fetched them.
    pub link: i64,
    /// The fetched tip.
    pub incoming: Revision,
    /// The side whose text stays in a conflict.
    pub winner: Winner,
    /// The merge base to use instead of the one from the histories.
    pub base: Option<Revision>,
    /// Maximal number of conflicts. With more, the integration changes nothing.
    pub max_conflicts: usize,
}

impl SyncOrder {
    fn of<'a>(&self, scratch: &'a Path) -> Integrate<'a> {
        Integrate {
            scratch,
            incoming: self.incoming,
            link: LinkId(self.link),
            winner: self.winner,
            base: self.base,
            unrelated: true,
            max_conflicts: self.max_conflicts,
            max_deleted: None,
        }
    }
}

impl Wiki {
    /// Makes a quarantine for one fetch.
    ///
    /// # Errors
    /// The caller isn't an admin of the wiki; the disk is full.
    pub async fn quarantine(&self) -> Result<Quarantine, Error> {
        self.allow(Action::Administer).await?;
        let parent = self.0.platform.dir().join("sync").join("fetched");
        self.run(move |wiki| {
            let failed = |source| {
                let (action, path) = ("make a directory in", parent.clone());
                storage::Error::from(storage::FileError { action, path, source })
            };
            let mut private = std::fs::DirBuilder::new();
            private.recursive(true).mode(0o700).create(&parent).map_err(failed)?;
            let dir =
                tempfile::Builder::new().prefix("run-").tempdir_in(&parent).map_err(failed)?;
            let quarantine = Quarantine { dir };
            wiki.create_scratch(&quarantine.path())?;
            Ok(quarantine)
        })
        .await
    }

    /// Compares the wiki with the fetched tip `incoming`; `seen` is the previous tip of the remote.
    ///
    /// # Errors
    /// The caller isn't an admin of the wiki; the fetched commits are unusable.
    pub async fn compare(
        &self,
        quarantine: &Quarantine,
        incoming: Revision,
        seen: Option<Revision>,
    ) -> Result<Comparison, Error> {
        self.allow(Action::Administer).await?;
        let scratch = quarantine.path();
        self.run(move |wiki| wiki.compare(&scratch, incoming, seen)).await
    }

    /// Like [`compare`](Self::compare), for a link that covers a part of the wiki.
    ///
    /// # Errors
    /// As [`compare`](Self::compare); or a path that must be a directory isn't one.
    pub async fn compare_part(
        &self,
        quarantine: &Quarantine,
        incoming: Revision,
        seen: Option<Revision>,
        link: i64,
        mapping: Mapping,
    ) -> Result<PartComparison, Error> {
        self.allow(Action::Administer).await?;
        let scratch = quarantine.path();
        self.run(move |wiki| wiki.compare_part(&scratch, incoming, seen, LinkId(link), &mapping))
            .await
    }

    /// A preview of [`integrate`](Self::integrate); `None` if it would change nothing.
    ///
    /// # Errors
    /// As [`integrate`](Self::integrate).
    pub async fn preview_integration(
        &self,
        quarantine: &Quarantine,
        order: SyncOrder,
    ) -> Result<Option<Preview>, Error> {
        self.allow(Action::Administer).await?;
        let scratch = quarantine.path();
        self.run(move |wiki| wiki.preview(&order.of(&scratch))).await
    }

    /// A preview of [`integrate_part`](Self::integrate_part); `None` if it would change nothing.
    ///
    /// # Errors
    /// As [`integrate_part`](Self::integrate_part).
    pub async fn preview_part(
        &self,
        quarantine: &Quarantine,
        order: SyncOrder,
        mapping: Mapping,
    ) -> Result<Option<Preview>, Error> {
        self.allow(Action::Administer).await?;
        let scratch = quarantine.path();
        self.run(move |wiki| wiki.preview_part(&order.of(&scratch), &mapping)).await
    }

    /// Integrates the fetched commits, as one change, and announces it. With `insist`, saves wait until it is complete,
    /// so that no save can intervene.
    ///
    /// # Errors
    /// The caller isn't an admin of the wiki, or the wiki is read-only; the fetched commits are unusable; the disk is
    /// full.
    pub async fn integrate(
        &self,
        quarantine: &Quarantine,
        order: SyncOrder,
        insist: bool,
    ) -> Result<Integrated, Error> {
        self.allow(Action::Administer).await?;
        self.allow(Action::Write).await?;
        let (this, scratch) = (self.clone(), quarantine.path());
        self.run_in_turn(turn(insist), self.0.live.work(None), move |wiki| {
            let integrated = wiki.integrate(&order.of(&scratch))?;
            let (revision, paths) = match &integrated {
                Integrated::FastForwarded { paths } => (order.incoming, paths),
                Integrated::Merged { revision, paths, .. } => (*revision, paths),
                _ => return Ok(integrated),
            };
            let author = Author::new("wikigrove", "");
            this.announce_from(Origin::Sync, revision, paths.clone(), &author);
            Ok(integrated)
        })
        .await
    }

    /// Like [`integrate`](Self::integrate), for a link that covers a part of the wiki.
    ///
    /// # Errors
    /// As [`integrate`](Self::integrate).
    pub async fn integrate_part(
        &self,
        quarantine: &Quarantine,
        order: SyncOrder,
        mapping: Mapping,
        insist: bool,
    ) -> Result<Integrated, Error> {
        self.allow(Action::Administer).await?;
        self.allow(Action::Write).await?;
        let (this, scratch) = (self.clone(), quarantine.path());
        self.run_in_turn(turn(insist), self.0.live.work(None), move |wiki| {
            let integrated = wiki.integrate_part(&order.of(&scratch), &mapping)?;
            if let Integrated::Merged { revision, paths, .. } = &integrated {
                let author = Author::new("wikigrove", "");
                this.announce_from(Origin::Sync, *revision, paths.clone(), &author);
            }
            Ok(integrated)
        })
        .await
    }

    /// Makes the commits that the remote of a partial link lacks, in quarantine, on top of `tip`. `None`: the wiki is
    /// empty.
    ///
    /// # Errors
    /// The caller isn't an admin of the wiki; `tip` must be integrated first; a path that must be a directory isn't
    /// one.
    pub async fn project(
        &self,
        quarantine: &Quarantine,
        tip: Option<Revision>,
        link: i64,
        mapping: Mapping,
    ) -> Result<Option<Outgoing>, Error> {
        self.allow(Action::Administer).await?;
        let scratch = quarantine.path();
        self.run(move |wiki| wiki.project(&scratch, tip, LinkId(link), &mapping)).await
    }

    /// Keeps a tip that the remote's branch no longer contains, durably.
    ///
    /// # Errors
    /// The caller isn't an admin of the wiki; the wiki has no such commit; the disk is full.
    pub async fn back_up_tip(&self, link: i64, tip: Revision) -> Result<(), Error> {
        self.allow(Action::Administer).await?;
        self.run(move |wiki| wiki.back_up(LinkId(link), tip)).await
    }

    /// The length and the age of a link's queue.
    ///
    /// # Errors
    /// The caller may not see the wiki's settings; wiki.db can't be read.
    pub async fn sync_queue(&self, link: i64) -> Result<Queue, Error> {
        self.allow(Action::Inspect).await?;
        self.run(move |wiki| wiki.queue(LinkId(link))).await
    }

    /// Removes the commits that the remote has been seen to have from a link's queue. Returns `false`, without a
    /// change, if the wiki has no commit `verified`.
    ///
    /// # Errors
    /// The caller isn't an admin of the wiki; wiki.db can't be written.
    pub async fn jobs_done(&self, link: i64, verified: Revision) -> Result<bool, Error> {
        self.allow(Action::Administer).await?;
        self.run(move |wiki| match wiki.jobs_done(LinkId(link), verified) {
            Err(storage::Error::UnknownRevision { .. }) => Ok(false),
            done => done.map(|_| true),
        })
        .await
    }

    /// Like [`jobs_done`](Self::jobs_done), for a partial link: `verified` is a commit of the remote. A commit without
    /// a counterpart in the wiki changes nothing.
    ///
    /// # Errors
    /// As [`jobs_done`](Self::jobs_done).
    pub async fn part_jobs_done(
        &self,
        link: i64,
        verified: Revision,
        mapping: Mapping,
    ) -> Result<(), Error> {
        self.allow(Action::Administer).await?;
        self.run(move |wiki| wiki.part_jobs_done(LinkId(link), &mapping, verified).map(drop)).await
    }

    /// Removes the queue of a link that was removed.
    ///
    /// # Errors
    /// The caller isn't an admin of the wiki; wiki.db can't be written.
    pub async fn forget_jobs(&self, link: i64) -> Result<(), Error> {
        self.allow(Action::Administer).await?;
        self.run(move |wiki| wiki.forget_jobs(LinkId(link))).await
    }

    /// Up to `limit` unresolved conflicts with numbers after `after`.
    ///
    /// # Errors
    /// The caller may not read; wiki.db can't be read.
    pub async fn sync_conflicts(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<SyncConflict>, Error> {
        self.allow(Action::Read).await?;
        self.run(move |wiki| wiki.sync_conflicts(after, limit)).await
    }

    /// A conflict, open or not, and its three texts: the base, the wiki's, and the remote's.
    ///
    /// # Errors
    /// The caller may not read; the conflict doesn't exist.
    pub async fn sync_conflict(
        &self,
        id: i64,
    ) -> Result<(SyncConflict, [Option<String>; 3]), Error> {
        self.allow(Action::Read).await?;
        self.run(move |wiki| Ok((wiki.sync_conflict(id)?, wiki.sync_conflict_texts(id)?))).await
    }

    /// Closes a conflict in one commit. The commit saves the page, if a text and the version it is based on are given,
    /// and removes the file beside the page that holds the losing text. `None`: no change was needed.
    ///
    /// # Errors
    /// The caller may not write; there is no such open conflict; the page, or the file beside it, changed meanwhile.
    pub async fn resolve_conflict(
        &self,
        id: i64,
        content: Option<(Vec<u8>, Etag)>,
        message: Option<String>,
    ) -> Result<Option<Revision>, Error> {
        self.allow(Action::Write).await?;
        let this = self.clone();
        self.run_writing(move |wiki| {
            let path = wiki.sync_conflict(id)?;
            let author = this.caller().author();
            let content = content.as_ref().map(|(text, base)| (text.as_slice(), *base));
            let resolve = Resolve { id, content, author, message: message.as_deref() };
            let revision = wiki.resolve_sync_conflict(&resolve)?;
            if let Some(revision) = revision {
                let paths = [Some(path.path), path.conflict_path].into_iter().flatten().collect();
                this.announce_all(revision, paths, author);
            }
            Ok(revision)
        })
        .await
    }
}

/// The kind of turn: with `insist`, a writer's, which makes saves wait.
fn turn(insist: bool) -> Use {
    if insist { Use::Write } else { Use::Read }
}
