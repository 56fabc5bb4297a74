//! Pages as HTML that is safe to show: nothing in it runs, loads from elsewhere what isn't an
//! image, or takes the place of what surrounds it.
//!
//! This is pure: what exists in the wiki is looked up by the caller, between [`wanted`] and
//! [`Renderer::render`]. Every input takes bounded time and memory; what is over a limit is shown as
//! the plain text that it is.

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

/// What is known about a page besides its text.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// The page.
    pub page: &'a ExistingPath,
    /// The path of the wiki's base, such as `/w/garden`; empty at the root of a host.
    pub base: &'a str,
    /// Which side of a wiki link is its target.
    pub style: LinkStyle,
    /// Whether wiki links find pages by name.
    pub by_name: bool,
    /// What each link leads to. A link that isn't here wasn't looked up, and is shown as text.
    pub found: &'a HashMap<Sought, Resolved>,
}

/// A page as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rendered {
    /// Safe HTML, to be put into any page.
    pub html: String,
    /// The headings, in order.
    pub headings: Vec<Heading>,
    /// The data that the page begins with.
    pub front_matter: Option<Value>,
    /// Why there is none, although the page begins with a block for it.
    pub front_matter_error: Option<String>,
    /// What the page links to in the wiki, each target once for each way of linking.
    pub links: Vec<RenderedLink>,
    /// Whether the page is shown as plain text, because rendering it would take too much.
    pub plain: bool,
    /// Whether only the beginning of the plain text is shown, because all of it would be too large.
    pub truncated: bool,
    /// The encoding that the page was decoded from, if it isn't UTF-8: it is shown as well as it could be read.
    pub encoding: Option<&'static str>,
}

/// A link that leads somewhere in the wiki.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct RenderedLink {
    /// The path of the page or attachment.
    pub target: String,
    /// `wiki`, `embed`, `link` or `image`.
    pub kind: &'static str,
    /// Whether it exists.
    pub exists: bool,
    /// Whether several have the name, so that the link has to say which one is meant.
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

/// What the page's links may mean, each once: what has to be looked up before it is rendered. Of a
/// page with very many links, those that come first.
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

/// Renders pages. Making one takes as long as rendering a small page.
pub struct Renderer {
    cleaner: ammonia::Builder<'static>,
    /// Marks what is ours in the HTML that is cleaned. Nobody who writes a page can guess it.
    marker: String,
}

impl Renderer {
    /// A renderer, for any number of wikis.
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
