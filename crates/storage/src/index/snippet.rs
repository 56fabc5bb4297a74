//! The place in a page where the words stand that were looked for.
//!
//! The full text index holds words and no texts: those are in git, and are read for the few pages
//! that are shown. Words are told apart here as the index does it.

use unicode_normalization::UnicodeNormalization as _;

use super::search::{is_token, is_unspaced};

/// How much of a page is shown, in words.
const WORDS: usize = 24;
/// How many of them stand before what was found.
const BEFORE: usize = 6;
/// How far into a page is looked, in bytes.
const WITHIN: usize = 512 * 1024;
/// So many places are compared for the one with the most different words.
const PLACES: usize = 200;
/// The longest run of characters between two words that is shown.
const GAP: usize = 120;

/// A piece of a page's text, around what was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnippetPart {
    /// The text. It is Markdown as it stands in the page.
    pub text: String,
    /// Whether it was looked for.
    pub is_match: bool,
}

/// Words that have to stand side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Phrase {
    words: Vec<String>,
    /// Whether the last word may go on.
    is_prefix: bool,
}

impl Phrase {
    pub(super) fn new(text: &str, is_prefix: bool) -> Self {
        Self { words: words(text).into_iter().map(|word| word.folded).collect(), is_prefix }
    }

    /// Whether it stands at the beginning of these words.
    fn begins(&self, words: &[Word]) -> bool {
        let Some((last, first)) = self.words.split_last() else { return false };
        let Some(words) = words.get(..self.words.len()) else { return false };
        let ends = match self.is_prefix {
            true => words[first.len()].folded.starts_with(last.as_str()),
            false => words[first.len()].folded == *last,
        };
        ends && first.iter().zip(words).all(|(wanted, word)| word.folded == *wanted)
    }
}

/// A word of a text.
struct Word {
    start: usize,
    end: usize,
    /// In the form in which words are compared.
    folded: String,
}

/// The first of the places with the most different phrases, or the beginning of the text.
pub(crate) fn snippet(text: &str, phrases: &[Phrase]) -> Vec<SnippetPart> {
    let text = &text[..text.floor_char_boundary(WITHIN)];
    let words = words(text);
    let found = matches(&words, phrases);
    let first = found.first().map_or(0, |_| best(&found)).saturating_sub(BEFORE);
    let last = words.len().min(first + WORDS);
    let mut parts = Parts { text, parts: Vec::new() };
    let start = if first == 0 { 0 } else { words[first].start };
    let end = if last == words.len() { text.len() } else { words[last - 1].end };
    if first > 0 {
        parts.push("…", false);
    }
    let mut at = start;
    for (place, length, _) in
        found.iter().filter(|(place, length, _)| *place >= first && place + length <= last)
    {
        let (from, to) = (words[*place].start, words[place + length - 1].end);
        // Phrases may overlap.
        if from >= at {
            parts.push_gap(at, from);
            parts.push(&text[from..to], true);
            at = to;
        }
    }
    parts.push_gap(at, end);
    if last < words.len() {
        parts.push("…", false);
    }
    parts.parts
}

/// Where phrases stand: the first word, the number of words, and which phrase.
fn matches(words: &[Word], phrases: &[Phrase]) -> Vec<(usize, usize, usize)> {
    let mut found = Vec::new();
    for place in 0..words.len() {
        for (number, phrase) in phrases.iter().enumerate() {
            if phrase.begins(&words[place..]) {
                found.push((place, phrase.words.len(), number));
            }
        }
        if found.len() >= PLACES {
            break;
        }
    }
    found
}

/// The first place from which on the most different phrases are shown.
fn best(found: &[(usize, usize, usize)]) -> usize {
    let count = |at: usize| {
        let (place, _, _) = found[at];
        let shown = found[at..].iter().take_while(|(other, ..)| *other < place + WORDS - BEFORE);
        let mut numbers: Vec<usize> = shown.map(|(_, _, number)| *number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.len()
    };
    let best = (0..found.len()).max_by_key(|at| (count(*at), std::cmp::Reverse(*at)));
    best.map_or(0, |at| found[at].0)
}

struct Parts<'a> {
    text: &'a str,
    parts: Vec<SnippetPart>,
}

impl Parts<'_> {
    fn push(&mut self, text: &str, is_match: bool) {
        match self.parts.last_mut() {
            _ if text.is_empty() => {}
            Some(last) if last.is_match == is_match => last.text.push_str(text),
            _ => self.parts.push(SnippetPart { text: text.to_owned(), is_match }),
        }
    }

    /// The text between two matches; of very long runs without words only the beginning.
    fn push_gap(&mut self, from: usize, to: usize) {
        let mut gap = String::new();
        let mut run = 0;
        for c in self.text[from..to].chars() {
            run = if is_token(c) { 0 } else { run + 1 };
            if run <= GAP {
                gap.push(c);
            }
        }
        self.push(&gap, false);
    }
}

/// The words of a text. A letter of a script without spaces is one.
fn words(text: &str) -> Vec<Word> {
    let mut words: Vec<(usize, usize)> = Vec::new();
    let mut goes_on = false;
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        let is_mark = unicode_normalization::char::is_combining_mark(c);
        let begins = !goes_on || (is_unspaced(c) && !is_mark);
        if !is_token(c) {
            goes_on = false;
            continue;
        }
        match words.last_mut() {
            Some(last) if !begins => last.1 = end,
            _ => words.push((at, end)),
        }
        // What follows such a letter is another word, unless it is a mark on it.
        goes_on = !(is_unspaced(c) && !is_mark) || next_is_mark(&text[end..]);
    }
    words
        .into_iter()
        .map(|(start, end)| Word { start, end, folded: folded(&text[start..end]) })
        .collect()
}

fn next_is_mark(rest: &str) -> bool {
    rest.chars().next().is_some_and(unicode_normalization::char::is_combining_mark)
}

/// Without case and accents.
fn folded(word: &str) -> String {
    if word.is_ascii() {
        return word.to_ascii_lowercase();
    }
    let is_accent = |c: &char| ('\u{300}'..='\u{36f}').contains(c);
    word.nfd().filter(|c| !is_accent(c)).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str, phrases: &[(&str, bool)]) -> String {
        let phrases: Vec<Phrase> =
            phrases.iter().map(|(text, is_prefix)| Phrase::new(text, *is_prefix)).collect();
        let parts = snippet(text, &phrases);
        parts
            .iter()
            .map(|part| if part.is_match { format!("<{}>", part.text) } else { part.text.clone() })
            .collect()
    }

    #[test]
    fn what_was_looked_for_is_marked() {
        assert_eq!(
            shown("# Roses\n\nRed, and *thorny*.\n", &[("THORNY", false)]),
            "# Roses\n\nRed, and *<thorny>*.\n"
        );
        assert_eq!(shown("Café au lait", &[("cafe au", false)]), "<Café au> lait");
        assert_eq!(shown("begin beginning", &[("beg", true)]), "<begin> <beginning>");
        assert_eq!(shown("東京都に住む", &[("京都", false)]), "東<京都>に住む");
        assert_eq!(shown("สวัสดีชาวโลก", &[("ชาว", false)]), "สวัสดี<ชาว>โลก");
        assert_eq!(shown("only the title has it", &[("roses", false)]), "only the title has it");
        assert_eq!(shown("", &[("x", false)]), "");
    }

    #[test]
    fn a_long_text_is_shown_where_the_most_words_stand() {
        let filler = "word ".repeat(100);
        let text = format!("{filler}red {filler}red roses {filler}");
        let shown = shown(&text, &[("red", false), ("roses", false)]);
        assert!(shown.starts_with('…') && shown.ends_with('…'), "{shown}");
        assert!(shown.contains("<red> <roses>"), "{shown}");
        assert!(shown.len() < 200);
    }

    proptest! {
        /// Whatever the text: what is shown stands in it, piece by piece.
        #[test]
        fn a_snippet_is_part_of_the_text(text in "\\PC{0,200}", phrase in "\\PC{0,8}", is_prefix: bool) {
            for part in snippet(&text, &[Phrase::new(&phrase, is_prefix)]) {
                let cut = part.text.trim_matches('…');
                prop_assert!(text.contains(cut), "{:?}", part);
            }
        }
    }
}
