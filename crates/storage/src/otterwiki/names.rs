//! OtterWiki's names for pages, files and attachments.

use unicode_normalization::UnicodeNormalization as _;

use super::case;

/// The handling of case in file names (`RETAIN_PAGE_NAME_CASE`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CaseMode {
    /// File names are lower case; page names are shown capitalised.
    #[default]
    Lower,
    /// File names equal page names.
    Retain,
}

impl CaseMode {
    /// Returns the file of the page at a path, such as `guide/getting started.md`.
    pub fn file_name(self, page: &str) -> String {
        let file = clean_slashes(&self.on_disk(page));
        if file.ends_with(".md") { file } else { format!("{file}.md") }
    }

    /// Returns the directory of a page's attachments, by the page's file. `None`: the file isn't a page's.
    pub fn attachment_dir(self, file: &str) -> Option<String> {
        self.on_disk(file).strip_suffix(".md").map(str::to_owned)
    }

    /// Returns the name of a page, by its path or its file. `None`: nothing of the name is left.
    pub fn page_name(self, file: &str) -> Option<String> {
        self.segments(file).pop()
    }

    /// Returns the name of a page with its directories.
    pub fn full_page_name(self, file: &str) -> String {
        self.segments(file).join("/")
    }

    fn segments(self, file: &str) -> Vec<String> {
        let path = file.trim_end_matches('/');
        let path = path.strip_suffix(".md").unwrap_or(path);
        split_path(path).into_iter().map(|segment| self.shown(segment)).collect()
    }

    /// A name with capitals was typed like this deliberately, so it is kept.
    fn shown(self, segment: &str) -> String {
        match self {
            Self::Lower if segment == segment.to_lowercase() => title_case(segment),
            _ => segment.to_owned(),
        }
    }

    fn on_disk(self, name: &str) -> String {
        match self {
            Self::Lower => name.to_lowercase(),
            Self::Retain => name.to_owned(),
        }
    }
}

/// Converts a typed page name to the one that is stored. With `handle_md`, a final `.md` is removed entirely, not only
/// its dot.
pub fn sanitize_page_name(typed: &str, handle_md: bool) -> String {
    let mut name: String = typed.nfkc().collect();
    if handle_md {
        // A newline at the very end isn't part of the name.
        let (rest, end) = match name.strip_suffix('\n') {
            Some(rest) => (rest, "\n"),
            None => (name.as_str(), ""),
        };
        if let Some(stem) = rest.strip_suffix(".md") {
            name = format!("{stem}{end}");
        }
    }
    name.retain(|c| !matches!(c, '?' | '|' | '$' | '.' | '!' | '#' | '\\'));
    let name = name.trim_start_matches(['-', '/']).trim_matches(case::is_space);
    clean_slashes(name)
}

/// Converts the name of an upload to the one that is stored: one segment, without control characters. Empty if nothing
/// of it is left.
pub fn sanitize_attachment(uploaded: &str) -> String {
    let name: String = uploaded.nfkc().collect();
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = name.chars().filter(|c| !c.is_ascii_control()).collect();
    let name = name.trim_matches(case::is_space).trim_end_matches('.').trim_matches(case::is_space);
    name.to_owned()
}

/// Converts a text to a URL fragment, as used for anchors.
pub fn slugify(text: &str, keep_slashes: bool) -> String {
    let ascii: String = text.nfkd().filter(char::is_ascii).collect();
    let kept = |c: &char| {
        c.is_ascii_alphanumeric()
            || matches!(c, '_' | '-')
            || case::is_space(*c)
            || (keep_slashes && *c == '/')
    };
    let mut slug = String::new();
    for c in ascii.trim_matches(case::is_space).to_ascii_lowercase().chars().filter(kept) {
        let c = if case::is_space(c) { '-' } else { c };
        if c != '-' || !slug.ends_with('-') {
            slug.push(c);
        }
    }
    slug
}

/// Returns a path with one slash between its segments, and none around them.
pub fn clean_slashes(path: &str) -> String {
    path.split('/').filter(|segment| !segment.is_empty()).collect::<Vec<_>>().join("/")
}

/// Capitalises each word. `ß` and the apostrophe count as parts of a word.
pub fn title_case(name: &str) -> String {
    case::title(name)
}

/// Splits a path. The part after the last slash is always a segment, even an empty one.
fn split_path(path: &str) -> Vec<&str> {
    let Some((dirs, name)) = path.rsplit_once('/') else {
        return if path.is_empty() { Vec::new() } else { vec![path] };
    };
    dirs.split('/').filter(|segment| !segment.is_empty()).chain([name]).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn segments_are_split_as_file_paths_are() {
        for (path, segments) in [
            ("", &[][..]),
            ("a", &["a"]),
            ("a/b", &["a", "b"]),
            ("/a//b", &["a", "b"]),
            ("a/", &["a", ""]),
            ("/", &[""]),
        ] {
            assert_eq!(split_path(path), segments, "{path}");
        }
    }

    #[test]
    fn a_draft_finds_its_page_in_both_modes() {
        assert_eq!(CaseMode::Lower.file_name("Guide/Getting Started"), "guide/getting started.md");
        assert_eq!(CaseMode::Retain.file_name("Guide/Getting Started"), "Guide/Getting Started.md");
        assert_eq!(
            CaseMode::Lower.full_page_name("guide/getting started.md"),
            "Guide/Getting Started"
        );
        assert_eq!(CaseMode::Lower.attachment_dir("Home.md").as_deref(), Some("home"));
        assert_eq!(CaseMode::Lower.attachment_dir("home.png"), None);
    }

    proptest! {
        #[test]
        fn naming_a_file_again_changes_nothing(page in "\\PC{0,30}") {
            for mode in [CaseMode::Lower, CaseMode::Retain] {
                let file = mode.file_name(&page);
                prop_assert_eq!(mode.file_name(&file), file.clone());
                prop_assert!(mode.attachment_dir(&file).is_some());
            }
        }

        #[test]
        fn slugs_are_plain(text in "\\PC{0,30}") {
            let slug = slugify(&text, false);
            prop_assert!(slug.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c)));
            prop_assert_eq!(slugify(&slug, false), slug.clone());
        }
    }
}
