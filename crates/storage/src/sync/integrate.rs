//! Taking over what was fetched: the branch is moved along, or both histories are merged.

use std::path::Path;

use super::compare::relation;
use super::{LinkId, NewConflicts, Relation};
use crate::author::Author;
use crate::error::Error;
use crate::index::shown_path;
use crate::merge::files::{Files, Winner};
use crate::page_path::EXTENSION;
use crate::publish::Ready;
use crate::redo::Redo;
use crate::repo::{Draft, Edit, Merge, Prepared, Repo, RepoError, View};
use crate::revision::Revision;
use crate::wiki::Wiki;

/// So many changed paths are named.
const MAX_PATHS: usize = 1000;

/// An order to take over what was fetched.
#[derive(Clone, Debug)]
pub struct Integrate<'a> {
    /// The repository that it was fetched into.
    pub scratch: &'a Path,
    /// Its tip.
    pub incoming: Revision,
    /// The link it came by.
    pub link: LinkId,
    /// Whose text stays where both want the same place.
    pub winner: Winner,
    /// The state that both are taken to come from, instead of what the histories say: of one that was
    /// rewritten, its tip before. What the rewriting took away is then taken away here, too.
    pub base: Option<Revision>,
    /// Whether histories may be merged that have nothing in common.
    pub unrelated: bool,
    /// With more conflicts nothing is done.
    pub max_conflicts: usize,
    /// If more pages would be gone nothing is done; `None`: any number may go.
    pub max_deleted: Option<usize>,
}

/// What an order would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preview {
    /// Pages the wiki has.
    pub pages: usize,
    /// How many of them would be gone. What goes on under another name doesn't count.
    pub deleted: usize,
    /// Places that a person would have to look at.
    pub conflicts: usize,
}

/// What became of an order. Unless it says otherwise nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Integrated {
    /// The wiki has all of it already.
    Nothing,
    /// The wiki is at what was fetched. It is durable.
    FastForwarded {
        /// The pages and attachments that changed, as far as they are not too many.
        paths: Vec<String>,
    },
    /// Both histories were merged by a commit. It is durable.
    Merged {
        /// The merge, or a later commit that contains it.
        revision: Revision,
        /// The pages and attachments that changed in the wiki, as far as they are not too many.
        paths: Vec<String>,
        /// Places that a person should look at.
        conflicts: usize,
    },
    /// A save came first: try again.
    Moved,
    /// The histories have nothing in common.
    Unrelated,
    /// A person has to decide: there would be more conflicts than were allowed.
    TooManyConflicts(Preview),
    /// A person has to decide: more pages would be gone than were allowed.
    TooManyDeleted(Preview),
}

/// What is to be published, all of it in memory.
struct Plan {
    head: Option<Revision>,
    preview: Preview,
    paths: Vec<String>,
    /// `None`: the branch can simply be moved.
    merge: Option<PlannedMerge>,
}

struct PlannedMerge {
    prepared: Prepared,
    edits: Vec<Edit>,
    conflicts: NewConflicts,
}

impl Wiki {
    /// Says what [`integrate`](Self::integrate) would do, without any limit. `None`: nothing.
    ///
    /// # Errors
    /// As [`integrate`](Self::integrate).
    pub fn preview(&self, order: &Integrate<'_>) -> Result<Option<Preview>, Error> {
        let source = self.source(order.scratch, order.incoming)?;
        let head = self.current()?;
        if !is_wanted(&source, head, order)? {
            return Ok(None);
        }
        let view = source.view();
        let merge = merge(&view, head, order)?;
        Ok(Some(preview(&merge)?))
    }

    /// Takes over what was fetched, as one change: the commits, their index, the conflicts and the queues
    /// of the other links. Everything that takes time is done before saves have to wait.
    ///
    /// # Errors
    /// What was fetched is shallow or has no such commit; a repository can't be read or written. Nothing
    /// was changed then; only if the disk became full in the middle, it may still appear once there is
    /// room again.
    pub fn integrate(&self, order: &Integrate<'_>) -> Result<Integrated, Error> {
        let source = self.source(order.scratch, order.incoming)?;
        let head = self.current()?;
        if !is_wanted(&source, head, order)? {
            return Ok(Integrated::Nothing);
        }
        if !order.unrelated && relation(&source, head, order.incoming)? == Relation::Unrelated {
            return Ok(Integrated::Unrelated);
        }
        let plan = plan(&source, head, order)?;
        if plan.preview.conflicts > order.max_conflicts {
            return Ok(Integrated::TooManyConflicts(plan.preview));
        }
        if order.max_deleted.is_some_and(|most| plan.preview.deleted > most) {
            return Ok(Integrated::TooManyDeleted(plan.preview));
        }
        let integrated = self.take_over(plan, order)?;
        // The branch says what counts; an index that isn't there yet is caught up with later.
        if let Err(error) = self.update_index(|_| ()) {
            tracing::warn!(wiki.id = self.id(), %error, "what was integrated isn't indexed yet");
        }
        Ok(integrated)
    }

    fn take_over(&self, plan: Plan, order: &Integrate<'_>) -> Result<Integrated, Error> {
        let Plan { head, preview, paths, merge } = plan;
        let mut writer = self.lock_writer()?;
        if writer.unapplied {
            self.replay(&mut writer)?;
        }
        if self.repo().head()? != head {
            return Ok(Integrated::Moved);
        }
        // Others wrote the objects and need not have synced them.
        crate::files::sync_filesystem(self.repo().dir())?;
        let merged = merge.is_some();
        // The other end hasn't the merge either.
        let links = self.links_to_tell(Some(order.link).filter(|_| !merged));
        let (prepared, edits, conflicts) = match merge {
            Some(PlannedMerge { prepared, edits, conflicts }) => {
                (Some(prepared), self.small_enough(edits)?, Some(conflicts))
            }
            None => (None, Vec::new(), None),
        };
        let (new, commit) = match &prepared {
            Some(prepared) => (prepared.revision, prepared.commit.clone()),
            None => (order.incoming, self.repo().commit_data(order.incoming)?),
        };
        let redo = Redo { branch: self.repo().branch(), old: head, new, commit, edits };
        let (described, statements) = (None, Vec::new());
        let ready = Ready { redo, prepared, described, conflicts, links, statements };
        let published = self.publish_ready(&mut writer, ready);
        self.head_moved(writer.unapplied);
        let revision = published?.revision;
        self.checkpoint_if_due(&mut writer);
        Ok(match merged {
            true => Integrated::Merged { revision, paths, conflicts: preview.conflicts },
            false => Integrated::FastForwarded { paths },
        })
    }
}

/// Whether there is anything in what was fetched that the wiki hasn't.
fn is_wanted(source: &Repo, head: Option<Revision>, order: &Integrate<'_>) -> Result<bool, Error> {
    let relation = relation(source, head, order.incoming)?;
    // A rewritten history may want commits undone that the wiki has.
    let rewinds = relation == Relation::Ahead && order.base.is_some();
    Ok(rewinds || !matches!(relation, Relation::Equal | Relation::Ahead))
}

fn merge<'a>(
    view: &'a View,
    head: Option<Revision>,
    order: &Integrate<'_>,
) -> Result<Merge<'a>, RepoError> {
    match order.base {
        Some(base) => {
            let ours = head.map_or_else(|| Ok(Files::new()), |head| view.files(head))?;
            view.merge_files(view.files(base)?, ours, view.files(order.incoming)?, order.winner)
        }
        None => view.merge(head, order.incoming, order.winner),
    }
}

fn plan(source: &Repo, head: Option<Revision>, order: &Integrate<'_>) -> Result<Plan, Error> {
    let view = source.view();
    let merge = merge(&view, head, order)?;
    let preview = preview(&merge)?;
    let ours = merge.edits(&merge.ours);
    let paths = ours.iter().take(MAX_PATHS).map(|edit| shown_path(&edit.path)).collect();
    let relation = relation(source, head, order.incoming)?;
    let as_fetched = merge.conflicts.is_empty() && merge.result == merge.theirs;
    if relation == Relation::Behind && as_fetched {
        return Ok(Plan { head, preview, paths, merge: None });
    }
    let incoming = order.incoming;
    let (parents, edits, message, time) = match head {
        // Two ends that merge the same histories make the same commit.
        Some(head) if order.winner == Winner::Stable && relation != Relation::Ahead => {
            let (one, other) = (head.min(incoming), head.max(incoming));
            let edits = if one == head { ours } else { merge.edits(&merge.theirs) };
            let time = view.commit(one)?.time.max(view.commit(other)?.time);
            (vec![one, other], edits, format!("Merge {one} and {other}"), time)
        }
        head => {
            let mut parents: Vec<Revision> = head.into_iter().collect();
            if relation != Relation::Ahead {
                parents.push(incoming);
            }
            let edits = match head {
                Some(_) => ours,
                None => merge.edits(&merge.theirs),
            };
            let time = time::OffsetDateTime::now_utc().unix_timestamp();
            (parents, edits, format!("Merge {incoming}"), time)
        }
    };
    let author = Author::new("wikigrove", "");
    let draft =
        Draft { parents: &parents, edits: &edits, author: &author, message: &message, time };
    let prepared = view.prepare(&draft)?;
    let conflicts = NewConflicts { link: Some(order.link), conflicts: merge.conflicts };
    Ok(Plan { head, preview, paths, merge: Some(PlannedMerge { prepared, edits, conflicts }) })
}

fn preview(merge: &Merge<'_>) -> Result<Preview, RepoError> {
    let is_page = |path: &[u8]| path.ends_with(EXTENSION.as_bytes());
    let moved = merge.moved()?;
    let gone = merge.ours.keys().filter(|path| is_page(path) && !merge.result.contains_key(*path));
    Ok(Preview {
        pages: merge.ours.keys().filter(|path| is_page(path)).count(),
        deleted: gone.filter(|path| !moved.contains_key(path.as_slice())).count(),
        conflicts: merge.conflicts.len(),
    })
}
