//! Letter case as in Python, where Rust's standard library differs or has no equivalent.

/// Returns `true` for white space: Unicode's, and four separators that Python adds.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\x1c'..='\x1f')
}

/// Capitalises every letter that doesn't follow a letter, and lowers the others. `ß` stays, and an apostrophe doesn't
/// begin a word.
pub(super) fn title(text: &str) -> String {
    let lowered = text.to_lowercase();
    let mut lowered = lowered.chars();
    let mut titled = String::with_capacity(text.len());
    let mut in_word = false;
    for c in text.chars() {
        // Lowered as a whole text, because a sigma at the end of a word is a different letter.
        let lower: String = lowered.by_ref().take(c.to_lowercase().count()).collect();
        match c {
            'ß' | '\'' => titled.push(c),
            _ if in_word => titled += &lower,
            _ => push_title(c, &mut titled),
        }
        in_word = is_cased(c) || matches!(c, 'ß' | '\'');
    }
    titled
}

/// Returns `true` if a letter has case.
fn is_cased(c: char) -> bool {
    c.is_lowercase() || c.is_uppercase() || is_title_letter(c)
}

/// Returns `true` for letters that are neither upper nor lower case but only begin a word, such as `ǅ`.
fn is_title_letter(c: char) -> bool {
    matches!(c,
        '\u{1c5}' | '\u{1c8}' | '\u{1cb}' | '\u{1f2}' | '\u{1f88}'..='\u{1f8f}' | '\u{1f98}'..='\u{1f9f}'
        | '\u{1fa8}'..='\u{1faf}' | '\u{1fbc}' | '\u{1fcc}' | '\u{1ffc}')
}

/// Appends a letter in title case, which may differ from its upper case.
fn push_title(c: char, titled: &mut String) {
    match c {
        _ if is_title_letter(c) => titled.push(c),
        // Two letters in one character: only the first is a capital.
        '\u{1c4}' | '\u{1c6}' => titled.push('\u{1c5}'),
        '\u{1c7}' | '\u{1c9}' => titled.push('\u{1c8}'),
        '\u{1ca}' | '\u{1cc}' => titled.push('\u{1cb}'),
        '\u{1f1}' | '\u{1f3}' => titled.push('\u{1f2}'),
        // Georgian has capitals for headings, but doesn't begin words with them.
        '\u{10d0}'..='\u{10fa}' | '\u{10fd}'..='\u{10ff}' => titled.push(c),
        // Of these two characters, the second one is the letter.
        '\u{149}' => titled.extend(c.to_uppercase()),
        '\u{1f80}'..='\u{1faf}' => titled.extend(char::from_u32(u32::from(c) + 8)),
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => titled.extend(char::from_u32(u32::from(c) + 9)),
        // The iota stays below its letter.
        '\u{1fb0}'..='\u{1fff}' => {
            titled.extend(c.to_uppercase().map(|c| if c == '\u{399}' { '\u{345}' } else { c }));
        }
        _ => {
            let mut upper = c.to_uppercase();
            titled.extend(upper.next());
            titled.extend(upper.flat_map(char::to_lowercase));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_begin_with_capitals() {
        for (text, titled) in [
            ("getting started", "Getting Started"),
            ("straße", "Straße"),
            ("ß", "ß"),
            ("don't panic", "Don't Panic"),
            ("ΟΔΟΣ ΣΑΣ", "Οδος Σας"),
            ("ǆungla", "ǅungla"),
            ("ﬁne", "Fine"),
            ("თბილისი", "თბილისი"),
            ("ᾳ", "ᾼ"),
            ("ŉ", "ʼN"),
            ("2nd a1b", "2Nd A1B"),
            ("", ""),
        ] {
            assert_eq!(title(text), titled, "{text}");
        }
    }
}
