//! Runs of a link that covers a part of the wiki or of the remote's repository. The two ends then have different
//! commits: storage converts the commits of one end to those of the other, and remembers the pairs. The machine knows
//! only the remote's commits: instead of the wiki's head it gets the corresponding commit for the remote, as soon as
//! there is one.

use wikigrove_tenant::storage::{
    Error as StorageError, Integrated, Outgoing, PartComparison, SyncError,
};
use wikigrove_tenant::{Error, Revision};

use super::{MANY_CONFLICTS, Run};
use crate::sync::{Deletions, Facts, Outcome, Plan, Relation, Winner};

/// The state of the part relative to the fetched tip.
pub(super) enum Standing {
    /// The fetched tip has to be taken over first.
    NotTaken,
    /// The part is empty.
    Empty,
    /// The commits that the remote lacks.
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

    /// The commit to push to a remote without any branch; `None` if the part is empty.
    pub(super) async fn part_for_nothing(&self) -> Result<Option<Revision>, Error> {
        let Standing::Lacks(Outgoing { local, tip, .. }) = self.standing(None).await? else {
            return Ok(None);
        };
        if tip.is_none() {
            // There is nothing to push, so these jobs are done.
            self.wiki.jobs_done(self.link.number(), local).await?;
        }
        Ok(tip)
    }

    pub(super) async fn compare_part(
        &self,
        incoming: Revision,
        seen: Option<Revision>,
        decided: Option<Revision>,
    ) -> Result<Outcome, Error> {
        let (quarantine, mapping) = (self.quarantine(), self.mapping.clone());
        let link = self.link.number();
        let compared = self.wiki.compare_part(&quarantine, incoming, seen, link, mapping).await?;
        let PartComparison { head, is_unrelated, rewritten, has_own, is_starter } = compared;
        self.found().head = head;
        if let Some(seen) = seen.filter(|_| rewritten) {
            self.wiki.back_up_tip(link, seen).await?;
        }
        let met = seen.is_some() && !rewritten;
        let (relation, local) = match (self.standing(Some(incoming)).await?, head) {
            // The remote has all of the part's content, even if other pages were saved.
            (Standing::Lacks(Outgoing { tip, commits: 0, .. }), _) => (Relation::Same, tip),
            (Standing::Lacks(outgoing), _) => (Relation::Ahead, outgoing.tip),
            (_, None) => (Relation::Behind, None),
            (_, Some(_)) if is_unrelated && !met => (Relation::Unrelated, head),
            (_, Some(_)) => (Relation::Diverged, head),
        };
        Ok(Outcome::Compared(Facts {
            local,
            relation,
            same_tree: relation == Relation::Same,
            rewritten,
            local_only: has_own,
            deletions: Deletions::default(),
            trivial: is_starter,
            decided: match decided {
                Some(decided) => self.is_within(decided, incoming).await?,
                None => false,
            },
        }))
    }

    pub(super) async fn apply_part(
        &self,
        incoming: Revision,
        plan: Plan,
        winner: Winner,
        insist: bool,
    ) -> Result<Outcome, Error> {
        if !insist && self.wiki.head().await? != self.found().head {
            return Ok(Outcome::HeadMoved);
        }
        let mut order = self.planned(incoming, plan, winner);
        order.max_conflicts = self.found().conflicts.max(MANY_CONFLICTS as usize);
        let (quarantine, mapping) = (self.quarantine(), self.mapping.clone());
        match self.wiki.integrate_part(&quarantine, order, mapping, insist).await? {
            Integrated::Merged { .. } | Integrated::Nothing => {}
            _ => return Ok(Outcome::HeadMoved),
        }
        self.remove_jobs(incoming).await;
        let head = match self.standing(Some(incoming)).await? {
            Standing::Lacks(outgoing) => outgoing.tip,
            Standing::Empty | Standing::NotTaken => None,
        };
        Ok(Outcome::Applied { head: head.unwrap_or(incoming) })
    }
}
