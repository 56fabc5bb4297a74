//! URLs in text that become links without markup, as on GitHub: those with `http://` or `https://`, those that begin
//! with `www.`, and mail addresses.

use linkify::{LinkFinder, LinkKind};

/// The longest URL that begins with `www.`, in bytes.
const MAX_WWW: usize = 2048;
/// Punctuation of other scripts, which URLs contain in encoded form only.
const ENDS: &[char] =
    &['。', '、', '，', '；', '：', '！', '？', '）', '」', '』', '】', '》', '”', '’'];

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    Text(&'a str),
    /// A URL of another site, with its scheme.
    Url(&'a str),
    /// A URL of another site, without its `http://`.
    Www(&'a str),
    Mail(&'a str),
}

/// Splits a text into URLs and the text between them.
pub(super) fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    if !text.contains("://") && !text.contains('@') {
        www(text, "", &mut parts);
        return parts;
    }
    let mut finder = LinkFinder::new();
    finder.kinds(&[LinkKind::Url, LinkKind::Email]);
    let mut done = 0;
    for link in finder.links(text) {
        let address = link.as_str();
        let (part, length) = match link.kind() {
            LinkKind::Email => (Part::Mail(address), address.len()),
            _ if is_web(address) => {
                let address = address.split(ENDS).next().unwrap_or_default();
                (Part::Url(address), address.len())
            }
            _ => continue,
        };
        www(&text[done..link.start()], &text[..done], &mut parts);
        parts.push(part);
        done = link.start() + length;
    }
    www(&text[done..], &text[..done], &mut parts);
    parts
}

fn is_web(address: &str) -> bool {
    let scheme = address.split("://").next().unwrap_or_default();
    let host = address.get(scheme.len() + 3..).unwrap_or_default();
    ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web)) && !host.starts_with(ENDS)
}

/// Splits a text at URLs that begin with `www.`; `before` is the text in front of it.
fn www<'a>(text: &'a str, before: &str, parts: &mut Vec<Part<'a>>) {
    let finder = LinkFinder::new();
    let (mut done, mut tried) = (0, 0);
    for at in places_of_www(text) {
        let last = text[..at].chars().next_back().or_else(|| before.chars().next_back());
        let begins_word =
            last.is_none_or(|c| c.is_whitespace() || "*_~(\"'[".contains(c) || !c.is_ascii());
        if at < done || !begins_word || tried == super::limits::LINKS {
            continue;
        }
        tried += 1;
        let end = text.floor_char_boundary((at + MAX_WWW).min(text.len()));
        let word = text[at..end].split(char::is_whitespace).next().unwrap_or_default();
        let address = format!("http://{}", word.split(ENDS).next().unwrap_or_default());
        let Some(link) = finder.links(&address).next().filter(|link| link.start() == 0) else {
            continue;
        };
        let length = link.end() - "http://".len();
        if !is_host(&text[at..at + length]) {
            continue;
        }
        parts.extend((at > done).then(|| Part::Text(&text[done..at])));
        parts.push(Part::Www(&text[at..at + length]));
        done = at + length;
    }
    parts.extend((done < text.len()).then(|| Part::Text(&text[done..])));
}

fn places_of_www(text: &str) -> impl Iterator<Item = usize> {
    let dots = text.match_indices('.').map(|(dot, _)| dot);
    dots.filter_map(|dot| {
        let at = dot.checked_sub(3)?;
        text.get(at..dot)?.eq_ignore_ascii_case("www").then_some(at)
    })
}

/// Returns `true` if a URL that begins with `www.` has a valid host.
fn is_host(address: &str) -> bool {
    let host = address.split(['/', '?', '#', ':']).next().unwrap_or_default();
    host.split('.').skip(1).all(|label| !label.is_empty()) && host.len() > "www.".len()
}

#[cfg(test)]
mod tests {
    use super::Part::{Mail, Text, Url, Www};
    use super::*;

    #[test]
    fn addresses_are_found_as_github_finds_them() {
        for (text, expected) in [
            ("See https://example.org/x", vec![Text("See "), Url("https://example.org/x")]),
            (
                "(https://a.example/b_(c)).",
                vec![Text("("), Url("https://a.example/b_(c)"), Text(").")],
            ),
            ("HTTP://a.example/?b=c&d=e!", vec![Url("HTTP://a.example/?b=c&d=e"), Text("!")]),
            (
                "www.a.example/b, www.c.example",
                vec![Www("www.a.example/b"), Text(", "), Www("www.c.example")],
            ),
            ("to ann@example.org.", vec![Text("to "), Mail("ann@example.org"), Text(".")]),
            (
                "看https://a.example/b。好",
                vec![Text("看"), Url("https://a.example/b"), Text("。好")],
            ),
            ("javascript://a.example/b", vec![Text("javascript://a.example/b")]),
            ("ftp://a.example www.", vec![Text("ftp://a.example www.")]),
            ("xwww.a.example a.www.b.example", vec![Text("xwww.a.example a.www.b.example")]),
            ("https:// http://", vec![Text("https:// http://")]),
            (
                "https://a.example www.b.example",
                vec![Url("https://a.example"), Text(" "), Www("www.b.example")],
            ),
            ("http://localhost:8080/x", vec![Url("http://localhost:8080/x")]),
            ("plain. text", vec![Text("plain. text")]),
        ] {
            assert_eq!(parts(text), expected, "{text}");
        }
    }
}
