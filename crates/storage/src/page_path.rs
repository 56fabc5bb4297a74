//! Page paths: checked once, then trusted.
//!
//! Two types, for two questions. [`PagePath`] answers "may a page have this path?" and is needed to create or
//! change one: such a path can be cloned on any operating system, can't be mistaken for another and can't do harm.
//! [`ExistingPath`] answers "can this path be looked up?": an imported wiki has names that couldn't be created
//! here, and its readers need them.

use std::fmt;
use std::ops::Deref;

use unicode_casefold::UnicodeCaseFold as _;
use unicode_normalization::char::is_combining_mark;
use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

/// Maximum length of a page path, in bytes.
pub(crate) const MAX_BYTES: usize = 1000;
/// Maximum length of a path that is looked up, in bytes: `PATH_MAX` of Linux.
const MAX_LOOKUP_BYTES: usize = 4096;
/// Maximum length of a segment, in bytes: leaves room for `.md` in a file name of 255.
const MAX_SEGMENT_BYTES: usize = 252;
/// Maximum number of segments of a page path.
pub(crate) const MAX_DEPTH: usize = 16;
/// The extension of every page's file.
pub(crate) const EXTENSION: &str = ".md";

/// A path that isn't valid for a page or an attachment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{shown}` can't be {what}: {why}")]
pub struct InvalidPath {
    shown: String,
    what: &'static str,
    why: &'static str,
    code: &'static str,
}

impl InvalidPath {
    fn new(path: &str, why: &'static str) -> Self {
        Self { shown: shown(path), what: "a page path", why, code: "invalid_path" }
    }

    pub(crate) fn of_attachment(path: &str, why: &'static str, code: &'static str) -> Self {
        Self { what: "the path of an attachment", code, ..Self::new(path, why) }
    }

    /// `invalid_path`, `path_too_deep`, or `is_a_page` for a path that only a page can have.
    pub fn code(&self) -> &'static str {
        self.code
    }
}

/// The beginning of a path, with characters escaped on which a terminal or a log would act.
fn shown(path: &str) -> String {
    let mut shown: String = path.chars().take(64).flat_map(char::escape_debug).collect();
    if path.chars().nth(64).is_some() {
        shown.push('…');
    }
    shown
}

/// The path of a page that may be created or changed, such as `garden/roses`, in Unicode's NFC.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PagePath(ExistingPath);

impl PagePath {
    /// Checks a path and normalises it to NFC, so that `café` is one page however it was typed.
    ///
    /// # Errors
    /// Empty, `.` or `..` segments; leading dots (so no file that git reads); leading or trailing spaces, trailing
    /// dots; control, invisible and direction-changing characters; names that Windows can't store
    /// (`\ : * ? " < > |`, `con`, `nul`, …); over 1,000 bytes, 252 per segment, or 16 segments.
    pub fn new(path: &str) -> Result<Self, InvalidPath> {
        if path.len() > MAX_BYTES {
            return Err(InvalidPath::new(path, "it is longer than 1,000 bytes"));
        }
        let path: String = path.nfc().collect();
        for segment in path.split('/') {
            check_segment(segment).map_err(|why| InvalidPath::new(&path, why))?;
        }
        if path.split('/').count() > MAX_DEPTH {
            let error = InvalidPath::new(&path, "it is more than 16 levels deep");
            return Err(InvalidPath { code: "path_too_deep", ..error });
        }
        Ok(Self(ExistingPath(path)))
    }
}

impl Deref for PagePath {
    type Target = ExistingPath;

    fn deref(&self) -> &ExistingPath {
        &self.0
    }
}

impl fmt::Display for PagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for PagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PagePath({:?})", self.0.0)
    }
}

/// A path that can be looked up in a tree. The page need not exist.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExistingPath(String);

impl ExistingPath {
    /// Checks only that the path is relative and stays inside the tree.
    ///
    /// # Errors
    /// Empty, `.` or `..` segments, NUL, or over 4,096 bytes.
    pub fn new(path: &str) -> Result<Self, InvalidPath> {
        if path.len() > MAX_LOOKUP_BYTES {
            return Err(InvalidPath::new(path, "it is longer than 4,096 bytes"));
        }
        if path.contains('\0') {
            return Err(InvalidPath::new(path, "it holds a NUL character"));
        }
        if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(InvalidPath::new(path, "a segment is empty, `.` or `..`"));
        }
        Ok(Self(path.to_owned()))
    }

    /// The page whose file is `file`: the path without `.md`. `None` for any other file.
    pub(crate) fn of_file(file: &str) -> Option<Self> {
        let page = file.strip_suffix(EXTENSION)?;
        (!page.is_empty() && !page.ends_with('/')).then(|| Self(page.to_owned()))
    }

    /// The path without the extension, as users write it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last segment.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The path of the page's file in the repository.
    pub fn file(&self) -> String {
        format!("{}{EXTENSION}", self.0)
    }

    /// All spellings under which the path may be stored, without duplicates: as given, composed and decomposed.
    pub(crate) fn spellings(&self) -> impl Iterator<Item = Self> {
        let composed = self.composed();
        let decomposed = (!self.0.is_ascii()).then(|| Self(self.0.nfd().collect()));
        let decomposed = decomposed.filter(|it| it != self && Some(it) != composed.as_ref());
        [Some(self.clone()), composed, decomposed].into_iter().flatten()
    }

    /// The path in NFC; `None` if it is in NFC already.
    pub(crate) fn composed(&self) -> Option<Self> {
        match is_nfc_quick(self.0.chars()) {
            IsNormalized::Yes => None,
            _ => Some(Self(self.0.nfc().collect())).filter(|composed| composed != self),
        }
    }
}

impl fmt::Display for ExistingPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}

impl fmt::Debug for ExistingPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExistingPath({:?})", self.0)
    }
}

/// Returns `true` if two names would be one file on a system that ignores case and composition, such as Windows and
/// macOS.
pub(crate) fn collide(one: &str, other: &str) -> bool {
    if one.is_ascii() && other.is_ascii() {
        return one.eq_ignore_ascii_case(other);
    }
    folded(one).eq(folded(other))
}

/// Folds a path for comparisons that ignore case and composition: two paths with the same fold would be one file on
/// Windows and macOS.
pub fn fold(path: &str) -> String {
    if path.is_ascii() { path.to_ascii_lowercase() } else { folded(path).collect() }
}

/// Folds a name for wiki links: as [`fold`], and each run of spaces, dashes and underscores becomes one dash.
pub(crate) fn loose(name: &str) -> String {
    let mut loose = String::with_capacity(name.len());
    for c in fold(name).chars() {
        match c {
            ' ' | '_' | '-' if loose.ends_with('-') => {}
            ' ' | '_' | '-' => loose.push('-'),
            c => loose.push(c),
        }
    }
    loose
}

fn folded(name: &str) -> impl Iterator<Item = char> {
    name.nfd().case_fold().nfd()
}

fn check_segment(segment: &str) -> Result<(), &'static str> {
    if segment.len() > MAX_SEGMENT_BYTES {
        return Err("a segment is longer than 252 bytes");
    }
    check_name(segment)
}

/// Checks that a file or directory may have this name, of any length.
pub(crate) fn check_name(segment: &str) -> Result<(), &'static str> {
    if segment.is_empty() {
        return Err("a segment is empty");
    }
    if segment.starts_with('.') {
        return Err("a segment starts with a dot");
    }
    if segment.starts_with(char::is_whitespace) || segment.ends_with(char::is_whitespace) {
        return Err("a segment starts or ends with a space");
    }
    if segment.ends_with('.') {
        return Err("a segment ends with a dot");
    }
    if segment.chars().any(|c| matches!(c, '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')) {
        return Err("it holds one of \\ : * ? \" < > |");
    }
    if segment.chars().any(|c| is_invisible(c) && c != ZERO_WIDTH_SPACE) || !joiners_belong(segment)
    {
        return Err("it holds a control or invisible character");
    }
    if is_device(segment) {
        return Err("a segment is a name that Windows reserves");
    }
    Ok(())
}

/// Separates words of scripts that put no spaces there.
const ZERO_WIDTH_SPACE: char = '\u{200b}';
const NON_JOINER: char = '\u{200c}';
const JOINER: char = '\u{200d}';

/// Checks that every zero width space and joiner is used as its script requires (after UAX 31, rules A1, A2 and B):
/// elsewhere it is invisible and makes one name look like another.
fn joiners_belong(segment: &str) -> bool {
    if segment.is_ascii() {
        return true;
    }
    let (mut before, mut rest) = (None, segment.chars().peekable());
    while let Some(c) = rest.next() {
        let after = rest.peek().copied();
        let both = |is: fn(char) -> bool| before.is_some_and(is) && after.is_some_and(is);
        let belongs = match c {
            ZERO_WIDTH_SPACE => both(is_unspaced),
            NON_JOINER => both(is_cursive) || both(is_indic),
            // A half form may end a word.
            JOINER => both(is_cursive) || before.is_some_and(is_indic) || both(is_emoji),
            _ => true,
        };
        if !belongs {
            return false;
        }
        before = Some(c);
    }
    true
}

/// Letters and marks of Thai, Lao, Tibetan, Myanmar, Khmer and Tai scripts.
fn is_unspaced(c: char) -> bool {
    (c.is_alphanumeric() || is_combining_mark(c))
        && matches!(c, '\u{e00}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{1950}'..='\u{19df}'
            | '\u{1a20}'..='\u{1aaf}' | '\u{a9e0}'..='\u{a9ff}' | '\u{aa60}'..='\u{aadf}')
}

/// Letters and marks of scripts whose letters join: Arabic, Syriac, N'Ko, Mandaic, Mongolian.
fn is_cursive(c: char) -> bool {
    (c.is_alphanumeric() || is_combining_mark(c))
        && matches!(c, '\u{600}'..='\u{77f}' | '\u{7c0}'..='\u{7ff}' | '\u{840}'..='\u{8ff}'
            | '\u{1800}'..='\u{18af}' | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
}

/// Letters and marks of scripts of India and its neighbours, whose letters form clusters.
fn is_indic(c: char) -> bool {
    (c.is_alphanumeric() || is_combining_mark(c))
        && matches!(c, '\u{900}'..='\u{dff}' | '\u{f00}'..='\u{109f}' | '\u{1700}'..='\u{17ff}'
            | '\u{1900}'..='\u{1cff}' | '\u{a800}'..='\u{abff}' | '\u{11000}'..='\u{11fff}')
}

/// Emoji and their components.
fn is_emoji(c: char) -> bool {
    matches!(c, '\u{2190}'..='\u{2bff}' | '\u{fe0f}' | '\u{20e3}' | '\u{1f000}'..='\u{1faff}')
}

/// Returns `true` for characters that are invisible or reorder text. The two joiners aren't included: Persian,
/// Indic scripts and emoji are written with them.
pub(crate) fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'
            | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Returns `true` for names that Windows treats as devices, with any extension, and for `git~1`, its short name of
/// `.git`.
fn is_device(segment: &str) -> bool {
    let stem = segment.split('.').next().unwrap_or(segment).trim_end().to_ascii_lowercase();
    matches!(stem.as_str(), "con" | "prn" | "aux" | "nul" | "conin$" | "conout$" | "git~1")
        || stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt")).is_some_and(|rest| {
            matches!(
                rest,
                "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³"
            )
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_names_are_pages() {
        for path in [
            "home",
            "garden/roses",
            "a.md",
            "--help",
            "@{-1}",
            "😀",
            "กำ",
            "robots.txt",
            "می‌خواهم",
            "ភាសា\u{200b}ខ្មែរ",
            "ภาษา\u{200b}ไทย",
            "മലയാളം ന്\u{200d}",
            "क्\u{200d}ष क्\u{200c}ष",
            "👩\u{200d}💻 ❤\u{fe0f}\u{200d}🔥",
            "2.0",
        ] {
            assert_eq!(PagePath::new(path).unwrap().as_str(), path);
        }
        assert_eq!(PagePath::new("a.md").unwrap().file(), "a.md.md");
    }

    #[test]
    fn dangerous_names_are_not() {
        let deep = "a/".repeat(600) + "a";
        for path in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "..",
            "a/../b",
            "./a",
            ".git/config",
            ".git./x",
            ".git /x",
            "a/.gitmodules",
            ".g\u{200c}it/config",
            "pa\u{200b}ge",
            "pa\u{200c}ge",
            "pa\u{200d}ge",
            "page\u{200d}",
            "\u{200b}ខ្មែរ",
            "ខ្មែរ\u{200b}",
            "ខ្មែរ\u{200b}\u{200b}ភាសា",
            "ខ្មែរ\u{200b}a",
            "میx\u{200c}خواهم",
            "می\u{200c}",
            "git~1/config",
            "a\0",
            "a\nb",
            "\u{1b}]0;x\u{7}",
            "a\u{7f}b",
            "a\u{202e}gnp",
            "a\u{2066}b",
            "\u{feff}home",
            "CON",
            "aux.md",
            "Com1.txt",
            "a:b",
            "a|b",
            "page ",
            " page",
            "page.",
            "C:\\x",
            "x\\y",
            &deep,
            &"a".repeat(5000),
            &"a".repeat(253),
        ] {
            PagePath::new(path).expect_err(path);
        }
        let deep = "a/".repeat(20) + "a";
        assert_eq!(PagePath::new(&deep).unwrap_err().code(), "path_too_deep");
    }

    #[test]
    fn a_name_is_one_page_however_it_was_typed() {
        assert_eq!(PagePath::new("cafe\u{301}").unwrap(), PagePath::new("caf\u{e9}").unwrap());
        let typed = ExistingPath::new("cafe\u{301}").unwrap();
        assert_eq!(typed.composed().unwrap().as_str(), "caf\u{e9}");
        assert_eq!(ExistingPath::new("caf\u{e9}").unwrap().composed(), None);
    }

    #[test]
    fn names_that_one_file_system_holds_once_collide() {
        for (one, other) in [
            ("Home", "home"),
            ("STRASSE", "straße"),
            ("caf\u{e9}", "CAFE\u{301}"),
            ("\u{212a}elvin", "kelvin"),
        ] {
            assert!(collide(one, other), "{one} {other}");
        }
        assert!(!collide("home", "house"));
        assert_eq!(fold("Garden/CAFE\u{301}"), fold("garden/caf\u{e9}"));
    }

    #[test]
    fn odd_existing_names_can_be_looked_up() {
        for path in [".github/README", "a:b", "con", "page ", ":(exclude)*", "HEAD:secret"] {
            ExistingPath::new(path).unwrap();
        }
        for path in ["", "a//b", "../x", "a\0b", "/etc/passwd", "a/"] {
            ExistingPath::new(path).unwrap_err();
        }
    }

    #[test]
    fn an_error_shows_no_control_characters_and_little_of_a_long_path() {
        let error = PagePath::new(&"\u{1b}[31m".repeat(100)).unwrap_err().to_string();
        assert!(!error.contains('\u{1b}') && error.len() < 600, "{error}");
    }

    proptest! {
        #[test]
        fn accepting_is_idempotent(path in "\\PC{1,40}") {
            if let Ok(page) = PagePath::new(&path) {
                prop_assert_eq!(PagePath::new(page.as_str()), Ok(page.clone()));
                prop_assert!(ExistingPath::of_file(&page.file()).is_some_and(|of_file| of_file == *page));
                prop_assert!(ExistingPath::new(page.as_str()).is_ok());
            }
        }

        #[test]
        fn colliding_is_symmetric_and_reflexive(one in "\\PC{1,8}", other in "\\PC{1,8}") {
            prop_assert!(collide(&one, &one));
            prop_assert_eq!(collide(&one, &other), collide(&other, &one));
        }
    }
}
