//! Snippets of search results, cut out of pages in linear time.
//!
//! FTS5's own `snippet()` compares every match with every other, and can't be interrupted: a page of ten
//! thousand equal words would take seconds, and one of a million hours.

use std::ops::Range;

use super::search::SnippetPart;
use super::words::{Folding, runs};
use crate::deadline::{self, Cancelled};

/// Length of a snippet in words.
const WORDS: usize = 24;
/// Maximum length of a snippet, in bytes: words and the text between them may have any length.
const BYTES: usize = 2_000;
/// Maximum number of matches that are examined. The best place is most likely among them.
const HITS: usize = 1_000;
/// Of a phrase so many words are compared: where the first of them stand the others most likely do.
const COMPARED: usize = 16;
/// So many comparisons of two words are made for one page: some milliseconds.
const STEPS: usize = 2_000_000;
/// So many words are read between two looks at the deadline.
const PIECE: usize = 4096;

/// Adjacent words of a query.
pub(super) struct Phrase {
    /// The words that are compared.
    words: Vec<String>,
    /// Number of its words.
    length: usize,
    /// Whether the last word may go on.
    is_prefix: bool,
}

/// A phrase found in a text.
struct Hit {
    /// The range of words in the text.
    words: Range<usize>,
    /// The index of the phrase.
    phrase: usize,
}

impl Phrase {
    /// A phrase of folded words that are separated by spaces.
    pub(super) fn new(words: &str, is_prefix: bool) -> Self {
        let compared = words.split(' ').take(COMPARED).map(str::to_owned).collect();
        let length = words.split(' ').count();
        Self { words: compared, length, is_prefix: is_prefix && length <= COMPARED }
    }

    /// Returns `true` if the words of the text from `first` on are this phrase, as far as they are compared. The
    /// comparisons are counted in `steps`.
    fn is_at(&self, text: &Words, first: usize, steps: &mut usize) -> bool {
        let last = self.words.len().saturating_sub(1);
        let matches = |(n, word): (usize, &String)| {
            *steps += 1;
            let is = text.folded(first + n);
            if n == last && self.is_prefix { is.starts_with(word.as_str()) } else { is == word }
        };
        text.places.len() - first >= self.length && self.words.iter().enumerate().all(matches)
    }
}

/// The folded words of a text, with their positions in it.
#[derive(Default)]
struct Words {
    /// All folded words, one after the other.
    folded: String,
    /// The range of each word in the text, and the start of its folded form. Several words may have the
    /// same range.
    places: Vec<(Range<usize>, usize)>,
}

impl Words {
    fn of(text: &str) -> Result<Self, Cancelled> {
        let (mut words, mut folding) = (Self::default(), Folding::default());
        let mut run_words = String::new();
        for (n, run) in runs(text).enumerate() {
            if n % PIECE == 0 {
                deadline::check()?;
            }
            run_words.clear();
            folding.add(&text[run.clone()], &mut run_words);
            for word in run_words.split(' ').filter(|word| !word.is_empty()) {
                words.places.push((run.clone(), words.folded.len()));
                words.folded.push_str(word);
            }
        }
        Ok(words)
    }

    fn folded(&self, at: usize) -> &str {
        let end = self.places.get(at + 1).map_or(self.folded.len(), |(_, start)| *start);
        &self.folded[self.places[at].1..end]
    }

    fn start(&self, at: usize) -> usize {
        self.places[at].0.start
    }

    fn end(&self, at: usize) -> usize {
        self.places[at].0.end
    }
}

/// The place of `text` where the most of the phrases stand together. `goes_on` says that the text isn't
/// the end of the page's.
///
/// # Errors
/// The deadline is over.
pub(super) fn cut(
    text: &str,
    phrases: &[Phrase],
    goes_on: bool,
) -> Result<Vec<SnippetPart>, Cancelled> {
    let words = Words::of(text)?;
    let (hits, _) = hits(&words, phrases)?;
    let best = densest(&hits, phrases.len());
    let shown = window(text, &words, best.map(|at| &hits[at]));
    let mut parts = Parts::default();
    if shown.start > 0 {
        parts.push("…", false);
    }
    let mut at = shown.start;
    for hit in &hits[best.unwrap_or(hits.len())..] {
        let bytes = words.start(hit.words.start)..words.end(hit.words.end - 1);
        if bytes.start >= shown.end {
            break;
        }
        // A hit may overlap with the one before it.
        let (start, end) = (bytes.start.max(at), bytes.end.min(shown.end));
        if start < end {
            parts.push(&text[at..start], false);
            parts.push(&text[start..end], true);
            at = end;
        }
    }
    parts.push(&text[at..shown.end], false);
    if shown.end < text.len() || goes_on {
        parts.push("…", false);
    }
    Ok(parts.0)
}

/// Where the phrases stand, as far as that is found in a bounded number of comparisons, and that number.
fn hits(text: &Words, phrases: &[Phrase]) -> Result<(Vec<Hit>, usize), Cancelled> {
    let (mut hits, mut steps) = (Vec::new(), 0);
    for at in 0..text.places.len() {
        if at % PIECE == 0 {
            deadline::check()?;
        }
        for (n, phrase) in phrases.iter().enumerate() {
            if phrase.is_at(text, at, &mut steps) {
                hits.push(Hit { words: at..at + phrase.length, phrase: n });
            }
        }
        if hits.len() >= HITS || steps >= STEPS {
            break;
        }
    }
    Ok((hits, steps))
}

/// The hit that begins the piece with the most different phrases.
fn densest(hits: &[Hit], phrases: usize) -> Option<usize> {
    let mut counts = vec![0_usize; phrases];
    let (mut end, mut different, mut best) = (0, 0, None);
    for (at, hit) in hits.iter().enumerate() {
        while let Some(next) = hits.get(end)
            && next.words.end <= hit.words.start + WORDS
        {
            different += usize::from(counts[next.phrase] == 0);
            counts[next.phrase] += 1;
            end += 1;
        }
        if best.is_none_or(|(most, _)| different > most) {
            best = Some((different, at));
        }
        if at < end {
            counts[hit.phrase] -= 1;
            different -= usize::from(counts[hit.phrase] == 0);
        } else {
            end = at + 1;
        }
    }
    best.map(|(_, at)| at)
}

/// The range of bytes to show: a few words before the hit and the text after it; without a hit, the
/// beginning of the text.
fn window(text: &str, words: &Words, hit: Option<&Hit>) -> Range<usize> {
    let count = words.places.len();
    let from = hit.map_or(0, |hit| hit.words.start.saturating_sub(WORDS / 4));
    let to = (from + WORDS).min(count);
    let start = if from == 0 { 0 } else { words.start(from) };
    let end = if to == count { text.len() } else { words.end(to - 1) };
    let hit = hit.map_or(0, |hit| words.start(hit.words.start));
    let start = text.ceil_char_boundary(start.max(hit.saturating_sub(BYTES / 4)));
    let end = text.floor_char_boundary(end.min(start + BYTES));
    start..end.max(start)
}

/// Pieces of text.
#[derive(Default)]
struct Parts(Vec<SnippetPart>);

impl Parts {
    fn push(&mut self, text: &str, is_match: bool) {
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(last) if last.is_match == is_match => last.text.push_str(text),
            _ => self.0.push(SnippetPart { text: text.to_owned(), is_match }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::index::words::folded;

    /// The pieces of a snippet, with matches in brackets.
    fn shown(text: &str, phrases: &[&str]) -> String {
        let phrase = |text: &&str| Phrase::new(&folded(text), text.ends_with('*'));
        let phrases: Vec<Phrase> = phrases.iter().map(phrase).collect();
        let parts = cut(text, &phrases, false).unwrap();
        let shown = |part: SnippetPart| match part.is_match {
            true => format!("[{}]", part.text),
            false => part.text,
        };
        parts.into_iter().map(shown).collect()
    }

    #[test]
    fn matches_are_marked_whatever_their_case_and_accents() {
        assert_eq!(shown("Un café au lait", &["CAFE"]), "Un [café] au lait");
        assert_eq!(shown("two words, two  words", &["two words"]), "[two words], [two  words]");
        assert_eq!(shown("Roses and rosemary", &["rose*"]), "[Roses] and [rosemary]");
        assert_eq!(shown("a東京都", &["東京"]), "a[東京]都");
        assert_eq!(shown("Łódź and ΟΔΟΣ", &["lodz", "οδος"]), "[Łódź] and [ΟΔΟΣ]");
        assert_eq!(shown("שָׁלוֹם ❤\u{fe0f}x", &["שלום", "❤"]), "[שָׁלוֹם] [❤\u{fe0f}]x");
        assert_eq!(shown("１½ cup", &["2"]), "１[½] cup");
        assert_eq!(shown("nothing here", &["else"]), "nothing here");
        assert_eq!(shown("", &["else"]), "");
    }

    #[test]
    fn the_place_with_the_most_words_is_shown() {
        let text = format!("one {} one two {}", "x ".repeat(100), "y ".repeat(100));
        let snippet = shown(&text, &["one", "two"]);
        assert!(snippet.starts_with("…x x") && snippet.contains("[one] [two] y"), "{snippet}");
        assert!(snippet.ends_with('…'), "{snippet}");
    }

    #[test]
    fn a_piece_is_short_however_long_its_words_are() {
        let long = "é".repeat(100_000);
        for text in [format!("{long} x {long}"), format!("x{}x", "-".repeat(100_000))] {
            let snippet = shown(&text, &["x"]);
            assert!(snippet.contains("[x]") && snippet.len() < BYTES + 20, "{}", snippet.len());
        }
    }

    #[test]
    fn a_page_of_equal_words_takes_no_longer_than_its_length() {
        let text = "a ".repeat(2_000_000);
        assert!(shown(&text, &["a", "a a a", "a*"]).starts_with("[a a"));
    }

    /// A text of equal words, and phrases that differ from it in their last word only.
    #[test]
    fn the_comparisons_grow_with_the_text_and_not_with_the_phrase() {
        let steps = |text: &str, phrases: &[String]| {
            let phrases: Vec<Phrase> =
                phrases.iter().map(|text| Phrase::new(text, false)).collect();
            hits(&Words::of(text).unwrap(), &phrases).unwrap().1
        };
        let text = |words: usize| "a ".repeat(words) + "z";
        let phrase = |words: usize| "a ".repeat(words) + "b";
        let short = steps(&text(10_000), &[phrase(15)]);
        assert!((150_000..170_000).contains(&short), "{short}");
        // The longer phrase stands there nowhere as far as it is compared: no more than its beginning.
        assert!(steps(&text(10_000), &[phrase(500)]) < 20_000);
        assert!(steps(&text(50_000), &[phrase(15)]) < 6 * short);
        let many = vec![phrase(15); 32];
        assert!(steps(&text(130_000), &many) < STEPS + 32 * COMPARED);
    }

    #[test]
    fn a_long_phrase_is_shown_as_a_whole() {
        let words: Vec<String> = (0..20).map(|n| format!("w{n}")).collect();
        let (phrase, text) = (words.join(" "), format!("before {} after", words.join(" ")));
        assert_eq!(shown(&text, &[&phrase]), format!("before [{phrase}] after"));
    }

    #[test]
    fn cutting_ends_with_its_deadline() {
        let over = deadline::Deadline::unlimited();
        over.cancel();
        let phrases = [Phrase::new("a", false)];
        over.enter(|| {
            assert_eq!(cut("a b", &phrases, false), Err(Cancelled));
        });
    }

    proptest! {
        /// Phrases may overlap, and the text may be cut anywhere.
        #[test]
        fn a_snippet_is_a_piece_of_the_text(text in "[aé b…-]{0,80}", phrases in prop::collection::vec("[aeb ]{0,4}", 0..4)) {
            let phrases: Vec<Phrase> = phrases.iter().map(|text| Phrase::new(&folded(text), text.ends_with('a'))).collect();
            let whole: String = cut(&text, &phrases, false).unwrap().into_iter().map(|part| part.text).collect();
            let inner = whole.strip_prefix('…').unwrap_or(&whole);
            let inner = inner.strip_suffix('…').unwrap_or(inner);
            prop_assert!(text.contains(inner));
        }
    }
}
