//! The rules for file names in a push.
//!
//! They are the rules of [`PagePath`] and [`AttachmentPath`](crate::AttachmentPath), for the whole path of every file
//! that a push adds or changes. Additionally allowed are names that are usual in a repository but not in a page:
//!
//! - Files at the root that are no pages (`LICENSE`, `logo.png`): they aren't attachments of a page, but they can be
//!   read.
//! - Names that begin with one dot (`.gitignore`, `.gitattributes`, `.mailmap`, `.github/…`, `.obsidian/…`): half of
//!   all repositories have some, and they have no effect here, since there is no work tree. Refused are names that make
//!   a clone elsewhere write into its `.git`, fetch from another host or send its credentials there: `.git`,
//!   `.gitmodules`, `.lfsconfig`, in any spelling that Windows or macOS treat as equal.
//!
//! A leading `-` needs no rule: names are never parsed as options.

use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

use crate::page_path::{EXTENSION, MAX_BYTES, check_name, fold};

/// Maximum length of a file name, in bytes: the limit of the usual file systems.
const MAX_NAME: usize = 255;
/// Maximum length of a folder name: the folder may become a page, whose file name is longer.
const MAX_FOLDER: usize = MAX_NAME - EXTENSION.len();

/// Maximum length of a file's path, in bytes.
pub(super) const MAX_PATH: usize = MAX_BYTES + EXTENSION.len();

/// Checks that a file may be pushed to this path, of which the first `known` bytes name what was there before.
/// Odd names that were there may stay. How deep it is, is checked elsewhere.
pub(super) fn check_path(path: &[u8], known: usize) -> Result<(), &'static str> {
    let new = path.get(known..).unwrap_or_default();
    if known > 0 {
        check_known(&path[..known])?;
    }
    let new = match new.strip_prefix(b"/") {
        Some(below) if known > 0 => below,
        None if known > 0 && new.is_empty() => return Ok(()),
        _ => new,
    };
    if path.len() > MAX_PATH {
        return Err("its path is longer than 1,000 bytes");
    }
    let new = std::str::from_utf8(new).map_err(|_| "its name is not UTF-8")?;
    let (folders, name) = match new.rsplit_once('/') {
        Some((folders, name)) => (Some(folders), name),
        None => (None, new),
    };
    for folder in folders.into_iter().flat_map(|folders| folders.split('/')) {
        if folder.len() > MAX_FOLDER {
            return Err("the name of a folder is longer than 252 bytes");
        }
        check_segment(folder, folder)?;
    }
    if name.len() > MAX_NAME {
        return Err("the name of the file is longer than 255 bytes");
    }
    match name.strip_suffix(EXTENSION) {
        Some("") => Err("a page needs a name before `.md`"),
        Some(page) => check_segment(name, page),
        None if name.to_ascii_lowercase().ends_with(EXTENSION) => {
            Err("the file of a page ends in `.md`, in small letters")
        }
        None => check_segment(name, name),
    }
}

/// As [`check_path`], of a folder.
pub(super) fn check_folder(path: &[u8], known: usize) -> Result<(), &'static str> {
    if known > 0 {
        check_known(&path[..known])?;
    }
    let new = std::str::from_utf8(path.get(known..).unwrap_or_default());
    let new = new.map_err(|_| "its name is not UTF-8")?;
    for folder in new.split('/').filter(|folder| !folder.is_empty()) {
        if folder.len() > MAX_FOLDER {
            return Err("the name of a folder is longer than 252 bytes");
        }
        check_segment(folder, folder)?;
    }
    Ok(())
}

/// Checks that a file that was there before may be changed: not one by which a clone is harmed.
fn check_known(path: &[u8]) -> Result<(), &'static str> {
    check_carried(path)?;
    let is_for_git = |name: &[u8]| {
        let name = String::from_utf8_lossy(name);
        is_for_git(&name) || name.strip_suffix(EXTENSION).is_some_and(is_for_git)
    };
    match path.split(|byte| *byte == b'/').any(is_for_git) {
        true => Err("git itself would act on a file of that name"),
        false => Ok(()),
    }
}

/// Whether a file that nobody could create here may at least be carried along: a clone is not made to
/// write outside of its work tree or into its `.git`.
pub(super) fn check_carried(path: &[u8]) -> Result<(), &'static str> {
    for name in path.split(|byte| *byte == b'/') {
        if matches!(name, b"" | b"." | b"..") {
            return Err("a clone would write it outside of its folder");
        }
        let text = String::from_utf8_lossy(name);
        let is_git = |name: &str| matches!(plain(name).as_str(), ".git" | "git~1");
        if text.split('\\').any(is_git) {
            return Err("a clone would write it into its `.git`");
        }
    }
    Ok(())
}

/// `name` is the name in the tree, `shown` the part that users see.
fn check_segment(name: &str, shown: &str) -> Result<(), &'static str> {
    if is_for_git(name) || is_for_git(shown) {
        return Err("git itself would act on a file of that name");
    }
    match shown.strip_prefix('.') {
        Some(rest) if !rest.is_empty() => check_name(rest)?,
        _ => check_name(shown)?,
    }
    if is_nfc_quick(name.chars()) != IsNormalized::Yes && name.nfc().ne(name.chars()) {
        return Err("its name is not in Unicode's NFC (git config core.precomposeunicode true)");
    }
    Ok(())
}

/// Returns `true` if some system takes the name for one that git acts on.
fn is_for_git(name: &str) -> bool {
    let name = plain(name);
    matches!(&*name, ".git" | ".gitmodules" | ".lfsconfig") || is_short_for_git(&name)
}

/// Normalises a name as Windows and macOS do.
fn plain(name: &str) -> String {
    // macOS ignores invisible characters.
    let name: String = fold(name).chars().filter(|c| !is_ignored(*c)).collect();
    // Windows ignores a colon and everything after it, and trailing dots and spaces.
    name.split(':').next().unwrap_or("").trim_end_matches(['.', ' ']).to_owned()
}

/// The characters that macOS ignores when it compares names, as listed by git.
fn is_ignored(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

/// Returns `true` for the 8.3 names that Windows gives to names such as `.gitmodules`: their beginning and a number,
/// or, if those are taken, two letters and a checksum.
fn is_short_for_git(name: &str) -> bool {
    let Some((stem, number)) = name.split_once('~') else { return false };
    let is_checksum = |rest: &str| rest.len() == 4 && rest.bytes().all(|b| b.is_ascii_hexdigit());
    let is_git = "gitmodules".starts_with(stem) && stem.starts_with("git")
        || "lfsconfig".starts_with(stem) && stem.starts_with("lfs")
        || stem.strip_prefix("gi").or_else(|| stem.strip_prefix("lf")).is_some_and(is_checksum);
    is_git && number.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{AttachmentPath, PagePath};

    #[test]
    fn what_an_ordinary_repository_has_can_be_pushed() {
        for path in [
            "home.md",
            "--help.md",
            "garden/roses.md",
            "garden/roses/photo.png",
            "LICENSE",
            "robots.txt",
            ".gitignore",
            "docs/.gitignore",
            ".gitattributes",
            ".github/workflows/ci.yml",
            ".mailmap",
            ".obsidian/app.json",
            "git.md",
            "gitmodules.txt",
            "می‌خواهم.md",
            "😀.md",
            "a.md.md",
        ] {
            assert_eq!(check_path(path.as_bytes(), 0), Ok(()), "{path}");
        }
        assert_eq!(check_path(format!("{}.md", "a".repeat(252)).as_bytes(), 0), Ok(()));
    }

    #[test]
    fn what_would_harm_a_clone_or_hide_itself_can_not() {
        for path in [
            ".git",
            ".git/config",
            "a/.GIT/config",
            ".git.",
            ".git ",
            ".git .",
            ".git::$INDEX_ALLOCATION/config",
            ".g\u{200c}it/config",
            ".gi\u{200d}t",
            ".git.md",
            "git~1",
            "GIT~1/config",
            "git~2/x.md",
            "gi7eba~1",
            ".gitmodules",
            "a/.GitModules",
            ".gitmodules .",
            ".git\u{200c}modules",
            "gitmod~1",
            ".lfsconfig",
            ".lfsConfig",
            "..",
            ".",
            "...",
            "..a.md",
            "a/../b.md",
            "a//b.md",
            "/a.md",
            "a\\..\\x.md",
            "a\u{1b}]0;x\u{7}.md",
            "a\nb.md",
            "a\u{7f}.md",
            "a\u{202e}gpj.md",
            "cafe\u{301}.md",
            "con.md",
            "a:b.md",
            "page .md",
            " page.md",
            "page..md",
            ".md",
            "a/.md",
            "README.MD",
        ] {
            check_path(path.as_bytes(), 0).expect_err(path);
        }
        check_path(b"\xff\xfe.md", 0).unwrap_err();
        check_path(format!("{}.md", "a".repeat(253)).as_bytes(), 0).unwrap_err();
        check_path("a".repeat(300).as_bytes(), 0).unwrap_err();
        check_path(format!("{}/x.md", "a".repeat(253)).as_bytes(), 0).unwrap_err();
        check_path(format!("{}x.md", "abcdefghi/".repeat(101)).as_bytes(), 0).unwrap_err();
    }

    #[test]
    fn what_was_there_may_have_an_odd_name() {
        for (known, new) in
            [("a: b?.md", ""), ("a: b?", "/x.md"), ("cafe\u{301}", "/x/y.png"), ("con.md", "")]
        {
            let path = format!("{known}{new}");
            assert_eq!(check_path(path.as_bytes(), known.len()), Ok(()), "{path}");
            check_path(path.as_bytes(), 0).expect_err(&path);
        }
        assert_eq!(check_path(b"\xff.md", 4), Ok(()));
        for (known, new) in
            [("a: b?", "/c:d.md"), (".gitmodules", ""), ("a/.git", "/x"), ("GITMOD~1", "")]
        {
            let path = format!("{known}{new}");
            check_path(path.as_bytes(), known.len()).expect_err(&path);
        }
    }

    #[test]
    fn what_does_no_harm_can_be_carried_along() {
        for path in ["a\\b", "con.md", ".gitmodules", "a:b.md", "README.MD", "cafe\u{301}.md", "a "]
        {
            assert_eq!(check_carried(path.as_bytes()), Ok(()), "{path}");
        }
        assert_eq!(check_carried(b"\xff\xfe.md"), Ok(()));
        for path in [
            ".git",
            "a/.GIT/config",
            "..",
            "a/../b",
            "a//b",
            "git~1/x",
            ".g\u{200c}it",
            "a\\.git\\x",
        ] {
            check_carried(path.as_bytes()).expect_err(path);
        }
    }

    proptest! {
        /// A path that can be created in the wiki can be pushed to it, and vice versa, except for dots and the root.
        #[test]
        fn the_rules_are_those_of_the_wiki(path in "[\\PC/.~]{1,12}") {
            let page = PagePath::new(&path).is_ok_and(|page| page.as_str() == path);
            let pushed = check_path(format!("{path}.md").as_bytes(), 0).is_ok();
            let is_short = path.contains('~');
            if page && !is_short {
                prop_assert!(pushed, "{path:?}");
            }
            if pushed && !path.split('/').any(|segment| segment.starts_with('.')) {
                prop_assert!(page, "{path:?}");
            }
            let file = format!("page/{path}");
            let attachment = AttachmentPath::new(&file).is_ok_and(|file| file.as_str().ends_with(&path));
            if attachment && !is_short && is_nfc_quick(path.chars()) == IsNormalized::Yes {
                prop_assert!(check_path(file.as_bytes(), 0).is_ok(), "{file:?}");
            }
        }
    }
}
