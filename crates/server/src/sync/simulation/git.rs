//! A simulated git: commits, trees, ancestors and merges in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use wikigrove_tenant::Revision;

use crate::sync::{Deletions, Plan, Winner};

/// A commit: its index among all commits. A parent has a lower index.
pub(super) type Id = u32;
/// The content of a page.
pub(super) type Text = u64;
/// Paths and their contents.
pub(super) type Tree = Rc<BTreeMap<Rc<str>, Text>>;

/// The commits of all repositories; the refs say which repository has which.
#[derive(Default)]
pub(super) struct Git {
    commits: Vec<Commit>,
    /// Merges that depend on their parents alone, so that each end gets the same commit.
    symmetric: HashMap<(Id, Id), Id>,
    texts: Text,
}

struct Commit {
    tree: Tree,
    /// A bit set of the commit itself and its ancestors.
    below: Vec<u64>,
    hostile: bool,
}

pub(super) fn revision(id: Id) -> Revision {
    let mut bytes = [0; 20];
    bytes[..4].copy_from_slice(&id.to_be_bytes());
    Revision::from_bytes(bytes)
}

pub(super) fn id(revision: Revision) -> Id {
    let bytes = revision.as_bytes();
    Id::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

impl Git {
    pub(super) fn commit(&mut self, parents: &[Id], tree: Tree) -> Id {
        let id = Id::try_from(self.commits.len()).unwrap();
        let place = usize::try_from(id).unwrap();
        let mut below = vec![0; place / 64 + 1];
        for parent in parents {
            for (all, of_parent) in below.iter_mut().zip(&self.at(*parent).below) {
                *all |= of_parent;
            }
        }
        below[place / 64] |= 1 << (place % 64);
        self.commits.push(Commit { tree, below, hostile: false });
        id
    }

    fn at(&self, id: Id) -> &Commit {
        &self.commits[usize::try_from(id).unwrap()]
    }

    pub(super) fn tree(&self, id: Id) -> &Tree {
        &self.at(id).tree
    }

    pub(super) fn mark_hostile(&mut self, id: Id) {
        self.commits[usize::try_from(id).unwrap()].hostile = true;
    }

    pub(super) fn is_hostile(&self, id: Id) -> bool {
        self.below(id).any(|id| self.at(id).hostile)
    }

    /// A new text that differs from all others.
    pub(super) fn text(&mut self) -> Text {
        self.texts += 1;
        // Blob ids have no order in time.
        self.texts.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    pub(super) fn is_ancestor(&self, old: Id, new: Id) -> bool {
        bit(&self.at(new).below, old)
    }

    /// The commit and its ancestors, newest first.
    pub(super) fn below(&self, id: Id) -> impl Iterator<Item = Id> {
        let below = &self.at(id).below;
        (0..=id).rev().filter(move |id| bit(below, *id))
    }

    /// The best common ancestors, newest first.
    pub(super) fn bases(&self, one: Id, other: Id) -> Vec<Id> {
        let mut common: Vec<u64> =
            self.at(one).below.iter().zip(&self.at(other).below).map(|(a, b)| a & b).collect();
        let mut bases = Vec::new();
        for word in (0..common.len()).rev() {
            while common[word] != 0 {
                let high = 63 - common[word].leading_zeros();
                let base = Id::try_from(word).unwrap() * 64 + high;
                bases.push(base);
                for (all, below) in common.iter_mut().zip(&self.at(base).below) {
                    *all &= !below;
                }
            }
        }
        bases
    }

    /// Merges the remote's tip into the wiki's head by the plan; returns the tree and the number of conflicts.
    pub(super) fn merge(&mut self, head: Id, tip: Id, plan: Plan, winner: Winner) -> (Tree, u32) {
        let base = match plan {
            Plan::Ours => return (self.tree(head).clone(), 0),
            Plan::Theirs | Plan::FastForward => return (self.tree(tip).clone(), 0),
            Plan::Since(base) => self.tree(id(base)).clone(),
            Plan::Merge => self.virtual_base(head, tip),
        };
        three_way(&base, &self.tree(head).clone(), &self.tree(tip).clone(), winner)
    }

    /// Merges several bases as git does: a conflict between them gives a text that equals neither side.
    fn virtual_base(&mut self, one: Id, other: Id) -> Tree {
        let bases = self.bases(one, other);
        let Some((first, rest)) = bases.split_first() else { return Tree::default() };
        let mut tree = self.tree(*first).clone();
        for next in rest {
            let below = self.virtual_base(*first, *next);
            let theirs = self.tree(*next).clone();
            let mut merged = BTreeMap::new();
            for path in paths(&below, &tree, &theirs) {
                let (base, ours, theirs) = (below.get(&path), tree.get(&path), theirs.get(&path));
                let text = match merged_text(base, ours, theirs) {
                    Some(text) => text.copied(),
                    None => Some(self.text()),
                };
                if let Some(text) = text {
                    merged.insert(path, text);
                }
            }
            tree = Rc::new(merged);
        }
        tree
    }

    /// The commit of a merge. A symmetric merge is the same commit at each end.
    pub(super) fn merge_commit(&mut self, head: Id, tip: Id, tree: Tree, symmetric: bool) -> Id {
        if !symmetric {
            return self.commit(&[head, tip], tree);
        }
        let pair = (head.min(tip), head.max(tip));
        if let Some(made) = self.symmetric.get(&pair) {
            assert_eq!(*self.tree(*made), tree, "two ends merged one pair differently");
            return *made;
        }
        let made = self.commit(&[pair.0, pair.1], tree);
        self.symmetric.insert(pair, made);
        made
    }
}

fn bit(bits: &[u64], id: Id) -> bool {
    let place = usize::try_from(id).unwrap();
    bits.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
}

fn paths(base: &Tree, ours: &Tree, theirs: &Tree) -> BTreeSet<Rc<str>> {
    base.keys().chain(ours.keys()).chain(theirs.keys()).cloned().collect()
}

/// The merged text of one path: `None` for a conflict, `Some(None)` if the page is deleted.
fn merged_text<'a>(
    base: Option<&'a Text>,
    ours: Option<&'a Text>,
    theirs: Option<&'a Text>,
) -> Option<Option<&'a Text>> {
    if ours == theirs || theirs == base {
        Some(ours)
    } else if ours == base {
        Some(theirs)
    } else {
        match (ours, theirs) {
            // Edited on one side, deleted on the other: the edit wins.
            (None, edited) | (edited, None) => Some(edited),
            _ => None,
        }
    }
}

fn three_way(base: &Tree, ours: &Tree, theirs: &Tree, winner: Winner) -> (Tree, u32) {
    let mut merged = BTreeMap::new();
    let mut losers = Vec::new();
    for path in paths(base, ours, theirs) {
        let (a, b) = (ours.get(&path), theirs.get(&path));
        match (merged_text(base.get(&path), a, b), a, b) {
            (Some(text), ..) => {
                if let Some(text) = text {
                    merged.insert(path, *text);
                }
            }
            (None, Some(a), Some(b)) => {
                let wiki_wins = match winner {
                    Winner::Wiki => true,
                    Winner::Remote => false,
                    Winner::Stable => a < b,
                };
                let (kept, lost) = if wiki_wins { (*a, *b) } else { (*b, *a) };
                losers.push((format!("{path} (conflict {:07x})", lost >> 36), lost));
                merged.insert(path, kept);
            }
            (None, ..) => unreachable!("a page that is gone on one side doesn't conflict"),
        }
    }
    let conflicts = u32::try_from(losers.len()).unwrap();
    for (mut path, lost) in losers {
        // The page's name states its text; if that page was edited, the name gets longer.
        while merged.get(path.as_str()).is_some_and(|text| *text != lost) {
            path = format!("{path} {lost:x}");
        }
        merged.insert(path.into(), lost);
    }
    (Rc::new(merged), conflicts)
}

/// The pages of `ours` that aren't in the result.
pub(super) fn deletions(ours: &Tree, result: &Tree) -> Deletions {
    let gone = ours.keys().filter(|path| !result.contains_key(*path)).count();
    Deletions { pages: u32::try_from(ours.len()).unwrap(), deleted: u32::try_from(gone).unwrap() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(pages: &[(&str, Text)]) -> Tree {
        Rc::new(pages.iter().map(|(path, text)| (Rc::from(*path), *text)).collect())
    }

    #[test]
    fn two_ends_that_merge_one_pair_get_one_tree_if_the_winner_is_stable_and_only_then() {
        for (winner, same) in
            [(Winner::Stable, true), (Winner::Wiki, false), (Winner::Remote, false)]
        {
            let mut git = Git::default();
            let base = git.commit(&[], tree(&[("a", 1 << 40), ("b", 2 << 40)]));
            let one = git.commit(&[base], tree(&[("a", 9 << 40), ("b", 2 << 40), ("c", 5 << 40)]));
            let other = git.commit(&[base], tree(&[("a", 8 << 40), ("b", 3 << 40)]));
            let (here, conflicts) = git.merge(one, other, Plan::Merge, winner);
            let (there, _) = git.merge(other, one, Plan::Merge, winner);
            assert_eq!(conflicts, 1);
            assert_eq!(here == there, same, "{winner}");
            assert!(here.values().any(|text| *text == 9 << 40));
            assert!(here.values().any(|text| *text == 8 << 40));

            // Merging the merges gives no second conflict if the trees are equal.
            let (here, there) = (git.commit(&[one, other], here), git.commit(&[other, one], there));
            assert_eq!(git.bases(here, there), [other, one]);
            let (merged, conflicts) = git.merge(here, there, Plan::Merge, winner);
            assert_eq!(conflicts == 0, same, "{winner}");
            assert!(merged.values().any(|text| *text == 8 << 40));
        }
    }

    #[test]
    fn following_a_rewind_takes_back_what_was_rewound_and_keeps_what_is_new() {
        let mut git = Git::default();
        let base = git.commit(&[], tree(&[("a", 1)]));
        let seen = git.commit(&[base], tree(&[("a", 2), ("b", 3)]));
        let head = git.commit(&[seen], tree(&[("a", 2), ("b", 3), ("c", 4)]));
        let since = Plan::Since(revision(seen));
        assert_eq!(git.merge(head, base, since, Winner::Wiki).0, tree(&[("a", 1), ("c", 4)]));
        let all = tree(&[("a", 2), ("b", 3), ("c", 4)]);
        assert_eq!(git.merge(head, base, Plan::Merge, Winner::Wiki).0, all);
    }
}
