//! The words of a text, folded for search.
//!
//! A text is cut into **runs**: a word, one letter of a script that puts no spaces between words (with its
//! marks), or one symbol such as an emoji. Each run is folded by itself: compatibility forms (full and half
//! width, ligatures) and case are normalised, accents, points and optional vowel signs are removed, letters
//! with strokes and digits of other scripts become plain ones. Stored texts and queries are folded by the
//! same function, so the index sees only folded words, separated by one space each.
//!
//! All of it is linear in the length of the text.

use std::ops::Range;

use unicode_casefold::UnicodeCaseFold as _;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::{decompose_canonical, decompose_compatible, is_combining_mark};

/// Maximum length of a character's decomposition; longer ones aren't decomposed: `U+FDFA` is 18 letters,
/// and a text of nothing else would grow tenfold.
const LONGEST_FORM: usize = 4;

const ZERO_WIDTH_NON_JOINER: char = '\u{200c}';

/// The folded words of a text, separated by spaces.
pub(super) fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut folding = Folding::default();
    for run in runs(text) {
        let before = folded.len();
        if before > 0 {
            folded.push(' ');
        }
        let start = folded.len();
        folding.add(&text[run], &mut folded);
        if folded.len() == start {
            folded.truncate(before);
        }
    }
    folded
}

/// The runs of a text, as ranges of its bytes.
pub(super) fn runs(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut rest = text.char_indices().peekable();
    std::iter::from_fn(move || {
        while rest.next_if(|(_, c)| !begins(*c)).is_some() {}
        let (start, first) = rest.next()?;
        let (mut end, mut last) = (start + first.len_utf8(), first);
        let is_alone = is_alone(first);
        while let Some((at, c)) = rest.next_if(|(_, c)| goes_on(*c, last, is_alone)) {
            (end, last) = (at + c.len_utf8(), c);
        }
        Some(start..end)
    })
}

/// Returns `true` if a run begins with the character.
fn begins(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric();
    }
    (is_letter(c) || is_symbol(c)) && !is_dropped(c)
}

/// Returns `true` if the character continues a run, after the character `last`.
fn goes_on(c: char, last: char, is_alone: bool) -> bool {
    if c.is_ascii() {
        return !is_alone && c.is_ascii_alphanumeric();
    }
    if c == ZERO_WIDTH_NON_JOINER {
        // Persian writes a zero width non-joiner between the parts of a word, where many people type a space.
        return !is_arabic(last);
    }
    is_mark(c) || is_dropped(c) || (!is_alone && is_letter(c) && !is_alone_letter(c))
}

/// Returns `true` if words are made of the character.
fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || is_mark(c) || matches!(c, '\u{3200}'..='\u{33ff}')
}

/// Returns `true` if the character belongs to the letter before it. Includes the vowels and final
/// consonants of Korean syllables that are written as separate parts, and the voiced marks of half-width
/// kana.
fn is_mark(c: char) -> bool {
    is_combining_mark(c)
        || matches!(c, '\u{1160}'..='\u{11ff}' | '\u{d7b0}'..='\u{d7ff}' | '\u{ff9e}' | '\u{ff9f}')
}

/// Returns `true` if the character is a run by itself, with its marks.
fn is_alone(c: char) -> bool {
    is_symbol(c) || is_alone_letter(c)
}

/// Returns `true` if the letter is a run by itself: letters of scripts that put no spaces between words
/// (Thai, Lao, Myanmar, Khmer, Tai scripts, kana, Bopomofo, Han), Korean syllables, to which particles are
/// attached, and fractions, which would otherwise become part of the number before them.
fn is_alone_letter(c: char) -> bool {
    let is_in = matches!(c,
        '\u{bc}'..='\u{be}'
        | '\u{e00}'..='\u{eff}'
        | '\u{1000}'..='\u{109f}'
        | '\u{1100}'..='\u{11ff}'
        | '\u{1780}'..='\u{17ff}'
        | '\u{1950}'..='\u{19df}'
        | '\u{1a20}'..='\u{1aaf}'
        | '\u{2150}'..='\u{215f}'
        | '\u{2e80}'..='\u{2fdf}'
        | '\u{3005}'..='\u{3007}'
        | '\u{3021}'..='\u{3035}'
        | '\u{3041}'..='\u{318f}'
        | '\u{31a0}'..='\u{33ff}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{a960}'..='\u{a97f}'
        | '\u{a9e0}'..='\u{a9ff}'
        | '\u{aa60}'..='\u{aadf}'
        | '\u{ac00}'..='\u{d7ff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{ff66}'..='\u{ffdc}'
        | '\u{1b000}'..='\u{1b16f}'
        | '\u{20000}'..='\u{3ffff}');
    is_in && digit(c).is_none()
}

/// Returns `true` for a symbol that people search for: emoji, above all.
fn is_symbol(c: char) -> bool {
    matches!(c,
        '\u{2300}'..='\u{23ff}' | '\u{2600}'..='\u{27bf}' | '\u{2b00}'..='\u{2bff}'
        | '\u{1f000}'..='\u{1f3fa}' | '\u{1f400}'..='\u{1faff}')
}

fn is_arabic(c: char) -> bool {
    matches!(c, '\u{600}'..='\u{8ff}' | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
}

/// Returns `true` if the character is optional or invisible: accents, the points of Hebrew and Arabic, the
/// letter that only stretches Arabic words, joiners, direction marks, the selectors and skin tones of
/// emoji.
fn is_dropped(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{2b9}'..='\u{2c1}'
        | '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}'
        | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}' | '\u{5c2}' | '\u{5c4}' | '\u{5c5}' | '\u{5c7}'
        | '\u{610}'..='\u{61a}' | '\u{61c}' | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}'
        | '\u{6d6}'..='\u{6dc}' | '\u{6df}'..='\u{6e4}' | '\u{6e7}' | '\u{6e8}' | '\u{6ea}'..='\u{6ed}'
        | '\u{711}' | '\u{730}'..='\u{74a}' | '\u{8ca}'..='\u{8e1}' | '\u{8e3}'..='\u{8ff}'
        | '\u{180b}'..='\u{180f}' | '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0000}'..='\u{e0fff}')
}

/// Folds runs, with buffers that are reused.
#[derive(Default)]
pub(super) struct Folding {
    parts: Vec<char>,
}

impl Folding {
    /// Adds the words of a run, separated by spaces: usually one, and none if all its characters are
    /// dropped.
    pub(super) fn add(&mut self, run: &str, folded: &mut String) {
        if run.is_ascii() {
            folded.extend(run.bytes().map(|byte| char::from(byte.to_ascii_lowercase())));
            return;
        }
        let first = run.chars().next().unwrap_or(' ');
        if is_symbol(first) {
            folded.extend(symbol(first));
            return;
        }
        self.take_apart(run);
        let start = folded.len();
        let letters = self.parts.drain(..).case_fold().flat_map(plain).nfc();
        for c in letters {
            if c.is_alphanumeric() || is_mark(c) {
                folded.push(c);
            } else if folded.len() > start && !folded.ends_with(' ') {
                folded.push(' ');
            }
        }
        if folded.len() > start && folded.ends_with(' ') {
            folded.pop();
        }
    }

    /// Decomposes the characters of a run and drops the optional ones.
    fn take_apart(&mut self, run: &str) {
        self.parts.clear();
        for c in run.chars() {
            let before = self.parts.len();
            let keep = |parts: &mut Vec<char>, part: char| {
                if !is_dropped(part) {
                    parts.push(part);
                }
            };
            let mut count = 0;
            decompose_compatible(c, |part| {
                count += 1;
                keep(&mut self.parts, part);
            });
            if count > LONGEST_FORM {
                self.parts.truncate(before);
                decompose_canonical(c, |part| keep(&mut self.parts, part));
            }
        }
    }
}

/// A symbol as a word that no text contains: two private-use characters, which FTS5 takes for letters in
/// any version of Unicode.
fn symbol(c: char) -> [char; 2] {
    let number = u32::from(c);
    let private = |number: u32| char::from_u32(0xe000 + number).unwrap_or(c);
    [private(number >> 10), private(0x800 + (number & 0x3ff))]
}

/// The plain form of a letter without case and marks, as people type it who lack its key: without its
/// stroke or hook, as in `Łódź`; two letters for a ligature; one of several forms of an Arabic letter; a
/// digit.
fn plain(c: char) -> impl Iterator<Item = char> {
    let pair = |one, other| [Some(one), Some(other)];
    let plain = match c {
        '\0'..='\u{7f}' => [Some(c), None],
        'æ' => pair('a', 'e'),
        'œ' => pair('o', 'e'),
        'þ' => pair('t', 'h'),
        _ => [Some(digit(c).unwrap_or_else(|| letter(c))), None],
    };
    plain.into_iter().flatten()
}

fn letter(c: char) -> char {
    match c {
        'ⱥ' => 'a',
        'ƀ' | 'ɓ' => 'b',
        'ȼ' => 'c',
        'đ' | 'ð' | 'ɗ' | 'ɖ' => 'd',
        'ɇ' => 'e',
        'ǥ' | 'ɠ' => 'g',
        'ħ' => 'h',
        'ı' | 'ɨ' => 'i',
        'ȷ' | 'ɉ' => 'j',
        'ƙ' | 'ꝁ' => 'k',
        'ł' | 'ƚ' | 'ⱡ' => 'l',
        'ø' | 'ɵ' => 'o',
        'ᵽ' | 'ƥ' => 'p',
        'ɍ' => 'r',
        'ŧ' | 'ⱦ' | 'ƭ' => 't',
        'ʉ' => 'u',
        'ƴ' | 'ɏ' => 'y',
        'ƶ' => 'z',
        'ґ' | 'ғ' => 'г',
        'ҝ' | 'ҟ' => 'к',
        'ұ' => 'у',
        'ٱ' => 'ا',
        'ى' | 'ی' => 'ي',
        'ک' => 'ك',
        'ة' | 'ہ' | 'ە' | 'ھ' => 'ه',
        _ => c,
    }
}

/// The ASCII digit for a digit of another script.
fn digit(c: char) -> Option<char> {
    const ZEROS: [u32; 17] = [
        0x660, 0x6f0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xe50, 0xed0,
        0xf20, 0x1040, 0x17e0, 0x1810,
    ];
    let number = u32::from(c);
    let zero = ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&number))?;
    char::from_digit(number - zero, 10)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_people_write_and_what_they_type_fold_to_the_same() {
        for (written, typed) in [
            ("Un CAFÉ", "un cafe"),
            ("cafe\u{301}", "caf\u{e9}"),
            ("Łódź Smørrebrød Đường", "lodz smorrebrod duong"),
            ("İstanbul Isparta ısı", "istanbul isparta isi"),
            ("Straße STRASSE ẞ", "strasse strasse ss"),
            ("Œuvre Þór Æsir", "oeuvre thor aesir"),
            ("ＡＢＣ１２３", "abc123"),
            ("ﾃｽﾄﾃﾞｰﾀ", "テストデータ"),
            ("プログラム", "フ\u{309a}ロク\u{3099}ラム"),
            ("서울", "\u{1109}\u{1165}\u{110b}\u{116e}\u{11af}"),
            ("йога", "и\u{306}ога"),
            ("Ёлка", "елка"),
            ("Οδυσσεύς ΆΝΘΡΩΠΟΣ ᾳ", "οδυσσευσ ανθρωπος α"),
            ("שָׁלוֹם", "שלום"),
            ("כָּתַב", "כתב"),
            ("كُتُب", "كتب"),
            ("كتـــاب", "كتاب"),
            ("أحمد إلى آخر ٱلله", "احمد الي اخر الله"),
            ("مدرسة", "مدرسه"),
            ("ی ک ۱۲۳ ١٢٣", "ي ك 123 123"),
            ("می\u{200c}خواهم", "مي خواهم"),
            ("ﬁne x² Ⅳ", "fine x2 iv"),
            ("a\u{ad}b a\u{2060}b a\u{200d}b", "ab ab ab"),
            ("แก้ว", "แก้ว"),
            ("ไทย๑๒", "ไทย12"),
            ("⚠\u{fe0f}Warning", "⚠ warning"),
            ("👍🏽", "👍"),
            ("ʻokina Hawaiʻi", "okina hawaii"),
            ("5㎏", "5 kg"),
        ] {
            assert_eq!(folded(written), folded(typed), "{written} {typed}");
        }
        assert_eq!(folded("Run with --depth 1\n"), "run with depth 1");
        assert_eq!(folded("東京tower 人々"), "東 京 tower 人 々");
        assert_eq!(folded("1½"), "1 1 2");
        assert_eq!(folded("-- \0 ؟ \u{fe0f}\u{640}"), "");
    }

    #[test]
    fn what_is_another_word_stays_another() {
        for (one, other) in
            [("が", "か"), ("ば", "ぱ"), ("❤", "⚠"), ("😀", "😁"), ("क़", "क"), ("तीन", "तिन")]
        {
            assert_ne!(folded(one), folded(other), "{one} {other}");
        }
        assert_eq!(folded("कि"), "कि", "vowel signs are letters");
    }

    #[test]
    fn a_text_of_any_characters_hardly_grows() {
        for c in ['\u{fdfa}', '\u{3316}', '\u{1d160}', '½', '東', 'ΐ', 'ﾃ', '😀', '\u{33c2}']
        {
            let text = c.to_string().repeat(10_000);
            let times = folded(&text).len() as f64 / text.len() as f64;
            assert!(times < 4.5, "{c}: {times}");
        }
        let marks = "\u{e38}\u{e48}\u{93c}\u{5b0}\u{301}".repeat(100_000);
        folded(&marks);
    }

    proptest! {
        /// Words are separated by single spaces and contain nothing that the index would take for a
        /// separator.
        #[test]
        fn words_are_words(text in "\\PC{0,40}") {
            let folded = folded(&text);
            prop_assert!(!folded.starts_with(' ') && !folded.ends_with(' ') && !folded.contains("  "));
            let is_word = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || c == ' ';
            prop_assert!(folded.chars().all(is_word), "{folded:?}");
        }

        #[test]
        fn composed_and_decomposed_texts_fold_to_the_same(text in "[\\PC가-힣ά-ώа-яぁ-んァ-ヶÀ-ÿ]{0,20}") {
            let composed: String = text.nfc().collect();
            let decomposed: String = text.nfd().collect();
            prop_assert_eq!(folded(&composed), folded(&decomposed));
        }
    }
}
