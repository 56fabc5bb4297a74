//! Merging texts whose lines end in different ways: lines are compared without their ends, and the result has
//! the ends of one text.

use super::{Effort, Merged, merge};
use crate::lines::{Placement, compare, lines};

/// The text that gives a merged one its line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// The line ends of our text, which is the stored one.
    Ours,
    /// The line ends that a side changed, whichever side is ours.
    Changed,
}

/// The ends of a text's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Style {
    Unix,
    Windows,
    Mixed,
}

/// Merges the changes from `base` to `ours` and from `base` to `theirs`.
pub(crate) fn merge_lines(
    base: &[u8],
    ours: &[u8],
    theirs: &[u8],
    ends: Ends,
    effort: &mut Effort,
) -> Merged {
    let styles = [base, ours, theirs].map(Style::of);
    if styles == [Style::Unix; 3] {
        return merge(base, ours, theirs, effort);
    }
    if styles.iter().all(|style| *style == styles[0])
        && let merged @ Merged::Clean(_) = merge(base, ours, theirs, effort)
    {
        return merged;
    }
    let plain = [base, ours, theirs].map(without_returns);
    match merge(&plain[0], &plain[1], &plain[2], effort) {
        Merged::Clean(text) => {
            Merged::Clean(with_ends_of(&text, model(ours, theirs, styles, ends)))
        }
        conflict @ Merged::Conflict(_) => conflict,
    }
}

impl Style {
    fn of(text: &[u8]) -> Self {
        let (mut windows, mut unix) = (false, false);
        for line in lines(text) {
            match line {
                [.., b'\r', b'\n'] => windows = true,
                [.., b'\n'] => unix = true,
                _ => {}
            }
        }
        match (windows, unix) {
            (true, true) => Self::Mixed,
            (true, false) => Self::Windows,
            (false, _) => Self::Unix,
        }
    }
}

/// The text whose ends the result gets.
fn model<'a>(ours: &'a [u8], theirs: &'a [u8], styles: [Style; 3], ends: Ends) -> &'a [u8] {
    let [base, our_style, their_style] = styles;
    if ends == Ends::Ours {
        return ours;
    }
    match (our_style == base, their_style == base) {
        (true, false) => theirs,
        (false, true) => ours,
        // Nothing that depends on which side is ours.
        _ if (our_style, ours) <= (their_style, theirs) => ours,
        _ => theirs,
    }
}

fn without_returns(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    for line in lines(text) {
        match line {
            [content @ .., b'\r', b'\n'] => {
                plain.extend_from_slice(content);
                plain.push(b'\n');
            }
            _ => plain.extend_from_slice(line),
        }
    }
    plain
}

/// A text of plain lines with the ends that the same lines have in `model`. Lines that aren't there get the
/// ends that most have.
fn with_ends_of(text: &[u8], model: &[u8]) -> Vec<u8> {
    let ended: Vec<bool> = lines(model).iter().map(|line| line.ends_with(b"\r\n")).collect();
    let windows = ended.iter().filter(|is_windows| **is_windows).count();
    let usual = windows * 2 > lines(model).iter().filter(|line| line.ends_with(b"\n")).count();
    let text_lines = lines(text);
    let mut is_windows = vec![usual; text_lines.len()];
    if Style::of(model) == Style::Mixed {
        let plain = without_returns(model);
        let mut at = 0;
        let changes = compare(&lines(&plain), &text_lines, Placement::Lowest).changes;
        let ends = changes.iter().map(|change| (change.old.clone(), change.new.clone()));
        let last = (ended.len()..ended.len(), text_lines.len()..text_lines.len());
        for (old, new) in ends.chain([last]) {
            let same = new.start - at;
            is_windows[at..new.start].copy_from_slice(&ended[old.start - same..old.start]);
            at = new.end;
        }
    }
    let mut ended = Vec::with_capacity(text.len() + text_lines.len());
    for (line, is_windows) in text_lines.iter().zip(is_windows) {
        match line {
            [content @ .., b'\n'] if is_windows => {
                ended.extend_from_slice(content);
                ended.extend_from_slice(b"\r\n");
            }
            _ => ended.extend_from_slice(line),
        }
    }
    ended
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn windows(text: &str) -> String {
        text.replace('\n', "\r\n")
    }

    fn merged(base: &str, ours: &str, theirs: &str, ends: Ends) -> Option<String> {
        let (base, ours, theirs) = (base.as_bytes(), ours.as_bytes(), theirs.as_bytes());
        match merge_lines(base, ours, theirs, ends, &mut Effort::default()) {
            Merged::Clean(text) => Some(String::from_utf8(text).unwrap()),
            Merged::Conflict(_) => None,
        }
    }

    const BASE: &str = "one\ntwo\nthree\nfour\nfive\n";
    const OURS: &str = "ONE\ntwo\nthree\nfour\nfive\n";
    const THEIRS: &str = "one\ntwo\nthree\nfour\nFIVE\nsix\n";
    const BOTH: &str = "ONE\ntwo\nthree\nfour\nFIVE\nsix\n";

    #[test]
    fn a_save_is_merged_whatever_its_line_ends_and_has_those_of_the_stored_page() {
        for base in [BASE.to_owned(), windows(BASE)] {
            for theirs in [THEIRS.to_owned(), windows(THEIRS)] {
                let merge = |ours: &str| merged(&base, ours, &theirs, Ends::Ours).unwrap();
                assert_eq!(merge(OURS), BOTH);
                assert_eq!(merge(&windows(OURS)), windows(BOTH));
            }
        }
        // Without an end of the last line.
        let ours = windows("ONE\ntwo\nthree\nfour\nfive");
        let theirs = "one\ntwo\nthree\nFOUR\nfive";
        let base = windows("one\ntwo\nthree\nfour\nfive");
        let both = merged(&base, &ours, theirs, Ends::Ours).unwrap();
        assert_eq!(both, windows("ONE\ntwo\nthree\nFOUR\nfive"));
    }

    #[test]
    fn a_page_with_both_ends_keeps_each_lines_own() {
        let ours = "ONE\r\ntwo\nthree\r\nfour\r\nfive\r\n";
        let both = merged(&windows(BASE), ours, THEIRS, Ends::Ours).unwrap();
        assert_eq!(both, "ONE\r\ntwo\nthree\r\nfour\r\nFIVE\r\nsix\r\n");
    }

    #[test]
    fn the_same_line_changed_twice_is_a_conflict_as_before() {
        assert_eq!(merged(BASE, OURS, &windows("1\ntwo\nthree\nfour\nfive\n"), Ends::Ours), None);
    }

    #[test]
    fn two_histories_get_the_ends_that_one_of_them_chose() {
        let merge = |base: &str, ours: &str, theirs: &str| {
            let one = merged(base, ours, theirs, Ends::Changed);
            assert_eq!(one, merged(base, theirs, ours, Ends::Changed), "either way round");
            one.unwrap()
        };
        assert_eq!(merge(BASE, OURS, &windows(THEIRS)), windows(BOTH));
        assert_eq!(merge(&windows(BASE), &windows(OURS), THEIRS), BOTH);
        assert_eq!(merge(&windows(BASE), OURS, THEIRS), BOTH);
    }

    proptest! {
        #[test]
        fn a_text_gets_its_own_ends_back(text in "([a-c]{0,2}\r?\n){0,12}[a-c]{0,2}") {
            let text = text.as_bytes();
            prop_assert_eq!(with_ends_of(&without_returns(text), text), text.to_vec());
        }
    }
}
