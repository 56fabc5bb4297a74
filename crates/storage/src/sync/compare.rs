//! Compares the wiki with a fetched history.

use std::collections::HashSet;
use std::path::Path;

use super::mapping::Pair;
use super::{LinkId, Mapping, SyncError};
use crate::error::Error;
use crate::receive::brought;
use crate::repo::{Incoming, Region, Repo, View};
use crate::revision::Revision;
use crate::wiki::Wiki;

/// The relation of the wiki's history to the fetched one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Both are at the same commit.
    Equal,
    /// The wiki has every fetched commit, and more.
    Ahead,
    /// The fetched history has every commit of the wiki, and more.
    Behind,
    /// Each has commits that the other lacks.
    Diverged {
        /// The merge base; if there are several, one of them.
        base: Revision,
    },
    /// They have no commit in common.
    Unrelated,
}

/// Facts about a fetched tip, before any change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The wiki's newest revision; `None` if nothing was ever saved.
    pub head: Option<Revision>,
    /// The relation of the wiki's history to the tip's.
    pub relation: Relation,
    /// True if both have the same files, even with different histories.
    pub same_files: bool,
    /// True if the last seen tip isn't an ancestor of this one: the remote's history was rewritten.
    pub rewritten: bool,
    /// True if the tip holds only a README, a licence or a `.gitignore`, like a repository that a hosting service has
    /// just created, and has no commit in common with the wiki, which may be empty.
    pub is_starter: bool,
}

impl Comparison {
    /// Returns `true` if the remote has commits that the wiki lacks.
    pub fn has_foreign_commits(&self) -> bool {
        !matches!(self.relation, Relation::Equal | Relation::Ahead)
    }
}

/// Facts about the fetched tip of a partial link, before any change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartComparison {
    /// The wiki's newest revision; `None` if nothing was ever saved.
    pub head: Option<Revision>,
    /// True if no ancestor of the tip has ever been in sync with the wiki.
    pub is_unrelated: bool,
    /// True if the remote's history was rewritten and the covered part differs both from the last seen tip and from the
    /// wiki. Rewrites outside the part don't matter.
    pub rewritten: bool,
    /// True if the wiki's part has anything that the last seen tip lacked, as far as this is known.
    pub has_own: bool,
    /// As in [`Comparison`], except that the histories aren't compared.
    pub is_starter: bool,
}

impl Wiki {
    /// Compares the wiki with the tip `incoming` in the repository `scratch`, which
    /// [`create_scratch`](Self::create_scratch) made. `last_seen` is the link's previous tip, if there was one. The
    /// commits of a partial link differ from the wiki's, so only `rewritten` is meaningful for one; see
    /// [`compare_part`](Self::compare_part).
    ///
    /// # Errors
    /// The fetched history is shallow or lacks the commit; a repository can't be read.
    pub fn compare(
        &self,
        scratch: &Path,
        incoming: Revision,
        last_seen: Option<Revision>,
    ) -> Result<Comparison, Error> {
        let fetched = self.fetched(scratch, incoming)?;
        let source = fetched.repo();
        let head = self.current()?;
        let relation = relation(source, head, incoming)?;
        let rewritten = match last_seen {
            Some(seen) => is_rewritten(source, seen, incoming)?,
            None => false,
        };
        let is_new = head.is_none() || relation == Relation::Unrelated;
        let is_starter = is_new && is_starter(&source.view(), incoming)?;
        let same_files = match head {
            Some(head) => source.is_same_tree(head, incoming)?,
            None => false,
        };
        Ok(Comparison { head, relation, same_files, rewritten, is_starter })
    }

    /// Does the work of [`compare`](Self::compare) for a partial link. A tip whose part equals the previous tip's or
    /// the wiki's is recorded as integrated.
    ///
    /// # Errors
    /// The errors of [`compare`](Self::compare); or the directory of the mapping isn't a directory in the remote's tree
    /// ([`SyncError::NoDirectory`]).
    pub fn compare_part(
        &self,
        scratch: &Path,
        incoming: Revision,
        last_seen: Option<Revision>,
        link: LinkId,
        mapping: &Mapping,
    ) -> Result<PartComparison, Error> {
        let fetched = self.fetched_part(scratch, incoming, link)?;
        let (source, view) = (fetched.repo(), fetched.repo().view());
        let head = self.current()?;
        let (ours, theirs) = (mapping.ours(&view, head)?, mapping.theirs(&view, incoming)?);
        let common = self.common_pair(link, mapping, source, head, incoming)?;

        let has_it = common.is_some_and(|common| common.remote == incoming);
        let (was_rewritten, seen_pair) = match last_seen {
            Some(seen) => {
                // A tip that nothing was ever taken from can't take anything back.
                let is_met = !self.pairs(link, Some(mapping), Some(seen))?.is_empty();
                let was_rewritten = is_met && is_rewritten(source, seen, incoming)?;
                (was_rewritten, self.pair_in_step(link, mapping, seen)?)
            }
            None => (false, None),
        };
        let seen_files = match seen_pair {
            Some(pair) => Some(mapping.ours(&view, Some(pair.local))?),
            None => None,
        };

        let (is_as_here, is_as_seen) = (ours == theirs, seen_files.as_ref() == Some(&theirs));
        let brings_nothing = match (head, seen_pair, common) {
            // Even if the tip was seen before: a text that the remote took back and the wiki deleted isn't sent again.
            (Some(head), ..) if is_as_here && (was_rewritten || !has_it) => {
                Some(Pair::in_step(head, incoming))
            }
            _ if has_it => None,
            (_, Some(pair), _) if is_as_seen => Some(Pair::in_step(pair.local, incoming)),
            (.., Some(common)) if mapping.theirs(&view, common.remote)? == theirs => {
                Some(Pair { remote: incoming, ..common })
            }
            _ => None,
        };
        self.record_pairs(link, mapping, brings_nothing.as_slice())?;
        Ok(PartComparison {
            head,
            is_unrelated: common.is_none() && brings_nothing.is_none(),
            rewritten: was_rewritten && !is_as_seen && !is_as_here,
            has_own: seen_files.is_none_or(|files| files != ours),
            is_starter: is_starter(&view, incoming)?,
        })
    }

    /// Opens the fetched repository, after checking that it has the commit `incoming` and that every commit in it is
    /// small enough to be read.
    pub(super) fn fetched(&self, scratch: &Path, incoming: Revision) -> Result<Incoming, Error> {
        self.fetched_since(scratch, incoming, &HashSet::new())
    }

    /// As [`fetched`](Self::fetched), for a link that keeps its scratch repository: known commits aren't checked again.
    pub(super) fn fetched_part(
        &self,
        scratch: &Path,
        incoming: Revision,
        link: LinkId,
    ) -> Result<Incoming, Error> {
        let pairs = self.pairs(link, None, None)?;
        self.fetched_since(scratch, incoming, &pairs.iter().map(|pair| pair.remote).collect())
    }

    fn fetched_since(
        &self,
        scratch: &Path,
        incoming: Revision,
        known: &HashSet<Revision>,
    ) -> Result<Incoming, Error> {
        self.check_open()?;
        if scratch.join("shallow").exists() {
            return Err(SyncError::Shallow.into());
        }
        let fetched = self.incoming(scratch, self.push_rules().max_objects)?;
        if !fetched.header(incoming.as_bytes())?.is_some_and(|header| header.is_commit) {
            return Err(SyncError::Missing { revision: incoming }.into());
        }
        brought(&fetched, |commit| known.contains(&commit), incoming, usize::MAX)?;
        Ok(fetched)
    }
}

pub(super) fn relation(
    source: &Repo,
    head: Option<Revision>,
    incoming: Revision,
) -> Result<Relation, Error> {
    let Some(head) = head else { return Ok(Relation::Behind) };
    if head == incoming {
        return Ok(Relation::Equal);
    }
    Ok(match source.merge_base(head, incoming)? {
        Some(base) if base == incoming => Relation::Ahead,
        Some(base) if base == head => Relation::Behind,
        Some(base) => Relation::Diverged { base },
        None => Relation::Unrelated,
    })
}

/// Returns `true` if `seen` isn't an ancestor of `incoming`. A commit that is missing is no ancestor.
fn is_rewritten(source: &Repo, seen: Revision, incoming: Revision) -> Result<bool, Error> {
    Ok(!source.is_commit(seen)? || !source.is_ancestor(seen, incoming)?)
}

fn is_starter(view: &View, tip: Revision) -> Result<bool, Error> {
    const STEMS: [&str; 4] = ["readme", "license", "licence", "copying"];
    const NAMES: [&str; 2] = [".gitignore", ".gitattributes"];
    let Region::Files(files) = view.region(tip, "")? else { return Ok(false) };
    Ok(files.iter().all(|(name, entry)| {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let stem = name.split('.').next().unwrap_or_default();
        entry.is_file() && (STEMS.contains(&stem) || NAMES.contains(&name.as_str()))
    }))
}
