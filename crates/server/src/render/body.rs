//! Converts the Markdown of a page to events with resolved links and headings with anchors.

use std::collections::HashSet;
use std::ops::Range;

use percent_encoding::percent_decode_str;
use pulldown_cmark::{
    Alignment, BlockQuoteKind, CodeBlockKind, CowStr, Event, HeadingLevel, LinkType, Tag, TagEnd,
};
use wikigrove_tenant::storage::Resolved;
use wikigrove_tenant::storage::links::{
    LinkKind, MarkdownSource, Target, is_contents_tag, resolve, shown_title, wiki_text,
};

use super::autolinks::{self, Part};
use super::formatting::Unclosed;
use super::headings::{Anchors, Heading, PREFIX, anchor};
use super::raw_html;
use super::{Context, RenderedLink, contents, escape, limits};

/// The events to write, and the metadata of the page.
pub(super) struct Body<'a> {
    pub(super) events: Vec<Event<'a>>,
    pub(super) headings: Vec<Heading>,
    pub(super) links: Vec<RenderedLink>,
}

/// Why a page isn't shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TooMuch {
    /// It would cost too much.
    Ever,
    /// It costs more than small pages do.
    ForSmall,
}

/// Reads a page. Ids begin with `marker`.
///
/// # Errors
/// [`TooMuch::ForSmall`] only if `is_small` says that the page should be small.
pub(super) fn transform<'a>(
    source: &'a MarkdownSource<'_>,
    context: &Context<'_>,
    marker: &str,
    is_small: bool,
) -> Result<Body<'a>, TooMuch> {
    let mut state = State {
        text: source.body(),
        context,
        marker,
        body: Body { events: Vec::new(), headings: Vec::new(), links: Vec::new() },
        pending: String::new(),
        is_code: false,
        html_block: None,
        is_in_raw_link: false,
        contents: None,
        seen: HashSet::new(),
        resolved: 0,
        addresses: 0,
        anchors: Anchors::default(),
        heading: None,
        open: Vec::new(),
        images: 0,
        hidden: None,
        table: Table::default(),
        depth: 0,
        tags: 0,
        elements: 0,
        unclosed: Unclosed::default(),
        elements_before: 0,
        opened_anew: 0,
        before_table: None,
        undivided: 0,
        whole: 0,
        escapes: 0,
    };
    for (event, range) in source.parser().into_offset_iter() {
        state.hear(source.reveal_event(event), range);
        state.note_opened_anew();
        if state.is_too_much() {
            return Err(TooMuch::Ever);
        }
        if is_small && state.cost() > limits::SMALL_TAGS_TIMES_ELEMENTS {
            return Err(TooMuch::ForSmall);
        }
    }
    state.flush();
    state.put_contents();
    Ok(state.body)
}

struct State<'a, 'c> {
    text: &'a str,
    context: &'c Context<'c>,
    marker: &'c str,
    body: Body<'a>,
    /// Text whose URLs will become links at the next other event. The parser splits text at characters that occur in
    /// URLs, too.
    pending: String,
    /// True within a code block.
    is_code: bool,
    /// The HTML block that is being read.
    html_block: Option<String>,
    /// True after an `<a>` in HTML that isn't closed yet.
    is_in_raw_link: bool,
    /// The position of the table of contents in the events.
    contents: Option<usize>,
    /// The links that are in `body.links`.
    seen: HashSet<RenderedLink>,
    /// Number of resolved links.
    resolved: usize,
    /// Total size of their URLs, in bytes.
    addresses: usize,
    anchors: Anchors,
    heading: Option<OpenHeading>,
    /// The open links, with their end tags.
    open: Vec<Closing>,
    /// Number of open images. Their text has no elements.
    images: usize,
    /// The depth of the link whose content is hidden.
    hidden: Option<usize>,
    table: Table,
    depth: usize,
    /// Number of HTML start tags in the text so far.
    tags: usize,
    /// Number of elements so far.
    elements: usize,
    /// The elements of formatting that are open.
    unclosed: Unclosed,
    /// The elements before the last event.
    elements_before: usize,
    /// The elements that the cleaner will add because of those that are open.
    opened_anew: usize,
    /// Number of the page's elements before the first tag of HTML that may leave a table open.
    before_table: Option<usize>,
    /// Bytes of text since the last element or comment.
    undivided: usize,
    /// Bytes of HTML, of attributes and of other text that isn't divided, and number of characters in them that have to
    /// be escaped.
    whole: u64,
    escapes: u64,
}

struct OpenHeading {
    /// The index of its first event.
    at: usize,
    text: String,
}

#[derive(Default)]
struct Table {
    alignments: Vec<Alignment>,
    column: usize,
    in_head: bool,
}

enum Closing {
    /// The Markdown writer's end tag.
    Markdown(Content),
    /// An `</a>` of our own.
    Anchor(Content),
    /// The link is shown as text, without an end tag.
    Nothing,
}

/// The content of a link.
struct Content {
    /// The index of its first event.
    at: usize,
    /// The text for a link without content.
    or: String,
}

impl<'a> State<'a, '_> {
    /// Returns `true` if the page exceeds a limit.
    fn is_too_much(&self) -> bool {
        self.depth > limits::DEPTH
            || self.elements > limits::ELEMENTS
            || self
                .before_table
                .is_some_and(|before| self.elements - before > limits::ELEMENTS_AFTER_TABLE)
            || self.body.headings.len() > limits::HEADINGS
            || self.cost() > limits::TAGS_TIMES_ELEMENTS
            || self.opened_anew > limits::OPENED_ANEW
            || self.escapes.saturating_mul(self.whole) > limits::ESCAPES_TIMES_TEXT
    }

    /// About what the cleaner has to do.
    fn cost(&self) -> usize {
        self.tags.saturating_mul(self.elements)
    }

    /// Counts the elements that are opened anew in those of the last event.
    fn note_opened_anew(&mut self) {
        let elements = self.elements - std::mem::replace(&mut self.elements_before, self.elements);
        let opened = elements.saturating_mul(self.unclosed.take_most());
        self.opened_anew = self.opened_anew.saturating_add(opened);
    }

    /// Counts text that stays one piece.
    fn note_whole(&mut self, text: &str) {
        let is_escaped = |byte: &u8| matches!(byte, b'&' | 0xC2);
        self.whole += text.len() as u64;
        self.escapes += text.bytes().filter(|byte| is_escaped(byte)).count() as u64;
    }

    fn hear(&mut self, event: Event<'a>, range: Range<usize>) {
        if let Some(depth) = self.hidden {
            match event {
                Event::Start(_) => self.depth += 1,
                Event::End(_) if self.depth > depth => self.depth -= 1,
                Event::End(end) => {
                    self.hidden = None;
                    self.end(end);
                }
                _ => {}
            }
            return;
        }
        if let Event::Text(text) = &event
            && self.may_have_addresses()
        {
            self.pending.push_str(text);
            return;
        }
        self.flush();
        match event {
            Event::Start(tag) => self.start(tag, &range),
            Event::End(end) => self.end(end),
            Event::Html(html) => match &mut self.html_block {
                Some(block) => block.push_str(&html),
                None => self.html(&html, Event::Html),
            },
            Event::InlineHtml(html) if self.images == 0 => self.html(&html, Event::InlineHtml),
            Event::FootnoteReference(name) => {
                self.elements += 2;
                self.note_whole(&name);
                let name = self.footnote(&name);
                self.body.events.push(Event::FootnoteReference(name));
            }
            Event::InlineMath(formula) => self.formula("math math-inline", &format!("${formula}$")),
            Event::DisplayMath(formula) => {
                self.formula("math math-display", &format!("$${formula}$$"));
            }
            Event::Text(text) => self.text(text),
            event => {
                self.note_text(&event);
                self.elements += usize::from(event != Event::SoftBreak);
                self.body.events.push(event);
            }
        }
    }

    fn may_have_addresses(&self) -> bool {
        !self.is_code && self.open.is_empty() && !self.is_in_raw_link
    }

    /// Writes the pending text, with its URLs as links.
    fn flush(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        for part in autolinks::parts(&pending) {
            let (link_type, address, shown) = match part {
                Part::Url(url) => (LinkType::Autolink, url.to_owned(), url),
                Part::Www(url) => (LinkType::Autolink, format!("http://{url}"), url),
                Part::Mail(address) => (LinkType::Email, address.to_owned(), address),
                Part::Text(text) => {
                    self.text(text.to_owned().into());
                    continue;
                }
            };
            self.resolved += 1;
            if self.resolved > limits::LINKS {
                self.text(shown.to_owned().into());
                continue;
            }
            self.elements += 1;
            self.note_whole(&address);
            let (dest_url, title, id) = (address.into(), "".into(), "".into());
            self.body.events.push(Event::Start(Tag::Link { link_type, dest_url, title, id }));
            self.undivided = 0;
            self.text(shown.to_owned().into());
            self.undivided = 0;
            self.body.events.push(Event::End(TagEnd::Link));
        }
    }

    /// The source of a formula, for a program that displays formulas.
    fn formula(&mut self, class: &str, formula: &str) {
        self.elements += 1;
        self.undivided = 0;
        self.raw(format!("<span class=\"{class}\">"));
        self.text(formula.to_owned().into());
        self.raw("</span>");
        self.undivided = 0;
    }

    /// The id of a footnote, whose name is case-insensitive.
    fn footnote(&self, name: &str) -> CowStr<'a> {
        format!("{}fn-{}", self.marker, name.to_lowercase()).into()
    }

    /// Writes text; long text is divided by comments. The cleaner removes the comments and leaves short text nodes,
    /// which are faster to write than a long one (see [`limits::ESCAPES_TIMES_TEXT`]).
    fn text(&mut self, text: CowStr<'a>) {
        if text.is_empty() {
            return;
        }
        self.undivided += text.len();
        if let Some(heading) = &mut self.heading {
            heading.text.push_str(&text);
        }
        if self.images > 0 {
            self.note_whole(&text);
        }
        if self.undivided <= limits::TEXT_NODE || self.images > 0 {
            self.body.events.push(Event::Text(text));
            return;
        }
        let mut rest = &*text;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.floor_char_boundary(limits::TEXT_NODE));
            self.raw("<!---->");
            self.body.events.push(Event::Text(piece.to_owned().into()));
            (self.undivided, rest) = (piece.len(), after);
        }
    }

    fn start(&mut self, tag: Tag<'a>, range: &Range<usize>) {
        self.depth += 1;
        self.elements += 1;
        self.undivided = 0;
        match tag {
            Tag::Link { link_type, dest_url, title, id } => {
                let kind = if is_wiki(link_type) { LinkKind::Wiki } else { LinkKind::Link };
                let tag =
                    Tag::Link { link_type, dest_url: dest_url.clone(), title: title.clone(), id };
                self.link(kind, tag, dest_url, &title, range);
            }
            Tag::Image { link_type, dest_url, title, id } => {
                let kind = if is_wiki(link_type) { LinkKind::Embed } else { LinkKind::Image };
                let tag =
                    Tag::Image { link_type, dest_url: dest_url.clone(), title: title.clone(), id };
                self.link(kind, tag, dest_url, &title, range);
            }
            Tag::FootnoteDefinition(name) => {
                self.note_whole(&name);
                let name = self.footnote(&name);
                self.body.events.push(Event::Start(Tag::FootnoteDefinition(name)));
            }
            Tag::Heading { .. } => {
                self.heading =
                    Some(OpenHeading { at: self.body.events.len(), text: String::new() });
                self.body.events.push(Event::Start(tag));
            }
            Tag::CodeBlock(kind) => {
                self.is_code = true;
                if let CodeBlockKind::Fenced(language) = &kind {
                    self.note_whole(language);
                }
                self.body.events.push(Event::Start(Tag::CodeBlock(kind)));
            }
            Tag::HtmlBlock => {
                self.html_block = Some(String::new());
                self.body.events.push(Event::Start(Tag::HtmlBlock));
            }
            Tag::BlockQuote(Some(kind)) => {
                self.elements += 1;
                self.body.events.push(Event::Start(Tag::BlockQuote(Some(kind))));
                self.raw(alert_title(kind));
            }
            Tag::Table(alignments) => {
                self.table = Table { alignments, ..Table::default() };
                self.raw("<table>");
            }
            Tag::TableHead => {
                self.table = Table { in_head: true, column: 0, ..std::mem::take(&mut self.table) };
                self.raw("<thead><tr>");
            }
            Tag::TableRow => {
                self.table.column = 0;
                self.raw("<tr>");
            }
            Tag::TableCell => self.cell(),
            tag => self.body.events.push(Event::Start(tag)),
        }
    }

    fn end(&mut self, end: TagEnd) {
        self.depth = self.depth.saturating_sub(1);
        self.undivided = 0;
        match end {
            TagEnd::Link | TagEnd::Image => match self.open.pop() {
                Some(Closing::Markdown(content)) => {
                    if end == TagEnd::Image {
                        self.images -= 1;
                    } else {
                        self.fill(content);
                    }
                    self.body.events.push(Event::End(end));
                }
                Some(Closing::Anchor(content)) => {
                    self.fill(content);
                    self.raw("</a>");
                }
                Some(Closing::Nothing) | None => {}
            },
            TagEnd::CodeBlock => {
                self.is_code = false;
                self.body.events.push(Event::End(end));
            }
            TagEnd::HtmlBlock => {
                let block = self.html_block.take().unwrap_or_default();
                self.html(&block, Event::Html);
                self.is_in_raw_link = false;
                self.body.events.push(Event::End(end));
            }
            TagEnd::Paragraph | TagEnd::Item => {
                self.is_in_raw_link = false;
                self.body.events.push(Event::End(end));
            }
            TagEnd::Heading(level) => {
                self.is_in_raw_link = false;
                self.end_heading(level);
                self.body.events.push(Event::End(end));
            }
            TagEnd::Table => self.raw("</tbody></table>\n"),
            TagEnd::TableHead => {
                self.table.in_head = false;
                self.raw("</tr></thead><tbody>\n");
            }
            TagEnd::TableRow => self.raw("</tr>\n"),
            TagEnd::TableCell => {
                self.is_in_raw_link = false;
                self.raw(if self.table.in_head { "</th>" } else { "</td>" });
            }
            end => self.body.events.push(Event::End(end)),
        }
    }

    /// The Markdown writer aligns by inline styles, which a strict policy of the surrounding page forbids.
    fn cell(&mut self) {
        let alignment = self.table.alignments.get(self.table.column);
        self.table.column += 1;
        self.raw(match (self.table.in_head, alignment) {
            (true, Some(Alignment::Left)) => "<th align=\"left\">",
            (true, Some(Alignment::Center)) => "<th align=\"center\">",
            (true, Some(Alignment::Right)) => "<th align=\"right\">",
            (true, _) => "<th>",
            (false, Some(Alignment::Left)) => "<td align=\"left\">",
            (false, Some(Alignment::Center)) => "<td align=\"center\">",
            (false, Some(Alignment::Right)) => "<td align=\"right\">",
            (false, _) => "<td>",
        });
    }

    fn end_heading(&mut self, level: HeadingLevel) {
        let Some(OpenHeading { at, text }) = self.heading.take() else { return };
        let text = text.trim().to_owned();
        let anchor = self.anchors.next(&text);
        if let Some(at) = self.anchors.displaced(&anchor)
            && let Some(Event::Html(html) | Event::InlineHtml(html)) = self.body.events.get_mut(at)
        {
            let id = format!(" id=\"{}{anchor}\"", self.marker);
            *html = html.replacen(&id, "", 1).into();
        }
        if let Some(Event::Start(Tag::Heading { id, .. })) = self.body.events.get_mut(at) {
            *id = Some(format!("{}{anchor}", self.marker).into());
        }
        let id = format!("{PREFIX}{anchor}");
        self.body.headings.push(Heading { level: level as u8, text, id });
    }

    /// Collects the text of inline elements that may occur in a heading.
    fn note_text(&mut self, event: &Event<'_>) {
        if let Event::Code(text) = event {
            self.note_whole(text);
        }
        let Some(heading) = &mut self.heading else { return };
        match event {
            Event::Code(text) => heading.text.push_str(text),
            Event::SoftBreak | Event::HardBreak => heading.text.push(' '),
            _ => {}
        }
    }

    fn link(
        &mut self,
        kind: LinkKind,
        tag: Tag<'a>,
        destination: CowStr<'a>,
        title: &str,
        range: &Range<usize>,
    ) {
        let source = self.text.get(range.clone()).filter(|_| is_wiki(tag_type(&tag)));
        let wiki = source.and_then(|source| Some((source, wiki_text(source, self.context.style)?)));
        let destination = match &wiki {
            Some((source, wiki)) => CowStr::from(&source[wiki.target.clone()]),
            None => destination,
        };
        if kind == LinkKind::Wiki && is_contents_tag(&destination) {
            self.begin_contents();
            return;
        }
        let tag_link = tag_type(&tag);
        self.note_whole(&destination);
        self.note_whole(title);
        self.resolved += 1;
        let written_title = wiki.as_ref().and_then(|(_, wiki)| wiki.title.clone());
        let is_untitled = written_title.is_some_and(|title| title.is_empty());
        let target = match self.resolved {
            0..=limits::LINKS if !is_address(&tag) => {
                resolve(self.context.page, kind, &destination)
            }
            _ => None,
        };
        let closing = match target {
            _ if self.images > 0 => Closing::Nothing,
            Some(target) => self.inner(kind, tag, (&target, is_untitled), title),
            None => self.other(kind, tag, &destination),
        };
        self.open.push(closing);
        let is_divided = tag_link == LinkType::WikiLink { has_pothole: true };
        let title = source.and_then(|source| shown_title(source, self.context.style, is_divided));
        if let Some(title) = title {
            self.text(title.into());
            self.hidden = Some(self.depth);
        }
    }

    /// A placeholder for the table of contents; only the first one is filled.
    fn begin_contents(&mut self) {
        if self.contents.is_none() {
            self.contents = Some(self.body.events.len());
            self.raw("");
        }
        self.open.push(Closing::Nothing);
        self.hidden = Some(self.depth);
    }

    fn put_contents(&mut self) {
        let Some(at) = self.contents else { return };
        let is_alone = matches!(self.body.events.get(at + 1), Some(Event::End(TagEnd::Paragraph)));
        if let Some(start) = at.checked_sub(1)
            && is_alone
            && matches!(self.body.events[start], Event::Start(Tag::Paragraph))
        {
            // A list can't be inside a paragraph: browsers would split it into two empty ones.
            self.body.events[start] = Event::Html("".into());
            self.body.events[at + 1] = Event::Html("\n".into());
        }
        if let Some(place) = self.body.events.get_mut(at) {
            *place = Event::Html(contents::list(&self.body.headings).into());
        }
    }

    fn content(&self, or: &str) -> Content {
        Content { at: self.body.events.len(), or: or.to_owned() }
    }

    /// Gives a link without content a text.
    fn fill(&mut self, content: Content) {
        if self.body.events.len() <= content.at {
            self.text(content.or.into());
        }
    }

    /// A link to a target in the wiki.
    fn inner(
        &mut self,
        kind: LinkKind,
        tag: Tag<'a>,
        (target, is_untitled): (&Target, bool),
        title: &str,
    ) -> Closing {
        let base = self.context.base;
        let sought = target.sought(self.context.by_name, is_untitled);
        let Some(resolved) = self.context.found.get(&sought) else { return Closing::Nothing };
        let found = resolved.found();
        let path = found.map_or(target.wished(), |found| found.path.as_str());
        let is_page = found.map_or(kind != LinkKind::Image, |found| found.is_page);
        let mut url = match is_page {
            true => format!("{base}/{}", escape::path(path)),
            false => format!("{base}/api/v1/attachments/{}", escape::path(path)),
        };
        self.addresses += url.len();
        if self.addresses > limits::ADDRESSES {
            return Closing::Nothing;
        }
        let link = RenderedLink::new(path, kind, resolved);
        if self.seen.insert(link.clone()) {
            self.body.links.push(link);
        }
        if let (Tag::Image { link_type, id, .. }, false) = (&tag, is_page) {
            let (link_type, id) = (*link_type, id.clone());
            let title = title.to_owned().into();
            let tag = Tag::Image { link_type, dest_url: url.into(), title, id };
            return self.image(tag);
        }
        if let Some(fragment) = target.fragment_at(path) {
            url = format!("{url}#{PREFIX}{}", escape::path(&anchor(fragment)));
        }
        let (class, said) = match resolved {
            Resolved::Found { .. } => ("wiki-link", ""),
            Resolved::Nothing => ("wiki-link missing", ""),
            Resolved::Several => ("wiki-link missing ambiguous", "Several pages have this name"),
        };
        let title = match title {
            "" if said.is_empty() => String::new(),
            "" => format!(" title=\"{said}\""),
            title => format!(" title=\"{}\"", escape::text(title)),
        };
        self.raw(format!("<a href=\"{url}\" class=\"{class}\"{title}>"));
        let shown = match resolved {
            Resolved::Found { title: Some(title), .. } => title,
            _ => path.rsplit('/').next().unwrap_or(path),
        };
        Closing::Anchor(self.content(shown))
    }

    /// A link to another site, to an anchor on this page, or without a target.
    fn other(&mut self, kind: LinkKind, tag: Tag<'a>, destination: &str) -> Closing {
        let is_image = matches!(kind, LinkKind::Image | LinkKind::Embed);
        if let Some(fragment) = destination.strip_prefix('#')
            && !is_image
        {
            let fragment = match kind {
                LinkKind::Link => percent_decode_str(fragment).decode_utf8_lossy(),
                _ => fragment.into(),
            };
            self.raw(format!("<a href=\"#{}\">", escape::path(&anchor(&fragment))));
            return Closing::Anchor(self.content(&fragment));
        }
        if !is_address(&tag) && !leads_out(destination) {
            return Closing::Nothing;
        }
        let mut tag = tag;
        if let Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } = &mut tag {
            *dest_url = destination.to_owned().into();
        }
        if is_image {
            return self.image(tag);
        }
        self.body.events.push(Event::Start(tag));
        Closing::Markdown(self.content(destination))
    }

    fn image(&mut self, tag: Tag<'a>) -> Closing {
        self.images += 1;
        self.body.events.push(Event::Start(tag));
        Closing::Markdown(self.content(""))
    }

    fn html(&mut self, html: &str, event: fn(CowStr<'a>) -> Event<'a>) {
        let (at, marker, anchors) = (self.body.events.len(), self.marker, &mut self.anchors);
        let id = |name: &str| {
            let anchor = anchor(name);
            anchors.takes(&anchor, at).then(|| format!("{marker}{anchor}"))
        };
        let raw_html::Filtered { html, leaves_link_open, marks } = raw_html::filter(html, id);
        marks.into_iter().for_each(|mark| self.unclosed.note(mark));
        self.is_in_raw_link = leaves_link_open.unwrap_or(self.is_in_raw_link);
        if html.to_ascii_lowercase().contains("<table") {
            self.before_table.get_or_insert(self.elements);
        }
        self.note_whole(&html);
        self.tags += opened(&html);
        self.elements += html.matches('<').count();
        self.body.events.push(event(html.into()));
    }

    fn raw(&mut self, html: impl Into<CowStr<'a>>) {
        // The text of an image can't contain elements.
        if self.images == 0 {
            self.body.events.push(Event::InlineHtml(html.into()));
        }
    }
}

/// Maximum number of tags in `html` that stay open until another tag closes them.
fn opened(html: &str) -> usize {
    const NEVER_OPEN: &[&str] = &["br", "hr", "img", "input", "wbr"];
    let name = |tag: &str| -> String {
        tag.chars()
            .take_while(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect()
    };
    let opens = |tag: &&str| {
        tag.starts_with(|c: char| c.is_ascii_alphabetic())
            && !NEVER_OPEN.contains(&name(tag).as_str())
    };
    html.split('<').skip(1).filter(opens).count()
}

/// The title of an alert, as on GitHub.
fn alert_title(kind: BlockQuoteKind) -> &'static str {
    match kind {
        BlockQuoteKind::Note => "<p class=\"markdown-alert-title\">Note</p>\n",
        BlockQuoteKind::Tip => "<p class=\"markdown-alert-title\">Tip</p>\n",
        BlockQuoteKind::Important => "<p class=\"markdown-alert-title\">Important</p>\n",
        BlockQuoteKind::Warning => "<p class=\"markdown-alert-title\">Warning</p>\n",
        BlockQuoteKind::Caution => "<p class=\"markdown-alert-title\">Caution</p>\n",
    }
}

/// Returns `true` if a destination is a URL with a host, or of another allowed scheme.
fn leads_out(destination: &str) -> bool {
    let starts = |start: &str| {
        destination.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start))
    };
    ["//", "http://", "https://", "mailto:", "tel:"].into_iter().any(starts)
}

/// Returns `true` for `<https://example.org>` and `<ann@example.org>`.
fn is_address(tag: &Tag<'_>) -> bool {
    matches!(tag, Tag::Link { link_type: LinkType::Autolink | LinkType::Email, .. })
}

/// The syntax of a link or an image.
fn tag_type(tag: &Tag<'_>) -> LinkType {
    match tag {
        Tag::Link { link_type, .. } | Tag::Image { link_type, .. } => *link_type,
        _ => LinkType::Inline,
    }
}

fn is_wiki(link_type: LinkType) -> bool {
    matches!(link_type, LinkType::WikiLink { .. })
}
