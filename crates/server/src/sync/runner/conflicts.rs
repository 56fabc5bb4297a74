//! Stores notices of the conflicts of a merge.

use std::collections::HashMap;

use time::{Duration, OffsetDateTime};
use wikigrove_tenant::{Error, Link, NewNotice, Revision};

use super::Shared;
use super::run::Run;

/// Older conflicts are assumed to be announced already.
const RECENT: Duration = Duration::DAY;
/// Maximum number of open conflicts that are read.
const LOOKED_AT: usize = 500;

/// Stores a notice of a link's conflicts. The conflicts are in the wiki's own database and the notice is in
/// platform.db, so this may run twice; the notice is stored once per merge.
pub(super) async fn tell(shared: &Shared, link: &Link, run: &Run) {
    if let Err(error) = try_to_tell(shared, link, run).await {
        tracing::warn!(link = link.id, %error, "conflicts can't be told");
    }
}

async fn try_to_tell(shared: &Shared, link: &Link, run: &Run) -> Result<(), Error> {
    let since = OffsetDateTime::now_utc() - RECENT;
    let mut merges: HashMap<Revision, usize> = HashMap::new();
    for conflict in run.wiki().sync_conflicts(0, LOOKED_AT).await? {
        let is_ours = conflict.link.is_some_and(|of| of.0 == link.number());
        if is_ours && conflict.created > since {
            *merges.entry(conflict.revision).or_default() += 1;
        }
    }
    for (merge, conflicts) in merges {
        let notice = NewNotice {
            kind: "conflicts".to_owned(),
            once: Some(merge.to_string()),
            detail: serde_json::json!({ "revision": merge, "conflicts": conflicts }),
        };
        if shared.platform.add_notice(link.wiki, &link.id, notice.clone()).await? {
            shared.options.metrics.links().notice(&notice.kind);
            shared.tell_listener(link, &[notice]);
            shared.news.notify_one();
        }
    }
    Ok(())
}
