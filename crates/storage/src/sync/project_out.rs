//! Makes the commits for the remote of a partial link: one for each commit of the wiki that changed something in the
//! covered part.

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

/// A longer series of commits is squashed into one.
const MAX_COMMITS: usize = 100;

/// The commits that the remote should get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The wiki's commit that `tip` stands for: once the remote has the tip, all jobs up to this commit are done.
    pub local: Revision,
    /// The tip to push, in the scratch repository. Without new commits, the remote's present tip; `None` if the remote
    /// has none and there is nothing to push.
    pub tip: Option<Revision>,
    /// Number of commits that are new to the remote.
    pub commits: usize,
}

/// One commit to be made.
struct Step {
    /// The wiki's commit that this one reproduces.
    local: Revision,
    /// The wiki's commit that contains everything in this one. A later commit than `local` if the remote's changes were
    /// merged in after it.
    holds: Revision,
    /// The files of the covered part after this commit.
    files: Files,
    /// The commit stands for several commits of the wiki.
    is_squash: bool,
}

/// The present state of the remote.
struct There<'a> {
    source: &'a Repo,
    view: &'a View,
    tip: Option<Revision>,
    files: Files,
}

impl Wiki {
    /// Makes the commits that the link's remote lacks, in the scratch repository, on top of the fetched `tip` (`None`:
    /// the remote's branch doesn't exist). Only files that the mapping covers are changed. The function is
    /// deterministic: the same call makes the same commits again. Returns `None` if the wiki is empty.
    ///
    /// # Errors
    /// `tip` must be integrated first ([`SyncError::NotIntegrated`]); a directory of the mapping isn't a directory in
    /// the remote's tree; a repository can't be read or written.
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
                // Nothing to commit: record that the tip stands for this commit, so that later runs don't repeat the
                // earlier ones.
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

    /// Returns the commits to make, in order.
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
            // An empty remote may be one whose files were deleted, so it counts as integrated only if no pair exists.
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
            // The wiki's commits before the merge weren't sent yet: repeat them on top of the remote's files.
            match joined.told {
                Some(told) => {
                    let untold = first_parents(view, Some(told), joined.local)?;
                    let Some(untold) = untold else { return squash() };
                    let base = mapping.ours(view, Some(told))?;
                    for local in untold.into_iter().filter(|local| *local != joined.local) {
                        let ours = mapping.ours(view, Some(local))?;
                        let theirs = there.files.clone();
                        let merge = view.merge_files(base.clone(), ours, theirs, Winner::Wiki)?;
                        // A text that exists only as a merge result is left to the merge commit itself.
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

/// Returns the commits after `from` on the first-parent line to `to`, oldest first. `None` if there are too many, or
/// `from` isn't on that line.
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
    // Removals first: a file may take the place of a directory, and the other way round.
    gone.chain(changed).collect()
}

#[cfg(test)]
mod tests;
