//! Removes unsafe elements and attributes from the HTML of a page.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io;
use std::time::Duration;

use ammonia::Url;
use ammonia::url::ParseError;
use percent_encoding::percent_decode_str;
use rustix::time::{ClockId, clock_gettime};

use super::headings::{PREFIX, anchor};
use super::{escape, limits};

/// The allowed elements. Others are replaced by their content, except for scripts and styles, which are removed.
const TAGS: &[&str] = &[
    "a",
    "abbr",
    "b",
    "bdi",
    "bdo",
    "blockquote",
    "br",
    "caption",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "del",
    "details",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "figcaption",
    "figure",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "input",
    "ins",
    "kbd",
    "li",
    "mark",
    "ol",
    "p",
    "pre",
    "q",
    "rp",
    "rt",
    "ruby",
    "s",
    "samp",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "summary",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "time",
    "tr",
    "tt",
    "u",
    "ul",
    "var",
    "wbr",
];

/// The allowed attributes. Values of `class` and `id` are checked by [`keep`].
const ATTRIBUTES: &[(&str, &[&str])] = &[
    ("a", &["class", "href", "title"]),
    ("abbr", &["title"]),
    ("blockquote", &["class"]),
    ("code", &["class"]),
    ("details", &["open"]),
    ("div", &["class"]),
    ("img", &["alt", "height", "src", "title", "width"]),
    ("input", &["checked"]),
    ("ol", &["start"]),
    ("p", &["class"]),
    ("span", &["class"]),
    ("sup", &["class"]),
    ("td", &["align", "colspan", "rowspan"]),
    ("th", &["align", "colspan", "rowspan", "scope"]),
];

/// The classes that we or the Markdown writer set, besides those of code.
const CLASSES: &[&str] = &[
    "wiki-link",
    "wiki-link missing",
    "wiki-link missing ambiguous",
    "footnote-definition",
    "footnote-definition-label",
    "footnote-reference",
    "markdown-alert-note",
    "markdown-alert-tip",
    "markdown-alert-important",
    "markdown-alert-warning",
    "markdown-alert-caution",
    "markdown-alert-title",
    "math math-inline",
    "math math-display",
    "toc",
];

/// The `rel` of external links: no endorsement for search engines, and no access to our window.
const REL: &str = "nofollow noopener";

/// Interval of time checks, in written bytes.
const LOOK: usize = 4096;

/// Cleans `html` with a cleaner that knows `marker`, and removes `rel` from links to this host. `None` if the result is
/// too large, or takes too long.
pub(super) fn clean(cleaner: &ammonia::Builder<'_>, marker: &str, html: &str) -> Option<String> {
    if html.len() > limits::HTML {
        return None;
    }
    let until = used() + limits::CLEANING;
    let mut written = Written { html: Vec::with_capacity(html.len()), until };
    let read = Read { html: html.as_bytes(), until };
    cleaner.clean_from_reader(read).ok()?.write_to(&mut written).ok()?;
    let cleaned = String::from_utf8(written.html).ok()?;
    let (stays, said) = (format!(" href=\"{marker}"), format!(" rel=\"{REL}\""));
    // Browsers interpret `#top` if no element has that id.
    let top = format!(" href=\"#{PREFIX}top\"");
    let has_top = cleaned.contains(&format!(" id=\"{PREFIX}top\""));
    let mut kept = String::with_capacity(cleaned.len());
    let mut rest = cleaned.as_str();
    // In cleaned HTML, `<` occurs only at the beginning of an element, so every match is a link.
    while let Some(start) = rest.find("<a ") {
        let (before, after) = rest.split_at(start);
        let (tag, after) = after.split_at(after.find('>').unwrap_or(after.len()));
        kept.push_str(before);
        if tag.contains(&stays) {
            let tag = tag.replacen(&stays, " href=\"", 1).replacen(&said, "", 1);
            kept.push_str(&if has_top { tag } else { tag.replacen(&top, " href=\"#top\"", 1) });
        } else if tag.contains(" href=\"") {
            kept.push_str(tag);
        } else {
            // An anchor has no target, so it needs no `rel`.
            kept.push_str(&tag.replacen(&said, "", 1));
        }
        rest = after;
    }
    kept.push_str(rest);
    // An author who knows the marker could set arbitrary ids. Correct output never contains it.
    Some(if kept.contains(marker) { kept.replace(marker, "") } else { kept })
}

/// A reader that passes HTML to the cleaner in pieces of a few kilobytes. It fails when cleaning takes too long: some
/// HTML takes the parser quadratic time, such as a tag with many attributes.
struct Read<'a> {
    html: &'a [u8],
    /// The deadline, as processor time of this thread.
    until: Duration,
}

impl io::Read for Read<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if used() > self.until {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.html.read(buffer)
    }
}

/// The processor time that this thread has used.
fn used() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// A writer for cleaned HTML. It fails when the output becomes too large or takes too long.
struct Written {
    html: Vec<u8>,
    /// The deadline, as in [`Read`].
    until: Duration,
}

impl io::Write for Written {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let (before, after) = (self.html.len(), self.html.len() + piece.len());
        if after > limits::HTML {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if before / LOOK != after / LOOK && used() > self.until {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.html.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns `true` if a browser that follows a URL on a page of this host stays on this host.
///
/// URLs are read as browsers do: tabs and line breaks are ignored anywhere, controls and spaces at the ends, and
/// backslashes count as slashes.
fn stays(address: &str) -> bool {
    let Ok(here) = Url::parse("https://here.invalid/w/") else { return false };
    // Absolute URLs count as external, even to this host, whose name isn't known here.
    let is_relative = Url::parse(address) == Err(ParseError::RelativeUrlWithoutBase);
    is_relative && here.join(address).is_ok_and(|there| there.origin() == here.origin())
}

/// Creates a cleaner that recognises our ids by `marker`.
pub(super) fn new(marker: String) -> ammonia::Builder<'static> {
    let mut builder = ammonia::Builder::default();
    let attributes: HashMap<_, HashSet<_>> =
        ATTRIBUTES.iter().map(|(tag, names)| (*tag, names.iter().copied().collect())).collect();
    builder
        .tags(TAGS.iter().copied().collect())
        .tag_attributes(attributes)
        .generic_attributes(HashSet::from(["dir", "id", "lang"]))
        .url_schemes(HashSet::from(["http", "https", "mailto", "tel"]))
        // Inputs in an author's HTML become disabled checkboxes, as those of task lists.
        .set_tag_attribute_value("input", "type", "checkbox")
        .set_tag_attribute_value("input", "disabled", "")
        .link_rel(Some(REL))
        .attribute_filter(move |_, name, value| keep(name, value, &marker));
    builder
}

/// The safe value of an attribute; `None` removes it.
fn keep<'a>(name: &str, value: &'a str, marker: &str) -> Option<Cow<'a, str>> {
    match name {
        "id" => value.strip_prefix(marker).map(|id| format!("{PREFIX}{id}").into()),
        "class" => (CLASSES.contains(&value) || is_language(value)).then_some(value.into()),
        // The marker before a URL says that it stays on this host; `clean` removes it.
        "href" => match value.trim().strip_prefix('#') {
            Some(fragment) => Some(format!("{marker}{}", on_this_page(fragment, marker)).into()),
            None if stays(value) => Some(format!("{marker}{value}").into()),
            None => Some(value.into()),
        },
        _ => Some(value.into()),
    }
}

/// The URL of an anchor on this page.
fn on_this_page(fragment: &str, marker: &str) -> String {
    if let Some(id) = fragment.strip_prefix(marker) {
        return format!("#{PREFIX}{id}");
    }
    let anchor = anchor(&percent_decode_str(fragment).decode_utf8_lossy());
    match anchor.as_str() {
        // An empty fragment means the top of the page.
        "" => "#".to_owned(),
        anchor => format!("#{PREFIX}{}", escape::path(anchor)),
    }
}

fn is_language(class: &str) -> bool {
    class.strip_prefix("language-").is_some_and(|language| {
        language.len() <= 40
            && language.bytes().all(|b| b.is_ascii_alphanumeric() || b"+#.-_".contains(&b))
    })
}
