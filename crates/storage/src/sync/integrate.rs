//! Taking over what was fetched: the branch is moved along, or both histories are merged.

use std::path::Path;

use super::compare::relation;
use super::{Left, LinkId, NewConflicts, Relation, SyncError};
use crate::author::Author;
use crate::changes::MAX_CHANGES;
use crate::error::Error;
use crate::files::FileSystem;
use crate::index::{NewCommits, shown_path};
use crate::merge::files::{Files, Winner};
use crate::page_path::EXTENSION;
use crate::publish::PreparedMerge;
use crate::receive::{PushRules, check};
use crate::repo::{Draft, FileChange, Merge, Repo, View};
use crate::revision::Revision;
use crate::usage::{Growth, Sent};
use crate::wiki::Wiki;

/// Folders may be deeper there than a page can be here.
const MAX_DEPTH: usize = 100;

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
    /// Pages the wiki has; of a link that covers a part, in that part: if that loses most of its pages,
    /// somebody is to be asked, however many others the wiki has.
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
    preview: Preview,
    /// What is changed in the wiki.
    changes: Vec<FileChange>,
    left: Left,
    growth: Option<Growth>,
    /// The bytes that it takes in the index.
    weight: u64,
    /// `None`: the branch can simply be moved.
    merge: Option<PreparedMerge>,
}

impl Wiki {
    /// Says what [`integrate`](Self::integrate) would do, without any limit. `None`: nothing.
    ///
    /// # Errors
    /// What was fetched is shallow or has no such commit; a repository can't be read.
    pub fn preview(&self, order: &Integrate<'_>) -> Result<Option<Preview>, Error> {
        let fetched = self.fetched(order.scratch, order.incoming)?;
        let head = self.current()?;
        check(self.repo(), &fetched, head, order.incoming, &self.sync_rules())?;
        if !is_wanted(fetched.repo(), head, order)? {
            return Ok(None);
        }
        let view = fetched.repo().view();
        let merge = merge(&view, head, order)?;
        Ok(Some(preview(&merge, &merge.left()?)))
    }

    /// What may come from elsewhere: as a push, but what a wiki doesn't know is carried along.
    pub(super) fn sync_rules(&self) -> PushRules {
        PushRules { rewrite: true, carries: true, max_depth: MAX_DEPTH, ..self.push_rules() }
    }

    /// Takes over what was fetched into a repository that [`create_scratch`](Self::create_scratch) made:
    /// as one change the commits, the conflicts and the queues of the links. Everything that takes time
    /// is done before saves have to wait. When this returns, it survives a crash and a power cut. Files
    /// are moved out of the scratch repository: it is of no use after anything but
    /// [`Integrated::Moved`].
    ///
    /// # Errors
    /// What was fetched is shallow or has no such commit; it is refused ([`Error::PushRefused`]), and
    /// nothing of it is in the wiki then; the disk is full or failing.
    pub fn integrate(&self, order: &Integrate<'_>) -> Result<Integrated, Error> {
        // Before the first write that is to be synced.
        let disk = FileSystem::watch(self.repo().dir())?;
        let fetched = self.fetched(order.scratch, order.incoming)?;
        let (source, head) = (fetched.repo(), self.current()?);
        let checked = check(self.repo(), &fetched, head, order.incoming, &self.sync_rules())?;
        if !is_wanted(source, head, order)? {
            return Ok(Integrated::Nothing);
        }
        if !order.unrelated && relation(source, head, order.incoming)? == Relation::Unrelated {
            return Ok(Integrated::Unrelated);
        }
        let sent = (fetched.bytes()?, checked.log);
        let Plan { preview, changes, left, growth, weight, merge } =
            plan(self, source, head, order, sent)?;
        if let Some(refused) = refuse_too_much(preview, order) {
            return Ok(refused);
        }
        let staged = fetched.stage(self.repo(), &checked.objects)?;

        let mut writer = self.lock_writer()?;
        if writer.unapplied {
            self.replay(&mut writer)?;
        }
        if self.repo().head()? != head {
            self.head_moved(false);
            return Ok(Integrated::Moved);
        }
        let counted = self.check_growth(Some(&writer), head, growth)?;
        let added = staged.bytes()?.saturating_add(weight);
        self.check_disk_of_push(added, checked.has_files, &changes)?;
        let paths = changes.iter().take(MAX_CHANGES);
        let paths = paths.map(|change| shown_path(&change.path)).collect();
        self.repo().adopt(&staged)?;
        self.repo().sync_adopted(&disk)?;
        // The branch as it was, too.
        writer.durable = head;
        let follow = self.follow_conflicts(|| Ok(left))?;
        let integrated = match merge {
            Some(mut merge) => {
                merge.statements.push(follow);
                writer.counted = counted.map(|count| (merge.prepared.revision, count));
                Integrated::Merged {
                    revision: self.publish_merge(&mut writer, head, merge)?,
                    paths,
                    conflicts: preview.conflicts,
                }
            }
            None => {
                writer.counted = counted.map(|count| (order.incoming, count));
                let from = Some(order.link);
                self.publish_stored(&mut writer, head, order.incoming, from, vec![follow])?;
                Integrated::FastForwarded { paths }
            }
        };
        self.checkpoint_if_due(&mut writer);
        drop(writer);
        self.index_received();
        Ok(integrated)
    }
}

/// What a person has to decide.
pub(super) fn refuse_too_much(preview: Preview, order: &Integrate<'_>) -> Option<Integrated> {
    if preview.conflicts > order.max_conflicts {
        Some(Integrated::TooManyConflicts(preview))
    } else if order.max_deleted.is_some_and(|most| preview.deleted > most) {
        Some(Integrated::TooManyDeleted(preview))
    } else {
        None
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
) -> Result<Merge<'a>, Error> {
    match order.base {
        Some(base) if !view.is_commit(base)? => Err(SyncError::Missing { revision: base }.into()),
        Some(base) => {
            let ours = head.map_or_else(|| Ok(Files::new()), |head| view.files(head))?;
            let theirs = view.files(order.incoming)?;
            Ok(view.merge_files(view.files(base)?, ours, theirs, order.winner)?)
        }
        None => Ok(view.merge(head, order.incoming, order.winner)?),
    }
}

fn plan(
    wiki: &Wiki,
    source: &Repo,
    head: Option<Revision>,
    order: &Integrate<'_>,
    (bytes, log): (u64, NewCommits),
) -> Result<Plan, Error> {
    let view = source.view();
    let merge = merge(&view, head, order)?;
    let left = merge.left()?;
    let preview = preview(&merge, &left);
    let changes = merge.changes(&merge.ours);
    let sent = Sent { bytes, log, changes: &changes };
    let (size, text) = (|id| merge.size(&view, id), |id| merge.text(&view, id));
    let made = wiki.check_made(&sent, &wiki.sync_rules(), size, text);
    let weight = made.map_err(Error::of_push)?;
    let growth = wiki.growth(&changes, |id| merge.size(&view, id))?;
    let relation = relation(source, head, order.incoming)?;
    let as_fetched = merge.conflicts.is_empty() && merge.result == merge.theirs;
    if relation == Relation::Behind && as_fetched {
        return Ok(Plan { preview, changes, left, growth, weight, merge: None });
    }
    let incoming = order.incoming;
    let (parents, edits, message, time) = match head {
        // Two ends that merge the same histories make the same commit.
        Some(head) if order.winner == Winner::Stable && relation != Relation::Ahead => {
            let (one, other) = (head.min(incoming), head.max(incoming));
            let edits = merge.edits(if one == head { &merge.ours } else { &merge.theirs });
            let time = view.commit(one)?.time.max(view.commit(other)?.time);
            (vec![one, other], edits, format!("Merge {one} and {other}"), time)
        }
        head => {
            let mut parents: Vec<Revision> = head.into_iter().collect();
            if relation != Relation::Ahead {
                parents.push(incoming);
            }
            let edits = merge.edits(if head.is_some() { &merge.ours } else { &merge.theirs });
            let time = time::OffsetDateTime::now_utc().unix_timestamp();
            (parents, edits, format!("Merge {incoming}"), time)
        }
    };
    let author = Author::new("wikigrove", "");
    let draft =
        Draft { parents: &parents, edits: &edits, author: &author, message: &message, time };
    let prepared = view.prepare(&draft)?;
    let conflicts = NewConflicts { link: Some(order.link), conflicts: merge.conflicts };
    let merge = PreparedMerge { prepared, edits, conflicts, statements: Vec::new() };
    Ok(Plan { preview, changes, left, growth, weight, merge: Some(merge) })
}

pub(super) fn preview(merge: &Merge<'_>, left: &Left) -> Preview {
    let is_page = |path: &[u8]| path.ends_with(EXTENSION.as_bytes());
    Preview {
        pages: merge.ours.keys().filter(|path| is_page(path)).count(),
        deleted: left.iter().filter(|(path, to)| is_page(path) && to.is_none()).count(),
        conflicts: merge.conflicts.len(),
    }
}
