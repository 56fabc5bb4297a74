//! Positions of links in the source of a page.

use std::collections::HashSet;
use std::ops::Range;

use pulldown_cmark::{CowStr, Event, LinkType, OffsetIter, RefDefs, Tag, TagEnd};

use super::{LinkKind, LinkStyle, MarkdownSource};

/// A link as written, with any destination.
pub(super) struct Written {
    pub(super) kind: LinkKind,
    /// The bytes of the destination.
    pub(super) range: Range<usize>,
    /// The destination after resolving escapes and entities.
    pub(super) destination: String,
    /// True if the link has a title separator but no title.
    pub(super) is_untitled: bool,
}

/// All links of a page that have a destination of their own or a definition. The iterator finds one at a time: a
/// page may have a million of them.
pub(super) fn links<'a>(source: &'a MarkdownSource<'_>, style: LinkStyle) -> Links<'a> {
    let finder = Finder { source, style, open: Vec::new(), defined: HashSet::new() };
    Links { start: source.start(), finder, events: source.parser().into_offset_iter() }
}

pub(super) struct Links<'a> {
    /// The byte offset of the body in the text.
    start: usize,
    finder: Finder<'a>,
    events: OffsetIter<'a>,
}

impl Iterator for Links<'_> {
    type Item = Written;

    fn next(&mut self) -> Option<Written> {
        loop {
            let (event, range) = self.events.next()?;
            let definitions = self.events.reference_definitions();
            if let Some(mut link) = self.finder.hear(event, range, definitions) {
                link.range = link.range.start + self.start..link.range.end + self.start;
                return Some(link);
            }
        }
    }
}

struct Finder<'a> {
    source: &'a MarkdownSource<'a>,
    style: LinkStyle,
    /// The open links, innermost last.
    open: Vec<Open<'a>>,
    /// The start positions of the definitions that were used.
    defined: HashSet<usize>,
}

struct Open<'a> {
    /// The end of the label, as far as it was parsed.
    label_end: usize,
    /// Kind and destination, if the destination follows the label.
    inline: Option<(LinkKind, CowStr<'a>)>,
}

impl<'a> Finder<'a> {
    /// Processes an event; returns the link that it completes, if any.
    fn hear(
        &mut self,
        event: Event<'a>,
        range: Range<usize>,
        definitions: &RefDefs<'_>,
    ) -> Option<Written> {
        match event {
            Event::Start(Tag::Link { link_type, dest_url, id, .. }) => {
                self.start(LinkKind::Link, link_type, dest_url, &id, range, definitions)
            }
            Event::Start(Tag::Image { link_type, dest_url, id, .. }) => {
                self.start(LinkKind::Image, link_type, dest_url, &id, range, definitions)
            }
            Event::End(TagEnd::Link | TagEnd::Image) => self.end(range),
            _ => {
                self.seen(range.end);
                None
            }
        }
    }

    fn start(
        &mut self,
        kind: LinkKind,
        link_type: LinkType,
        destination: CowStr<'a>,
        id: &str,
        range: Range<usize>,
        definitions: &RefDefs<'_>,
    ) -> Option<Written> {
        let (label_end, mut inline, mut found) = (range.start, None, None);
        match link_type {
            LinkType::WikiLink { .. } => found = self.wiki(&range),
            LinkType::Inline => inline = Some((kind, destination)),
            LinkType::Reference | LinkType::Collapsed | LinkType::Shortcut => {
                if let Some(definition) = definitions.get(id)
                    && self.defined.insert(definition.span.start)
                {
                    let after = definition.span.clone();
                    found = self.locate(kind, &destination, after, "]:");
                }
            }
            // Autolinks: their destination is a URL with a scheme or an e-mail address.
            _ => {}
        }
        self.open.push(Open { label_end, inline });
        found
    }

    fn end(&mut self, range: Range<usize>) -> Option<Written> {
        let mut found = None;
        if let Some(Open { label_end, inline: Some((kind, destination)) }) = self.open.pop() {
            let after = label_end..range.end;
            found = self.locate(kind, &destination, after, "](");
        }
        self.seen(range.end);
        found
    }

    /// Extends the label of the innermost open link to `end`.
    fn seen(&mut self, end: usize) {
        if let Some(open) = self.open.last_mut() {
            open.label_end = open.label_end.max(end);
        }
    }

    fn wiki(&self, range: &Range<usize>) -> Option<Written> {
        let WikiText { kind, target, title } =
            wiki_text(self.source.body().get(range.clone())?, self.style)?;
        let destination = self.source.body()[range.start..][target.clone()].to_owned();
        Some(Written {
            kind,
            range: range.start + target.start..range.start + target.end,
            destination,
            is_untitled: title.is_some_and(|title| title.is_empty()),
        })
    }

    /// Finds the destination within `span`, after the first `mark`.
    fn locate(
        &self,
        kind: LinkKind,
        destination: &CowStr<'a>,
        span: Range<usize>,
        mark: &str,
    ) -> Option<Written> {
        let range = match destination {
            // A text without escapes: a slice of the source.
            CowStr::Borrowed(part) => position(self.source.parsed(), part)?,
            // Escapes were resolved.
            _ => {
                let source = self.source.parsed().get(span.clone())?;
                let from = source.find(mark)? + mark.len();
                let found = scan(&source[from..])?;
                let start = span.start + from;
                start + found.start..start + found.end
            }
        };
        let destination = self.source.reveal(destination.clone()).to_string();
        Some(Written { kind, range, destination, is_untitled: false })
    }
}

/// The position of `part` in `whole`, if it is a slice of that very text and not of a copy.
fn position(whole: &str, part: &str) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    let end = start + part.len();
    (whole.get(start..end)? == part).then_some(start..end)
}

/// The destination at the beginning of `source`, which the parser accepted: `<…>`, or the text up to a space or an
/// unmatched closing bracket.
fn scan(source: &str) -> Option<Range<usize>> {
    let space = source.len() - source.trim_ascii_start().len();
    // On the next line of a quotation, its mark comes first.
    let quoted = source[..space].contains('\n');
    let start = source.find(|c: char| !(c.is_ascii_whitespace() || (quoted && c == '>')))?;
    let pointy = source[start..].starts_with('<');
    let start = start + usize::from(pointy);
    let mut depth = 0;
    let mut escaped = false;
    for (at, byte) in source.bytes().enumerate().skip(start) {
        match byte {
            _ if escaped => {
                escaped = false;
                continue;
            }
            b'\\' => escaped = true,
            b'>' if pointy => return Some(start..at),
            _ if pointy => {}
            b'(' => depth += 1,
            b')' if depth == 0 => return Some(start..at),
            b')' => depth -= 1,
            _ if byte.is_ascii_whitespace() => return Some(start..at),
            _ => {}
        }
    }
    (!pointy).then_some(start..source.len())
}

/// The parts of a wiki link, as ranges within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WikiText {
    /// [`LinkKind::Wiki`] or [`LinkKind::Embed`].
    pub kind: LinkKind,
    /// The target, with its fragment.
    pub target: Range<usize>,
    /// The title, if the link has one.
    pub title: Option<Range<usize>>,
}

/// Splits `[[one|other]]` or `![[one|other]]`. `None` if the text isn't such a link or contains a line break.
pub fn wiki_text(link: &str, style: LinkStyle) -> Option<WikiText> {
    let (kind, opening) =
        if link.starts_with('!') { (LinkKind::Embed, 3) } else { (LinkKind::Wiki, 2) };
    let body = link.get(opening..link.len().checked_sub(2)?)?;
    if body.contains(['\n', '\r']) {
        return None;
    }
    let Some((one, other)) = body.split_once('|') else {
        let target = trimmed(body, opening);
        return Some(WikiText { kind, target, title: None });
    };
    let behind = opening + one.len() + 1;
    // In a table, the bar has to be escaped.
    let one = trimmed(one.strip_suffix('\\').unwrap_or(one), opening);
    let other = trimmed(other, behind);
    let (target, title) = match style {
        LinkStyle::TargetFirst => (one, other),
        LinkStyle::TitleFirst => (other, one),
    };
    Some(WikiText { kind, target, title: Some(title) })
}

/// The title of a wiki link that the parser misreads: the other side or, in a table, both sides together.
/// `is_divided` is true if the parser has split the link at a bar. `None` if the parser's reading is right.
pub fn shown_title(link: &str, style: LinkStyle, is_divided: bool) -> Option<&str> {
    if is_divided && style == LinkStyle::TargetFirst {
        return None;
    }
    let title = wiki_text(link, style)?.title?;
    link.get(title)
}

/// The range of the text without surrounding spaces; `start` is its position with them.
fn trimmed(text: &str, start: usize) -> Range<usize> {
    let start = start + (text.len() - text.trim_start().len());
    start..start + text.trim().len()
}
