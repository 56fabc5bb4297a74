//! Receives pushes: git writes into a repository outside the wiki, and the wiki takes the result over.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use wikigrove_storage::files::create_private_dir;
use wikigrove_storage::{PushRules, Received, Revision};

use super::Wiki;
use crate::changes::Origin;
use crate::live::Use;
use crate::{Action, Error, Platform, TenantId, random};

/// An empty repository for git to receive one push in. It is removed when this is dropped, or, if the process dies, at
/// the next start.
pub struct Incoming {
    space: Arc<Space>,
    /// The bytes that the wiki may still take; `None`: any number.
    room: Option<u64>,
}

/// The size in bytes that a push may have besides the room that its wiki has left: it may only remove files.
const BESIDE_ROOM: u64 = 16 << 20;

/// The directory, which exists as long as an operation uses it, even one whose caller was cancelled.
struct Space {
    dir: PathBuf,
    wiki: TenantId,
    /// Keeps the lock on the data directory.
    platform: Platform,
}

impl Incoming {
    /// The path of the repository.
    pub fn dir(&self) -> &Path {
        &self.space.dir
    }

    /// The largest pack to receive, in bytes, where no push may exceed `limit`: what the wiki can't keep needn't arrive.
    pub fn largest_pack(&self, limit: u64) -> u64 {
        self.room.map_or(limit, |room| limit.min(room.saturating_add(BESIDE_ROOM)))
    }
}

impl Wiki {
    /// Makes a repository for a push, outside the wiki and without delaying other writers.
    ///
    /// # Errors
    /// The caller may not write; [`Error::GitDisabled`]; the disk is full.
    pub async fn begin_push(&self) -> Result<Incoming, Error> {
        self.allow(Action::Write).await?;
        let platform = self.platform().clone();
        let name = HEXLOWER.encode(&random::bytes::<16>());
        let space = Space { dir: incoming(platform.dir()).join(name), wiki: self.id(), platform };
        // The closure owns `space`, so the directory is removed on every exit.
        let made = self
            .run(move |wiki| {
                if !wiki.preferences()?.git_enabled() {
                    return Ok(None);
                }
                wiki.create_scratch(&space.dir)?;
                let room = wiki.disk_left()?;
                Ok(Some(Incoming { space: Arc::new(space), room }))
            })
            .await?;
        made.ok_or_else(|| Error::GitDisabled { wiki: self.slug().clone() })
    }

    /// Takes over a received push: the branch moves to `new`. When this returns, the push survives a crash and a power
    /// cut. Saves don't wait while the push is checked. The check ends once `given_up` is ready: then nothing was taken
    /// over. Dropping the future doesn't end the operation.
    ///
    /// # Errors
    /// [`push_refused`](Error::push_refused) tells the reason; then the wiki contains no part of the push. The caller
    /// may not write (any more); the push is for another wiki; the disk is full.
    pub async fn receive(
        &self,
        incoming: &Incoming,
        new: Revision,
        given_up: impl Future<Output = ()>,
    ) -> Result<Received, Error> {
        self.allow(Action::Write).await?;
        let space = incoming.space.clone();
        if space.wiki != self.id() {
            return Err(Error::UnknownWiki);
        }
        let rewrite = self.may_rewrite().await?;
        let this = self.clone();
        let deadline = self.0.live.work(None);
        let work = self.run_in_turn(Use::Receive, deadline.clone(), move |wiki| {
            let rules = PushRules { rewrite, ..wiki.push_rules() };
            let received = wiki.receive(&space.dir, new, &rules)?;
            if received.old != Some(received.new) {
                let (revision, paths) = (received.new, received.paths.clone());
                this.announce_from(Origin::Git, revision, paths, this.caller().author());
            }
            Ok(received)
        });
        let mut work = pin!(work);
        tokio::select! {
            done = work.as_mut() => return done,
            () = given_up => deadline.cancel(),
        }
        work.await
    }
}

impl Platform {
    /// A directory for temporary files, on the wikis' file system. The next start removes the files that a killed
    /// process left there.
    ///
    /// # Errors
    /// The disk is full or failing.
    pub fn scratch(&self) -> Result<PathBuf, Error> {
        let dir = incoming(self.dir());
        match create_private_dir(&dir) {
            Err(error) if error.source.kind() != std::io::ErrorKind::AlreadyExists => {
                Err(error.into())
            }
            _ => Ok(dir),
        }
    }
}

/// The directory of received pushes: on the wikis' file system, because files are moved from there.
pub(crate) fn incoming(data: &Path) -> PathBuf {
    data.join("incoming")
}

/// Removes the pushes of a killed process. The caller holds the lock on the directory. Files that can't be removed take
/// space and do no harm.
pub(crate) fn sweep(data: &Path) {
    let Ok(entries) = std::fs::read_dir(incoming(data)) else { return };
    for entry in entries.flatten() {
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let path = entry.path();
        let removed =
            if is_dir { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        if let Err(error) = removed {
            tracing::warn!(path = %path.display(), %error, "what a push left can't be removed");
        }
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let (dir, platform) = (std::mem::take(&mut self.dir), self.platform.clone());
        let remove = move || {
            match std::fs::remove_dir_all(&dir) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(%error, "what was left of a push is removed at the next start");
                }
                _ => {}
            }
            drop(platform);
        };
        // Removal may take long, so it doesn't run on the dropping thread.
        self.platform.0.background.spawn_blocking(remove);
    }
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming").field("dir", &self.space.dir).finish_non_exhaustive()
    }
}
