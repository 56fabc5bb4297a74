//! Paths as numbers.

use crate::page_path::{fold, loose};
use crate::repo::blob_id;

/// What all spellings of a path have in common that differ in case or composition only.
///
/// Rows are found by the number, so that each takes as little room for a path of a thousand bytes as for
/// a short one. Two paths may happen to have the same number: what is found is compared by its path, too.
pub(super) struct Key {
    pub(super) number: i64,
    folded: String,
}

impl Key {
    pub(super) fn of(path: &str) -> Self {
        let folded = fold(path);
        Self { number: number(&folded), folded }
    }

    /// Whether this is the key of `path`.
    pub(super) fn is_of(&self, path: &str) -> bool {
        self.folded == fold(path)
    }
}

/// The last segment of a path as wiki links find it: spaces, dashes and underscores are alike, and so are all spellings
/// that differ in case or composition only.
pub(super) struct BaseName(String);

impl BaseName {
    /// The base name of a path, or of a name alone.
    pub(super) fn of(path: &str) -> Self {
        Self(loose(path.rsplit('/').next().unwrap_or(path)))
    }

    /// The number that rows are found by. No path has it: it is made from a text with a slash at its end.
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
        // Stored: a migration would have to go with another one.
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
