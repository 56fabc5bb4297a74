//! What the choices of a decision would do.

use serde::Serialize;
use wikigrove_tenant::{Link, Revision};

use super::Remotes;
use super::run::Run;
use super::stored::Loaded;
use crate::sync::{Choice, DecisionReason, Deletions, Outcome, Plan};

/// What a choice would do to the wiki's pages.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Previewed {
    /// Pages the wiki has.
    pages: u32,
    /// How many of them would be gone.
    deleted: u32,
    /// Places that somebody would have to look at.
    conflicts: u32,
}

/// Fetches what the question is about, into a place of its own, and merges it in memory in each way.
pub(crate) async fn preview(
    remotes: &Remotes,
    link: &Link,
    reason: DecisionReason,
    tip: Revision,
) -> Result<Vec<(Choice, Previewed)>, String> {
    let wire = remotes.wire().map_err(ToString::to_string)?;
    let run = Run::begin(&remotes.0.shared, wire, link).await.map_err(said)?;
    let incoming = run.bring_again().await.map_err(said)?;
    if incoming != tip {
        return Err("the remote has moved on since".to_owned());
    }
    let loaded = Loaded::new(link.clone());
    let (seen, settings) = (loaded.state.seen, loaded.settings());
    let facts = run.facts(incoming, seen).await.map_err(said)?;
    let mut previews = Vec::new();
    for choice in reason.choices() {
        let plan = match choice {
            Choice::Retry => continue,
            Choice::Wiki => Plan::Ours,
            Choice::Both => Plan::Merge,
            Choice::Remote => match (reason, seen.filter(|_| facts.rewritten)) {
                (DecisionReason::TooManyConflicts, _) => Plan::Theirs,
                (_, Some(seen)) => Plan::Since(seen),
                (DecisionReason::Unrelated, None) => Plan::Theirs,
                _ => Plan::Merge,
            },
        };
        let merged = run.merge(incoming, plan, settings.winner).await;
        if let Ok(Outcome::Merged { conflicts, deletions }) = merged {
            let Deletions { pages, deleted } = deletions;
            previews.push((*choice, Previewed { pages, deleted, conflicts }));
        }
    }
    Ok(previews)
}

fn said(outcome: Outcome) -> String {
    match outcome {
        Outcome::Failed { text, .. } => text,
        _ => "the remote can't be looked at now".to_owned(),
    }
}
