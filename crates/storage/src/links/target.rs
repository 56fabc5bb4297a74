//! The targets of destinations.

use percent_encoding::percent_decode_str;

use super::LinkKind;
use crate::page_path::{ExistingPath, fold, loose};

/// The target of a link: never empty, never outside of the wiki.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Paths of pages or attachments. The target is the first one that exists; if none does,
    /// [`wished`](Self::wished).
    pub candidates: Vec<String>,
    /// The names of a wiki link, used if no candidate exists: ends of paths, folded as for wiki links, that must
    /// belong to only one page or attachment.
    pub names: Vec<String>,
    /// The part after the `#`, percent-decoded if it was encoded; see [`fragment_at`](Self::fragment_at).
    pub fragment: Option<String>,
    /// True if the first candidate is the whole link, including its `#`.
    pub(super) is_whole: bool,
    pub(super) form: Form,
}

impl Target {
    /// The target if no candidate exists.
    pub fn wished(&self) -> &str {
        let has_fragment =
            self.fragment.as_ref().is_some_and(|fragment| !fragment.trim().is_empty());
        let at = usize::from(self.is_whole && has_fragment);
        self.candidates.get(at).map_or("", String::as_str)
    }

    /// The part after the `#`, if the link leads to this path; `None` if the `#` is part of the page's name.
    pub fn fragment_at(&self, path: &str) -> Option<&str> {
        let is_path = || self.candidates.first().is_some_and(|whole| fold(whole) == fold(path));
        let is_name = || self.names.iter().any(|name| matches_name(path, name));
        let ends_name = self.fragment.as_ref().is_some_and(|fragment| fragment.trim().is_empty());
        let is_of_name = self.is_whole && (is_path() || (ends_name && is_name()));
        self.fragment.as_deref().filter(|_| !is_of_name)
    }
}

/// Returns `true` if a path ends in the segments of a name, both folded as for wiki links.
pub(crate) fn matches_name(path: &str, name: &str) -> bool {
    let path = loose(path);
    path.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

/// The form of a destination, to write another one in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) start: Start,
    /// True if it ends in `.md`.
    pub(super) extension: bool,
    /// Length of the path in the destination, in bytes.
    pub(super) path: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// A wiki link without dots, or a URL with a leading slash.
    Root,
    /// A URL in OtterWiki's form for attachments: `/page/a/file`.
    OtterWiki,
    /// Relative to the page's directory, after `./` if `dot` is true.
    Directory { dot: bool },
}

/// Resolves `destination`, written on `page`. `None` if it leads out of the wiki, or to this page.
///
/// Backslashes and entities in `destination` are already resolved, percent-encoding isn't.
pub fn resolve(page: &ExistingPath, kind: LinkKind, destination: &str) -> Option<Target> {
    match kind {
        LinkKind::Wiki | LinkKind::Embed => resolve_name(page, kind, destination),
        LinkKind::Link | LinkKind::Image => resolve_url(page, destination),
    }
}

fn resolve_name(page: &ExistingPath, kind: LinkKind, destination: &str) -> Option<Target> {
    if destination.contains("://") || destination.starts_with("//") || is_contents_tag(destination)
    {
        return None;
    }
    let (name, fragment) = match destination.split_once('#') {
        Some((name, fragment)) => (name, Some(fragment.to_owned())),
        None => (destination, None),
    };
    let segments: Vec<String> = name.split('/').map(|segment| segment.trim().to_owned()).collect();
    let relative = matches!(segments.first().map(String::as_str), Some("." | ".."));
    let start = if relative { directory(&segments) } else { Start::Root };
    let path = join(if relative { parent(page.as_str()) } else { "" }, &segments)?;
    // Dots in a fragment must not lead to a parent directory.
    let whole = fragment.as_ref().filter(|fragment| !fragment.contains("..")).and_then(|_| {
        let segments: Vec<String> = destination.split('/').map(|s| s.trim().to_owned()).collect();
        join(if relative { parent(page.as_str()) } else { "" }, &segments)
    });
    let has_names = !relative && !destination.starts_with('/');
    let end = match &whole {
        Some(whole) if fragment.as_ref().is_some_and(|fragment| fragment.trim().is_empty()) => {
            whole
        }
        _ => path.strip_suffix(".md").unwrap_or(&path),
    };
    let end = has_names.then(|| loose(end)).filter(|end| !end.is_empty());
    let mut candidates = Vec::new();
    if kind == LinkKind::Embed && !path.contains('/') && !relative {
        candidates.push(format!("{page}/{path}", page = page.as_str()));
    }
    let stripped = path.strip_suffix(".md").filter(|page| !page.is_empty() && !page.ends_with('/'));
    let extension = stripped.is_some();
    candidates.extend(stripped.map(str::to_owned));
    candidates.insert(0, path);
    let is_whole = whole.is_some();
    if let Some(whole) = whole {
        candidates.insert(0, whole);
    }
    let form = Form { start, extension, path: name.len() };
    Some(Target { candidates, names: end.into_iter().collect(), fragment, is_whole, form })
}

/// Returns `true` if a wiki link stands for the table of contents, as in Gollum and GitLab.
pub fn is_contents_tag(destination: &str) -> bool {
    destination.trim() == "_TOC_"
}

fn resolve_url(page: &ExistingPath, destination: &str) -> Option<Target> {
    let end = destination.find(['#', '?']).unwrap_or(destination.len());
    let (url, rest) = destination.split_at(end);
    if url.is_empty() || has_scheme(url) || url.starts_with("//") || url.contains('\\') {
        return None;
    }
    let rooted = url.starts_with('/');
    let segments: Vec<String> = url.split('/').map(decoded).collect::<Option<_>>()?;
    let path = join(if rooted { "" } else { parent(page.as_str()) }, &segments)?;
    let stripped = path.strip_suffix(".md").filter(|page| !page.is_empty() && !page.ends_with('/'));
    let extension = stripped.is_some();
    let path = stripped.unwrap_or(&path).to_owned();
    let mut start = if rooted { Start::Root } else { directory(&segments) };
    let mut candidates = Vec::new();
    if rooted && !extension {
        candidates.extend(otterwiki_attachment(&path));
        if !candidates.is_empty() {
            start = Start::OtterWiki;
        }
    } else if !rooted && !extension && is_bare(&segments) {
        candidates.push(join(page.as_str(), &segments)?);
    }
    candidates.insert(0, path);
    let fragment = rest.split_once('#').map(|(_, fragment)| fragment);
    let fragment = fragment.map(|f| decoded(f).unwrap_or_else(|| f.to_owned()));
    let form = Form { start, extension, path: end };
    Some(Target { candidates, names: Vec::new(), fragment, is_whole: false, form })
}

/// The attachment that OtterWiki shows at `page/a/file`.
fn otterwiki_attachment(path: &str) -> Option<String> {
    let (before, file) = path.rsplit_once('/')?;
    let page = before.strip_suffix("/a")?;
    Some(format!("{page}/{file}"))
}

fn directory(segments: &[String]) -> Start {
    Start::Directory { dot: segments.first().is_some_and(|first| first == ".") }
}

/// Returns `true` for a single name, also after `./`.
fn is_bare(segments: &[String]) -> bool {
    match segments {
        [name] => name != "..",
        [dot, name] => dot == "." && name != "..",
        _ => false,
    }
}

/// Follows `segments` from the directory `base`. `None` at or above the root, and for invalid paths.
fn join(base: &str, segments: &[String]) -> Option<String> {
    let mut path: Vec<&str> = base.split('/').filter(|segment| !segment.is_empty()).collect();
    for segment in segments {
        match segment.as_str() {
            "" | "." => {}
            ".." => {
                path.pop()?;
            }
            name if name.contains(|c: char| c == '/' || c.is_control()) => return None,
            name => path.push(name),
        }
    }
    let path = path.join("/");
    ExistingPath::new(&path).ok()?;
    Some(path)
}

/// The directory of a page's file.
pub(super) fn parent(page: &str) -> &str {
    page.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// Percent-decodes; `None` if the result isn't UTF-8.
fn decoded(part: &str) -> Option<String> {
    Some(percent_decode_str(part).decode_utf8().ok()?.into_owned())
}

/// Returns `true` if the URL begins with `name:` (RFC 3986, section 3.1).
fn has_scheme(url: &str) -> bool {
    let Some((scheme, _)) = url.split_once(':') else { return false };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}
