//! Previews of the possible choices of a decision.

use serde::Serialize;
use wikigrove_tenant::{Link, Revision};

use super::Remotes;
use super::run::Run;
use super::stored::Loaded;
use crate::sync::{Choice, Decision, DecisionReason, Deletions, Outcome, Plan, chosen};

/// The effect of a choice on the wiki's pages.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Previewed {
    /// Number of the wiki's pages within the link's scope.
    pages: u32,
    /// Number of these pages that would be deleted.
    deleted: u32,
    /// Number of conflicts.
    conflicts: u32,
}

/// Fetches the tip that the question is about into a separate quarantine, and merges it in memory once per choice. Uses
/// the machine's own plans, so that the result of the choice can't differ.
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
    let rewritten = seen.filter(|_| facts.rewritten);
    let mut previews = Vec::new();
    for choice in reason.choices().iter().filter(|choice| **choice != Choice::Retry) {
        let decision = Decision { reason, choice: *choice, tip };
        // A push alone leaves the wiki as it is.
        let plan = chosen(decision, &facts, rewritten).unwrap_or(Plan::Ours);
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
        Outcome::Failed { text, .. } | Outcome::HostileTree { text, .. } => text,
        _ => "the remote can't be looked at now".to_owned(),
    }
}
