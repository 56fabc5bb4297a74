//! What happens on the platform, as it happens.

use tokio::sync::{broadcast, watch};
use wikigrove_storage::{Author, Revision};

use crate::{Slug, TenantId};

/// A change of a wiki's pages. It is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The wiki's immutable id.
    pub wiki: TenantId,
    /// Its name at the time.
    pub slug: Slug,
    /// The commit.
    pub revision: Revision,
    /// The pages it wrote or removed; of a change of very many, the first five hundred.
    pub paths: Vec<String>,
    /// Who made it.
    pub author: Author,
    /// Through which door it came.
    pub origin: Origin,
}

/// The door through which a change came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A save or a deletion through [`Wiki`](crate::Wiki), be it over HTTP or from the embedding app.
    Api,
    /// A push with git.
    Git,
    /// A link with a git repository elsewhere, which the change came from.
    Sync,
}

/// A listener that was too slow, and missed this many changes.
///
/// Nothing is lost: ask [`Wiki::changes_since`](crate::Wiki::changes_since) with the last revision
/// you know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{missed} changes came faster than they were read; ask for the changes since the last one you know"
)]
pub struct Lagged {
    /// How many changes were missed.
    pub missed: u64,
}

/// The changes from now on, of all wikis. A slow reader holds nobody up.
#[derive(Debug)]
pub struct Changes(pub(crate) broadcast::Receiver<Change>);

impl Changes {
    /// The next change; `None` when the platform was closed.
    ///
    /// # Errors
    /// Some were missed. The next call goes on with the oldest change that is still there.
    pub async fn next(&mut self) -> Option<Result<Change, Lagged>> {
        match self.0.recv().await {
            Ok(change) => Some(Ok(change)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Err(Lagged { missed })),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// Tells when to look at one wiki again, made by [`Wiki::moves`](crate::Wiki::moves): after a change
/// through this platform, when the index was brought up to date, and when the wiki was closed. Who
/// moves the branch with the git program doesn't tell us.
#[derive(Debug)]
pub struct Moves(pub(crate) watch::Receiver<()>);

impl Moves {
    /// Waits until there may be something new since the last call, or since this was made.
    pub async fn next(&mut self) {
        // An error says that the wiki is gone, which a look will tell, too.
        let _ = self.0.changed().await;
    }
}
