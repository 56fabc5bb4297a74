//! The commit that last changed each page.
//!
//! All pages are followed at once: at a commit, a page that is the same in a parent is handed to that
//! parent (the first such, as `git log` does), and a page that differs from every parent was changed by the
//! commit itself. Each page travels one way down the history, so the order of visits doesn't matter for the
//! result; newest first keeps the pages together and reads each commit once.

use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};

use super::old_commits::committed;
use super::read::{changes, lookup, tree_of};
use super::{Repo, RepoError, object_id, revision};
use crate::deadline;
use crate::revision::Revision;

/// Below this number of files, looking each up is cheaper than comparing whole trees.
const FEW: usize = 3;

/// Paths of the files whose last change is asked for.
pub(crate) type Want = HashSet<Vec<u8>>;

impl Repo {
    /// Finds the commit that last changed each file of `want`, all of which exist in `head`.
    ///
    /// The walk ends at `known`: a file that reaches it unchanged is left out of the result. `progress`
    /// gets the number of commits visited so far.
    pub(crate) fn attribute(
        &self,
        head: Revision,
        want: Want,
        known: Option<Revision>,
        mut progress: impl FnMut(usize),
    ) -> Result<HashMap<Vec<u8>, Revision>, RepoError> {
        let local = self.local();
        let mut found = HashMap::with_capacity(want.len());
        let mut queue = Queue::default();
        queue.push(&local, head, want)?;
        let mut visited = 0;
        while let Some((commit, mut paths)) = queue.pop() {
            deadline::check()?;
            if Some(commit) == known {
                continue;
            }
            for parent in parents(&local, commit)? {
                if paths.is_empty() {
                    break;
                }
                // Few files change in a commit: the set of unchanged files is handed on without a copy.
                let mut changed = differing(&local, parent, commit, &paths)?;
                changed.retain(|path| paths.remove(path));
                let same = std::mem::replace(&mut paths, changed);
                if !same.is_empty() {
                    queue.push(&local, parent, same)?;
                }
            }
            found.extend(paths.into_iter().map(|path| (path, commit)));
            visited += 1;
            progress(visited);
        }
        Ok(found)
    }
}

/// Commits to visit, newest first, each with the files that were handed to it.
#[derive(Default)]
struct Queue {
    order: BinaryHeap<(i64, Revision)>,
    paths: BTreeMap<Revision, Want>,
}

impl Queue {
    fn push(
        &mut self,
        local: &gix::Repository,
        commit: Revision,
        paths: Want,
    ) -> Result<(), RepoError> {
        match self.paths.get_mut(&commit) {
            Some(waiting) => {
                let (mut larger, smaller) = (std::mem::take(waiting), paths);
                let smaller = match larger.len() < smaller.len() {
                    true => std::mem::replace(&mut larger, smaller),
                    false => smaller,
                };
                larger.extend(smaller);
                *waiting = larger;
            }
            None => {
                let id = object_id(commit.as_bytes());
                let object =
                    local.find_commit(id).map_err(|e| RepoError::reading_object(&id, e))?;
                self.order.push((committed(&object.data), commit));
                self.paths.insert(commit, paths);
            }
        }
        Ok(())
    }

    fn pop(&mut self) -> Option<(Revision, Want)> {
        let (_, commit) = self.order.pop()?;
        Some((commit, self.paths.remove(&commit).unwrap_or_default()))
    }
}

fn parents(local: &gix::Repository, commit: Revision) -> Result<Vec<Revision>, RepoError> {
    let id = object_id(commit.as_bytes());
    let commit = local.find_commit(id).map_err(|e| RepoError::reading_object(&id, e))?;
    Ok(commit.parent_ids().map(|id| revision(&id)).collect())
}

/// The files of `paths` that are different or missing in `parent`.
fn differing(
    local: &gix::Repository,
    parent: Revision,
    commit: Revision,
    paths: &Want,
) -> Result<Want, RepoError> {
    if paths.len() > FEW {
        return Ok(changes(local, Some(parent), commit)?
            .into_iter()
            .map(|change| change.path)
            .collect());
    }
    let (old, new) = (tree_of(local, parent)?, tree_of(local, commit)?);
    let mut changed = Want::new();
    if old == new {
        return Ok(changed);
    }
    for path in paths {
        let name = String::from_utf8_lossy(path);
        if lookup(local, old, &name)? != lookup(local, new, &name)? {
            changed.insert(path.clone());
        }
    }
    Ok(changed)
}
