//! The text of a page, prepared for the Markdown parser.
//!
//! Some characters have a meaning to the parser that their author didn't intend: the bar of a wiki link divides a
//! cell of a table, an asterisk in an address begins emphasis. They are hidden from the parser: each is replaced by
//! a control character that the page doesn't contain. It has the same length, so positions don't change; the
//! characters are restored in the parser's output.

mod addresses;
mod formulas;
mod markup;
mod tables;

use std::borrow::Cow;

use pulldown_cmark::{CodeBlockKind, CowStr, Event, Parser, Tag};

use super::dialect;
use crate::front_matter::body_start;

/// The characters that may be hidden.
const HIDDEN: &[u8; 8] = b"|<_*~$\n\r";

/// The text of a page, without its front matter, ready to be parsed.
#[derive(Clone, Debug)]
pub struct MarkdownSource<'a> {
    /// The byte offset of the body in the page.
    start: usize,
    body: &'a str,
    parsed: Cow<'a, str>,
    stand_ins: StandIns,
}

impl<'a> MarkdownSource<'a> {
    /// The source of a whole page.
    pub fn of(text: &'a str) -> Self {
        Self::of_body(text, body_start(text))
    }

    /// The source of a page whose body begins at byte `start`.
    pub fn of_body(text: &'a str, start: usize) -> Self {
        let body = &text[start..];
        let mut found = Vec::new();
        tables::find(body, &mut found);
        markup::find(body, &mut found);
        addresses::find(body, &mut found);
        formulas::find(body, &mut found);
        let unchanged = Self { start, body, parsed: body.into(), stand_ins: StandIns::default() };
        if found.is_empty() {
            return unchanged;
        }
        let Some(stand_ins) = StandIns::absent_from(body) else { return unchanged };
        let mut bytes = body.as_bytes().to_vec();
        for at in found {
            stand_ins.hide(&mut bytes[at]);
        }
        // Each ASCII character is replaced by another one.
        let Ok(parsed) = String::from_utf8(bytes) else { return unchanged };
        Self { parsed: parsed.into(), stand_ins, ..unchanged }
    }

    /// The byte offset of the body in the page.
    pub fn start(&self) -> usize {
        self.start
    }

    /// The body as it was written. Positions from the parser are valid in it.
    pub fn body(&self) -> &'a str {
        self.body
    }

    /// The body with hidden characters.
    pub(super) fn parsed(&self) -> &str {
        &self.parsed
    }

    /// A parser of the body. The texts of its events have to be [revealed](Self::reveal).
    pub fn parser(&self) -> Parser<'_> {
        Parser::new_ext(&self.parsed, dialect())
    }

    /// Restores the hidden characters in a text of the parser.
    pub fn reveal<'s>(&'s self, text: CowStr<'s>) -> CowStr<'s> {
        match &self.parsed {
            Cow::Borrowed(_) => text,
            Cow::Owned(_) => self.stand_ins.reveal(text),
        }
    }

    /// Restores the hidden characters in an event of the parser.
    pub fn reveal_event<'s>(&'s self, event: Event<'s>) -> Event<'s> {
        if matches!(self.parsed, Cow::Borrowed(_)) {
            return event;
        }
        match event {
            Event::Text(text) => Event::Text(self.reveal(text)),
            Event::Code(text) => Event::Code(self.reveal(text)),
            Event::Html(text) => Event::Html(self.reveal(text)),
            Event::InlineHtml(text) => Event::InlineHtml(self.reveal(text)),
            Event::InlineMath(text) => Event::InlineMath(self.reveal(text)),
            Event::DisplayMath(text) => Event::DisplayMath(self.reveal(text)),
            Event::FootnoteReference(name) => Event::FootnoteReference(self.reveal(name)),
            Event::Start(tag) => Event::Start(self.reveal_tag(tag)),
            event => event,
        }
    }

    fn reveal_tag<'s>(&'s self, tag: Tag<'s>) -> Tag<'s> {
        match tag {
            Tag::Link { link_type, dest_url, title, id } => Tag::Link {
                link_type,
                dest_url: self.reveal(dest_url),
                title: self.reveal(title),
                id: self.reveal(id),
            },
            Tag::Image { link_type, dest_url, title, id } => Tag::Image {
                link_type,
                dest_url: self.reveal(dest_url),
                title: self.reveal(title),
                id: self.reveal(id),
            },
            Tag::CodeBlock(CodeBlockKind::Fenced(language)) => {
                Tag::CodeBlock(CodeBlockKind::Fenced(self.reveal(language)))
            }
            Tag::FootnoteDefinition(name) => Tag::FootnoteDefinition(self.reveal(name)),
            tag => tag,
        }
    }
}

/// Maps each control character below 32 to the character that it replaces; 0 is unused.
#[derive(Clone, Copy, Debug, Default)]
struct StandIns([u8; 32]);

impl StandIns {
    /// Control characters that don't occur in `text`. `None` if there are too few.
    fn absent_from(text: &str) -> Option<Self> {
        let mut occurs = [false; 32];
        for byte in text.bytes().filter(|byte| *byte < 32) {
            occurs[usize::from(byte)] = true;
        }
        // Control characters that count as white space are excluded, and NUL, which the parser replaces.
        let free = (1..=8).chain(14..=27).filter(|control| !occurs[*control]);
        let mut stand_ins = Self::default();
        let mut hidden = HIDDEN.iter();
        for (control, byte) in free.zip(&mut hidden) {
            stand_ins.0[control] = *byte;
        }
        hidden.next().is_none().then_some(stand_ins)
    }

    fn hide(&self, byte: &mut u8) {
        if let Some(control) = self.0.iter().position(|hidden| *hidden == *byte && *hidden != 0) {
            *byte = control as u8;
        }
    }

    fn meaning(&self, c: char) -> Option<char> {
        let byte = self.0.get(c as usize).filter(|byte| **byte != 0)?;
        Some(char::from(*byte))
    }

    fn reveal<'s>(&self, text: CowStr<'s>) -> CowStr<'s> {
        if !text
            .bytes()
            .any(|byte| self.0.get(usize::from(byte)).is_some_and(|hidden| *hidden != 0))
        {
            return text;
        }
        text.chars().map(|c| self.meaning(c).unwrap_or(c)).collect::<String>().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text with `.` for each hidden character.
    fn hidden(text: &str) -> String {
        let source = MarkdownSource::of(text);
        let marked = |c: char| if source.stand_ins.meaning(c).is_some() { '.' } else { c };
        source.parsed.chars().map(marked).collect()
    }

    #[test]
    fn bars_of_wiki_links_are_hidden_in_tables_only() {
        for (text, parsed) in [
            (
                "| [[a|b]] |\n|---|\n| [[c|d]] | [[e\\|f]] |\n\n[[g|h]]\n",
                "| [[a.b]] |\n|---|\n| [[c.d]] | [[e\\|f]] |\n\n[[g|h]]\n",
            ),
            ("> | [[a|b]] |\n> |:-:|\n> | c |\n", "> | [[a.b]] |\n> |:-:|\n> | c |\n"),
            (
                "| [[a | b |\n|---|---|\n| [[x | [[c|d]] |\n",
                "| [[a | b |\n|---|---|\n| [[x | [[c.d]] |\n",
            ),
            ("[[a|b]]\n---\n", "[[a|b]]\n---\n"),
        ] {
            assert_eq!(hidden(text), parsed);
        }
    }

    #[test]
    fn markup_without_an_end_is_hidden() {
        for (text, parsed) in [
            ("<!-- a\n\nb", ".!-- a\n\nb"),
            ("<!-- a --> <!-- b", "<!-- a --> .!-- b"),
            ("<!-->\na\n", "<!-->\na\n"),
            ("<?php\n\na", ".?php\n\na"),
            ("<SCRIPT>\n\na", ".SCRIPT>\n\na"),
            ("<script>\n\na</Script>", "<script>\n\na</Script>"),
            ("<styles>", "<styles>"),
            ("<![CDATA[ a", ".![CDATA[ a"),
            ("<!DOCTYPE a", ".!DOCTYPE a"),
        ] {
            assert_eq!(hidden(text), parsed);
        }
    }

    #[test]
    fn marks_are_hidden_in_addresses() {
        for (text, parsed) in [
            ("https://a.example/__init__.py", "https://a.example/..init...py"),
            ("**https://a.example/b_c**, *d*", "**https://a.example/b.c**, *d*"),
            ("[b](https://a.example/c)*d*", "[b](https://a.example/c)*d*"),
            ("www.a.example/_b_ _c_", "www.a.example/.b_ _c_"),
            ("a_b_ *c*", "a_b_ *c*"),
        ] {
            assert_eq!(hidden(text), parsed);
        }
    }

    #[test]
    fn dollars_without_a_formula_are_hidden() {
        for (text, parsed) in [
            ("$a$ $$b$$ \\$ $c", "$a$ $$b$$ \\$ .c"),
            ("US$5 for [[roses]] and US$7", "US.5 for [[roses]] and US.7"),
            ("($5) and ($7)", "(.5) and (.7)"),
            ("$a\n\nb$", ".a\n\nb."),
            ("$$\na\n\n- b\n$$\nc", "$$.a..- b.$$\nc"),
            ("$$\na\n```\nb\n$$", "$$\na\n```\nb\n$$"),
            ("$$$ $", "... ."),
        ] {
            assert_eq!(hidden(text), parsed);
        }
    }

    #[test]
    fn a_page_with_all_control_characters_is_parsed_as_it_is() {
        let controls: String = (1..32).map(|n: u8| char::from(n)).collect();
        let text = format!("{controls} <!-- a");
        assert_eq!(MarkdownSource::of(&text).parsed, text);
        let source = MarkdownSource::of("\u{feff}\u{1} <!-- a");
        let revealed: String = source
            .parser()
            .filter_map(|event| match source.reveal_event(event) {
                Event::Text(text) => Some(text.to_string()),
                _ => None,
            })
            .collect();
        assert_eq!(revealed, "\u{1} <!-- a");
    }
}
