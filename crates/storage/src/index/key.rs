//! Paths as numbers.

use crate::page_path::{fold, loose};
use crate::repo::blob_id;

/// A hash of a path that is equal for all its spellings that differ in case or composition only.
///
/// Rows are found by this number, so that each takes as little space for a path of a thousand bytes as for
/// a short one. Two paths may have the same number by chance: the paths of rows are compared, too.
pub(super) struct Key {
    pub(super) number: i64,
    folded: String,
}

impl Key {
    pub(super) fn of(path: &str) -> Self {
        let folded = fold(path);
        Self { number: number(&folded), folded }
    }

    /// Returns `true` if this is the key of `path`.
    pub(super) fn is_of(&self, path: &str) -> bool {
        self.folded == fold(path)
    }
}

/// The last segment of a path, folded as for wiki links: spaces, dashes and underscores are equal, and so
/// are all spellings that differ in case or composition only.
pub(super) struct BaseName(String);

impl BaseName {
    /// The base name of a path, or of a name alone.
    pub(super) fn of(path: &str) -> Self {
        Self(loose(path.rsplit('/').next().unwrap_or(path)))
    }

    /// The number by which rows are found. It differs from the keys of paths: the hashed text ends in a
    /// slash, which no path does.
    pub(super) fn number(&self) -> i64 {
        number(&format!("{}/", self.0))
    }
}

fn number(text: &str) -> i64 {
    // Hashing fails only for known collisions of SHA-1, which aren't paths.
    blob_id(text.as_bytes()).map_or(0, |id| {
        let [a, b, c, d, e, f, g, h, ..] = *id.as_bytes();
        i64::from_be_bytes([a, b, c, d, e, f, g, h])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_number_however_it_is_spelt() {
        let key = Key::of("Garden/Caf\u{e9}");
        assert_eq!(key.number, Key::of("garden/CAFE\u{301}").number);
        assert!(key.is_of("garden/cafe\u{301}") && !key.is_of("garden/cafe"));
        // The numbers are stored: changing them needs a migration.
        assert_eq!(Key::of("roses").number, 4194483743597926461);
    }

    #[test]
    fn a_base_name_has_one_number_however_it_is_joined() {
        let name = BaseName::of("en/Some-Page").number();
        for same in ["Some Page", "some_page", "de/some - page", "Some  Page"] {
            assert_eq!(BaseName::of(same).number(), name, "{same}");
        }
        for other in ["somepage", "some-page.md", "some-page-2"] {
            assert_ne!(BaseName::of(other).number(), name, "{other}");
        }
        assert_ne!(Key::of("some-page").number, name);
    }
}
