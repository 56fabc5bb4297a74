//! Renders pages as HTML that is safe to show: it executes nothing, loads nothing from other hosts but images, and
//! can't replace or swallow parts of the page around it.
//!
//! Rendering is pure: the caller looks up what exists in the wiki, between [`wanted`] and [`Renderer::render`]. Every
//! input takes bounded time and memory; a page over a limit is shown as plain text.

mod autolinks;
mod body;
mod cleaner;
mod contents;
pub(crate) mod escape;
mod formatting;
mod headings;
mod limits;
mod raw_html;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher as _, RandomState};

use serde::Serialize;
use serde_json::Value;
use wikigrove_tenant::storage::links::{
    LinkKind, LinkStyle, MarkdownSource, Sought, distinct_links,
};
use wikigrove_tenant::storage::{ExistingPath, FrontMatter, Resolved};

use body::TooMuch;
pub use headings::Heading;

/// Changes with everything that renders a page differently.
pub const VERSION: u32 = 5;

/// The context of a page, besides its text.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// The page's path.
    pub page: &'a ExistingPath,
    /// The path of the wiki's base, such as `/w/garden`; empty at the root of a host.
    pub base: &'a str,
    /// The side of a wiki link that is its target.
    pub style: LinkStyle,
    /// True if wiki links find pages by name.
    pub by_name: bool,
    /// The targets of the links. A link without an entry is shown as text.
    pub found: &'a HashMap<Sought, Resolved>,
}

/// A rendered page.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rendered {
    /// Safe HTML, which can be inserted into any page.
    pub html: String,
    /// The headings, in order.
    pub headings: Vec<Heading>,
    /// The parsed front matter.
    pub front_matter: Option<Value>,
    /// The error in the front matter, if it can't be parsed.
    pub front_matter_error: Option<String>,
    /// The page's links within the wiki, one for each target and kind.
    pub links: Vec<RenderedLink>,
    /// True if the page is shown as plain text, because rendering it would be too expensive.
    pub plain: bool,
    /// True if the plain text is truncated, because it is too large.
    pub truncated: bool,
    /// The encoding that the page was decoded from, if it isn't UTF-8; undecodable bytes are replaced.
    pub encoding: Option<&'static str>,
}

/// A link within the wiki.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct RenderedLink {
    /// The path of the page or attachment.
    pub target: String,
    /// `wiki`, `embed`, `link` or `image`.
    pub kind: &'static str,
    /// True if the target exists.
    pub exists: bool,
    /// True if several pages or attachments have the name, so that the link needs a longer path.
    #[serde(rename = "ambiguous", skip_serializing_if = "std::ops::Not::not")]
    pub is_ambiguous: bool,
}

impl RenderedLink {
    fn new(target: &str, kind: LinkKind, resolved: &Resolved) -> Self {
        let kind = match kind {
            LinkKind::Wiki => "wiki",
            LinkKind::Embed => "embed",
            LinkKind::Link => "link",
            LinkKind::Image => "image",
        };
        let exists = resolved.found().is_some();
        let is_ambiguous = *resolved == Resolved::Several;
        Self { target: target.to_owned(), kind, exists, is_ambiguous }
    }
}

/// The distinct paths and names that the page's links may refer to, which must be looked up before rendering. Limited
/// to the first ones if a page has very many links.
pub fn wanted(page: &ExistingPath, text: &str, style: LinkStyle, by_name: bool) -> Vec<Sought> {
    if text.len() > limits::TEXT {
        return Vec::new();
    }
    let (mut wanted, mut bytes) = (BTreeSet::new(), 0);
    let source = MarkdownSource::of(text);
    for link in distinct_links(page, &source, style).take(limits::LINKS) {
        let sought = link.target.sought(by_name, link.is_untitled);
        let size: usize = sought.candidates.iter().chain(&sought.names).map(String::len).sum();
        if wanted.contains(&sought) {
            continue;
        }
        bytes += size;
        if bytes > limits::LOOKED_UP {
            break;
        }
        wanted.insert(sought);
    }
    wanted.into_iter().collect()
}

/// A renderer of pages. Creating one takes as long as rendering a small page.
pub struct Renderer {
    cleaner: ammonia::Builder<'static>,
    /// Marks our own ids in the HTML that is cleaned. Random, so that an author can't guess it.
    marker: String,
}

impl Renderer {
    /// Creates a renderer, for any number of wikis.
    pub fn new() -> Self {
        let [one, other] = [0, 1].map(|n: u8| RandomState::new().hash_one(n));
        let marker = format!("x{one:016x}{other:016x}-");
        Self { cleaner: cleaner::new(marker.clone()), marker }
    }

    /// Renders a page.
    pub fn render(&self, text: &str, context: &Context<'_>) -> Rendered {
        self.try_render(text, context, false).unwrap_or_else(|| plain(text))
    }

    /// Like [`render`](Self::render), for a page that seems small; `None` if it costs more than small pages do.
    pub fn render_small(&self, text: &str, context: &Context<'_>) -> Option<Rendered> {
        self.try_render(text, context, true)
    }

    fn try_render(&self, text: &str, context: &Context<'_>, is_small: bool) -> Option<Rendered> {
        if text.len() > limits::TEXT {
            return Some(plain(text));
        }
        let front_matter = FrontMatter::find(text);
        let start = match &front_matter {
            Some(front_matter) => front_matter.end,
            None => text.len() - text.trim_start_matches('\u{feff}').len(),
        };
        let source = MarkdownSource::of_body(text, start);
        let body = match body::transform(&source, context, &self.marker, is_small) {
            Ok(body) => body,
            Err(TooMuch::Ever) => return Some(plain(text)),
            Err(TooMuch::ForSmall) => return None,
        };
        let mut html = String::with_capacity(text.len() * 3 / 2);
        pulldown_cmark::html::push_html(&mut html, body.events.into_iter());
        let cleaned = cleaner::clean(&self.cleaner, &self.marker, &html);
        let Some(html) = cleaned else { return Some(plain(text)) };
        let (front_matter, front_matter_error) =
            match front_matter.map(|front_matter| front_matter.value) {
                None => (None, None),
                Some(Ok(data)) => (Some(data), None),
                Some(Err(error)) => (None, Some(error)),
            };
        Some(Rendered {
            html,
            headings: body.headings,
            front_matter,
            front_matter_error,
            links: body.links,
            plain: false,
            truncated: false,
            encoding: None,
        })
    }
}

impl Default for Renderer {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Renderer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Renderer")
    }
}

fn plain(text: &str) -> Rendered {
    let (shown, truncated) = escape::beginning(text, limits::HTML);
    Rendered {
        html: format!("<pre>{shown}</pre>"),
        headings: Vec::new(),
        front_matter: None,
        front_matter_error: None,
        links: Vec::new(),
        plain: true,
        truncated,
        encoding: None,
    }
}
