//! How the wiki and what was fetched stand to each other.

use std::collections::HashSet;
use std::path::Path;

use super::mapping::Pair;
use super::{LinkId, Mapping, SyncError};
use crate::error::Error;
use crate::receive::brought;
use crate::repo::{Incoming, Region, Repo, View};
use crate::revision::Revision;
use crate::wiki::Wiki;

/// What the history that was fetched is to the wiki's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Both are at the same commit.
    Equal,
    /// The wiki has all that was fetched, and more.
    Ahead,
    /// What was fetched has all of the wiki, and more.
    Behind,
    /// Both have commits that the other hasn't.
    Diverged {
        /// The newest commit that both have, or one of several.
        base: Revision,
    },
    /// They have no commit in common.
    Unrelated,
}

/// What is known of a tip before anything is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The wiki's newest revision; `None` while nothing was ever saved.
    pub head: Option<Revision>,
    /// How it stands to the tip.
    pub relation: Relation,
    /// Whether both have the same files, whatever their histories are.
    pub same_files: bool,
    /// Whether the tip isn't built on the one that was seen last: the history there was rewritten.
    pub rewritten: bool,
    /// Whether the tip has nothing in common with the wiki and holds nothing but a README, a licence or a
    /// `.gitignore`, as repositories do that a hosting service has just made.
    pub is_starter: bool,
}

impl Comparison {
    /// Whether the other end has commits that the wiki hasn't.
    pub fn has_foreign_commits(&self) -> bool {
        !matches!(self.relation, Relation::Equal | Relation::Ahead)
    }
}

/// What is known of the tip of a link that covers a part, before anything is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartComparison {
    /// The wiki's newest revision; `None` while nothing was ever saved.
    pub head: Option<Revision>,
    /// Whether nothing that the tip is built on has ever been in step with the wiki.
    pub is_unrelated: bool,
    /// Whether the tip isn't built on the one that was seen last, and the part isn't what it was there, nor
    /// what it is here. What else was rewritten is no business of the wiki's.
    pub rewritten: bool,
    /// Whether the wiki has something in the part that the tip seen last hadn't, as far as that is known.
    pub has_own: bool,
    /// As in [`Comparison`].
    pub is_starter: bool,
}

impl Wiki {
    /// Compares the wiki with the tip `incoming` of what was fetched into the repository `scratch`, which
    /// [`create_scratch`](Self::create_scratch) made. `last_seen` is the tip that the link had before, if it
    /// had one. Of a link that covers a part the commits there are others, so only `rewritten` means
    /// something: [`compare_part`](Self::compare_part).
    ///
    /// # Errors
    /// What was fetched is shallow or has no such commit; a repository can't be read.
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

    /// As [`compare`](Self::compare), of a link that covers a part. A tip that brings nothing is noted as
    /// taken over: one whose part is what it was before, or what it is here.
    ///
    /// # Errors
    /// As there; or the directory of the mapping is none there ([`SyncError::NoDirectory`]).
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
                // Of a tip that nothing was ever taken from nothing can be taken back.
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
            // Also if it was seen before: what was taken back there and is gone here isn't told again.
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

    /// What was fetched, in which `incoming` is a commit. No commit of it is too large to be read.
    pub(super) fn fetched(&self, scratch: &Path, incoming: Revision) -> Result<Incoming, Error> {
        self.fetched_since(scratch, incoming, &HashSet::new())
    }

    /// As [`fetched`](Self::fetched), for a link whose scratch repository is kept: of what it had before,
    /// nothing is looked at again.
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

/// Whether what was seen is no part of the history of what came. What isn't there at all is part of none.
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
