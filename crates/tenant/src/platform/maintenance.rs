//! Keeping repositories small, in the background.

use std::sync::Arc;

use crate::Platform;

impl Platform {
    /// Forgets what the catalog keeps for a time only. What fails is tried again in a moment.
    pub(super) async fn forget_what_is_old(&self) {
        let forgotten = self.catalog(|catalog| catalog.forget_old_answers()).await;
        if let Err(error) = forgotten {
            tracing::warn!(%error, "what the catalog keeps for a time only could not be forgotten");
        }
    }

    /// Looks after the repositories that were written to since the last time, one after the other,
    /// unless somebody still does. Nobody waits for it: a wiki that is to be closed ends it there.
    pub(super) fn maintain_in_background(&self) {
        let Ok(alone) = self.0.maintaining.clone().try_acquire_owned() else { return };
        let written = self.0.registry.written();
        if written.is_empty() {
            return;
        }
        // With the platform would go the lock on the directory.
        let platform = self.clone();
        self.0.background.spawn_blocking(move || {
            for held in written {
                // Nobody else has the platform any more.
                if platform.0.registry.is_shut() || Arc::strong_count(&platform.0) == 1 {
                    break;
                }
                held.wiki().maintain();
            }
            drop((alone, platform));
        });
    }
}
