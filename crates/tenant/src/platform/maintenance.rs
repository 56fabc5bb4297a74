//! Maintenance in the background: packing repositories and removing old rows.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use crate::Platform;
use crate::catalog::FORGOTTEN_AT_ONCE;

/// Maximal number of batches of [`FORGOTTEN_AT_ONCE`] rows of the audit log removed per call.
const AUDIT_PARTS: usize = 10;

impl Platform {
    /// Removes old answers and old rows of the audit log. A failure is retried at the next call.
    pub(super) async fn forget_what_is_old(&self) {
        let (kept_for, rows) = (self.0.settings.audit_kept_for, self.0.settings.audit_rows);
        let forgotten = self.catalog(move |catalog| {
            catalog.forget_old_answers()?;
            // The rest is removed at the next call.
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

    /// Packs the repositories that were written to since the last call, one after the other, unless an earlier call
    /// still runs. Runs in the background: closing a wiki interrupts its maintenance.
    pub(super) fn maintain_in_background(&self) {
        let Ok(alone) = self.0.maintaining.clone().try_acquire_owned() else { return };
        let written = self.0.registry.written();
        if written.is_empty() {
            return;
        }
        // The task holds the platform: dropping it would release the lock on the directory.
        let platform = self.clone();
        self.0.background.spawn_blocking(move || {
            for held in written {
                // No other clone of the platform is left.
                if platform.0.registry.is_shut() || Arc::strong_count(&platform.0) == 1 {
                    break;
                }
                held.wiki().maintain();
            }
            drop((alone, platform));
        });
    }
}

/// The time before which rows are older than `kept_for`.
fn kept_since(kept_for: Duration) -> OffsetDateTime {
    let kept_for = time::Duration::try_from(kept_for).unwrap_or(time::Duration::MAX);
    OffsetDateTime::now_utc().checked_sub(kept_for).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
