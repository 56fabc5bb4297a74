//! Pages as values.

use std::sync::OnceLock;

use bytes::Bytes;
use pulldown_cmark::{Event, HeadingLevel, Parser, Tag, TagEnd};
use serde::Serialize;
use time::OffsetDateTime;

use crate::author::Author;
use crate::page_path::ExistingPath;
use crate::revision::{Etag, Revision};

/// How much of a page is searched for its title, in bytes.
const TITLE_WITHIN: usize = 16 * 1024;
/// The longest title, in bytes. What a longer heading begins with is the title.
pub(crate) const TITLE_BYTES: usize = 500;

/// What a list says about a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PageSummary {
    /// The page path, such as `garden/roses`.
    pub path: String,
    /// The first top-level heading, or else the last segment of the path.
    pub title: String,
    /// The version of the content.
    pub etag: Etag,
    /// The commit that last changed the page.
    pub revision: Revision,
    /// The size of the content in bytes.
    pub size: u64,
    /// Who made that commit.
    pub author: Author,
    /// When, in UTC, to the second.
    #[serde(with = "time::serde::rfc3339")]
    pub modified: OffsetDateTime,
}

/// A page as it was in one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Everything but the content.
    pub summary: PageSummary,
    /// The content, byte for byte. Pages of a wiki that came from elsewhere need not be UTF-8.
    pub content: Bytes,
    /// See [`Page::shown`].
    shown: OnceLock<Bytes>,
}

impl Page {
    pub(crate) fn new(summary: PageSummary, content: Bytes) -> Self {
        Self { summary, content, shown: OnceLock::new() }
    }

    /// The form in which the page is shown, such as JSON, made by `show` and kept with the page for
    /// the next reader: making it costs more than all the rest of reading a page from memory.
    ///
    /// There is one such form. Whatever `show` depends on besides the page must never change.
    ///
    /// # Errors
    /// What `show` says; the next call asks it again.
    pub fn shown<E>(&self, show: impl FnOnce(&Self) -> Result<Bytes, E>) -> Result<Bytes, E> {
        if let Some(shown) = self.shown.get() {
            return Ok(shown.clone());
        }
        let shown = show(self)?;
        Ok(self.shown.get_or_init(|| shown).clone())
    }
}

/// The title of a page with this content.
pub(crate) fn title(path: &ExistingPath, content: &[u8]) -> String {
    let beginning = &content[..content.len().min(TITLE_WITHIN)];
    let text = String::from_utf8_lossy(beginning);
    let mut title = first_heading(&text).unwrap_or_else(|| path.name().to_owned());
    title.truncate(title.floor_char_boundary(TITLE_BYTES));
    title
}

fn first_heading(text: &str) -> Option<String> {
    // Most pages without a heading are seen to have none without being parsed.
    if !text.contains('#') && !text.contains("\n=") {
        return None;
    }
    let mut events = Parser::new(text);
    events.find(|event| {
        matches!(event, Event::Start(Tag::Heading { level: HeadingLevel::H1, .. }))
    })?;
    let mut heading = String::new();
    for event in events.take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_)))) {
        match event {
            Event::Text(text) | Event::Code(text) => heading.push_str(&text),
            Event::SoftBreak | Event::HardBreak => heading.push(' '),
            _ => {}
        }
    }
    let heading = heading.trim();
    (!heading.is_empty()).then(|| heading.to_owned())
}

/// A commit's time; what git stores but no calendar holds becomes 1970.
pub(crate) fn from_seconds(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn title_of(content: &str) -> String {
        title(&ExistingPath::new("garden/roses").unwrap(), content.as_bytes())
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
