//! What may be in the HTML of a page.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::headings::PREFIX;

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
    ("div", &["class", "id"]),
    ("h1", &["id"]),
    ("h2", &["id"]),
    ("h3", &["id"]),
    ("h4", &["id"]),
    ("h5", &["id"]),
    ("h6", &["id"]),
    ("img", &["alt", "height", "src", "title", "width"]),
    ("input", &["checked"]),
    ("ol", &["start"]),
    ("sup", &["class"]),
    ("td", &["align", "colspan", "rowspan"]),
    ("th", &["align", "colspan", "rowspan", "scope"]),
];

/// The classes that we or the Markdown writer give, besides those of code.
const CLASSES: &[&str] = &[
    "wiki-link",
    "wiki-link missing",
    "footnote-definition",
    "footnote-definition-label",
    "footnote-reference",
    "markdown-alert-note",
    "markdown-alert-tip",
    "markdown-alert-important",
    "markdown-alert-warning",
    "markdown-alert-caution",
];

/// What links say of where they lead: we don't vouch for it, and it gets no hold of our window.
const REL: &str = "nofollow noopener";

/// `html`, cleaned. What is said of links is taken back from those that stay on this host.
pub(super) fn clean(cleaner: &ammonia::Builder<'_>, html: &str) -> String {
    const LINK: &str = "<a href=\"";
    let cleaned = cleaner.clean(html).to_string();
    let said = format!(" rel=\"{REL}\"");
    let mut kept = String::with_capacity(cleaned.len());
    let mut rest = cleaned.as_str();
    // What was cleaned has `<` and `>` around its elements only, and quotes in no attribute. So this
    // begins an element wherever it occurs.
    while let Some(start) = rest.find(LINK).map(|at| at + LINK.len()) {
        let (before, after) = rest.split_at(start);
        let (tag, after) = after.split_at(after.find('>').unwrap_or(after.len()));
        kept.push_str(before);
        match tag.split_once(&said).filter(|_| stays(tag)) {
            Some((one, other)) => kept.extend([one, other]),
            None => kept.push_str(tag),
        }
        rest = after;
    }
    kept.push_str(rest);
    kept
}

/// Whether an address is a path, or a place on its page. Browsers take backslashes for slashes.
fn stays(address: &str) -> bool {
    let path = address.strip_prefix('/').is_some_and(|path| !path.starts_with(['/', '\\']));
    path || address.starts_with('#')
}

/// A cleaner that knows ids of ours by `marker`.
pub(super) fn new(marker: String) -> ammonia::Builder<'static> {
    let mut builder = ammonia::Builder::default();
    let attributes: HashMap<_, HashSet<_>> =
        ATTRIBUTES.iter().map(|(tag, names)| (*tag, names.iter().copied().collect())).collect();
    builder
        .tags(TAGS.iter().copied().collect())
        .tag_attributes(attributes)
        .generic_attributes(HashSet::from(["dir", "lang"]))
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
        "href" => match value.strip_prefix('#').and_then(|value| value.strip_prefix(marker)) {
            Some(id) => Some(format!("#{PREFIX}{id}").into()),
            None => Some(value.into()),
        },
        _ => Some(value.into()),
    }
}

fn is_language(class: &str) -> bool {
    class.strip_prefix("language-").is_some_and(|language| {
        language.len() <= 40
            && language.bytes().all(|b| b.is_ascii_alphanumeric() || b"+#.-_".contains(&b))
    })
}
