//! Taking over what a link that covers a part has brought: one commit of ours with the files that
//! changed there.

use super::integrate::{preview, refuse_too_much};
use super::mapping::Pair;
use super::{Integrate, Integrated, Mapping, NewConflicts};
use crate::author::Author;
use crate::changes::MAX_CHANGES;
use crate::error::Error;
use crate::files::FileSystem;
use crate::index::shown_path;
use crate::merge::files::Files;
use crate::publish::PreparedMerge;
use crate::receive::check_files;
use crate::repo::{Commit, Draft, Edit, Merge, Repo, View};
use crate::revision::Revision;
use crate::unit::INLINE_BYTES;
use crate::wiki::Wiki;

/// So many commits are named by the one that stands for them.
const NAMED: usize = 20;

impl Wiki {
    /// As [`integrate`](Self::integrate), of a link that covers a part of the wiki or of the repository
    /// there: what changed in that part since the link was last in step is merged with what changed in
    /// that part here. The commit has no parents but ours; the rest of the repository there never comes
    /// in. The order's `base` may be the wiki's head or the incoming tip: that end counts as unchanged then.
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
        let fetched = self.fetched(order.scratch, order.incoming)?;
        let (source, head) = (fetched.repo(), self.current()?);
        let view = source.view();
        mapping.check_ours(&view, head)?;
        let theirs = mapping.theirs(&view, order.incoming)?;
        let base = self.common_pair(order, source, head)?;
        if base.is_some_and(|base| base.remote == order.incoming) {
            return Ok(Integrated::Nothing);
        }
        let ours = mapping.ours(&view, head)?;
        let base_files = match (order.base, base) {
            (Some(unchanged), _) if Some(unchanged) == head => ours.clone(),
            (Some(unchanged), _) if unchanged == order.incoming => theirs.clone(),
            (_, Some(base)) => mapping.theirs(&view, base.remote)?,
            (_, None) => Files::new(),
        };
        let only_we_changed = ours != base_files;
        let merge = view.merge_files(base_files.clone(), ours, theirs, order.winner)?;
        let edits = merge.edits(&merge.ours);
        if edits.is_empty() {
            // The other end may have brought nothing, or what we have.
            let as_before = order.base.is_none() && merge.theirs == base_files;
            let local = if as_before { base.map(|base| base.local) } else { head };
            if let Some(local) = local {
                self.record_pairs(order.link, &[Pair { local, remote: order.incoming }])?;
            }
            return Ok(Integrated::Nothing);
        }
        let preview = preview(&merge)?;
        if let Some(refused) = refuse_too_much(preview, order) {
            return Ok(refused);
        }
        check_files(&view, &edits, &self.sync_rules())?;
        let signed = match only_we_changed {
            true => by_wikigrove(format!("Merge {}", order.incoming)),
            false => self.signed_for(&view, base, order.incoming)?,
        };
        self.take_part(&view, head, order, merge, edits, signed)
    }

    fn take_part(
        &self,
        view: &View,
        head: Option<Revision>,
        order: &Integrate<'_>,
        merge: Merge<'_>,
        edits: Vec<Edit>,
        signed: Commit,
    ) -> Result<Integrated, Error> {
        // Before the first write that is to be synced.
        let disk = FileSystem::watch(self.repo().dir())?;
        let edits = self.with_contents(view, edits)?;
        let parents: Vec<Revision> = head.into_iter().collect();
        let message = with_trailer(&signed.message, order.link, order.incoming);
        let Commit { author, time, .. } = &signed;
        let draft =
            Draft { parents: &parents, edits: &edits, author, message: &message, time: *time };
        let prepared = view.prepare(&draft)?;
        let mut files = head.map_or_else(|| Ok(Files::new()), |head| view.files(head))?;
        for edit in &edits {
            match edit.new {
                Some(entry) => files.insert(edit.path.clone(), entry),
                None => files.remove(&edit.path),
            };
        }
        let paths = edits.iter().take(MAX_CHANGES).map(|edit| shown_path(&edit.path)).collect();
        let count = merge.conflicts.len();
        let conflicts = NewConflicts { link: Some(order.link), conflicts: merge.conflicts };

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
        let new = prepared.revision;
        let counted = self.check_growth(Some(&mut *writer), view, head, &edits)?;
        writer.counted = counted.map(|count| (new, count));
        let (link, pair) = (order.link, Pair { local: new, remote: order.incoming });
        let record =
            Box::new(move |transaction: &rusqlite::Transaction<'_>| pair.record(transaction, link));
        let statements: Vec<crate::unit::Statement<'static>> = vec![record];
        let merge = PreparedMerge { prepared, edits, files, conflicts, statements };
        let revision = self.publish_merge(&mut writer, head, merge)?;
        self.checkpoint_if_due(&mut writer);
        drop(writer);
        self.index_received();
        Ok(Integrated::Merged { revision, paths, conflicts: count })
    }

    /// The newest pair that both ends are built on.
    fn common_pair(
        &self,
        order: &Integrate<'_>,
        source: &Repo,
        head: Option<Revision>,
    ) -> Result<Option<Pair>, Error> {
        let Some(head) = head else { return Ok(None) };
        for pair in self.pairs(order.link, None)? {
            if source.is_commit(pair.remote)?
                && source.is_ancestor(pair.remote, order.incoming)?
                && source.is_commit(pair.local)?
                && source.is_ancestor(pair.local, head)?
            {
                return Ok(Some(pair));
            }
        }
        Ok(None)
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
pub(super) fn with_trailer(message: &str, link: super::LinkId, other: Revision) -> String {
    format!("{}\n\nWiki-Sync: {link} {other}\n", message.trim_end())
}
