//! Parses the entries of a tree object. Names are borrowed, so that pushed trees are checked without copies.

use std::cmp::Ordering;

use crate::repo::Id;

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) mode: u32,
    pub(crate) name: &'a [u8],
    pub(crate) id: Id,
}

impl Entry<'_> {
    pub(crate) fn is_tree(&self) -> bool {
        self.mode == 0o40_000
    }

    pub(crate) fn is_file(&self) -> bool {
        matches!(self.mode, 0o100_644 | 0o100_755)
    }

    pub(crate) fn is_page(&self) -> bool {
        self.is_file() && self.name.len() > 3 && self.name.ends_with(b".md")
    }

    /// Compares entries in git's order for trees: a directory sorts as if its name ended in a slash.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        let common = self.name.len().min(other.name.len());
        let next = |entry: &Self| {
            let end = if entry.is_tree() { b'/' } else { 0 };
            entry.name.get(common).copied().unwrap_or(end)
        };
        self.name[..common]
            .cmp(&other.name[..common])
            .then_with(|| next(self).cmp(&next(other)))
            .then_with(|| self.name.len().cmp(&other.name.len()))
    }
}

/// The most digits of a mode that gix reads.
const MODE: usize = 7;

/// A mode as git reads it: of a file only its kind and whether its owner may execute it. What is no kind that
/// git stores stays as it is.
pub(crate) fn canonical(mode: u32) -> u32 {
    match mode & 0o170_000 {
        0o100_000 if mode & 0o100 == 0 => 0o100_644,
        0o100_000 => 0o100_755,
        kind @ (0o40_000 | 0o120_000 | 0o160_000) => kind,
        _ => mode,
    }
}

/// All entries of a tree; `None` if it isn't one.
pub(crate) fn entries(mut tree: &[u8]) -> Option<Vec<Entry<'_>>> {
    let mut entries = Vec::with_capacity(tree.len() / 48);
    while !tree.is_empty() {
        let space = tree.iter().position(|byte| *byte == b' ')?;
        let mode = std::str::from_utf8(&tree[..space]).ok().filter(|mode| mode.len() <= MODE)?;
        let mode = canonical(u32::from_str_radix(mode, 8).ok()?);
        tree = &tree[space + 1..];
        let end = tree.iter().position(|byte| *byte == 0)?;
        let (name, rest) = tree.split_at(end);
        let (id, rest) = rest.get(1..)?.split_first_chunk::<20>()?;
        entries.push(Entry { mode, name, id: *id });
        tree = rest;
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_git_writes_them() {
        let mut tree = b"100644 a.md\0".to_vec();
        tree.extend([1; 20]);
        tree.extend(b"40000 b\0");
        tree.extend([2; 20]);
        let read = entries(&tree).unwrap();
        assert_eq!(read.len(), 2);
        assert!(read[0].is_page() && read[1].is_tree() && read[1].id == [2; 20]);
        assert_eq!(entries(b""), Some(Vec::new()));
        for end in 1..tree.len() {
            assert_eq!(entries(&tree[..end]).is_some(), end == 32, "{end}");
        }
    }

    #[test]
    fn a_directory_stands_where_its_slash_puts_it() {
        let entry = |name, mode| Entry { mode, name, id: [0; 20] };
        let order = [
            entry(b"a", 0o100_644),
            entry(b"a-b", 0o100_644),
            entry(b"a.md", 0o100_644),
            entry(b"a", 0o40_000),
            entry(b"a0", 0o40_000),
        ];
        for pair in order.windows(2) {
            assert_eq!(pair[0].order(&pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(pair[1].order(&pair[0]), Ordering::Greater);
        }
        assert_eq!(order[3].order(&order[3]), Ordering::Equal);
    }
}
