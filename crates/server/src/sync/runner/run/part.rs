//! Runs of a link that covers a part of the wiki, or of the repository at the other end. The commits aren't
//! the same on both ends then: storage makes those of the one from those of the other, and remembers the
//! pairs. To the machine a tip counts as pushed when what stands for the wiki's head is there.
//!
//! A rewritten history can't be told from another new commit here, and needn't be: nothing of the repository
//! but the files comes into the wiki, and those are merged with the newest pair that both ends have.

use wikigrove_tenant::storage::{Error as StorageError, Integrated, Outgoing, Preview, SyncError};
use wikigrove_tenant::{Error, Revision};

use super::{Run, count, deletions};
use crate::sync::runner::outcome::of_push;
use crate::sync::{Deletions, Facts, Outcome, Plan, Relation, Winner};

/// How the part stands to what was fetched.
pub(super) enum Standing {
    /// It has to be taken over first.
    NotTaken,
    /// The wiki is empty.
    Empty,
    /// This is what the other end lacks.
    Lacks(Outgoing),
}

impl Run {
    pub(super) async fn standing(&self, tip: Option<Revision>) -> Result<Standing, Error> {
        let (link, mapping) = (self.link.number(), self.mapping.clone());
        match self.wiki.project(&self.quarantine(), tip, link, mapping).await {
            Ok(Some(outgoing)) => Ok(Standing::Lacks(outgoing)),
            Ok(None) => Ok(Standing::Empty),
            Err(Error::Wiki { source: StorageError::Sync(SyncError::NotIntegrated), .. }) => {
                Ok(Standing::NotTaken)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn compare_part(
        &self,
        incoming: Revision,
        seen: Option<Revision>,
        decided: Option<Revision>,
    ) -> Result<Outcome, Error> {
        let compared = self.wiki.compare(&self.quarantine(), incoming, None).await?;
        self.found().head = compared.head;
        let relation = match (self.standing(Some(incoming)).await?, compared.head) {
            (Standing::Lacks(outgoing), _) if outgoing.commits == 0 => {
                // All that belongs there is there, whatever else was saved.
                self.remove_jobs(outgoing.local).await;
                Relation::Same
            }
            (Standing::Lacks(_), _) => Relation::Ahead,
            (_, None) => Relation::Behind,
            (_, Some(_)) if seen.is_none() && decided.is_none() => Relation::Unrelated,
            (_, Some(_)) => Relation::Diverged,
        };
        Ok(Outcome::Compared(Facts {
            local: compared.head,
            relation,
            same_tree: relation == Relation::Same,
            rewritten: false,
            local_only: false,
            deletions: Deletions::default(),
            trivial: compared.is_starter,
            decided: match decided {
                Some(decided) => self.is_within(decided, incoming).await?,
                None => false,
            },
        }))
    }

    /// Finds out what a merge would do by asking for one that may do no harm. If it does none it is made at
    /// once, and nothing is left to be applied.
    pub(super) async fn merge_part(
        &self,
        incoming: Revision,
        plan: Plan,
        winner: Winner,
    ) -> Result<Outcome, Error> {
        let preview = match self.take_part(incoming, plan, winner, Some(0), false).await? {
            Integrated::TooManyConflicts(preview) | Integrated::TooManyDeleted(preview) => preview,
            _ => Preview { pages: 0, deleted: 0, conflicts: 0 },
        };
        let deletions = deletions(Some(preview));
        Ok(Outcome::Merged { conflicts: count(preview.conflicts), deletions })
    }

    pub(super) async fn apply_part(
        &self,
        incoming: Revision,
        plan: Plan,
        winner: Winner,
        insist: bool,
    ) -> Result<Outcome, Error> {
        let head = match self.take_part(incoming, plan, winner, None, insist).await? {
            Integrated::Merged { revision, .. } => revision,
            Integrated::Nothing => match self.wiki.head().await? {
                Some(head) => head,
                // Neither end has anything: there is nothing that could be another.
                None => incoming,
            },
            _ => return Ok(Outcome::HeadMoved),
        };
        self.found().head = Some(head);
        Ok(Outcome::Applied { head })
    }

    async fn take_part(
        &self,
        incoming: Revision,
        plan: Plan,
        winner: Winner,
        most: Option<usize>,
        insist: bool,
    ) -> Result<Integrated, Error> {
        let mut order = self.planned(incoming, plan, winner);
        order.max_conflicts = most.unwrap_or(usize::MAX);
        let (quarantine, mapping) = (self.quarantine(), self.mapping.clone());
        self.wiki.integrate_part(&quarantine, order, most, mapping, insist).await
    }

    pub(super) async fn push_part(&self, from: Option<Revision>) -> Result<Outcome, Error> {
        let Standing::Lacks(outgoing) = self.standing(from).await? else {
            return Ok(Outcome::NonFastForward);
        };
        self.found().outgoing = Some(outgoing);
        let (Some(tip), false) = (outgoing.tip, outgoing.commits == 0) else {
            // What was saved isn't in the part.
            return Ok(Outcome::Pushed);
        };
        let quarantine = self.quarantine();
        let (repository, remote, branch) = (quarantine.path(), &self.remote, &self.branch);
        Ok(of_push(match from {
            None => self.wire.push(remote, &repository, tip, branch).await,
            Some(from) => self.wire.replace(remote, &repository, tip, branch, from).await,
        }))
    }

    /// The commit to look for at the other end.
    pub(super) fn pushed(&self, local: Revision) -> Option<Revision> {
        if self.mapping.is_whole() {
            return Some(local);
        }
        self.found().outgoing.and_then(|outgoing| outgoing.tip)
    }
}
