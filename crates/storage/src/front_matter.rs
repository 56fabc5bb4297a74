//! The block of data that a page may begin with.

use std::ops::Range;

/// What the data is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrontMatterSyntax {
    /// Between lines of `---`.
    Yaml,
    /// Between lines of `+++`.
    Toml,
}

/// Where a page's front matter is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontMatter {
    /// What it is written in.
    pub syntax: FrontMatterSyntax,
    /// The bytes of the data, without the lines around it.
    pub data: Range<usize>,
    /// The byte at which the text of the page begins.
    pub end: usize,
}

impl FrontMatter {
    /// The front matter of `text`: a first line of `---` or `+++`, a line that isn't blank, and
    /// anything up to the same line again (or `...` for YAML).
    ///
    /// A blank second line makes the first one a rule, as those who write Markdown mean it. The
    /// Markdown parser finds such blocks by itself, but in the middle of a page too.
    pub fn find(text: &str) -> Option<Self> {
        let mut lines = text.split_inclusive('\n');
        let first = lines.next()?;
        let (syntax, closing): (_, &[&str]) = match first.trim_start_matches('\u{feff}').trim_end()
        {
            "---" => (FrontMatterSyntax::Yaml, &["---", "..."]),
            "+++" => (FrontMatterSyntax::Toml, &["+++"]),
            _ => return None,
        };
        let start = first.len();
        let mut at = start;
        for line in lines {
            if at == start && line.trim().is_empty() {
                return None;
            }
            if closing.contains(&line.trim_end()) {
                return Some(Self { syntax, data: start..at, end: at + line.len() });
            }
            at += line.len();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Option<(&str, &str)> {
        let found = FrontMatter::find(text)?;
        Some((&text[found.data], &text[found.end..]))
    }

    #[test]
    fn a_block_at_the_beginning_is_found() {
        assert_eq!(parts("---\na: 1\n---\n# Text\n"), Some(("a: 1\n", "# Text\n")));
        assert_eq!(parts("+++\r\na = 1\r\n+++\r\nText"), Some(("a = 1\r\n", "Text")));
        assert_eq!(parts("\u{feff}--- \na: 1\n..."), Some(("a: 1\n", "")));
        assert_eq!(parts("---\n---\n"), Some(("", "")));
        assert_eq!(FrontMatter::find("+++\na\n+++").unwrap().syntax, FrontMatterSyntax::Toml);
    }

    #[test]
    fn rules_and_unended_blocks_are_text() {
        for text in ["", "---", "---\na: 1\n", "---\n\ntext\n\n---\n", "text\n---\na: 1\n---\n"] {
            assert_eq!(parts(text), None, "{text:?}");
        }
    }
}
