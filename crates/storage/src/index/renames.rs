//! Rename detection: pairs files that a commit removes with files that it adds.
//!
//! As in git (diffcore-rename): identical contents first, then pairs by similarity, best first. The
//! similarity of two contents is the number of bytes in lines that both have (ignoring the kind of line
//! end), divided by the size of the larger content; a half is enough. If there are too many pairs, only
//! files with the same name are compared, matched by as many parent folders as distinguish them.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::revision::Etag;

/// Beyond this many pairs only identical contents are paired, as git does (`diff.renameLimit`).
const MAX_PAIRS: usize = 250_000;
/// Maximum size of a file that is compared for similarity, in bytes. Larger files are paired only if they
/// are identical.
pub(crate) const MAX_SIZE: u64 = 4 << 20;
/// Maximum total size of the compared files in bytes, and maximum number of comparisons of pieces; beyond
/// either, only identical contents are paired.
const MAX_TOTAL: usize = 64 << 20;
const MAX_WORK: usize = 50_000_000;
/// Maximum length of a piece of a line that is compared as one, in bytes, as in git.
const CHUNK: usize = 64;
/// Maximum number of parent folders that distinguish files of the same name.
const FOLDERS: usize = 8;
/// As `MAX_TOTAL` and `MAX_WORK`, for copies, which are looked for in every commit.
const MAX_COPIED: usize = 16 << 20;
const MAX_COPY_WORK: usize = 5_000_000;

/// A file that a commit removes or adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate<'a> {
    pub(crate) path: &'a str,
    pub(crate) id: Etag,
}

/// Pairs removed and added files that are the same file; returns indices of the two lists. `content`
/// returns `None` for a file that is too large to be compared.
pub(crate) fn pair<E>(
    removed: &[Candidate<'_>],
    added: &[Candidate<'_>],
    mut content: impl FnMut(Etag) -> Result<Option<Vec<u8>>, E>,
) -> Result<Vec<(usize, usize)>, E> {
    let mut pairing = Pairing::default();
    // A file that moved with its directory kept its name.
    pairing.take_identical(removed, added, |file| (file.id, name(file.path)));
    pairing.take_identical(removed, added, |file| (file.id, ""));
    if pairing.left(removed, added) > MAX_PAIRS {
        pairing.take_alike_by_name(removed, added, &mut content)?;
    }
    let old: Vec<usize> = (0..removed.len()).filter(|at| !pairing.old.contains(at)).collect();
    let new: Vec<usize> = (0..added.len()).filter(|at| !pairing.new.contains(at)).collect();
    if old.is_empty() || new.is_empty() || old.len() * new.len() > MAX_PAIRS {
        return Ok(pairing.pairs);
    }
    let Some((old, new)) =
        comparable((removed, old), (added, new), (MAX_TOTAL, MAX_WORK), &mut content)?
    else {
        return Ok(pairing.pairs);
    };
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

/// Pairs each added file with the most similar origin, if any; returns indices of the two lists.
pub(crate) fn copies<E>(
    origins: &[Candidate<'_>],
    added: &[Candidate<'_>],
    mut content: impl FnMut(Etag) -> Result<Option<Vec<u8>>, E>,
) -> Result<Vec<(usize, usize)>, E> {
    let mut same: HashMap<Etag, usize> = HashMap::new();
    for (i, origin) in origins.iter().enumerate() {
        same.entry(origin.id).or_insert(i);
    }
    // Empty files aren't similar to any file.
    if let Ok(empty) = crate::repo::blob_id(b"") {
        same.remove(&empty);
    }
    let identical = |(j, file): (usize, &Candidate<'_>)| Some((*same.get(&file.id)?, j));
    let mut pairs: Vec<_> = added.iter().enumerate().filter_map(identical).collect();
    let paired: HashSet<usize> = pairs.iter().map(|(_, j)| *j).collect();
    let left: Vec<usize> = (0..added.len()).filter(|j| !paired.contains(j)).collect();
    if left.is_empty() || origins.is_empty() || left.len() * origins.len() > MAX_PAIRS {
        return Ok(pairs);
    }
    let all = (0..origins.len()).collect();
    let limits = (MAX_COPIED, MAX_COPY_WORK);
    let Some((origins, left)) = comparable((origins, all), (added, left), limits, &mut content)?
    else {
        return Ok(pairs);
    };
    for (j, file) in &left {
        let scored = origins.iter().filter_map(|(i, it)| Some((it.similarity(file)?, i)));
        // The first of the most similar ones.
        let best = scored.max_by_key(|(score, i)| (*score, std::cmp::Reverse(**i)));
        pairs.extend(best.map(|(_, i)| (*i, *j)));
    }
    Ok(pairs)
}

/// Indices of files, each with its content cut into pieces.
type Pieces = Vec<(usize, Chunks)>;

/// Cuts files of two lists into pieces; `None` if the total size or the number of comparisons exceeds the
/// limits.
fn comparable<E>(
    old: (&[Candidate<'_>], Vec<usize>),
    new: (&[Candidate<'_>], Vec<usize>),
    (bytes, work): (usize, usize),
    content: &mut impl FnMut(Etag) -> Result<Option<Vec<u8>>, E>,
) -> Result<Option<(Pieces, Pieces)>, E> {
    let mut total = 0;
    let mut chunks = |(files, places): (&[Candidate<'_>], Vec<usize>)| {
        let mut chunks = Vec::with_capacity(places.len());
        for at in places {
            if let Some(text) = content(files[at].id)? {
                total += text.len();
                if total > bytes {
                    return Ok(None);
                }
                chunks.push((at, Chunks::of(&text)));
            }
        }
        Ok(Some(chunks))
    };
    let (Some(old), Some(new)) = (chunks(old)?, chunks(new)?) else { return Ok(None) };
    let pieces: usize = old.iter().map(|(_, chunks)| chunks.bytes.len()).sum();
    Ok((pieces.saturating_mul(new.len()) <= work).then_some((old, new)))
}

/// A pair with its score: similarity in thousandths, `true` if the names are equal, and the two indices.
type Scored = (usize, bool, usize, usize);

#[derive(Default)]
struct Pairing {
    pairs: Vec<(usize, usize)>,
    old: HashSet<usize>,
    new: HashSet<usize>,
}

impl Pairing {
    /// Pairs each added file with the first unpaired removed file that has the same key.
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

    /// The number of possible pairs of unpaired files.
    fn left(&self, removed: &[Candidate<'_>], added: &[Candidate<'_>]) -> usize {
        (removed.len() - self.old.len()).saturating_mul(added.len() - self.new.len())
    }

    /// Pairs similar files of the same name that are unique on both sides, beginning with the largest
    /// number of parent folders.
    fn take_alike_by_name<E>(
        &mut self,
        removed: &[Candidate<'_>],
        added: &[Candidate<'_>],
        content: &mut impl FnMut(Etag) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<(), E> {
        let mut total = 0;
        for folders in (0..=FOLDERS).rev() {
            let mut alone: HashMap<&str, (Vec<usize>, Vec<usize>)> = HashMap::new();
            for (i, file) in removed.iter().enumerate().filter(|(i, _)| !self.old.contains(i)) {
                alone.entry(end(file.path, folders)).or_default().0.push(i);
            }
            for (j, file) in added.iter().enumerate().filter(|(j, _)| !self.new.contains(j)) {
                alone.entry(end(file.path, folders)).or_default().1.push(j);
            }
            for (old, new) in alone.into_values() {
                let (&[i], &[j]) = (&*old, &*new) else { continue };
                let (Some(one), Some(other)) = (content(removed[i].id)?, content(added[j].id)?)
                else {
                    continue;
                };
                total += one.len() + other.len();
                if total > MAX_TOTAL {
                    return Ok(());
                }
                if Chunks::of(&one).similarity(&Chunks::of(&other)).is_some() {
                    self.take(i, j);
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, i: usize, j: usize) {
        self.old.insert(i);
        self.new.insert(j);
        self.pairs.push((i, j));
    }

    /// Pairs unpaired files, the best scores first.
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
    end(path, 0)
}

/// The end of a path: the file's name with this many parent folders.
fn end(path: &str, folders: usize) -> &str {
    path.rmatch_indices('/').nth(folders).map_or(path, |(slash, _)| &path[slash + 1..])
}

/// The pieces of a content's lines, each with the number of bytes in its occurrences.
struct Chunks {
    size: usize,
    bytes: HashMap<Vec<u8>, usize>,
}

impl Chunks {
    fn of(content: &[u8]) -> Self {
        let (mut bytes, mut size) = (HashMap::new(), 0);
        let mut unix = Vec::new();
        for mut line in content.split_inclusive(|byte| *byte == b'\n') {
            // As in git, a line is the same with either line end.
            if let Some(text) = line.strip_suffix(b"\r\n") {
                unix.clear();
                unix.extend_from_slice(text);
                unix.push(b'\n');
                line = &unix;
            }
            for chunk in line.chunks(CHUNK) {
                *bytes.entry(chunk.to_vec()).or_default() += chunk.len();
                size += chunk.len();
            }
        }
        Self { size, bytes }
    }

    /// The similarity in thousandths; `None` below one half. Empty files aren't similar to any file.
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
    fn the_ends_of_lines_make_no_difference() {
        let old = "one\ntwo\nthree\nfour\n";
        assert_eq!(pairs(&[("a", old)], &[("b", &old.replace('\n', "\r\n"))]), is(&[("a", "b")]));
    }

    #[test]
    fn of_very_many_files_those_with_the_same_names_are_compared() {
        let text = |n: usize, folder: &str| {
            format!("page {n} of many\nwith some text\n[x](/{folder}/{n})\n")
        };
        let files = |folder: &str| -> Vec<(String, String)> {
            let path = |n: usize| format!("{folder}/{}/{}.md", n % 7, n / 7);
            (0..700).map(|n| (path(n), text(n, folder))).collect()
        };
        let borrowed = |files: &'static [(String, String)]| -> Vec<(&'static str, &'static str)> {
            files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect()
        };
        let (old, new) = (borrowed(files("d").leak()), borrowed(files("e/f").leak()));
        let found = pairs(&old, &new);
        assert_eq!(found.len(), 700);
        assert!(found.iter().all(|(one, other)| one[1..] == other[3..]));
    }

    #[test]
    fn a_copy_comes_from_what_it_is_most_similar_to() {
        let ids: HashMap<Etag, &str> = ["a\nb\nc\n", "a\nb\nd\n", "x\n", "a\nb\nc\nd\n"]
            .iter()
            .map(|text| (blob_id(text.as_bytes()).unwrap(), *text))
            .collect();
        let file = |path: &'static str, text: &str| Candidate {
            path,
            id: blob_id(text.as_bytes()).unwrap(),
        };
        let origins = [file("one", "a\nb\nd\n"), file("two", "a\nb\nc\n")];
        let added = [file("near", "a\nb\nc\nd\n"), file("other", "x\n"), file("same", "a\nb\nc\n")];
        let content = |id| Ok::<_, ()>(ids.get(&id).map(|text| text.as_bytes().to_vec()));
        let mut found = copies(&origins, &added, content).unwrap();
        found.sort_unstable();
        assert_eq!(found, [(0, 0), (1, 2)]);
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
