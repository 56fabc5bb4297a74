//! Live notifications of changes.

use tokio::sync::{broadcast, watch};
use wikigrove_storage::{Author, Revision};

use crate::{Slug, TenantId};

/// A durable change of a wiki's pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The wiki's immutable id.
    pub wiki: TenantId,
    /// The wiki's name at the time of the change.
    pub slug: Slug,
    /// The commit.
    pub revision: Revision,
    /// The pages that were written or removed; at most the first five hundred.
    pub paths: Vec<String>,
    /// The author of the change.
    pub author: Author,
    /// The interface that the change came through.
    pub origin: Origin,
}

/// The interface that a change came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A save or a deletion through [`Wiki`](crate::Wiki), over HTTP or from the embedding application.
    Api,
    /// A push with git.
    Git,
    /// A link to a remote git repository that the change came from.
    Sync,
}

/// A listener was too slow and missed some changes.
///
/// No change is lost: [`Wiki::changes_since`](crate::Wiki::changes_since) with the last known revision returns them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{missed} changes came faster than they were read; ask for the changes since the last one you know"
)]
pub struct Lagged {
    /// The number of missed changes.
    pub missed: u64,
}

/// A stream of the changes of all wikis from now on. A slow reader doesn't delay writers.
#[derive(Debug)]
pub struct Changes(pub(crate) broadcast::Receiver<Change>);

impl Changes {
    /// The next change; `None` after the platform was closed.
    ///
    /// # Errors
    /// Some changes were missed. The next call returns the oldest change still buffered.
    pub async fn next(&mut self) -> Option<Result<Change, Lagged>> {
        match self.0.recv().await {
            Ok(change) => Some(Ok(change)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Err(Lagged { missed })),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// A signal to check one wiki for news, made by [`Wiki::moves`](crate::Wiki::moves). It is sent after a change through
/// this platform, after the index was updated, and after the wiki was closed. Moving the branch with the git program
/// sends no signal.
#[derive(Debug)]
pub struct Moves(pub(crate) watch::Receiver<()>);

impl Moves {
    /// Waits for the next signal since the last call, or since this value was made.
    pub async fn next(&mut self) {
        // An error means that the wiki is gone, which the caller's next check finds out, too.
        let _ = self.0.changed().await;
    }
}
