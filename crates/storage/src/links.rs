//! Links between the pages of a wiki: found, resolved, and rewritten when what they point to moves.
//!
//! How a destination is understood:
//!
//! - A **wiki link** `[[garden/roses]]` is a name from the root of the wiki. `[[./x]]` and `[[../x]]`
//!   start at the page's directory. It is a name and no URL: nothing in it is percent-decoded. If there is
//!   no such path, it is the end of one, in whatever directory: `[[Red roses]]` is `garden/red-roses` if only one
//!   page has that name. Spaces, dashes and underscores are alike then.
//! - A **Markdown link** is a URL. `/x` starts at the root; anything else at the page's directory, so
//!   that it leads to the same file on GitHub and in any browser of the repository: on the page `a/b`,
//!   which is the file `a/b.md`, `x` is `a/x`. A `.md` at its end is left away, for pages have none.
//! - The files that belong to the page `a/b` are in the directory `a/b`. So a bare file name, and an
//!   embedded `![[photo.png]]`, may mean one of those too; and `/a/b/a/photo.png`, as OtterWiki writes
//!   attachments, means `a/b/photo.png`. Hence a link has **candidates**, of which the first that
//!   exists is meant.
//! - What has a scheme or a host leads elsewhere, what is only a `#fragment` stays, and what climbs
//!   above the root leads nowhere: none of them is a link here.

mod rewrite;
mod source;
mod target;
#[cfg(test)]
mod tests;
mod written;

use std::collections::HashSet;
use std::ops::Range;

use pulldown_cmark::Options;

use crate::page_path::ExistingPath;

pub use rewrite::{MovedNames, TooLong, rewrite};
pub use source::MarkdownSource;
pub(crate) use target::matches_name;
pub use target::{Target, is_contents_tag, resolve};
pub use written::{WikiText, shown_title, wiki_text};

/// Which side of `[[one|other]]` is the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LinkStyle {
    /// `[[Target|Title]]`.
    #[default]
    TargetFirst,
    /// `[[Title|Target]]`.
    TitleFirst,
}

/// How a link is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// `[[Target]]`.
    Wiki,
    /// `![[Target]]`.
    Embed,
    /// `[text](target)`, or by a reference.
    Link,
    /// `![text](target)`, or by a reference.
    Image,
}

impl LinkKind {
    /// `wiki`, `embed`, `link` or `image`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wiki => "wiki",
            Self::Embed => "embed",
            Self::Link => "link",
            Self::Image => "image",
        }
    }

    /// What [`as_str`](Self::as_str) gave.
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "wiki" => Self::Wiki,
            "embed" => Self::Embed,
            "image" => Self::Image,
            _ => Self::Link,
        }
    }
}

/// What is looked up for a link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sought {
    /// As [`Target::candidates`].
    pub candidates: Vec<String>,
    /// As [`Target::names`]; none if the wiki doesn't want them.
    pub names: Vec<String>,
    /// Whether the title of the page is wanted, because the link shows nothing else.
    pub is_untitled: bool,
}

impl Target {
    /// What is looked up for a link with this target.
    pub fn sought(&self, by_name: bool, is_untitled: bool) -> Sought {
        let names = if by_name { self.names.clone() } else { Vec::new() };
        Sought { candidates: self.candidates.clone(), names, is_untitled }
    }
}

/// A link that leads somewhere in the wiki.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// How it is written. A reference is what it is first used as.
    pub kind: LinkKind,
    /// The bytes of the destination in the page, as written and without brackets. Of a reference
    /// these are in its definition.
    pub range: Range<usize>,
    /// The destination with escapes and entities undone, as [`resolve`] takes it.
    pub destination: String,
    /// Where it leads.
    pub target: Target,
    /// Whether it has a place for a title, and nothing there: `[[roses|]]`.
    pub is_untitled: bool,
}

/// The dialect all pages are written in: GitHub's, with wiki links and formulas.
pub fn dialect() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_GFM
        | Options::ENABLE_WIKILINKS
        | Options::ENABLE_MATH
}

/// The links of a page that lead somewhere in the wiki, in the order in which they are used. A
/// reference counts once however often it is used. Code holds no links.
///
/// A link of a few bytes leads to paths of up to a thousand each, and a page may have a million links:
/// they are found and resolved one by one, as they are taken.
pub fn links<'a>(
    page: &'a ExistingPath,
    source: &'a MarkdownSource<'_>,
    style: LinkStyle,
) -> impl Iterator<Item = Link> + 'a {
    written::links(source, style).filter_map(|written| inside(page, written))
}

/// As [`links`], each destination once for each way of linking. Repetitions aren't resolved.
pub fn distinct_links<'a>(
    page: &'a ExistingPath,
    source: &'a MarkdownSource<'_>,
    style: LinkStyle,
) -> impl Iterator<Item = Link> + 'a {
    distinct(source, style).filter_map(|written| inside(page, written))
}

/// The destinations of the links of a page and how they are written, wherever they lead, as often as
/// [`distinct_links`] has them.
pub(crate) fn destinations(
    source: &MarkdownSource<'_>,
    style: LinkStyle,
) -> impl Iterator<Item = (LinkKind, String)> {
    distinct(source, style).map(|written| (written.kind, written.destination))
}

/// The destinations of all links of a page, as often as they stand there.
pub(crate) fn all_destinations(text: &str, style: LinkStyle) -> impl Iterator<Item = String> {
    let source = MarkdownSource::of(text);
    let written: Vec<_> = written::links(&source, style).collect();
    written.into_iter().map(|written| written.destination)
}

fn distinct(
    source: &MarkdownSource<'_>,
    style: LinkStyle,
) -> impl Iterator<Item = written::Written> {
    let mut seen = HashSet::new();
    written::links(source, style).filter(move |written| {
        seen.insert((written.kind, written.is_untitled, written.destination.clone()))
    })
}

/// The link, if it leads somewhere in the wiki.
fn inside(page: &ExistingPath, written: written::Written) -> Option<Link> {
    let written::Written { kind, range, destination, is_untitled } = written;
    let target = resolve(page, kind, &destination)?;
    Some(Link { kind, range, destination, target, is_untitled })
}
