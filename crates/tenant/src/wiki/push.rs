//! Receiving a push: a place outside the wiki for git to put it, and taking over what it put there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use wikigrove_storage::files::create_private_dir;
use wikigrove_storage::{PushRules, Received, Revision};

use super::Wiki;
use crate::changes::Origin;
use crate::live::Use;
use crate::{Action, Error, Platform, TenantId, random};

/// An empty repository for git to receive one push in. It is removed when this is dropped, or, if the
/// process dies, at the next start.
pub struct Incoming(Arc<Space>);

/// Stays for as long as something is done with it, even if nobody waits for that any more.
struct Space {
    dir: PathBuf,
    wiki: TenantId,
    /// With it would go the lock on the directory.
    platform: Platform,
}

impl Incoming {
    /// Where the repository is.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }
}

impl Wiki {
    /// Makes room for a push, outside the wiki and without keeping anybody waiting.
    ///
    /// # Errors
    /// The caller may not write; [`Error::GitDisabled`]; the disk is full.
    pub async fn begin_push(&self) -> Result<Incoming, Error> {
        self.allow(Action::Write).await?;
        let platform = self.platform().clone();
        let name = HEXLOWER.encode(&random::bytes::<16>());
        let space = Space { dir: incoming(platform.dir()).join(name), wiki: self.id(), platform };
        // What was made is removed with it, however this ends.
        let made = self
            .run(move |wiki| {
                if !wiki.preferences()?.git_enabled() {
                    return Ok(None);
                }
                wiki.create_scratch(&space.dir)?;
                Ok(Some(Incoming(Arc::new(space))))
            })
            .await?;
        made.ok_or_else(|| Error::GitDisabled { wiki: self.slug().clone() })
    }

    /// Takes over what git put there: the branch goes to `new`. When this returns, the push survives a
    /// crash and a power cut. It is checked without keeping saves waiting; once begun, it is finished
    /// even if the future is dropped.
    ///
    /// # Errors
    /// [`push_refused`](Error::push_refused) says what is wrong with it; nothing of it is in the wiki
    /// then. The caller may not write (any more); it is another wiki's push; the disk is full.
    pub async fn receive(&self, incoming: &Incoming, new: Revision) -> Result<Received, Error> {
        self.allow(Action::Write).await?;
        let space = incoming.0.clone();
        if space.wiki != self.id() {
            return Err(Error::UnknownWiki);
        }
        let rewrite = self.may_rewrite().await?;
        let this = self.clone();
        self.run_in_turn(Use::Receive, self.0.live.work(None), move |wiki| {
            let rules = PushRules { rewrite, ..wiki.push_rules() };
            let received = wiki.receive(&space.dir, new, &rules)?;
            if received.old != Some(received.new) {
                let (revision, paths) = (received.new, received.paths.clone());
                this.announce_from(Origin::Git, revision, paths, this.caller().author());
            }
            Ok(received)
        })
        .await
    }
}

impl Platform {
    /// A directory for files that are needed for a while, on the wikis' file system. A start removes what a
    /// killed process left there.
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

/// Where pushes are received: on the wikis' file system, since files are moved over.
pub(crate) fn incoming(data: &Path) -> PathBuf {
    data.join("incoming")
}

/// Removes what a killed process had received. Called by whoever has the lock on the directory. What
/// can't be removed takes room and does no harm.
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
        // It may be a lot, and whoever drops it may have others to serve.
        self.platform.0.background.spawn_blocking(remove);
    }
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming").field("dir", &self.0.dir).finish_non_exhaustive()
    }
}
