//! One run of a link: performs its effects one after the other, and returns their outcomes.

mod part;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use wikigrove_tenant::storage::{
    Comparison, Error as StorageError, Integrated, Mapping, Preview, Relation as StorageRelation,
    SyncError, Winner as StorageWinner,
};
use wikigrove_tenant::{
    Caller, Error, Link, LinkSettings, Platform, Quarantine, Revision, SyncOrder, Wiki,
};

use super::outcome::{of_look, of_ours, of_push};
use super::{Shared, access};
use crate::remote::{Branch, Branches, Failure as WireFailure, Remote, Wire};
use crate::sync::{
    Deletions, Effect, Facts, Failure, Landing, MANY_CONFLICTS, Outcome, Plan, Relation, Winner,
};

/// The data and resources of a run. Its quarantine is dropped with it.
pub(super) struct Run {
    link: Link,
    wiki: Wiki,
    wire: Wire,
    remote: Remote,
    platform: Platform,
    /// The remote's branch. If the link names none, it is unset until the remote's default branch is known.
    branch: OnceLock<Branch>,
    mapping: Mapping,
    /// Replaced after each takeover.
    quarantine: Mutex<Arc<Quarantine>>,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    /// The wiki's head at the comparison.
    head: Option<Revision>,
    /// Tips that the remote reported and the wiki doesn't have yet, so that their jobs can't be removed from the queue
    /// yet.
    unknown: Vec<Revision>,
    /// Number of conflicts of the merge in memory.
    conflicts: usize,
    /// The fetched tip and the result of taking it over; `None` inside if there is nothing to take over.
    preview: Option<(Revision, Option<Preview>)>,
    /// Number of commits waiting for the remote when the run last asked for its branch.
    waiting: Option<usize>,
    /// The remote's branches, if they were listed to find its default branch, and not used yet.
    listed: Option<Branches>,
}

impl Run {
    /// Opens the wiki, the remote and a quarantine for a run.
    pub(super) async fn begin(shared: &Shared, wire: &Wire, link: &Link) -> Result<Self, Outcome> {
        let ours = |error: Error| of_ours(&told(&error));
        let wiki = shared.platform.wiki_by_id(link.wiki, Caller::operator()).await.map_err(ours)?;
        let remote = access::opened(shared, link).await?;
        let branch = OnceLock::new();
        if link.settings.is_branch_named() {
            let named = link.settings.branch.parse().map_err(|error| of_ours(&error))?;
            branch.get_or_init(|| named);
        }
        let LinkSettings { subdirectory, filter, .. } = &link.settings;
        let (directory, prefix) = (subdirectory.as_deref(), filter.as_deref());
        let mapping = Mapping::new(directory.unwrap_or_default(), prefix.unwrap_or_default());
        let mapping = mapping.map_err(|error| of_ours(&error))?;
        let quarantine = Mutex::new(Arc::new(wiki.quarantine().await.map_err(ours)?));
        let found = Mutex::default();
        Ok(Self {
            platform: shared.platform.clone(),
            link: link.clone(),
            wiki,
            wire: wire.clone(),
            remote,
            branch,
            mapping,
            quarantine,
            found,
        })
    }

    pub(super) fn wiki(&self) -> &Wiki {
        &self.wiki
    }

    /// Removes the jobs up to a tip that the remote reported. If the wiki doesn't have the tip yet, this is repeated
    /// after the takeover.
    pub(super) async fn remove_jobs(&self, up_to: Revision) {
        let link = self.link.number();
        let done = match self.mapping.is_whole() {
            true => self.wiki.jobs_done(link, up_to).await,
            false => {
                let done = self.wiki.part_jobs_done(link, up_to, self.mapping.clone()).await;
                done.map(|()| true)
            }
        };
        match done {
            Ok(true) => {}
            Ok(false) => self.found().unknown.push(up_to),
            // The next run tries again.
            Err(error) => tracing::warn!(link = self.link.id, %error, "a queue can't be shortened"),
        }
    }

    /// Performs an effect, and returns its outcome.
    pub(super) async fn perform(&self, effect: &Effect) -> Outcome {
        let is_whole = self.mapping.is_whole();
        let done = match effect {
            Effect::Fetch => self.fetch().await,
            Effect::Compare { incoming, seen, decided } if !is_whole => {
                self.compare_part(*incoming, *seen, *decided).await
            }
            Effect::Compare { incoming, seen, decided } => {
                self.compare(*incoming, *seen, *decided).await
            }
            Effect::Merge { incoming, plan, winner } => self.merge(*incoming, *plan, *winner).await,
            Effect::Apply { incoming, plan, insist } if !is_whole => {
                let winner = super::stored::settings(&self.link.settings).winner;
                self.apply_part(*incoming, *plan, winner, *insist).await
            }
            Effect::Apply { incoming, plan, insist } => self.apply(*incoming, *plan, *insist).await,
            Effect::Push { commit, from } => self.push(*commit, *from).await,
            Effect::Verify { pushed } => self.verify(*pushed).await,
            _ => return of_ours(&"this is no effect that takes time"),
        };
        done.unwrap_or_else(|error| of_ours(&told(&error)))
    }

    /// Number of commits that waited when the remote was last asked, before any of them left the queue.
    pub(super) fn waiting(&self) -> Option<usize> {
        self.found().waiting
    }

    async fn fetch(&self) -> Result<Outcome, Error> {
        let queue = self.wiki.sync_queue(self.link.number()).await?;
        self.found().waiting = Some(queue.waiting);
        let incoming = match self.tip().await? {
            Ok(tip) => tip,
            Err(outcome) => return Ok(outcome),
        };
        let incoming = match self.bring(incoming).await? {
            Ok(incoming) => incoming,
            Err(failure @ WireFailure::HostileTree { .. }) => {
                return Ok(Outcome::HostileTree { incoming, text: failure.to_string() });
            }
            Err(failure) => return Ok(of_look(&failure)),
        };
        if !self.mapping.is_whole() {
            return match self.standing(Some(incoming)).await {
                Ok(_) => Ok(Outcome::Fetched { incoming }),
                Err(error) => refused(&error, incoming).ok_or(error),
            };
        }
        // This checks the fetched tree, too: git accepts trees that a wiki must not take over.
        let quarantine = self.quarantine();
        let order = self.order(incoming, Winner::Wiki);
        let looked = self.wiki.preview_integration(&quarantine, order).await;
        Ok(match looked {
            Ok(preview) => {
                self.found().preview = Some((incoming, preview));
                Outcome::Fetched { incoming }
            }
            Err(error) => refused(&error, incoming).ok_or(error)?,
        })
    }

    /// Fetches the branch again, for a preview.
    pub(super) async fn bring_again(&self) -> Result<Revision, Outcome> {
        match self.fetch().await {
            Ok(Outcome::Fetched { incoming }) => Ok(incoming),
            Ok(outcome) => Err(outcome),
            Err(error) => Err(of_ours(&told(&error))),
        }
    }

    /// Compares the wiki with the fetched tip.
    pub(super) async fn facts(
        &self,
        incoming: Revision,
        seen: Option<Revision>,
    ) -> Result<Facts, Outcome> {
        let compared = match self.mapping.is_whole() {
            true => self.compare(incoming, seen, None).await,
            false => self.compare_part(incoming, seen, None).await,
        };
        match compared {
            Ok(Outcome::Compared(facts)) => Ok(facts),
            Ok(outcome) => Err(outcome),
            Err(error) => Err(of_ours(&told(&error))),
        }
    }

    /// The remote's branch. If the link names none, the remote's default branch is looked up and stored with the link.
    /// An empty remote has none yet.
    async fn branch(&self) -> Result<&Branch, Outcome> {
        if let Some(branch) = self.branch.get() {
            return Ok(branch);
        }
        let listed = self.wire.branches(&self.remote).await;
        let listed = listed.map_err(|failure| of_look(&failure))?;
        let name = match listed.usual() {
            Some(usual) => {
                let kept = self.platform.name_branch(&self.link.id, usual).await;
                kept.map_err(|error| of_ours(&told(&error)))?;
                usual
            }
            None if listed.all.is_empty() => LinkSettings::NEW_BRANCH,
            None => return Err(Outcome::BranchAbsent { empty: false, local: None }),
        };
        let branch = name.parse().map_err(|error| of_ours(&error))?;
        self.found().listed = Some(listed);
        Ok(self.branch.get_or_init(|| branch))
    }

    /// The commit of the remote branch, or the outcome if there is nothing to fetch.
    async fn tip(&self) -> Result<Result<Revision, Outcome>, Error> {
        let branch = match self.branch().await {
            Ok(branch) => branch,
            Err(outcome) => return Ok(Err(outcome)),
        };
        let listed = self.found().listed.take();
        let tip = match listed {
            Some(_) => Err(WireFailure::BranchMissing),
            None => self.wire.tip(&self.remote, branch).await,
        };
        match tip {
            Ok(tip) => Ok(Ok(tip)),
            Err(WireFailure::BranchMissing) => {
                let branches = match listed {
                    Some(listed) => Ok(listed),
                    None => self.wire.branches(&self.remote).await,
                };
                let branches = match branches {
                    Ok(branches) => branches.all,
                    Err(failure) => return Ok(Err(of_look(&failure))),
                };
                // Another wiki may have created the branch meanwhile, if two wikis push to an empty remote.
                let mut found = branches.iter().filter(|(name, _)| name == branch.as_str());
                if let Some((_, tip)) = found.next() {
                    return Ok(Ok(*tip));
                }
                let local = match self.mapping.is_whole() {
                    true => self.wiki.head().await?,
                    false => self.part_for_nothing().await?,
                };
                Ok(Err(Outcome::BranchAbsent { empty: branches.is_empty(), local }))
            }
            Err(failure) => Ok(Err(of_look(&failure))),
        }
    }

    /// Fetches the branch, unless the wiki has its tip already. The branch may have moved since, so the fetched tip is
    /// returned.
    async fn bring(&self, tip: Revision) -> Result<Result<Revision, WireFailure>, Error> {
        if self.mapping.is_whole() && self.wiki.contains(tip).await? {
            return Ok(Ok(tip));
        }
        let Ok(branch) = self.branch().await else { return Ok(Err(WireFailure::BranchMissing)) };
        let into = format!("refs/wiki/remote/{}.incoming", self.link.id);
        let quarantine = self.quarantine();
        let repository = quarantine.path();
        Ok(self.wire.fetch(&self.remote, &repository, branch, &into).await)
    }

    async fn compare(
        &self,
        incoming: Revision,
        seen: Option<Revision>,
        decided: Option<Revision>,
    ) -> Result<Outcome, Error> {
        let quarantine = self.quarantine();
        let Comparison { head, relation, same_files, rewritten, is_starter } =
            self.wiki.compare(&quarantine, incoming, seen).await?;
        self.found().head = head;
        let local_only = match seen.filter(|_| rewritten) {
            Some(seen) => {
                self.wiki.back_up_tip(self.link.number(), seen).await?;
                self.is_beyond(seen).await?
            }
            None => false,
        };
        let base = seen.filter(|_| rewritten);
        let preview = match relation {
            StorageRelation::Equal => None,
            StorageRelation::Ahead if !rewritten => None,
            _ => match (base, self.found().preview) {
                (None, Some((tip, preview))) if tip == incoming => preview,
                _ => None,
            },
        };
        Ok(Outcome::Compared(Facts {
            local: head,
            relation: match relation {
                StorageRelation::Equal => Relation::Same,
                StorageRelation::Ahead => Relation::Ahead,
                StorageRelation::Behind => Relation::Behind,
                StorageRelation::Diverged { .. } => Relation::Diverged,
                StorageRelation::Unrelated => Relation::Unrelated,
            },
            same_tree: same_files,
            rewritten,
            local_only,
            deletions: deletions(preview),
            trivial: is_starter,
            decided: match decided {
                Some(decided) => self.is_within(decided, incoming).await?,
                None => false,
            },
        }))
    }

    pub(super) async fn merge(
        &self,
        incoming: Revision,
        plan: Plan,
        winner: Winner,
    ) -> Result<Outcome, Error> {
        let order = self.planned(incoming, plan, winner);
        let quarantine = self.quarantine();
        let preview = match self.mapping.is_whole() {
            true => self.wiki.preview_integration(&quarantine, order).await?,
            false => self.wiki.preview_part(&quarantine, order, self.mapping.clone()).await?,
        };
        let conflicts = preview.map_or(0, |preview| preview.conflicts);
        self.found().conflicts = conflicts;
        Ok(Outcome::Merged { conflicts: count(conflicts), deletions: deletions(preview) })
    }

    async fn apply(&self, incoming: Revision, plan: Plan, insist: bool) -> Result<Outcome, Error> {
        let winner = super::stored::settings(&self.link.settings).winner;
        let allowed = self.found().conflicts.max(MANY_CONFLICTS as usize);
        let order = SyncOrder { max_conflicts: allowed, ..self.planned(incoming, plan, winner) };
        if !insist && self.wiki.head().await? != self.found().head {
            return Ok(Outcome::HeadMoved);
        }
        let before = self.wiki.head().await?;
        let integrated = self.wiki.integrate(&self.quarantine(), order, insist).await;
        if !matches!(integrated, Ok(Integrated::Moved)) {
            // Its objects may have been moved into the wiki.
            let fresh = Arc::new(self.wiki.quarantine().await?);
            *self.quarantine.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
        let head = match integrated? {
            Integrated::Nothing => before.unwrap_or(incoming),
            Integrated::FastForwarded { .. } => incoming,
            Integrated::Merged { revision, .. } => revision,
            // A save came between the comparison and the lock, perhaps one with so many conflicts that they need a
            // decision: the comparison is repeated.
            Integrated::Moved
            | Integrated::Unrelated
            | Integrated::TooManyConflicts(_)
            | Integrated::TooManyDeleted(_) => return Ok(Outcome::HeadMoved),
        };
        let unknown = std::mem::take(&mut self.found().unknown);
        for tip in unknown {
            self.remove_jobs(tip).await;
        }
        Ok(Outcome::Applied { head })
    }

    async fn push(&self, commit: Revision, from: Option<Revision>) -> Result<Outcome, Error> {
        let quarantine = self.quarantine();
        let repository = quarantine.path();
        let branch = match self.branch().await {
            Ok(branch) => branch,
            Err(outcome) => return Ok(outcome),
        };
        let (wire, remote) = (&self.wire, &self.remote);
        let pushed = match from {
            None => wire.push(remote, &repository, commit, branch).await,
            // A push is always a fast-forward.
            Some(from) if !self.is_within(from, commit).await? => {
                return Ok(Outcome::NonFastForward);
            }
            Some(from) => wire.replace(remote, &repository, commit, branch, from).await,
        };
        Ok(of_push(pushed))
    }

    async fn verify(&self, pushed: Revision) -> Result<Outcome, Error> {
        let seen = |landing| Ok(Outcome::Seen(landing));
        let tip = match self.tip().await? {
            Ok(tip) => tip,
            Err(Outcome::BranchAbsent { empty: true, .. }) => return seen(Landing::NotLanded),
            Err(Outcome::BranchAbsent { .. }) => return seen(Landing::Elsewhere),
            Err(outcome) => return Ok(outcome),
        };
        if tip == pushed {
            return seen(Landing::Landed { tip });
        }
        let tip = match self.bring(tip).await? {
            Ok(tip) => tip,
            Err(failure) => return Ok(of_look(&failure)),
        };
        if self.is_within(pushed, tip).await? {
            self.remove_jobs(pushed).await;
            return seen(Landing::Landed { tip });
        }
        match self.is_within(tip, pushed).await? {
            true => seen(Landing::NotLanded),
            false => seen(Landing::Elsewhere),
        }
    }

    /// Returns `true` if `old` is `new` or one of its ancestors.
    async fn is_within(&self, old: Revision, new: Revision) -> Result<bool, Error> {
        let compared = self.wiki.compare(&self.quarantine(), new, Some(old)).await?;
        Ok(!compared.rewritten)
    }

    /// Returns `true` if the wiki has commits that aren't in the history of `tip`, a tip that it once had.
    async fn is_beyond(&self, tip: Revision) -> Result<bool, Error> {
        let compared = self.wiki.compare(&self.quarantine(), tip, None).await?;
        Ok(!matches!(compared.relation, StorageRelation::Equal | StorageRelation::Behind))
    }

    fn order(&self, incoming: Revision, winner: Winner) -> SyncOrder {
        SyncOrder {
            link: self.link.number(),
            incoming,
            winner: match winner {
                Winner::Wiki => StorageWinner::Wiki,
                Winner::Remote => StorageWinner::Remote,
                Winner::Stable => StorageWinner::Stable,
            },
            base: None,
            max_conflicts: usize::MAX,
        }
    }

    fn planned(&self, incoming: Revision, plan: Plan, winner: Winner) -> SyncOrder {
        let base = match plan {
            Plan::FastForward | Plan::Merge => None,
            Plan::Since(seen) => Some(seen),
            // With the head as the base, every file counts as unchanged in the wiki, so the remote's side wins.
            Plan::Theirs => self.found().head,
            Plan::Ours => Some(incoming),
        };
        SyncOrder { base, ..self.order(incoming, winner) }
    }

    fn quarantine(&self) -> Arc<Quarantine> {
        self.quarantine.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Maps a storage error that refuses the fetched tree to its outcome.
fn refused(error: &Error, incoming: Revision) -> Option<Outcome> {
    let Error::Wiki { source, .. } = error else { return None };
    let failed = |failure, text: String| Some(Outcome::Failed { failure, text });
    match source {
        StorageError::PushRefused(refusal) if refusal.is_too_large => {
            failed(Failure::TooLarge, refusal.lines.join("; "))
        }
        StorageError::PushRefused(refusal) => {
            Some(Outcome::HostileTree { incoming, text: refusal.lines.join("; ") })
        }
        StorageError::Sync(SyncError::Shallow) => failed(Failure::Unsupported, source.to_string()),
        StorageError::Sync(SyncError::NoDirectory { .. }) => Some(Outcome::Unmappable { incoming }),
        _ => None,
    }
}

fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn deletions(preview: Option<Preview>) -> Deletions {
    preview.map_or_else(Deletions::default, |preview| Deletions {
        pages: count(preview.pages),
        deleted: count(preview.deleted),
    })
}

/// The text of a local failure that may be shown to the wiki's users.
fn told(error: &Error) -> String {
    if error.status().is_server_error() && !error.is_busy() {
        tracing::error!(%error, "a synchronisation failed");
    }
    error.problem().detail().to_owned()
}
