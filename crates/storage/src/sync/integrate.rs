//! Takes over fetched commits: fast-forwards the branch, or merges both histories.

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
use crate::unit::Statement;
use crate::usage::{Growth, Sent};
use crate::wiki::Wiki;

/// Maximum depth of folders. Higher than the limit for pages of a wiki, because remotes may hold deeper trees.
const MAX_DEPTH: usize = 100;

/// A request to take over a fetched tip.
#[derive(Clone, Debug)]
pub struct Integrate<'a> {
    /// The repository that the tip was fetched into.
    pub scratch: &'a Path,
    /// The fetched tip.
    pub incoming: Revision,
    /// The link that it was fetched for.
    pub link: LinkId,
    /// The side whose text keeps the path in a conflict.
    pub winner: Winner,
    /// The merge base to use instead of the one in the histories. For a rewritten history, the remote's tip before it
    /// was rewritten: what the rewrite removed is then removed from the wiki, too.
    pub base: Option<Revision>,
    /// Allows a merge of histories that have no commit in common.
    pub unrelated: bool,
    /// Maximum number of conflicts. Above it nothing is changed.
    pub max_conflicts: usize,
    /// Maximum number of deleted pages. Above it nothing is changed; `None`: no limit.
    pub max_deleted: Option<usize>,
}

/// The effects that a request would have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preview {
    /// Number of pages in the wiki, or, for a partial link, in the covered part. If most of these would be deleted, a
    /// person is asked, however many pages the rest of the wiki has.
    pub pages: usize,
    /// Number of these pages that would be deleted. Renamed pages don't count.
    pub deleted: usize,
    /// Number of conflicts that a person would have to look at.
    pub conflicts: usize,
}

/// The outcome of a request. Nothing was changed unless the variant says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Integrated {
    /// The wiki already has every commit.
    Nothing,
    /// The branch was fast-forwarded to the fetched tip, durably.
    FastForwarded {
        /// The changed pages and attachments; cut off at a maximum number.
        paths: Vec<String>,
    },
    /// A merge commit joined both histories, durably.
    Merged {
        /// The merge, or a later commit that contains it.
        revision: Revision,
        /// The pages and attachments that changed in the wiki; cut off at a maximum number.
        paths: Vec<String>,
        /// Number of conflicts that a person should look at.
        conflicts: usize,
    },
    /// A concurrent save was first: retry.
    Moved,
    /// The histories have no commit in common.
    Unrelated,
    /// A person has to decide: there would be more conflicts than allowed.
    TooManyConflicts(Preview),
    /// A person has to decide: more pages would be deleted than allowed.
    TooManyDeleted(Preview),
}

/// A prepared publication, entirely in memory.
struct Plan {
    preview: Preview,
    /// The changes to the wiki.
    changes: Vec<FileChange>,
    left: Left,
    growth: Option<Growth>,
    /// Bytes that the change takes in the index.
    weight: u64,
    made: Made,
}

/// The way in which the branch comes to the result.
enum Made {
    /// It is simply moved; what is odd in what it brings is told.
    Moved(NewConflicts),
    Merged(PreparedMerge),
}

impl Wiki {
    /// Computes the effects that [`integrate`](Self::integrate) would have, without applying the limits. `None` if
    /// there is nothing to take over.
    ///
    /// # Errors
    /// The fetched history is shallow or lacks the commit; a repository can't be read.
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

    /// The rules for fetched commits: those of a push, except that files a wiki can't use are accepted and kept.
    pub(super) fn sync_rules(&self) -> PushRules {
        PushRules { rewrite: true, carries: true, max_depth: MAX_DEPTH, ..self.push_rules() }
    }

    /// Takes over the tip fetched into a repository that [`create_scratch`](Self::create_scratch) made. Commits,
    /// conflicts and the queues of the links change atomically. The slow work is done before the writer lock is taken,
    /// so saves don't wait for it. On return the change is durable: it survives a crash and a power cut. Files are
    /// moved out of the scratch repository, which is usable afterwards only if the outcome is [`Integrated::Moved`].
    ///
    /// # Errors
    /// The fetched history is shallow or lacks the commit; the push rules refuse it ([`Error::PushRefused`]), and then
    /// nothing of it is in the wiki; the disk is full or failing.
    pub fn integrate(&self, order: &Integrate<'_>) -> Result<Integrated, Error> {
        // Start watching before the first write that the later sync has to cover.
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
        let Plan { preview, changes, left, growth, weight, made } =
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
        // The sync covers the branch's old head, too.
        writer.durable = head;
        let follow = self.follow_conflicts(|| Ok(left))?;
        let integrated = match made {
            Made::Merged(mut merge) => {
                merge.statements.push(follow);
                writer.counted = counted.map(|count| (merge.prepared.revision, count));
                Integrated::Merged {
                    revision: self.publish_merge(&mut writer, head, merge)?,
                    paths,
                    conflicts: preview.conflicts,
                }
            }
            Made::Moved(told) => {
                let (from, incoming) = (Some(order.link), order.incoming);
                writer.counted = counted.map(|count| (incoming, count));
                let tell: Statement<'static> =
                    Box::new(move |transaction| told.record(transaction, incoming));
                self.publish_stored(&mut writer, head, incoming, from, vec![follow, tell])?;
                Integrated::FastForwarded { paths }
            }
        };
        self.checkpoint_if_due(&mut writer);
        drop(writer);
        self.index_received();
        Ok(integrated)
    }
}

/// Returns the refusal if the limits of the request leave the decision to a person.
pub(super) fn refuse_too_much(preview: Preview, order: &Integrate<'_>) -> Option<Integrated> {
    if preview.conflicts > order.max_conflicts {
        Some(Integrated::TooManyConflicts(preview))
    } else if order.max_deleted.is_some_and(|most| preview.deleted > most) {
        Some(Integrated::TooManyDeleted(preview))
    } else {
        None
    }
}

/// Returns `true` if the fetched history contains anything that the wiki lacks.
fn is_wanted(source: &Repo, head: Option<Revision>, order: &Integrate<'_>) -> Result<bool, Error> {
    let relation = relation(source, head, order.incoming)?;
    // After a rewrite, following the remote may mean undoing commits that the wiki has.
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
    if relation == Relation::Behind && merge.result == merge.theirs {
        let told = NewConflicts { link: Some(order.link), conflicts: merge.conflicts };
        return Ok(Plan { preview, changes, left, growth, weight, made: Made::Moved(told) });
    }
    let incoming = order.incoming;
    let (parents, edits, message, time) = match head {
        // Deterministic: two wikis that merge the same histories make the same commit.
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
    Ok(Plan { preview, changes, left, growth, weight, made: Made::Merged(merge) })
}

pub(super) fn preview(merge: &Merge<'_>, left: &Left) -> Preview {
    let is_page = |path: &[u8]| path.ends_with(EXTENSION.as_bytes());
    Preview {
        pages: merge.ours.keys().filter(|path| is_page(path)).count(),
        deleted: left.iter().filter(|(path, to)| is_page(path) && to.is_none()).count(),
        conflicts: merge.conflicts.len(),
    }
}
