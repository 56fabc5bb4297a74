//! Which of the files a commit removes went on under another name.
//!
//! As in git (diffcore-rename): identical contents first, then pairs by similarity, best first. Two
//! contents are as similar as the share of the larger one's bytes that stands in lines which both
//! have; half is enough.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::revision::Etag;

/// Beyond this many pairs only identical contents are paired, as git does (`diff.renameLimit`).
const MAX_PAIRS: usize = 250_000;
/// Larger files are paired only if they are identical, in bytes.
pub(crate) const MAX_SIZE: u64 = 4 << 20;
/// Beyond this many bytes together, and this many comparisons of pieces, too.
const MAX_TOTAL: usize = 64 << 20;
const MAX_WORK: usize = 50_000_000;
/// The longest piece of a line that is compared as one, in bytes, as in git.
const CHUNK: usize = 64;

/// A file that a commit removes or adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate<'a> {
    pub(crate) path: &'a str,
    pub(crate) id: Etag,
}

/// Pairs of removed and added files that are the same file, as indices of the two lists. `content`
/// gives nothing for a file that is too large to be compared.
pub(crate) fn pair<E>(
    removed: &[Candidate<'_>],
    added: &[Candidate<'_>],
    mut content: impl FnMut(Etag) -> Result<Option<Vec<u8>>, E>,
) -> Result<Vec<(usize, usize)>, E> {
    let mut pairing = Pairing::default();
    // A file that moved with its directory kept its name.
    pairing.take_identical(removed, added, |file| (file.id, name(file.path)));
    pairing.take_identical(removed, added, |file| (file.id, ""));
    let old: Vec<usize> = (0..removed.len()).filter(|at| !pairing.old.contains(at)).collect();
    let new: Vec<usize> = (0..added.len()).filter(|at| !pairing.new.contains(at)).collect();
    if old.is_empty() || new.is_empty() || old.len() * new.len() > MAX_PAIRS {
        return Ok(pairing.pairs);
    }
    let mut total = 0;
    let mut chunks = |files: &[Candidate<'_>], places: Vec<usize>| {
        let mut chunks = Vec::with_capacity(places.len());
        for at in places {
            if let Some(text) = content(files[at].id)? {
                total += text.len();
                if total > MAX_TOTAL {
                    return Ok(None);
                }
                chunks.push((at, Chunks::of(&text)));
            }
        }
        Ok(Some(chunks))
    };
    let (Some(old), Some(new)) = (chunks(removed, old)?, chunks(added, new)?) else {
        return Ok(pairing.pairs);
    };
    let pieces: usize = old.iter().map(|(_, chunks)| chunks.bytes.len()).sum();
    if pieces.saturating_mul(new.len()) > MAX_WORK {
        return Ok(pairing.pairs);
    }
    let mut similar = Vec::new();
    for (i, one) in &old {
        for (j, other) in &new {
            if let Some(score) = one.similarity(other) {
                let same_name = name(removed[*i].path) == name(added[*j].path);
                similar.push((score, same_name, *i, *j));
            }
        }
    }
    pairing.take_best(similar);
    Ok(pairing.pairs)
}

/// How good a pair is: similarity in thousandths, whether the names are the same, and the pair.
type Scored = (usize, bool, usize, usize);

#[derive(Default)]
struct Pairing {
    pairs: Vec<(usize, usize)>,
    old: HashSet<usize>,
    new: HashSet<usize>,
}

impl Pairing {
    /// Takes each added file with the first removed one that is still alone and has the same key.
    fn take_identical<'a>(
        &mut self,
        removed: &[Candidate<'a>],
        added: &[Candidate<'a>],
        key: impl Fn(&Candidate<'a>) -> (Etag, &'a str),
    ) {
        let mut alone: HashMap<_, VecDeque<usize>> = HashMap::new();
        for (i, file) in removed.iter().enumerate().filter(|(i, _)| !self.old.contains(i)) {
            alone.entry(key(file)).or_default().push_back(i);
        }
        for (j, file) in added.iter().enumerate() {
            if !self.new.contains(&j)
                && let Some(i) = alone.get_mut(&key(file)).and_then(VecDeque::pop_front)
            {
                self.take(i, j);
            }
        }
    }

    fn take(&mut self, i: usize, j: usize) {
        self.old.insert(i);
        self.new.insert(j);
        self.pairs.push((i, j));
    }

    /// Takes pairs of files that are still alone, the best first.
    fn take_best(&mut self, mut scored: Vec<Scored>) {
        scored.sort_by_key(|(score, same_name, i, j)| {
            (std::cmp::Reverse((*score, *same_name)), *i, *j)
        });
        for (_, _, i, j) in scored {
            if !self.old.contains(&i) && !self.new.contains(&j) {
                self.take(i, j);
            }
        }
    }
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// How many bytes of a content stand in which pieces of lines.
struct Chunks {
    size: usize,
    bytes: HashMap<Vec<u8>, usize>,
}

impl Chunks {
    fn of(content: &[u8]) -> Self {
        let mut bytes = HashMap::new();
        for line in content.split_inclusive(|byte| *byte == b'\n') {
            for chunk in line.chunks(CHUNK) {
                *bytes.entry(chunk.to_vec()).or_default() += chunk.len();
            }
        }
        Self { size: content.len(), bytes }
    }

    /// In thousandths; `None` below one half. Empty files are like nothing.
    fn similarity(&self, other: &Self) -> Option<usize> {
        let larger = self.size.max(other.size);
        if larger == 0 || self.size.min(other.size) * 2 < larger {
            return None;
        }
        let shared = |(chunk, bytes): (&Vec<u8>, &usize)| Some(*other.bytes.get(chunk)?.min(bytes));
        let shared: usize = self.bytes.iter().filter_map(shared).sum();
        (shared * 2 >= larger).then(|| shared * 1000 / larger)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::blob_id;

    fn pairs(removed: &[(&str, &str)], added: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut contents = HashMap::new();
        let mut candidates = |files: &[(&'static str, &'static str)]| -> Vec<Candidate<'static>> {
            files
                .iter()
                .map(|(path, text)| {
                    let id = blob_id(text.as_bytes()).unwrap();
                    contents.insert(id, text.as_bytes().to_vec());
                    Candidate { path, id }
                })
                .collect()
        };
        let leak = |files: &[(&str, &str)]| -> Vec<(&'static str, &'static str)> {
            files.iter().map(|(a, b)| (&*a.to_string().leak(), &*b.to_string().leak())).collect()
        };
        let (old, new) = (candidates(&leak(removed)), candidates(&leak(added)));
        let found = pair(&old, &new, |id| Ok::<_, ()>(contents.get(&id).cloned())).unwrap();
        let mut found: Vec<_> = found
            .into_iter()
            .map(|(i, j)| (old[i].path.to_owned(), new[j].path.to_owned()))
            .collect();
        found.sort();
        found
    }

    fn is(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect()
    }

    #[test]
    fn identical_contents_are_paired_by_name_first() {
        assert_eq!(pairs(&[("a/x", "text")], &[("b/x", "text")]), is(&[("a/x", "b/x")]));
        let found = pairs(&[("a/x", "same"), ("a/y", "same")], &[("b/y", "same"), ("b/x", "same")]);
        assert_eq!(found, is(&[("a/x", "b/x"), ("a/y", "b/y")]));
    }

    #[test]
    fn half_of_the_larger_file_is_similar_enough() {
        let old = "one\ntwo\nthree\nfour\n";
        assert_eq!(pairs(&[("a", old)], &[("b", "one\ntwo\nthree\n5\n")]), is(&[("a", "b")]));
        assert!(pairs(&[("a", old)], &[("b", "one\n2\n3\n4\n5\n6\n7\n8\n9\n10\n")]).is_empty());
        assert!(pairs(&[("a", "")], &[("b", "x")]).is_empty());
        let found = pairs(
            &[("a", old)],
            &[("b", "one\ntwo\nthree\n5\n"), ("c", "one\ntwo\nthree\nfour\n5")],
        );
        assert_eq!(found, is(&[("a", "c")]));
    }

    #[test]
    fn a_thousand_empty_files_are_paired_without_looking_at_a_million_pairs() {
        let names: Vec<String> = (0..1000).map(|n| format!("d/{n}")).collect();
        let moved: Vec<String> = (0..1000).map(|n| format!("e/{n}")).collect();
        let files =
            |names: &'static [String]| names.iter().map(|n| (n.as_str(), "")).collect::<Vec<_>>();
        let (old, new) = (files(names.leak()), files(moved.leak()));
        assert_eq!(pairs(&old, &new).len(), 1000);
    }
}
