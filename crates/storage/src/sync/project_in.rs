//! Takes over what a partial link fetched: one commit of the wiki with the files that changed in the covered part.

use super::integrate::{preview, refuse_too_much};
use super::mapping::Pair;
use super::{Integrate, Integrated, Left, LinkId, Mapping, NewConflicts, Preview};
use crate::author::Author;
use crate::changes::MAX_CHANGES;
use crate::error::Error;
use crate::files::FileSystem;
use crate::index::{NewCommits, shown_path};
use crate::measure::{Changed, Paths};
use crate::merge::files::Files;
use crate::publish::PreparedMerge;
use crate::receive::check_files;
use crate::repo::{Commit, Draft, Edit, Merge, Repo, View};
use crate::revision::{Etag, Revision};
use crate::unit::INLINE_BYTES;
use crate::usage::Sent;
use crate::wiki::Wiki;

/// Maximum number of commits that the message of the combined commit names.
const NAMED: usize = 20;

/// A prepared takeover, entirely in memory.
struct Plan<'a> {
    /// The newest pair that both ends descend from.
    base: Option<Pair>,
    /// The wiki's newest commit that the remote contains.
    told: Option<Revision>,
    merge: Merge<'a>,
    left: Left,
    /// The changes to the wiki.
    edits: Vec<Edit>,
    only_we_changed: bool,
    /// The covered part is unchanged at the remote.
    is_as_before: bool,
}

impl Plan<'_> {
    /// Returns the pair to record once `local` is the wiki's head.
    fn pair(&self, local: Revision, order: &Integrate<'_>) -> Pair {
        if self.merge.result == self.merge.theirs {
            Pair::in_step(local, order.incoming)
        } else {
            Pair { local, remote: order.incoming, told: self.told }
        }
    }
}

impl Wiki {
    /// Computes the effects that [`integrate_part`](Self::integrate_part) would have, without applying the limits.
    /// `None` if there is nothing to take over.
    ///
    /// # Errors
    /// The errors of [`integrate_part`](Self::integrate_part).
    pub fn preview_part(
        &self,
        order: &Integrate<'_>,
        mapping: &Mapping,
    ) -> Result<Option<Preview>, Error> {
        let fetched = self.fetched_part(order.scratch, order.incoming, order.link)?;
        let (source, view) = (fetched.repo(), fetched.repo().view());
        let plan = self.plan_part(source, &view, self.current()?, order, mapping)?;
        Ok(plan.map(|plan| preview(&plan.merge, &plan.left)))
    }

    /// Does the work of [`integrate`](Self::integrate) for a link that covers a part of the wiki or of the remote.
    /// Merges the remote's changes in the part since the link was last in sync with the wiki's changes in the part. The
    /// only parent of the commit is the wiki's head; the rest of the remote's tree never enters the wiki. The request's
    /// `base` may be the incoming tip, a commit of the wiki, or an earlier tip of the remote. If the content of that
    /// earlier tip is no longer known, the wiki's part becomes equal to the remote's present one. The scratch
    /// repository is left intact: kept for the link, it makes the next fetch small.
    ///
    /// # Errors
    /// The errors of [`integrate`](Self::integrate); or a directory of the mapping isn't a directory, here or in the
    /// remote's tree ([`SyncError::NoDirectory`](crate::SyncError)).
    pub fn integrate_part(
        &self,
        order: &Integrate<'_>,
        mapping: &Mapping,
    ) -> Result<Integrated, Error> {
        let fetched = self.fetched_part(order.scratch, order.incoming, order.link)?;
        let (source, head) = (fetched.repo(), self.current()?);
        let view = source.view();
        let Some(plan) = self.plan_part(source, &view, head, order, mapping)? else {
            return Ok(Integrated::Nothing);
        };
        // Conflicts are recorded with a commit, even if no file of the wiki changes.
        if plan.edits.is_empty() && plan.merge.conflicts.is_empty() {
            // The remote's part is unchanged, or equal to the wiki's.
            let pair = match plan.is_as_before {
                true => plan.base.map(|base| Pair { remote: order.incoming, ..base }),
                false => head.map(|head| plan.pair(head, order)),
            };
            self.record_pairs(order.link, mapping, pair.as_slice())?;
            return Ok(Integrated::Nothing);
        }
        if let Some(refused) = refuse_too_much(preview(&plan.merge, &plan.left), order) {
            return Ok(refused);
        }
        self.check_part(&view, fetched.bytes()?, &plan)?;
        self.take_part(&view, head, order, mapping, plan)
    }

    /// Refuses a change that takes more room in the index than the size of the fetched data accounts for.
    fn check_part(&self, view: &View, bytes: u64, plan: &Plan<'_>) -> Result<(), Error> {
        let changes = plan.merge.changes(&plan.merge.ours);
        let mut own = Paths::default();
        changes.iter().for_each(|change| own.add(Paths::file(change.path.len())));
        let mut log = NewCommits::default();
        log.add(0, &Changed { own, different: own.files });
        let sent = Sent { bytes, log, changes: &changes };
        let (size, text) = (|id| plan.merge.size(view, id), |id| plan.merge.text(view, id));
        let made = self.check_made(&sent, &self.sync_rules(), size, text);
        let mut added = made.map_err(Error::of_push)?;
        let new: Vec<Etag> = changes.iter().filter_map(|change| Some(change.new?.id)).collect();
        for id in &new {
            added = added.saturating_add(plan.merge.size(view, *id)?);
        }
        self.check_disk_of_push(added, !new.is_empty(), &changes)
    }

    fn plan_part<'a>(
        &self,
        source: &Repo,
        view: &'a View,
        head: Option<Revision>,
        order: &Integrate<'_>,
        mapping: &Mapping,
    ) -> Result<Option<Plan<'a>>, Error> {
        mapping.check_ours(view, head)?;
        let theirs = mapping.theirs(view, order.incoming)?;
        let base = self.common_pair(order.link, mapping, source, head, order.incoming)?;
        let has_it = base.is_some_and(|base| base.remote == order.incoming);
        if has_it && order.base.is_none() {
            return Ok(None);
        }
        let (base_files, told) = match (order.base, base) {
            (Some(since), _) if since != order.incoming => {
                self.part_at(source, head, order.link, mapping, since)?
            }
            (Some(_), _) => (theirs.clone(), base.and_then(|base| base.told)),
            (None, Some(base)) => (mapping.theirs(view, base.remote)?, base.told),
            (None, None) => (Files::new(), None),
        };
        let ours = mapping.ours(view, head)?;
        let only_we_changed = ours != base_files;
        let is_as_before = order.base.is_none() && theirs == base_files;
        let merge = view.merge_files(base_files, ours, theirs, order.winner)?;
        let edits = merge.edits(&merge.ours);
        check_files(view, &edits, &self.sync_rules())?;
        let left = merge.left()?;
        Ok(Some(Plan { base, told, merge, left, edits, only_we_changed, is_as_before }))
    }

    /// Returns the files to use as the merge base, and the wiki's newest commit that the remote contains.
    fn part_at(
        &self,
        source: &Repo,
        head: Option<Revision>,
        link: LinkId,
        mapping: &Mapping,
        since: Revision,
    ) -> Result<(Files, Option<Revision>), Error> {
        let view = source.view();
        if let Some(pair) = self.pair_in_step(link, mapping, since)? {
            return Ok((mapping.ours(&view, Some(pair.local))?, pair.told));
        }
        let is_ours = match head {
            Some(head) => source.is_commit(since)? && source.is_ancestor(since, head)?,
            None => false,
        };
        let then = if is_ours { Some(since) } else { head };
        Ok((mapping.ours(&view, then)?, None))
    }

    fn take_part(
        &self,
        view: &View,
        head: Option<Revision>,
        order: &Integrate<'_>,
        mapping: &Mapping,
        mut plan: Plan<'_>,
    ) -> Result<Integrated, Error> {
        // Start watching before the first write that the later sync has to cover.
        let disk = FileSystem::watch(self.repo().dir())?;
        let signed = match plan.only_we_changed {
            true => by_wikigrove(format!("Merge {}", order.incoming)),
            false => self.signed_for(view, plan.base, order.incoming)?,
        };
        let edits = self.with_contents(view, std::mem::take(&mut plan.edits))?;
        let parents: Vec<Revision> = head.into_iter().collect();
        let message = with_trailer(&signed.message, order.link, order.incoming);
        let Commit { author, time, .. } = &signed;
        let draft =
            Draft { parents: &parents, edits: &edits, author, message: &message, time: *time };
        let prepared = view.prepare(&draft)?;
        let paths = edits.iter().take(MAX_CHANGES).map(|edit| shown_path(&edit.path)).collect();
        let new = prepared.revision;
        let pair = plan.pair(new, order);
        let changes = plan.merge.changes(&plan.merge.ours);
        let growth = self.growth(&changes, |id| plan.merge.size(view, id))?;
        let count = plan.merge.conflicts.len();
        let conflicts = NewConflicts { link: Some(order.link), conflicts: plan.merge.conflicts };

        let mut writer = self.lock_writer()?;
        if writer.unapplied {
            self.replay(&mut writer)?;
        }
        if self.repo().head()? != head {
            self.head_moved(false);
            return Ok(Integrated::Moved);
        }
        // Some of the contents existed before, and their writer may not have synced them.
        disk.sync()?;
        writer.durable = head;
        let counted = self.check_growth(Some(&writer), head, growth)?;
        writer.counted = counted.map(|count| (new, count));
        let (link, mapping) = (order.link, mapping.clone());
        let record = Box::new(move |transaction: &rusqlite::Transaction<'_>| {
            pair.record(transaction, link, &mapping)
        });
        let follow = self.follow_conflicts(|| Ok(plan.left))?;
        let merge = PreparedMerge { prepared, edits, conflicts, statements: vec![record, follow] };
        let revision = self.publish_merge(&mut writer, head, merge)?;
        self.checkpoint_if_due(&mut writer);
        drop(writer);
        self.index_received();
        Ok(Integrated::Merged { revision, paths, conflicts: count })
    }

    /// Returns author, time and message for the takeover: those of the remote's commit if it is a single one, otherwise
    /// wikigrove's.
    fn signed_for(
        &self,
        view: &View,
        base: Option<Pair>,
        incoming: Revision,
    ) -> Result<Commit, Error> {
        let tip = view.commit(incoming)?;
        if base.is_some_and(|base| tip.parents == [base.remote]) {
            return Ok(tip);
        }
        let named = named_commits(view, incoming, base.map(|base| base.remote))?;
        Ok(by_wikigrove(format!("Bring {incoming}\n{named}")))
    }

    /// Fills in the contents that the wiki lacks. Large ones are written durably at once.
    fn with_contents(&self, view: &View, edits: Vec<Edit>) -> Result<Vec<Edit>, Error> {
        const SUBMODULE: u16 = 0o160_000;
        let mut whole = Vec::with_capacity(edits.len());
        for mut edit in edits {
            if let Some(new) = edit.new.filter(|new| new.mode != SUBMODULE)
                && edit.content.is_none()
                && !self.repo().has(new.id.as_bytes())
            {
                let content = view.blob(new.id)?;
                if content.len() > INLINE_BYTES {
                    self.repo().write_durable_blob(&content)?;
                } else {
                    edit.content = Some(content);
                }
            }
            whole.push(edit);
        }
        Ok(whole)
    }
}

/// One line for each of the newest commits, back to `until`.
pub(super) fn named_commits(
    view: &View,
    tip: Revision,
    until: Option<Revision>,
) -> Result<String, Error> {
    let mut lines = String::new();
    let mut next = Some(tip);
    for _ in 0..NAMED {
        let Some(id) = next.filter(|_| next != until) else { break };
        let commit = view.commit(id)?;
        let subject = commit.message.lines().next().unwrap_or_default();
        lines.push_str(&format!("\n- {subject} ({})", commit.author.name()));
        next = commit.parents.first().copied();
    }
    Ok(lines)
}

fn by_wikigrove(message: String) -> Commit {
    let time = time::OffsetDateTime::now_utc().unix_timestamp();
    Commit { parents: Vec::new(), author: Author::new("wikigrove", ""), time, message }
}

/// Appends a trailer that names the commit at the other end which this one stands for.
pub(super) fn with_trailer(message: &str, link: LinkId, other: Revision) -> String {
    format!("{}\n\nWiki-Sync: {link} {other}\n", message.trim_end())
}
