//! Links between the pages of a wiki: finding, resolving, and rewriting them when their targets move.
//!
//! Rules for destinations:
//!
//! - A **wiki link** `[[garden/roses]]` is a name from the root of the wiki. `[[./x]]` and `[[../x]]` start at the
//!   page's directory. It is a name and no URL: it isn't percent-decoded. If the path doesn't exist, the name is
//!   taken as the end of a path in any directory: `[[Red roses]]` is `garden/red-roses` if only one page has that
//!   name. Spaces, dashes and underscores are equal then.
//! - A **Markdown link** is a URL. `/x` starts at the root; any other at the page's directory, so that it leads to
//!   the same file on GitHub and in any browser of the repository: on the page `a/b`, which is the file `a/b.md`,
//!   `x` is `a/x`. A `.md` at its end is dropped, for pages have none.
//! - The attachments of the page `a/b` are in the directory `a/b`. So a bare file name, and an embedded
//!   `![[photo.png]]`, may also mean one of these attachments; and `/a/b/a/photo.png`, as OtterWiki writes
//!   attachments, means `a/b/photo.png`. Hence a link has **candidates**, of which the first that exists is its
//!   target.
//! - Destinations with a scheme or a host are external, a bare `#fragment` stays on the page, and a path above the
//!   root leads nowhere: none of them is a link here.

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

/// The order of title and target in `[[one|other]]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LinkStyle {
    /// `[[Target|Title]]`.
    #[default]
    TargetFirst,
    /// `[[Title|Target]]`.
    TitleFirst,
}

/// The syntax of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// `[[Target]]`.
    Wiki,
    /// `![[Target]]`.
    Embed,
    /// `[text](target)`, or a reference link.
    Link,
    /// `![text](target)`, or a reference image.
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

    /// The inverse of [`as_str`](Self::as_str).
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "wiki" => Self::Wiki,
            "embed" => Self::Embed,
            "image" => Self::Image,
            _ => Self::Link,
        }
    }
}

/// The lookup of one link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sought {
    /// As [`Target::candidates`].
    pub candidates: Vec<String>,
    /// As [`Target::names`]; empty if the wiki doesn't resolve links by name.
    pub names: Vec<String>,
    /// True if the title of the page is wanted, because the link has none.
    pub is_untitled: bool,
}

impl Target {
    /// The lookup of a link with this target.
    pub fn sought(&self, by_name: bool, is_untitled: bool) -> Sought {
        let names = if by_name { self.names.clone() } else { Vec::new() };
        Sought { candidates: self.candidates.clone(), names, is_untitled }
    }
}

/// A link to a path of the wiki.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The syntax. A reference definition has the syntax of its first use.
    pub kind: LinkKind,
    /// The bytes of the destination in the page, as written and without brackets. For a reference they are in its
    /// definition.
    pub range: Range<usize>,
    /// The destination after resolving escapes and entities, as [`resolve`] expects it.
    pub destination: String,
    /// The target.
    pub target: Target,
    /// True if the link has a title separator but no title: `[[roses|]]`.
    pub is_untitled: bool,
}

/// The Markdown dialect of all pages: GitHub's, with wiki links and formulas.
pub fn dialect() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_GFM
        | Options::ENABLE_WIKILINKS
        | Options::ENABLE_MATH
}

/// The links of a page to paths of the wiki, in the order of their first use. A reference counts once however often
/// it is used. Code contains no links.
///
/// A link of a few bytes leads to paths of up to a thousand bytes each, and a page may have a million links: the
/// iterator finds and resolves one at a time.
pub fn links<'a>(
    page: &'a ExistingPath,
    source: &'a MarkdownSource<'_>,
    style: LinkStyle,
) -> impl Iterator<Item = Link> + 'a {
    written::links(source, style).filter_map(|written| inside(page, written))
}

/// As [`links`], each destination once for each syntax. Repetitions aren't resolved.
pub fn distinct_links<'a>(
    page: &'a ExistingPath,
    source: &'a MarkdownSource<'_>,
    style: LinkStyle,
) -> impl Iterator<Item = Link> + 'a {
    distinct(source, style).filter_map(|written| inside(page, written))
}

/// The destinations of all links of a page, also external ones, with their syntax, without the repetitions that
/// [`distinct_links`] leaves out.
pub(crate) fn destinations(
    source: &MarkdownSource<'_>,
    style: LinkStyle,
) -> impl Iterator<Item = (LinkKind, String)> {
    distinct(source, style).map(|written| (written.kind, written.destination))
}

/// The destinations of all links of a page, with repetitions.
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

/// The link, if its target is a path of the wiki.
fn inside(page: &ExistingPath, written: written::Written) -> Option<Link> {
    let written::Written { kind, range, destination, is_untitled } = written;
    let target = resolve(page, kind, &destination)?;
    Some(Link { kind, range, destination, target, is_untitled })
}
