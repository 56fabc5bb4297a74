//! Paths of attachments: of every file that isn't a page's. `a/b/photo.png` belongs to the page `a/b`, even if that
//! page doesn't exist.
//!
//! As with pages (see [`crate::page_path`]), one type is for paths that may be created, and another for paths that
//! can be looked up.

use std::fmt;
use std::ops::Deref;

use unicode_normalization::UnicodeNormalization as _;

use crate::page_path::{EXTENSION, ExistingPath, InvalidPath, PagePath, check_name};

/// Maximum length of a file name, in bytes: the limit of the usual file systems.
const MAX_NAME_BYTES: usize = 255;

/// The path of an attachment that may be created or changed, such as `garden/roses/photo.png`, in Unicode's NFC.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AttachmentPath(ExistingAttachment);

impl AttachmentPath {
    /// Checks a path and normalises it to NFC.
    ///
    /// # Errors
    /// There is no slash; the part before the last slash isn't a valid page path ([`PagePath`]); the name has
    /// characters that a page's name may not have, or is longer than 255 bytes. A name that ends in `.md`, in upper or
    /// lower case, is a page's: the [code](InvalidPath::code) is `is_a_page` then.
    pub fn new(path: &str) -> Result<Self, InvalidPath> {
        let invalid = |why| InvalidPath::of_attachment(path, why, "invalid_path");
        let (page, name) = path.rsplit_once('/').ok_or_else(|| {
            invalid("it needs a page and the name of a file, as in `page/file.png`")
        })?;
        let page = PagePath::new(page)?;
        // Checked before normalising, which takes time in proportion to the name's length.
        if name.len() > MAX_NAME_BYTES {
            return Err(invalid("the name of the file is longer than 255 bytes"));
        }
        let name: String = name.nfc().collect();
        if name.len() > MAX_NAME_BYTES {
            return Err(invalid("the name of the file is longer than 255 bytes"));
        }
        check_name(&name).map_err(invalid)?;
        if name.to_ascii_lowercase().ends_with(EXTENSION) {
            let why = "a file whose name ends in .md is a page; save it as one";
            return Err(InvalidPath::of_attachment(path, why, "is_a_page"));
        }
        Ok(Self(ExistingAttachment::new(&format!("{}/{name}", page.as_str()))?))
    }
}

impl Deref for AttachmentPath {
    type Target = ExistingAttachment;

    fn deref(&self) -> &ExistingAttachment {
        &self.0
    }
}

/// A path that can be looked up in a tree. The attachment need not exist.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ExistingAttachment(ExistingPath);

impl ExistingAttachment {
    /// Checks that the path is relative, stays inside the tree and isn't a page's file. Files at the root of the tree
    /// belong to no page, but can be read.
    ///
    /// # Errors
    /// The errors of [`ExistingPath::new`]; or the path ends in `.md` (`is_a_page`).
    pub fn new(path: &str) -> Result<Self, InvalidPath> {
        let existing = ExistingPath::new(path)?;
        if ExistingPath::of_file(path).is_some() {
            let why = "it is the file of a page; read it as one";
            return Err(InvalidPath::of_attachment(path, why, "is_a_page"));
        }
        Ok(Self(existing))
    }

    /// The path of the file in the repository.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The page that the attachment belongs to; empty at the root of the tree.
    pub fn page(&self) -> &str {
        self.as_str().rsplit_once('/').map_or("", |(page, _)| page)
    }

    /// The name of the file.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// All spellings of the path without duplicates: as given, composed and decomposed.
    pub(crate) fn spellings(&self) -> impl Iterator<Item = Self> {
        self.0.spellings().map(Self)
    }
}

impl fmt::Display for ExistingAttachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ExistingAttachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExistingAttachment({:?})", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_belongs_to_the_page_whose_directory_it_is_in() {
        for (path, page, name) in [
            ("home/photo.png", "home", "photo.png"),
            ("a/b/c d.tar.gz", "a/b", "c d.tar.gz"),
            ("home/no extension", "home", "no extension"),
            ("home/x.md.txt", "home", "x.md.txt"),
            ("home/a.png;b.html", "home", "a.png;b.html"),
            ("a/cafe\u{301}.png", "a", "caf\u{e9}.png"),
        ] {
            let attachment = AttachmentPath::new(path).unwrap();
            assert_eq!((attachment.page(), attachment.name()), (page, name));
        }
    }

    #[test]
    fn names_that_no_page_could_have_are_refused() {
        for path in [
            "photo.png",
            "",
            "home/",
            "/photo.png",
            "home//x",
            "home/..",
            "../x.png",
            "home/../../.git/hooks/post-commit",
            "home/.gitattributes",
            "home/.git",
            "home/git~1",
            "home/..\\..\\x.png",
            "home/a\"\r\nSet-Cookie: x=1.png",
            "home/x.png.",
            "home/x.png ",
            "home/nul.png",
            "home/a:b",
            "home/a\u{202e}gnp",
            ".git/config",
            "con/x.png",
            &format!("home/{}", "a".repeat(256)),
        ] {
            assert_eq!(AttachmentPath::new(path).expect_err(path).code(), "invalid_path");
        }
        AttachmentPath::new(&format!("home/{}", "a".repeat(255))).unwrap();
    }

    #[test]
    fn what_ends_in_md_is_a_page() {
        for path in ["home/x.md", "home/x.MD", "home/.x.Md", "a/b.md"] {
            let code = AttachmentPath::new(path).unwrap_err().code();
            assert!(code == "is_a_page" || path.contains("/."), "{path}: {code}");
        }
        assert_eq!(ExistingAttachment::new("home/x.md").unwrap_err().code(), "is_a_page");
        ExistingAttachment::new("home/x.MD").unwrap();
    }

    #[test]
    fn odd_existing_names_can_be_looked_up() {
        for path in [".gitattributes", "LICENSE", "a/.hidden", "a/b:c", "a/x "] {
            ExistingAttachment::new(path).unwrap();
        }
        for path in ["", "a//b", "../x", "a\0b", "/etc/passwd", "a/"] {
            ExistingAttachment::new(path).unwrap_err();
        }
    }

    proptest! {
        #[test]
        fn accepting_is_idempotent(path in "[a-zA-Z.é\u{301} ]{1,12}/\\PC{1,20}") {
            if let Ok(attachment) = AttachmentPath::new(&path) {
                prop_assert_eq!(AttachmentPath::new(attachment.as_str()), Ok(attachment.clone()));
                prop_assert!(PagePath::new(attachment.page()).is_ok());
            }
        }
    }
}
