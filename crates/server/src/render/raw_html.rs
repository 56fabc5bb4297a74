//! Prepares an author's HTML for the cleaner.
//!
//! The cleaner reads the page as a browser would. Some elements change how all following text is parsed, up to
//! swallowing it, and so does an unclosed tag or comment. Their angle brackets become text, as in GitHub's tag filter.
//! The remaining markup is complete, so that none of our tags ends up in an attribute.

use percent_encoding::percent_decode_str;

use super::formatting::Mark;

/// Elements whose content, or what follows them, isn't read as HTML.
const FILTERED: &[&str] = &[
    "frameset",
    "iframe",
    "math",
    "noembed",
    "noframes",
    "noscript",
    "plaintext",
    "script",
    "select",
    "style",
    "svg",
    "template",
    "textarea",
    "title",
    "xmp",
];

/// Filtered HTML, which can't swallow the text around it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Filtered {
    pub(super) html: String,
    /// True if the last link in it stays open; `None` without links.
    pub(super) leaves_link_open: Option<bool>,
    /// Its tags that open or close elements of formatting.
    pub(super) marks: Vec<Mark>,
}

/// Filters an HTML block, or a tag within text. `id` is called with the name of each anchor and returns the id of the
/// element, if it gets one.
pub(super) fn filter(html: &str, mut id: impl FnMut(&str) -> Option<String>) -> Filtered {
    let mut filtered = Filtered { html: String::with_capacity(html.len()), ..Filtered::default() };
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let (text, markup) = rest.split_at(at);
        filtered.html.push_str(text);
        rest = match Markup::at(markup) {
            Markup::Open => {
                filtered.html.push_str(&markup.replace('<', "&lt;"));
                return filtered;
            }
            Markup::Text => {
                filtered.html.push_str("&lt;");
                &markup[1..]
            }
            Markup::Whole(end) => {
                filtered.html.push_str(&markup[..end]);
                &markup[end..]
            }
            Markup::Tag(tag) => {
                filtered.push_tag(&markup[..tag.end], &tag, &mut id);
                &markup[tag.end..]
            }
        };
    }
    filtered.html.push_str(rest);
    filtered
}

impl Filtered {
    fn push_tag(
        &mut self,
        source: &str,
        tag: &Tag<'_>,
        id: &mut impl FnMut(&str) -> Option<String>,
    ) {
        self.marks.extend(Mark::of(tag.name, tag.closes));
        let is_link = tag.name.eq_ignore_ascii_case("a");
        if is_link && (tag.closes || tag.has_href) {
            self.leaves_link_open = Some(!tag.closes);
        }
        let anchor = tag.id.or(tag.anchor.filter(|_| is_link)).filter(|_| !tag.closes);
        let anchor = anchor.map(|anchor| percent_decode_str(anchor).decode_utf8_lossy());
        let Some(id) = anchor.and_then(|anchor| id(&anchor)) else {
            self.html.push_str(source);
            return;
        };
        // The first attribute of a name counts.
        let (name, attributes) = source.split_at(1 + tag.name.len());
        self.html.push_str(&format!("{name} id=\"{id}\"{attributes}"));
    }
}

/// The markup at an angle bracket, as the HTML standard tokenises it (section 13.2.5).
enum Markup<'a> {
    /// No markup.
    Text,
    /// An unclosed tag or comment.
    Open,
    /// A comment, or markup that is parsed as one, up to this byte.
    Whole(usize),
    Tag(Tag<'a>),
}

impl<'a> Markup<'a> {
    fn at(markup: &'a str) -> Self {
        let inside = &markup[1..];
        let whole = |end: Option<usize>| end.map_or(Self::Open, Self::Whole);
        if let Some(comment) = inside.strip_prefix("!--") {
            return whole(comment_end(comment).map(|end| end + 4));
        }
        let name = inside.strip_prefix('/').unwrap_or(inside);
        if name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Self::tag(markup, name);
        }
        if inside.starts_with(['!', '?', '/']) {
            return whole(markup.find('>').map(|end| end + 1));
        }
        Self::Text
    }

    fn tag(markup: &'a str, name: &'a str) -> Self {
        let end = name.find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>'));
        let name = &name[..end.unwrap_or(name.len())];
        if FILTERED.iter().any(|filtered| name.eq_ignore_ascii_case(filtered)) {
            return Self::Text;
        }
        Tag::new(markup, name).map_or(Self::Open, Self::Tag)
    }
}

/// The end of a comment; `comment` begins after its `<!--`.
fn comment_end(comment: &str) -> Option<usize> {
    let ends = |before: &str| match before {
        "" | "-" => true,
        before => before.ends_with("--") || before.ends_with("--!"),
    };
    let mut closing = comment.match_indices('>').map(|(at, _)| at);
    closing.find(|at| ends(&comment[..*at])).map(|at| at + 1)
}

struct Tag<'a> {
    name: &'a str,
    closes: bool,
    id: Option<&'a str>,
    /// The attribute `name`, which makes a link an anchor.
    anchor: Option<&'a str>,
    has_href: bool,
    end: usize,
}

impl<'a> Tag<'a> {
    /// Parses the tag at the beginning of `markup`. `None` if it isn't closed.
    fn new(markup: &'a str, name: &'a str) -> Option<Self> {
        let closes = markup.starts_with("</");
        let mut tag = Self { name, closes, id: None, anchor: None, has_href: false, end: 0 };
        let mut rest = &markup[1 + usize::from(closes) + name.len()..];
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
            if let Some(after) = rest.strip_prefix('>') {
                tag.end = markup.len() - after.len();
                return Some(tag);
            }
            let (name, value, after) = attribute(rest)?;
            rest = after;
            match name {
                name if name.eq_ignore_ascii_case("id") => tag.id = tag.id.or(Some(value)),
                name if name.eq_ignore_ascii_case("name") => {
                    tag.anchor = tag.anchor.or(Some(value))
                }
                name => tag.has_href |= name.eq_ignore_ascii_case("href"),
            }
        }
    }
}

/// Parses an attribute at the beginning of a text: its name, its value, and the rest.
fn attribute(text: &str) -> Option<(&str, &str, &str)> {
    // A leading equals sign is part of the name.
    let ends = |c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>' | '=');
    let first = text.chars().next()?.len_utf8();
    let end = first + text[first..].find(ends)?;
    let (name, rest) = text.split_at(end);
    let Some(value) = rest.trim_ascii_start().strip_prefix('=') else {
        return Some((name, "", rest));
    };
    let value = value.trim_ascii_start();
    if let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let (value, after) = value[1..].split_once(quote)?;
        return Some((name, value, after));
    }
    let end = value.find(|c: char| c.is_ascii_whitespace() || c == '>')?;
    Some((name, &value[..end], &value[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(html: &str) -> String {
        filter(html, |name| (name != "none").then(|| format!("m-{name}"))).html
    }

    #[test]
    fn what_changes_how_the_rest_is_read_is_text() {
        for name in FILTERED {
            let upper = name.to_uppercase();
            assert_eq!(
                filtered(&format!("<{name}>a</{name}>")),
                format!("&lt;{name}>a&lt;/{name}>")
            );
            assert_eq!(filtered(&format!("<{upper} a=b/>")), format!("&lt;{upper} a=b/>"));
            assert_eq!(filtered(&format!("<{name}x>")), format!("<{name}x>"));
        }
        assert_eq!(filtered("<script src='<b>'>"), "&lt;script src='<b>'>");
    }

    #[test]
    fn what_is_left_open_is_text() {
        for text in [
            "<!-- a",
            "<!--a->",
            "<!a",
            "<?a",
            "</",
            "<a",
            "<a href='",
            "<a href='>",
            "<a b=\"c>",
            "<a b=c",
            "<div lang='<b>x</b>",
            "</p a",
            "<a b = '>",
        ] {
            assert_eq!(
                filtered(&format!("<b>x</b>{text}")),
                format!("<b>x</b>{}", text.replace('<', "&lt;"))
            );
        }
        for text in [
            "<!-->",
            "<!--->",
            "<!-- a --!>",
            "<!---->",
            "<b a='>' c>",
            "<b =a>",
            "<b/>",
            "<b a=\">\"/>",
        ] {
            assert_eq!(filtered(text), text);
        }
        // A browser ends these at the first angle bracket, Markdown doesn't.
        assert_eq!(filtered("<? > <b lang='?>"), "<? > &lt;b lang='?>");
        assert_eq!(filtered("<![CDATA[ > <b lang=' ]]>"), "<![CDATA[ > &lt;b lang=' ]]>");
        assert_eq!(filtered("a < b <3"), "a &lt; b &lt;3");
    }

    #[test]
    fn anchors_get_ids() {
        for (html, expected) in [
            ("<a name=\"x\"></a>", "<a id=\"m-x\" name=\"x\"></a>"),
            ("<A ID=x NAME=y>", "<A id=\"m-x\" ID=x NAME=y>"),
            ("<a href=y\nname = 'x z'>", "<a id=\"m-x z\" href=y\nname = 'x z'>"),
            ("<a/name=x/>", "<a id=\"m-x/\"/name=x/>"),
            ("<p id=%C3%A4>", "<p id=\"m-ä\" id=%C3%A4>"),
            ("<p name=x>", "<p name=x>"),
            ("<a name=none>", "<a name=none>"),
            ("</a name=x>", "</a name=x>"),
        ] {
            assert_eq!(filtered(html), expected);
        }
    }

    #[test]
    fn links_that_are_left_open_are_told() {
        for (html, open) in [
            ("<b>", None),
            ("<a name=x>", None),
            ("<a href=x>", Some(true)),
            ("<a href=x></a>", Some(false)),
        ] {
            assert_eq!(filter(html, |_| None).leaves_link_open, open);
        }
    }
}
