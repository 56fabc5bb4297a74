//! What synchronising a wiki with a repository elsewhere takes. What was fetched lies in quarantine,
//! outside the wiki, until it is taken over.

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

/// A repository that one fetch is made into. It borrows the wiki's objects, and is gone when the value
/// is dropped.
#[derive(Debug)]
pub struct Quarantine {
    dir: tempfile::TempDir,
}

impl Quarantine {
    /// The repository.
    pub fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("repo")
    }
}

/// An order to take over what was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncOrder {
    /// The number of the link it came by.
    pub link: i64,
    /// The tip of what was fetched.
    pub incoming: Revision,
    /// Whose text stays where both want the same place.
    pub winner: Winner,
    /// The state that both are taken to come from, instead of what the histories say.
    pub base: Option<Revision>,
    /// With more conflicts nothing is done.
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
    /// Makes a place for one fetch.
    ///
    /// # Errors
    /// The caller doesn't administer the wiki; the disk is full.
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

    /// How the wiki stands to the tip `incoming` of what was fetched; `seen` is the tip that was there
    /// before.
    ///
    /// # Errors
    /// The caller doesn't administer the wiki; what was fetched can't be used.
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

    /// As [`compare`](Self::compare), of a link that covers a part.
    ///
    /// # Errors
    /// As there; or a directory is none there.
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

    /// What [`integrate`](Self::integrate) would do. `None`: nothing.
    ///
    /// # Errors
    /// As there.
    pub async fn preview_integration(
        &self,
        quarantine: &Quarantine,
        order: SyncOrder,
    ) -> Result<Option<Preview>, Error> {
        self.allow(Action::Administer).await?;
        let scratch = quarantine.path();
        self.run(move |wiki| wiki.preview(&order.of(&scratch))).await
    }

    /// What [`integrate_part`](Self::integrate_part) would do. `None`: nothing.
    ///
    /// # Errors
    /// As there.
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

    /// Takes over what was fetched, as one change, and tells whoever listens. If that is insisted on, saves
    /// wait until it is done, so that none can come in between.
    ///
    /// # Errors
    /// The caller doesn't administer the wiki, or it is read-only; what was fetched can't be used; the
    /// disk is full.
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

    /// As [`integrate`](Self::integrate), of a link that covers a part.
    ///
    /// # Errors
    /// As there.
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

    /// Makes the commits that the other end of a link lacks which covers a part, in quarantine, on top of
    /// `tip`. `None`: the wiki is empty.
    ///
    /// # Errors
    /// The caller doesn't administer the wiki; `tip` has to be taken over first; a directory is none there.
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

    /// Keeps a tip that a remote gave up, durably.
    ///
    /// # Errors
    /// The caller doesn't administer the wiki; it has no such commit; the disk is full.
    pub async fn back_up_tip(&self, link: i64, tip: Revision) -> Result<(), Error> {
        self.allow(Action::Administer).await?;
        self.run(move |wiki| wiki.back_up(LinkId(link), tip)).await
    }

    /// How much waits for a link, and for how long.
    ///
    /// # Errors
    /// The caller may not look at the wiki's settings; wiki.db can't be read.
    pub async fn sync_queue(&self, link: i64) -> Result<Queue, Error> {
        self.allow(Action::Inspect).await?;
        self.run(move |wiki| wiki.queue(LinkId(link))).await
    }

    /// Takes out of a link's queue what the remote has been seen to have. `false`: `verified` is no
    /// commit of the wiki's, so nothing can be said.
    ///
    /// # Errors
    /// The caller doesn't administer the wiki; wiki.db can't be written.
    pub async fn jobs_done(&self, link: i64, verified: Revision) -> Result<bool, Error> {
        self.allow(Action::Administer).await?;
        self.run(move |wiki| match wiki.jobs_done(LinkId(link), verified) {
            Err(storage::Error::UnknownRevision { .. }) => Ok(false),
            done => done.map(|_| true),
        })
        .await
    }

    /// As [`jobs_done`](Self::jobs_done), of a link that covers a part: `verified` is a commit of the
    /// remote's. Of one that stands for none of ours nothing is done.
    ///
    /// # Errors
    /// As there.
    pub async fn part_jobs_done(
        &self,
        link: i64,
        verified: Revision,
        mapping: Mapping,
    ) -> Result<(), Error> {
        self.allow(Action::Administer).await?;
        self.run(move |wiki| wiki.part_jobs_done(LinkId(link), &mapping, verified).map(drop)).await
    }

    /// Forgets the queue of a link that was removed.
    ///
    /// # Errors
    /// The caller doesn't administer the wiki; wiki.db can't be written.
    pub async fn forget_jobs(&self, link: i64) -> Result<(), Error> {
        self.allow(Action::Administer).await?;
        self.run(move |wiki| wiki.forget_jobs(LinkId(link))).await
    }

    /// Up to `limit` conflicts that nobody has looked at, after the number `after`.
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

    /// A conflict, open or not, and its three texts: what both began with, the wiki's, and the other end's.
    ///
    /// # Errors
    /// The caller may not read; there is no such conflict.
    pub async fn sync_conflict(
        &self,
        id: i64,
    ) -> Result<(SyncConflict, [Option<String>; 3]), Error> {
        self.allow(Action::Read).await?;
        self.run(move |wiki| Ok((wiki.sync_conflict(id)?, wiki.sync_conflict_texts(id)?))).await
    }

    /// Closes a conflict: one commit saves the page, if a text for it is given together with the version it
    /// was made from, and removes the file beside it that holds the text which lost. `None`: there was
    /// nothing to change.
    ///
    /// # Errors
    /// The caller may not write; there is no such open conflict; the page, or the file beside it, changed
    /// meanwhile.
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

/// Whoever insists keeps others from writing until it is done.
fn turn(insist: bool) -> Use {
    if insist { Use::Write } else { Use::Read }
}
