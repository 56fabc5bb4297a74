//! Counts the paths of trees and their lengths without listing them.
//!
//! git's trees share their subtrees: a thousand bytes of trees make millions of paths, and fifty commits of a few
//! hundred bytes each change all of them. So each tree is read once, and each pair of trees at the same place in two
//! commits is compared once.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::error::Error;
use crate::repo::Id;
use crate::tree::{Entry, entries};

/// Trees below this level count as empty.
const MAX_LEVELS: usize = 500;
/// Maximum number of tree pairs in the cache.
const MAX_PAIRS: usize = 100_000;

/// A count of files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Paths {
    pub(crate) files: u64,
    /// Total bytes of their paths.
    pub(crate) bytes: u64,
}

impl Paths {
    pub(crate) fn file(path: usize) -> Self {
        Self { files: 1, bytes: path as u64 }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.files = self.files.saturating_add(other.files);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    /// Returns the same files with paths below a directory.
    fn below(self, directory: &[u8]) -> Self {
        let prefix = directory.len() as u64 + 1;
        let bytes = self.bytes.saturating_add(self.files.saturating_mul(prefix));
        Self { files: self.files, bytes }
    }
}

/// The measures of all files below a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Measure {
    pub(crate) paths: Paths,
    /// Maximum depth; 1 is the tree itself.
    pub(crate) depth: usize,
    /// Length of the longest path, in bytes.
    pub(crate) longest: usize,
}

/// The changes of a commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    /// The files that the commit itself changes. For a merge, an upper bound: the differences from the parent with the
    /// fewest.
    pub(crate) own: Paths,
    /// Number of files that differ from the parents, summed over all parents.
    pub(crate) different: u64,
}

/// A source of tree objects. Unreadable trees are returned as empty.
pub(crate) trait Trees {
    fn read(&mut self, tree: Id) -> Result<Vec<u8>, Error>;
}

/// The results so far.
#[derive(Debug, Default)]
pub(crate) struct Measures {
    whole: HashMap<Id, Measure>,
    changed: HashMap<(Id, Id), Paths>,
}

impl Measures {
    /// Measures all files below a tree.
    pub(crate) fn whole(&mut self, trees: &mut dyn Trees, tree: Id) -> Result<Measure, Error> {
        self.whole_at(trees, tree, 0)
    }

    fn whole_at(
        &mut self,
        trees: &mut dyn Trees,
        tree: Id,
        level: usize,
    ) -> Result<Measure, Error> {
        if let Some(measure) = self.whole.get(&tree) {
            return Ok(*measure);
        }
        let mut all = Measure::default();
        let bytes = trees.read(tree)?;
        for entry in entries(&bytes).unwrap_or_default() {
            let one = self.entry(trees, &entry, level)?;
            all.paths.add(one.paths);
            all.depth = all.depth.max(one.depth);
            all.longest = all.longest.max(one.longest);
        }
        self.whole.insert(tree, all);
        Ok(all)
    }

    /// Measures an entry of a tree at this level, with everything below it.
    fn entry(
        &mut self,
        trees: &mut dyn Trees,
        entry: &Entry<'_>,
        level: usize,
    ) -> Result<Measure, Error> {
        let name = entry.name.len();
        if !entry.is_tree() {
            return Ok(Measure { paths: Paths::file(name), depth: 1, longest: name });
        }
        let below = match level {
            MAX_LEVELS.. => Measure::default(),
            _ => self.whole_at(trees, entry.id, level + 1)?,
        };
        let slash = usize::from(below.longest > 0);
        Ok(Measure {
            paths: below.paths.below(entry.name),
            depth: below.depth + 1,
            longest: name + slash + below.longest,
        })
    }

    /// Measures the changes of a commit with this tree, by its parents' trees.
    pub(crate) fn commit(
        &mut self,
        trees: &mut dyn Trees,
        tree: Id,
        parents: &[Id],
    ) -> Result<Changed, Error> {
        let Some((first, others)) = parents.split_first() else {
            let own = self.whole(trees, tree)?.paths;
            return Ok(Changed { own, different: own.files });
        };
        let own = self.changed(trees, *first, tree)?;
        let mut changed = Changed { own, different: own.files };
        for other in others {
            let from_other = self.changed(trees, *other, tree)?;
            changed.different = changed.different.saturating_add(from_other.files);
            if from_other.bytes < changed.own.bytes {
                changed.own = from_other;
            }
        }
        Ok(changed)
    }

    /// Measures the files that differ between two trees, including those that only one has.
    fn changed(&mut self, trees: &mut dyn Trees, old: Id, new: Id) -> Result<Paths, Error> {
        self.changed_at(trees, old, new, 0)
    }

    fn changed_at(
        &mut self,
        trees: &mut dyn Trees,
        old: Id,
        new: Id,
        level: usize,
    ) -> Result<Paths, Error> {
        if old == new || level > MAX_LEVELS {
            return Ok(Paths::default());
        }
        if let Some(changed) = self.changed.get(&(old, new)) {
            return Ok(*changed);
        }
        let (old_bytes, new_bytes) = (trees.read(old)?, trees.read(new)?);
        let olds = entries(&old_bytes).unwrap_or_default();
        let news = entries(&new_bytes).unwrap_or_default();
        let mut changed = Paths::default();
        let (mut olds, mut news) = (olds.iter().peekable(), news.iter().peekable());
        loop {
            let order = match (olds.peek(), news.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => old.order(new),
            };
            let (old, new) = match order {
                Ordering::Less => (olds.next(), None),
                Ordering::Greater => (None, news.next()),
                Ordering::Equal => (olds.next(), news.next()),
            };
            changed.add(match (old, new) {
                (Some(old), Some(new)) if old.id == new.id && old.mode == new.mode => continue,
                (Some(old), Some(new)) if old.is_tree() && new.is_tree() => {
                    self.changed_at(trees, old.id, new.id, level + 1)?.below(new.name)
                }
                (Some(_), Some(new)) => Paths::file(new.name.len()),
                (Some(one), None) | (None, Some(one)) => self.entry(trees, one, level)?.paths,
                (None, None) => continue,
            });
        }
        if self.changed.len() >= MAX_PAIRS {
            self.changed.clear();
        }
        self.changed.insert((old, new), changed);
        Ok(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    fn measures(scratch: &Scratch, old: Option<&str>, new: &str) -> (Paths, Paths) {
        let view = scratch.wiki().repo().view();
        let tree = |commit: &str| {
            let tree = scratch.git(&["rev-parse", &format!("{commit}^{{tree}}")]);
            *tree.parse::<crate::Revision>().unwrap().as_bytes()
        };
        let (mut measures, mut trees) = (Measures::default(), &view);
        let whole = measures.whole(&mut trees, tree(new)).unwrap();
        let parents: Vec<Id> = old.map(tree).into_iter().collect();
        let changed = measures.commit(&mut trees, tree(new), &parents).unwrap();
        assert_eq!(changed.own.files, changed.different);
        (whole.paths, changed.own)
    }

    #[test]
    fn what_is_counted_is_what_git_lists() {
        let scratch = Scratch::new();
        for file in ["a.md", "a/b.md", "a/c/d.md", "a-b", "e/f.md", "x"] {
            scratch.commit_with_git(file, file);
        }
        let first = scratch.git(&["rev-parse", "main"]);
        scratch.commit_with_git("a/c/d.md", "changed");
        scratch.remove_with_git("e/f.md");
        // A directory replaces a file.
        scratch.work_with_git(|tree| {
            std::fs::remove_file(tree.join("x")).unwrap();
            std::fs::create_dir(tree.join("x")).unwrap();
            std::fs::write(tree.join("x/y.md"), "y").unwrap();
        });
        let bytes = |listed: String| Paths {
            files: listed.lines().count() as u64,
            bytes: listed.lines().map(|line| line.len() as u64).sum(),
        };
        let (whole, changed) = measures(&scratch, Some(&first), "main");
        assert_eq!(whole, bytes(scratch.git(&["ls-tree", "-r", "--name-only", "main"])));
        let git = ["diff", "--no-renames", "--name-only", &first, "main"];
        assert_eq!(changed, bytes(scratch.git(&git)));
        assert_eq!(measures(&scratch, None, "main").1, whole);
    }
}
