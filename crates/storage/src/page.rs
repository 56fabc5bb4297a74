//! Pages as values.

use std::sync::OnceLock;

use bytes::Bytes;
use pulldown_cmark::{Event, HeadingLevel, LinkType, Tag, TagEnd};
use serde::Serialize;
use time::OffsetDateTime;

use crate::author::Author;
use crate::decode::decode;
use crate::front_matter::FrontMatter;
use crate::links::{LinkStyle, MarkdownSource, shown_title};
use crate::page_path::ExistingPath;
use crate::revision::{Etag, Revision};

/// Number of bytes after the front matter that are searched for a page's title.
const TITLE_WITHIN: usize = 64 * 1024;
/// Maximum length of a title, in bytes. Longer headings are truncated.
pub(crate) const TITLE_BYTES: usize = 500;

/// A page as listed, without its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PageSummary {
    /// The page path, such as `garden/roses`.
    pub path: String,
    /// The title in the front matter, or else the first top-level heading, or else the last segment of the path.
    pub title: String,
    /// The version of the content.
    pub etag: Etag,
    /// The commit that last changed the page.
    pub revision: Revision,
    /// The size of the content in bytes.
    pub size: u64,
    /// The author of that commit.
    pub author: Author,
    /// The time of that commit in UTC, to the second.
    #[serde(with = "time::serde::rfc3339")]
    pub modified: OffsetDateTime,
}

/// A page as it was in one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// All properties except the content.
    pub summary: PageSummary,
    /// The content, byte for byte. Pages of an imported wiki need not be UTF-8.
    pub content: Bytes,
    /// See [`Page::shown`].
    shown: OnceLock<Bytes>,
}

impl Page {
    pub(crate) fn new(summary: PageSummary, content: Bytes) -> Self {
        Self { summary, content, shown: OnceLock::new() }
    }

    /// The page in the form that clients receive, such as JSON. `show` makes it once; it is cached with the page
    /// for later readers, because making it costs more than the rest of reading a page from memory.
    ///
    /// A page has one such form. Apart from the page, `show` must depend only on constants.
    ///
    /// # Errors
    /// The errors of `show`; they aren't cached.
    pub fn shown<E>(&self, show: impl FnOnce(&Self) -> Result<Bytes, E>) -> Result<Bytes, E> {
        if let Some(shown) = self.shown.get() {
            return Ok(shown.clone());
        }
        let shown = show(self)?;
        Ok(self.shown.get_or_init(|| shown).clone())
    }
}

/// The title of a page with this content.
pub(crate) fn title(path: &ExistingPath, content: &[u8], style: LinkStyle) -> String {
    let decoded = decode(content);
    let front_matter = FrontMatter::find(&decoded.text);
    let body = body_beginning(&decoded.text, front_matter.as_ref());
    let mut title = front_matter
        .as_ref()
        .and_then(FrontMatter::title)
        // A bracket may be that of a reference link whose definition comes later.
        .or_else(|| first_heading(first_paragraphs(body)?, style).filter(|h| !h.contains('[')))
        .or_else(|| first_heading(body, style))
        .unwrap_or_else(|| path.name().to_owned());
    title.truncate(title.floor_char_boundary(TITLE_BYTES));
    title
}

/// The part of a page that is searched for a heading.
fn body_beginning<'a>(text: &'a str, front_matter: Option<&FrontMatter>) -> &'a str {
    let body = match front_matter {
        Some(front_matter) => &text[front_matter.end..],
        None => text.trim_start_matches('\u{feff}'),
    };
    &body[..body.floor_char_boundary(TITLE_WITHIN)]
}

/// The first kilobytes of a page, which usually contain its heading; `None` if their meaning may depend on the
/// rest.
fn first_paragraphs(body: &str) -> Option<&str> {
    let beginning = &body[..body.floor_char_boundary(2048)];
    let (paragraphs, _) = beginning.rsplit_once("\n\n")?;
    (!paragraphs.contains(['<', '$', '`', '~'])).then_some(paragraphs)
}

/// The first top-level heading, as the text that a reader sees.
fn first_heading(body: &str, style: LinkStyle) -> Option<String> {
    // Most pages without a heading are recognised without parsing.
    if !body.contains('#') && !body.contains("\n=") {
        return None;
    }
    let source = MarkdownSource::of_body(body, 0);
    let mut events = source.parser().into_offset_iter();
    events.find(|(event, _)| {
        matches!(event, Event::Start(Tag::Heading { level: HeadingLevel::H1, .. }))
    })?;
    let mut heading = String::new();
    while let Some((event, range)) = events.next() {
        match source.reveal_event(event) {
            Event::End(TagEnd::Heading(_)) => break,
            Event::Text(text) | Event::Code(text) => heading.push_str(&text),
            Event::InlineMath(text) => heading.push_str(&format!("${text}$")),
            Event::DisplayMath(text) => heading.push_str(&format!("$${text}$$")),
            Event::SoftBreak | Event::HardBreak => heading.push(' '),
            Event::Start(Tag::Link { link_type: LinkType::WikiLink { has_pothole }, .. }) => {
                let link = source.body().get(range).unwrap_or_default();
                if let Some(title) = shown_title(link, style, has_pothole) {
                    heading.push_str(title);
                    events.find(|(event, _)| matches!(event, Event::End(TagEnd::Link)));
                }
            }
            _ => {}
        }
    }
    let heading = heading.trim();
    (!heading.is_empty()).then(|| heading.to_owned())
}

/// A commit's time; a time that is valid in git but out of range here becomes 1970.
pub(crate) fn from_seconds(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn title_of(content: &str) -> String {
        title(
            &ExistingPath::new("garden/roses").unwrap(),
            content.as_bytes(),
            LinkStyle::TargetFirst,
        )
    }

    #[test]
    fn the_title_is_the_first_top_level_heading() {
        assert_eq!(title_of("text\n\n# All *about* `roses`\n\n# More\n"), "All about roses");
        assert_eq!(title_of("Roses\n=====\n"), "Roses");
        assert_eq!(title_of("```\n# code\n```\n"), "roses");
        assert_eq!(title_of("## only\n"), "roses");
        assert_eq!(title_of(""), "roses");
        assert_eq!(title_of("# \n"), "roses");
    }

    #[test]
    fn the_title_of_the_front_matter_goes_before_the_heading() {
        assert_eq!(title_of("---\ntitle: Real\n---\n# Other\n"), "Real");
        assert_eq!(title_of("+++\ntitle = \"Real\"\n+++\ntext\n"), "Real");
        let no_title = [
            "---\n# generated\na: 1\n---\n",
            "+++\n# generated\na = 1\n+++\n",
            "---\r\n# generated\r\na: 1\r\n---\r\n",
            "---\na: |\n  # x\n---\n",
            "\u{feff}---\n# x\n---\n",
            "\u{feff}",
        ];
        for front_matter in no_title {
            assert_eq!(title_of(&format!("{front_matter}# Real\n")), "Real", "{front_matter:?}");
        }
        assert_eq!(title_of("---\n# generated\na: 1\n---\ntext\n"), "roses");
        let long = format!("---\na: {}\n---\n# Real\n", "x".repeat(TITLE_WITHIN));
        assert_eq!(title_of(&long), "Real");
        assert_eq!(title_of(&format!("---\ntitle: {}\n---\n", "x".repeat(600))).len(), 500);
    }

    #[test]
    fn the_heading_is_as_a_reader_sees_it() {
        for (heading, title) in [
            ("[[Mary|people/mary]] & ~~co~~", "people/mary & co"),
            ("$x*y*$ &amp; <b>z</b>[^1]", "$x*y*$ & z[^1]"),
            ("https://a.example/__init__.py", "https://a.example/__init__.py"),
        ] {
            assert_eq!(title_of(&format!("# {heading}\n")), title);
        }
        let path = ExistingPath::new("roses").unwrap();
        let title_first = title(&path, b"# [[*Mary*|people/mary]]\n", LinkStyle::TitleFirst);
        assert_eq!(title_first, "*Mary*");
    }

    #[test]
    fn an_endless_heading_is_cut() {
        let title = title_of(&format!("# {}\n", "é".repeat(5000)));
        assert_eq!(title, "é".repeat(250));
    }

    #[test]
    fn an_endless_page_is_searched_a_little_way() {
        let long = "x".repeat(TITLE_WITHIN) + "é\n# Late\n";
        assert_eq!(title_of(&long), "roses");
    }
}
