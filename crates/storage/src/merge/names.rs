//! Names for files that lost their path.

use std::collections::HashSet;

use super::files::Files;
use crate::page_path::{EXTENSION, MAX_BYTES, fold};
use crate::repo::Entry;
use crate::revision::Etag;

/// Maximum length of a file name, in bytes: the limit of the usual file systems.
const MAX_NAME: usize = 255;
/// Maximum length of a file's path, in bytes: wikis refuse longer ones in fetched commits.
const MAX_PATH: usize = MAX_BYTES + EXTENSION.len();
/// If the folder's path leaves less room than this for the name, in bytes, the file is put at the root.
const MIN_STEM: usize = 8;

/// The names of a tree, as seen by systems that ignore case and composition.
pub(super) struct Names {
    files: HashSet<Vec<u8>>,
    directories: HashSet<Vec<u8>>,
}

impl Names {
    pub(super) fn of(files: &Files) -> Self {
        let mut names = Self { files: HashSet::new(), directories: HashSet::new() };
        for path in files.keys() {
            names.add(path);
        }
        names
    }

    fn add(&mut self, path: &[u8]) {
        let key = key(path);
        for directory in directories_of(&key) {
            if !self.directories.contains(directory) {
                self.directories.insert(directory.to_vec());
            }
        }
        self.files.insert(key);
    }

    fn is_free(&self, path: &[u8]) -> bool {
        let key = key(path);
        !self.files.contains(&key) && !self.directories.contains(&key)
    }

    /// Returns `true` if a directory has the name of the file `path`.
    pub(super) fn is_directory(&self, path: &[u8]) -> bool {
        self.directories.contains(&key(path))
    }

    /// Puts a file beside the one that took its name, and returns its path.
    pub(super) fn put_beside(&mut self, files: &mut Files, path: &[u8], entry: Entry) -> Vec<u8> {
        let mut attempts = 0;
        loop {
            let name = beside(path, entry.id, attempts);
            // An earlier merge kept the same text already.
            if files.get(&name).is_some_and(|there| there.id == entry.id) {
                return name;
            }
            if self.is_free(&name) {
                self.add(&name);
                files.insert(name.clone(), entry);
                return name;
            }
            attempts += 1;
        }
    }
}

/// `notes.md` → `notes (conflict 1a2b3c4).md`: named after the text, so that two wikis that meet the same conflict
/// choose the same name. If the name is taken, more digits follow. A name that would be too long is cut.
fn beside(path: &[u8], id: Etag, attempts: usize) -> Vec<u8> {
    let hex = id.to_string();
    let mark = match attempts {
        0 => format!(" (conflict {})", &hex[..7]),
        1 => format!(" (conflict {hex})"),
        _ => format!(" (conflict {hex} {attempts})"),
    };
    let name_at = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let (mut directory, name) = path.split_at(name_at);
    let dot = name.iter().rposition(|byte| *byte == b'.').filter(|at| *at > 0);
    let (mut stem, mut extension) = name.split_at(dot.unwrap_or(name.len()));
    if extension.len() + mark.len() >= MAX_NAME {
        (stem, extension) = (name, b"");
    }
    let added = mark.len() + extension.len();
    if directory.len() + stem.len().min(MIN_STEM) + added > MAX_PATH {
        directory = b"";
    }
    let room = MAX_NAME.min(MAX_PATH - directory.len()) - added;
    if stem.len() > room {
        // Don't cut within a character.
        let end = (0..=room).rev().find(|end| stem[*end] & 0xc0 != 0x80);
        stem = &stem[..end.unwrap_or(room)];
    }
    [directory, stem, mark.as_bytes(), extension].concat()
}

/// Names that aren't UTF-8 are compared byte by byte: no system that ignores case can have them.
pub(super) fn key(path: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(path) {
        Ok(path) => fold(path).into_bytes(),
        Err(_) => path.to_vec(),
    }
}

/// The directories that contain a file, outermost first.
pub(super) fn directories_of(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    slashes.map(|(at, _)| &path[..at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page_path::PagePath;

    fn named(path: &str) -> String {
        String::from_utf8(beside(path.as_bytes(), Etag::from_bytes([0xab; 20]), 0)).unwrap()
    }

    #[test]
    fn the_mark_stands_before_the_extension() {
        for (path, name) in [
            ("home.md", "home (conflict abababa).md"),
            ("a.b/c.tar.gz", "a.b/c.tar (conflict abababa).gz"),
            ("a/.gitattributes", "a/.gitattributes (conflict abababa)"),
            ("a/Makefile", "a/Makefile (conflict abababa)"),
        ] {
            assert_eq!(named(path), name);
        }
    }

    #[test]
    fn a_name_is_never_too_long_for_a_file_system() {
        for path in ["é".repeat(126) + ".md", "x".repeat(255), format!("a.{}", "b".repeat(253))] {
            let name = named(&path);
            assert!(name.len() <= MAX_NAME && name.contains(" (conflict abababa)"), "{name}");
        }
    }

    #[test]
    fn a_path_is_never_too_long_for_a_page() {
        let folder = |length| {
            format!("{}{}/", ["x".repeat(200), "/".into()].concat().repeat(4), "y".repeat(length))
        };
        for (path, stays) in [
            (folder(150) + &"é".repeat(18) + ".md", true),
            (folder(150) + "home.md", true),
            (folder(160) + &"é".repeat(15) + ".md", true),
            (folder(177) + &"é".repeat(8) + ".md", false),
            (folder(191) + "home.md", false),
        ] {
            let name = named(&path);
            let page = name.strip_suffix(".md").unwrap();
            assert!(PagePath::new(page).is_ok() && page.ends_with(" (conflict abababa)"), "{name}");
            assert_eq!(name.contains('/'), stays, "{name}");
        }
    }
}
