//! What may be in the HTML of a page.

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

/// The elements that stay. Of others what is in them stays, unless it is a script or a style.
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

/// The attributes that stay. Which `class` and `id` do is [`keep`]'s to say.
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

/// The classes that we or the Markdown writer give, besides those of code.
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

/// What links say of where they lead: we don't vouch for it, and it gets no hold of our window.
const REL: &str = "nofollow noopener";

/// So often the time is looked at: once in so many bytes that are written.
const LOOK: usize = 4096;

/// `html`, cleaned by a cleaner that knows `marker`. What is said of links is taken back from those that
/// stay on this host. `None` if the result is too large, or takes too long to write.
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
    // Browsers know `#top` where no element has that name.
    let top = format!(" href=\"#{PREFIX}top\"");
    let has_top = cleaned.contains(&format!(" id=\"{PREFIX}top\""));
    let mut kept = String::with_capacity(cleaned.len());
    let mut rest = cleaned.as_str();
    // What was cleaned has `<` and `>` around its elements only, so this begins one wherever it occurs.
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
            // An anchor leads nowhere.
            kept.push_str(&tag.replacen(&said, "", 1));
        }
        rest = after;
    }
    kept.push_str(rest);
    // Whoever knows it could write ids of any name. It is in no HTML that is taken apart rightly.
    Some(if kept.contains(marker) { kept.replace(marker, "") } else { kept })
}

/// HTML as the cleaner reads it, a few kilobytes at a time. It ends with an error when reading it takes too
/// long: some HTML costs the parser the square of its length, such as a tag with many attributes.
struct Read<'a> {
    html: &'a [u8],
    /// The processor time of this thread at which it ends.
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

/// Cleaned HTML as it is written. It ends with an error when it becomes too large or takes too long.
struct Written {
    html: Vec<u8>,
    /// As that of [`Read`].
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

/// Whether a browser that shows a page of this host stays on it when it follows an address.
///
/// The address is read as browsers read it: they ignore tabs and line breaks anywhere in it and controls
/// and spaces around it, and take backslashes for slashes.
fn stays(address: &str) -> bool {
    let Ok(here) = Url::parse("https://here.invalid/w/") else { return false };
    // With a scheme it leads away, even if it names this host: which that is isn't known here.
    let is_relative = Url::parse(address) == Err(ParseError::RelativeUrlWithoutBase);
    is_relative && here.join(address).is_ok_and(|there| there.origin() == here.origin())
}

/// A cleaner that knows ids of ours by `marker`.
pub(super) fn new(marker: String) -> ammonia::Builder<'static> {
    let mut builder = ammonia::Builder::default();
    let attributes: HashMap<_, HashSet<_>> =
        ATTRIBUTES.iter().map(|(tag, names)| (*tag, names.iter().copied().collect())).collect();
    builder
        .tags(TAGS.iter().copied().collect())
        .tag_attributes(attributes)
        .generic_attributes(HashSet::from(["dir", "id", "lang"]))
        .url_schemes(HashSet::from(["http", "https", "mailto", "tel"]))
        // Whatever somebody writes as HTML, an input is the box of a task, and does nothing.
        .set_tag_attribute_value("input", "type", "checkbox")
        .set_tag_attribute_value("input", "disabled", "")
        .link_rel(Some(REL))
        .attribute_filter(move |_, name, value| keep(name, value, &marker));
    builder
}

/// What is left of an attribute.
fn keep<'a>(name: &str, value: &'a str, marker: &str) -> Option<Cow<'a, str>> {
    match name {
        "id" => value.strip_prefix(marker).map(|id| format!("{PREFIX}{id}").into()),
        "class" => (CLASSES.contains(&value) || is_language(value)).then_some(value.into()),
        // The marker before an address says that it stays on this host, until `clean` has seen it.
        "href" => match value.trim().strip_prefix('#') {
            Some(fragment) => Some(format!("{marker}{}", on_this_page(fragment, marker)).into()),
            None if stays(value) => Some(format!("{marker}{value}").into()),
            None => Some(value.into()),
        },
        _ => Some(value.into()),
    }
}

/// The address of a place on this page.
fn on_this_page(fragment: &str, marker: &str) -> String {
    if let Some(id) = fragment.strip_prefix(marker) {
        return format!("#{PREFIX}{id}");
    }
    let anchor = anchor(&percent_decode_str(fragment).decode_utf8_lossy());
    match anchor.as_str() {
        // Without a name it is the beginning of the page.
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
