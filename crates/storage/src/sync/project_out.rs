//! Commits for the other end of a link that covers a part: one for each of ours that changed something
//! in it.

use std::path::Path;

use super::mapping::Pair;
use super::project_in::{named_commits, with_trailer};
use super::{LinkId, Mapping, SyncError};
use crate::author::Author;
use crate::error::Error;
use crate::merge::files::{Files, Winner};
use crate::repo::{Draft, Edit, Repo, View};
use crate::revision::Revision;
use crate::wiki::Wiki;

/// More commits at once become one.
const MAX_COMMITS: usize = 100;

/// What the other end should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The commit of the wiki it stands for: when the other end has the tip, all jobs up to this one are
    /// done.
    pub local: Revision,
    /// The tip to be pushed, in the scratch repository. If nothing is new, the tip there is now; `None`
    /// if there is none and nothing to be pushed.
    pub tip: Option<Revision>,
    /// How many commits are new to the other end.
    pub commits: usize,
}

/// One commit to be made.
struct Step {
    /// The commit of ours that it tells.
    local: Revision,
    /// The commit of ours that holds everything of it: a later one, if others' commits were joined to it.
    holds: Revision,
    /// What takes part, as it shall be.
    files: Files,
    /// It stands for more than the one commit.
    is_squash: bool,
}

/// What the other end has now.
struct There<'a> {
    source: &'a Repo,
    view: &'a View,
    tip: Option<Revision>,
    files: Files,
}

impl Wiki {
    /// Makes the commits that the other end of a link lacks, in the scratch repository, on top of `tip`
    /// as it was fetched (`None`: the branch there doesn't exist). Of the repository there only what the
    /// mapping covers is changed. The same call makes the same commits again. `None`: the wiki is empty.
    ///
    /// # Errors
    /// `tip` must be taken over first ([`SyncError::NotIntegrated`]); a directory of the mapping is none
    /// there; a repository can't be read or written.
    pub fn project(
        &self,
        scratch: &Path,
        tip: Option<Revision>,
        link: LinkId,
        mapping: &Mapping,
    ) -> Result<Option<Outgoing>, Error> {
        self.check_open()?;
        let fetched = self.incoming(scratch, self.push_rules().max_objects)?;
        let Some(head) = self.current()? else { return Ok(None) };
        let (source, view) = (fetched.repo(), fetched.repo().view());
        let files = match tip {
            Some(tip) => mapping.theirs(&view, tip)?,
            None => Files::new(),
        };
        let mut there = There { source, view: &view, tip, files };
        let mut outgoing = Outgoing { local: head, tip, commits: 0 };
        let mut pairs = Vec::new();
        for step in self.steps(&there, head, link, mapping)? {
            if step.files == there.files {
                // From now on this is what the tip stands for: what led here isn't told once more.
                let tip = outgoing.tip.filter(|_| step.holds == step.local);
                pairs.extend(tip.map(|tip| Pair::in_step(step.local, tip)));
                continue;
            }
            let commit = view.commit(step.local)?;
            let (author, message) = match step.is_squash {
                true => {
                    let named = named_commits(&view, step.local, None)?;
                    let message = format!("Bring {}\n{named}", step.local);
                    (Author::new("wikigrove", ""), message)
                }
                false => (commit.author, commit.message),
            };
            let parents: Vec<Revision> = outgoing.tip.into_iter().collect();
            let prepared = view.prepare(&Draft {
                parents: &parents,
                edits: &edits(&there.files, &step.files, mapping),
                author: &author,
                message: &with_trailer(&message, link, step.local),
                time: commit.time,
            })?;
            source.write_objects(&prepared)?;
            outgoing.tip = Some(prepared.revision);
            outgoing.commits += 1;
            let (local, told) = (step.holds, Some(step.local));
            pairs.push(Pair { local, remote: prepared.revision, told });
            there.files = step.files;
        }
        self.record_pairs(link, mapping, &pairs)?;
        Ok(Some(outgoing))
    }

    /// What has to be told, commit by commit.
    fn steps(
        &self,
        there: &There<'_>,
        head: Revision,
        link: LinkId,
        mapping: &Mapping,
    ) -> Result<Vec<Step>, Error> {
        let view = there.view;
        let step = |local| {
            let files = mapping.ours(view, Some(local))?;
            Ok::<_, Error>(Step { local, holds: local, files, is_squash: false })
        };
        let squash = || Ok(vec![Step { is_squash: true, ..step(head)? }]);
        let common = match there.tip {
            Some(tip) => self.common_pair(link, mapping, there.source, Some(head), tip)?,
            None => None,
        };
        let Some(joined) = common.filter(|pair| Some(pair.remote) == there.tip) else {
            // That there is nothing may mean that it was taken away.
            if common.is_some() || !there.files.is_empty() {
                return Err(SyncError::NotIntegrated.into());
            }
            return match first_parents(view, None, head)? {
                Some(commits) => commits.into_iter().map(step).collect(),
                None => squash(),
            };
        };
        let Some(after) = first_parents(view, Some(joined.local), head)? else { return squash() };
        let mut steps = Vec::new();
        let at_joining = step(joined.local)?;
        if at_joining.files != there.files {
            // What was saved here before the other end's commits came was not told yet.
            match joined.told {
                Some(told) => {
                    let untold = first_parents(view, Some(told), joined.local)?;
                    let Some(untold) = untold else { return squash() };
                    let base = mapping.ours(view, Some(told))?;
                    for local in untold.into_iter().filter(|local| *local != joined.local) {
                        let ours = mapping.ours(view, Some(local))?;
                        let theirs = there.files.clone();
                        let merge = view.merge_files(base.clone(), ours, theirs, Winner::Wiki)?;
                        // A text that exists nowhere yet is left to the commit that joined the two.
                        if merge.is_all_stored() {
                            let (holds, files) = (joined.local, merge.result);
                            steps.push(Step { local, holds, files, is_squash: false });
                        }
                    }
                    steps.push(at_joining);
                }
                None => steps.push(Step { is_squash: true, ..at_joining }),
            }
        }
        for local in after {
            steps.push(step(local)?);
        }
        if steps.len() > MAX_COMMITS { squash() } else { Ok(steps) }
    }
}

/// The commits after `from` on the straight way to `to`, oldest first. `None`: there are too many, or
/// `from` isn't on the way.
fn first_parents(
    view: &View,
    from: Option<Revision>,
    to: Revision,
) -> Result<Option<Vec<Revision>>, Error> {
    let mut commits = Vec::new();
    let mut next = Some(to);
    while next != from {
        let Some(commit) = next.filter(|_| commits.len() < MAX_COMMITS) else { return Ok(None) };
        commits.push(commit);
        next = view.commit(commit)?.parents.first().copied();
    }
    commits.reverse();
    Ok(Some(commits))
}

fn edits(old: &Files, new: &Files, mapping: &Mapping) -> Vec<Edit> {
    let edit = |path: &[u8], new| Edit { path: mapping.there(path), new, content: None };
    let gone = old.keys().filter(|path| !new.contains_key(*path)).map(|path| edit(path, None));
    let changed = new.iter().filter(|(path, entry)| old.get(*path) != Some(entry));
    let changed = changed.map(|(path, entry)| edit(path, Some(*entry)));
    // In this order: a file may take the place of a directory, and the other way round.
    gone.chain(changed).collect()
}

#[cfg(test)]
mod tests;
