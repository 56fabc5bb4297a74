//! Rewriting links after a move.

use std::collections::HashMap;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::target::{Start, parent};
use super::written::{self, Written};
use super::{LinkKind, LinkStyle, MarkdownSource, Target, resolve};
use crate::page_path::ExistingPath;
use crate::resolve::{Names, Resolved};

/// Rewrites the page `from` so that its links still lead to the same pages and attachments after a move; `None` if
/// no link has to change.
///
/// `to` is the page's path after the move: `from`, unless the page itself moves. `now_at` maps a path to its path
/// after the move, the same one if it stays; `None` if the path doesn't exist. A relative link to a missing path
/// still leads to that path. `names` resolves wiki links by name; `None` if the wiki doesn't.
///
/// Only destinations change. Each keeps its form as far as possible: relative or from the root, with or without
/// `.md`, percent-encoded or not, with its fragment and query. A link whose syntax can't express the new
/// destination (`[[a|b]]` doesn't lead to the page `a|b`) is left unchanged.
///
/// # Errors
/// The page would have more than `limit` bytes: destinations may become a thousand times as long.
pub fn rewrite(
    text: &str,
    (from, to): (&ExistingPath, &ExistingPath),
    style: LinkStyle,
    now_at: &dyn Fn(&str) -> Option<String>,
    names: &MovedNames,
    limit: usize,
) -> Result<Option<String>, TooLong> {
    let moved = Move { from, to, now_at, names };
    let mut rewritten = String::new();
    let mut done = 0;
    let mut known: HashMap<(LinkKind, &str), Option<String>> = HashMap::new();
    let source = MarkdownSource::of(text);
    let mut links: Vec<Written> = written::links(&source, style).collect();
    links.sort_by_key(|link| link.range.start);
    for link in links {
        let raw = &text[link.range.clone()];
        let new = known.entry((link.kind, raw)).or_insert_with(|| moved.destination(&link, raw));
        if let Some(destination) = new
            && link.range.start >= done
        {
            rewritten.push_str(&text[done..link.range.start]);
            rewritten.push_str(destination);
            done = link.range.end;
            let size = rewritten.len() + (text.len() - done);
            if size > limit.max(text.len()) {
                return Err(TooLong { size });
            }
        }
    }
    if done == 0 {
        return Ok(None);
    }
    rewritten.push_str(&text[done..]);
    Ok(Some(rewritten))
}

/// A page that would become too long because of its new links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// Lower limit of its new size in bytes.
    pub size: usize,
}

struct Move<'a> {
    from: &'a ExistingPath,
    to: &'a ExistingPath,
    now_at: &'a dyn Fn(&str) -> Option<String>,
    names: &'a MovedNames,
}

/// The paths that wiki links lead to by name, before and after a move.
#[derive(Debug, Default)]
pub struct MovedNames {
    before: Option<Names>,
    after: Option<Names>,
}

impl MovedNames {
    /// The names of all paths before and after a move.
    pub(crate) fn new(before: Names, after: Names) -> Self {
        Self { before: Some(before), after: Some(after) }
    }

    /// The path that a link led to by name before the move.
    fn before(&self, target: &Target) -> Option<String> {
        only(self.before.as_ref()?, target)
    }

    /// The path that a link will lead to by name after the move.
    fn after(&self, target: &Target) -> Option<String> {
        only(self.after.as_ref()?, target)
    }
}

fn only(names: &Names, target: &Target) -> Option<String> {
    match names.find(&target.names) {
        Resolved::Found { found, .. } => Some(found.path),
        _ => None,
    }
}

impl Move<'_> {
    /// The replacement of `raw`; `None` if the link needn't or can't change.
    fn destination(&self, link: &Written, raw: &str) -> Option<String> {
        let before = resolve(self.from, link.kind, &link.destination)?;
        let exists = |path: &String| Some((path.clone(), (self.now_at)(path)?));
        let by_name = || exists(&self.names.before(&before)?);
        let found = before.candidates.iter().find_map(exists);
        let is_named = found.is_none();
        let (was, target) = match found.or_else(by_name) {
            Some(found) => found,
            None if self.from == self.to => return None,
            None => (before.wished().to_owned(), before.wished().to_owned()),
        };
        if self.leads_to(link.kind, &link.destination, &target) {
            return None;
        }
        let new = match link.kind {
            LinkKind::Wiki | LinkKind::Embed if is_named => {
                self.base_name(link, &before, &was, &target)?
            }
            LinkKind::Wiki | LinkKind::Embed => self.name(link, &before, &was, &target)?,
            LinkKind::Link | LinkKind::Image => self.url(link, raw, &before, &was, &target),
        };
        self.leads_to(link.kind, &new, &target).then_some(new)
    }

    /// Returns `true` if a destination leads to `target` after the move. `false` if an earlier candidate existed
    /// before the move or is this page itself: another page may take its place, which isn't known here.
    fn leads_to(&self, kind: LinkKind, destination: &str, target: &str) -> bool {
        let Some(after) = resolve(self.to, kind, destination) else { return false };
        let is_taken = |path: &str| path == self.to.as_str() || (self.now_at)(path).is_some();
        match after.candidates.iter().find(|path| *path == target || is_taken(path)) {
            Some(meant) => meant == target,
            None => self.names.after(&after).is_some_and(|meant| meant == target),
        }
    }

    /// As [`name`](Self::name), for a link by name: the last segment is kept if it is still enough.
    fn base_name(
        &self,
        link: &Written,
        before: &Target,
        was: &str,
        target: &str,
    ) -> Option<String> {
        let path = self.name(link, before, was, target)?;
        let name = path.rsplit_once('/').map_or(path.as_str(), |(_, name)| name);
        let is_enough = self.leads_to(link.kind, name, target);
        Some(if is_enough { name.to_owned() } else { path })
    }

    /// The destination of a wiki link; `None` if the syntax can't express it.
    fn name(&self, link: &Written, before: &Target, was: &str, target: &str) -> Option<String> {
        let path = match before.form.start {
            Start::Directory { .. } => dotted(relative(parent(self.to.as_str()), target)),
            Start::Root | Start::OtterWiki => target.to_owned(),
        };
        // `[[x.md]]` may be the page `x.md`, or the file name of the page `x`.
        let is_first = before.candidates.first().is_some_and(|first| first == was);
        let extension = if is_first { "" } else { before.extension() };
        let rest = match before.fragment_at(was) {
            Some(_) => &link.destination[before.form.path..],
            None => "",
        };
        let writable = !path.contains(['|', '[', ']', '\\', '\n', '\r']);
        writable.then(|| format!("{path}{extension}{rest}"))
    }

    /// A URL in the form of the old one.
    fn url(&self, link: &Written, raw: &str, before: &Target, was: &str, target: &str) -> String {
        let path = match before.form.start {
            Start::Root => format!("/{target}"),
            Start::OtterWiki if was == before.wished() => format!("/{target}"),
            Start::OtterWiki => match target.rsplit_once('/') {
                Some((page, file)) => format!("/{page}/a/{file}"),
                None => format!("/{target}"),
            },
            Start::Directory { dot } => {
                let path = relative(parent(self.to.as_str()), target);
                if dot { dotted(path) } else { path }
            }
        };
        // Otherwise the `.md` of a page that is called `a.md` would be dropped.
        let extension = if target.ends_with(".md") { ".md" } else { before.extension() };
        let rest = &link.destination[before.form.path..];
        let rest = if raw.ends_with(rest) { rest.to_owned() } else { encode(rest, &SUFFIX, raw) };
        encode(&path, &PATH, raw) + extension + &rest
    }
}

impl Target {
    /// `.md` if the old destination had it.
    fn extension(&self) -> &'static str {
        if self.form.extension { ".md" } else { "" }
    }
}

/// The relative path from the directory `base` to `target`.
fn relative(base: &str, target: &str) -> String {
    let base: Vec<&str> = base.split('/').filter(|segment| !segment.is_empty()).collect();
    let target: Vec<&str> = target.split('/').collect();
    let last = target.len() - 1;
    let common = base.iter().zip(&target[..last]).take_while(|(one, other)| one == other).count();
    let mut path = "../".repeat(base.len() - common);
    path.push_str(&target[common..].join("/"));
    path
}

/// Prepends `./`, unless the path begins with dots already.
fn dotted(path: String) -> String {
    if path.starts_with("../") { path } else { format!("./{path}") }
}

/// Characters that would end a destination in Markdown, or have another meaning in it.
const SUFFIX: AsciiSet = CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'(')
    .add(b')')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'|')
    .add(b'`');
/// Also characters that would end the path of a URL, or be decoded in it.
const PATH: AsciiSet = SUFFIX.add(b'#').add(b'?').add(b'%').add(b'&').add(b':').add(b'[').add(b']');

/// Percent-encodes the necessary characters; other alphabets only if `raw` has them encoded, too.
fn encode(part: &str, set: &'static AsciiSet, raw: &str) -> String {
    let encodes_all = raw.is_ascii() && raw.contains('%');
    let mut encoded = String::with_capacity(part.len());
    for c in part.chars() {
        let mut buffer = [0; 4];
        let text: &str = c.encode_utf8(&mut buffer);
        if c.is_ascii() || encodes_all {
            encoded.extend(utf8_percent_encode(text, set));
        } else {
            encoded.push(c);
        }
    }
    encoded
}
