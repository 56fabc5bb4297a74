//! Taking over what a link that covers a part has brought: one commit of ours with the files that
//! changed there.

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

/// So many commits are named by the one that stands for them.
const NAMED: usize = 20;

/// What is to be taken over, all of it in memory.
struct Plan<'a> {
    /// The newest pair that both ends are built on.
    base: Option<Pair>,
    /// Up to where the other end was told what is ours.
    told: Option<Revision>,
    merge: Merge<'a>,
    left: Left,
    /// What is changed in the wiki.
    edits: Vec<Edit>,
    only_we_changed: bool,
    /// Nothing that takes part changed there.
    is_as_before: bool,
}

impl Plan<'_> {
    /// What belongs together once `local` is the wiki's.
    fn pair(&self, local: Revision, order: &Integrate<'_>) -> Pair {
        if self.merge.result == self.merge.theirs {
            Pair::in_step(local, order.incoming)
        } else {
            Pair { local, remote: order.incoming, told: self.told }
        }
    }
}

impl Wiki {
    /// Says what [`integrate_part`](Self::integrate_part) would do, without any limit. `None`: nothing.
    ///
    /// # Errors
    /// As there.
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

    /// As [`integrate`](Self::integrate), of a link that covers a part of the wiki or of the repository
    /// there: what changed in that part since the link was last in step is merged with what changed in
    /// that part here. The commit has no parents but ours; the rest of the repository there never comes
    /// in. The order's `base` may be the incoming tip, a commit of the wiki, or one that the other end had
    /// before. If it isn't known any more what that held, what the other end has now is all that stays.
    /// The scratch repository is left as it is: kept for the link, it makes the next fetch a small one.
    ///
    /// # Errors
    /// As [`integrate`](Self::integrate); or a directory of the mapping is none, here or there
    /// ([`SyncError::NoDirectory`](crate::SyncError)).
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
        // What a person should look at is written down with a commit, even if nothing changes here.
        if plan.edits.is_empty() && plan.merge.conflicts.is_empty() {
            // The other end may have brought nothing, or what we have.
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

    /// Refuses what would take more in the index than what was fetched accounts for.
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

    /// What both ends are taken to come from, and up to where the other end was told what is ours.
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
        // Before the first write that is to be synced.
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
        // Some of the contents were there already, and whoever wrote them need not have synced them.
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

    /// Who made what was brought: the author of the one commit, or nobody in particular.
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

    /// Gives the edits the contents that the wiki hasn't. Large ones are made durable at once.
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

/// A line for each of the newest commits, back to `until`.
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

/// Says in the last line which commit at the other end this one stands for.
pub(super) fn with_trailer(message: &str, link: LinkId, other: Revision) -> String {
    format!("{}\n\nWiki-Sync: {link} {other}\n", message.trim_end())
}
