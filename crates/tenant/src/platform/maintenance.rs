//! Keeping repositories small, in the background.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use crate::Platform;
use crate::catalog::FORGOTTEN_AT_ONCE;

/// Parts of the audit log that are removed at a time, of [`FORGOTTEN_AT_ONCE`] rows each.
const AUDIT_PARTS: usize = 10;

impl Platform {
    /// Removes old answers and old rows of the audit log. Tried again in a moment if it fails.
    pub(super) async fn forget_what_is_old(&self) {
        let (kept_for, rows) = (self.0.settings.audit_kept_for, self.0.settings.audit_rows);
        let forgotten = self.catalog(move |catalog| {
            catalog.forget_old_answers()?;
            // The rest is removed the next time.
            for _ in 0..AUDIT_PARTS {
                if catalog.forget_audit(kept_since(kept_for), rows)? < FORGOTTEN_AT_ONCE {
                    break;
                }
            }
            Ok(())
        });
        if let Err(error) = forgotten.await {
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

/// The time before which rows are too old, if they are kept for so long.
fn kept_since(kept_for: Duration) -> OffsetDateTime {
    let kept_for = time::Duration::try_from(kept_for).unwrap_or(time::Duration::MAX);
    OffsetDateTime::now_utc().checked_sub(kept_for).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
