//! Line-by-line comparison of texts in bounded time.
//!
//! Small texts are compared as a whole, with the histogram algorithm. In the worst case this takes one step for each
//! pair of lines, and an attacker can construct the worst case. So larger texts are first split at the lines that both
//! contain exactly once, as in the patience algorithm. A part that is still too large counts as replaced entirely:
//! correct, but less readable.
//!
//! A small text has up to 10,000 lines (600 kB of prose) between the common beginning and the common end on either
//! side. Of a larger text as much as possible is compared. This is all of it, even for 5 MB with changes throughout,
//! unless it has runs of thousands of lines of which none is unique. The worst case found took a tenth of a second.

use std::collections::HashMap;
use std::ops::Range;

use imara_diff::{Algorithm, Diff, InternedInput};

/// Maximum number of line pairs compared for one pair of texts.
const MAX_PAIRS: u64 = 100_000_000;
/// Texts of more lines aren't compared line by line, which takes memory for each of them.
const MOST_COMPARED: usize = 300_000;

/// A run of lines, and the run of lines in the other text that replaced it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) old: Range<usize>,
    pub(crate) new: Range<usize>,
}

/// The result of a comparison.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    /// The changes in order; between any two is at least one common line.
    pub(crate) changes: Vec<Change>,
    /// Number of line pairs compared in the worst case.
    pub(crate) pairs: u64,
}

/// The placement of a change that could be a few lines further up or down.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Placement {
    /// As far down as possible.
    Lowest,
    /// Where people expect it, judged by indentation.
    Readable,
}

/// Splits a text into lines with their ends; joining them gives the text back.
pub(crate) fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').collect()
}

/// Returns `true` if a text has too many lines to be compared line by line.
pub(crate) fn is_long(text: &[u8]) -> bool {
    text.iter().filter(|byte| **byte == b'\n').count() > MOST_COMPARED
}

/// The sizes of what two texts begin and end with alike, in whole lines.
pub(crate) fn common(old: &[u8], new: &[u8]) -> (usize, usize) {
    let same = old.iter().zip(new).take_while(|(one, other)| one == other).count();
    let line_start =
        |at: usize| old[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let head = if same == old.len() && same == new.len() { same } else { line_start(same) };
    let (old, new) = (&old[head..], &new[head..]);
    let same = old.iter().rev().zip(new.iter().rev());
    let same = same.take_while(|(one, other)| one == other).count();
    // Up to where a line begins in both.
    let ends = |text: &[u8], tail: usize| {
        let start = text.len() - tail;
        start == 0 || text[start - 1] == b'\n'
    };
    let mut tail = same;
    while tail > 0 && !(ends(old, tail) && ends(new, tail)) {
        let rest = &old[old.len() - tail..];
        tail -= rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
    }
    (head, tail)
}

pub(crate) fn compare(old: &[&[u8]], new: &[&[u8]], placement: Placement) -> Compared {
    compare_within(MAX_PAIRS, old, new, placement)
}

fn compare_within(max_pairs: u64, old: &[&[u8]], new: &[&[u8]], placement: Placement) -> Compared {
    let whole = Change { old: 0..old.len(), new: 0..new.len() };
    let is_small = whole.trimmed(old, new).pairs() <= max_pairs;
    let gaps = if is_small { vec![whole] } else { gaps(old, new) };
    let mut compared = Compared::default();
    for gap in gaps {
        let trimmed = gap.trimmed(old, new);
        let pairs = trimmed.pairs();
        if trimmed.old.is_empty() && trimmed.new.is_empty() {
            continue;
        }
        if compared.pairs + pairs > max_pairs {
            compared.changes.push(trimmed);
        } else {
            compared.pairs += pairs;
            compared.changes.extend(gap.split(old, new, placement));
        }
    }
    compared
}

impl Change {
    fn pairs(&self) -> u64 {
        self.old.len() as u64 * self.new.len() as u64
    }

    /// Returns the change without its common first and last lines.
    fn trimmed(&self, old: &[&[u8]], new: &[&[u8]]) -> Self {
        let (mut old, mut new) = (&old[self.old.clone()], &new[self.new.clone()]);
        let head = old.iter().zip(new).take_while(|(one, other)| one == other).count();
        (old, new) = (&old[head..], &new[head..]);
        let tail = old.iter().rev().zip(new.iter().rev());
        let tail = tail.take_while(|(one, other)| one == other).count();
        Self {
            old: self.old.start + head..self.old.end - tail,
            new: self.new.start + head..self.new.end - tail,
        }
    }

    /// Returns the changes inside.
    fn split(&self, old: &[&[u8]], new: &[&[u8]], placement: Placement) -> Vec<Self> {
        let mut input = InternedInput::default();
        input.update_before(old[self.old.clone()].iter().copied());
        input.update_after(new[self.new.clone()].iter().copied());
        let mut diff = Diff::compute(Algorithm::Histogram, &input);
        match placement {
            Placement::Lowest => diff.postprocess_no_heuristic(&input),
            Placement::Readable => diff.postprocess_lines(&input),
        }
        let range = |from: usize, r: Range<u32>| from + r.start as usize..from + r.end as usize;
        let change = |hunk: imara_diff::Hunk| Self {
            old: range(self.old.start, hunk.before),
            new: range(self.new.start, hunk.after),
        };
        diff.hunks().map(change).collect()
    }
}

/// Returns the gaps between the lines that both texts contain exactly once and in the same order.
fn gaps(old: &[&[u8]], new: &[&[u8]]) -> Vec<Change> {
    let (in_old, in_new) = (single(old), single(new));
    let mut both: Vec<(usize, usize)> =
        in_old.iter().filter_map(|(line, at)| Some(((*at)?, (*in_new.get(line)?)?))).collect();
    both.sort_unstable();
    let mut gaps = Vec::new();
    let mut from = (0, 0);
    for (i, j) in rising(&both).into_iter().chain([(old.len(), new.len())]) {
        gaps.push(Change { old: from.0..i, new: from.1..j });
        from = (i + 1, j + 1);
    }
    gaps
}

/// Maps each line to its index; `None` if it occurs more than once.
fn single<'a>(lines: &[&'a [u8]]) -> HashMap<&'a [u8], Option<usize>> {
    let mut single = HashMap::with_capacity(lines.len());
    for (at, line) in lines.iter().enumerate() {
        single.entry(*line).and_modify(|place| *place = None).or_insert(Some(at));
    }
    single
}

/// Longest increasing subsequence (by second element) of pairs sorted by the first.
fn rising(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // For each length, the last pair of the best subsequence; for each pair, its predecessor.
    let mut last: Vec<usize> = Vec::new();
    let mut previous = Vec::with_capacity(pairs.len());
    for (at, (_, second)) in pairs.iter().enumerate() {
        let length = last.partition_point(|end| pairs[*end].1 < *second);
        previous.push(length.checked_sub(1).map(|shorter| last[shorter]));
        match last.get_mut(length) {
            Some(end) => *end = at,
            None => last.push(at),
        }
    }
    let run = std::iter::successors(last.last().copied(), |at| previous[*at]);
    let mut run: Vec<_> = run.map(|at| pairs[at]).collect();
    run.reverse();
    run
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn changes(old: &str, new: &str) -> Vec<Change> {
        let (old, new) = (lines(old.as_bytes()), lines(new.as_bytes()));
        compare(&old, &new, Placement::Lowest).changes
    }

    /// Lines in pseudorandom order, the same for each seed.
    fn letters(seed: u64, count: u64) -> String {
        let letter = |n: u64| (n ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60;
        (0..count).map(|n| format!("{:x}\n", letter(n))).collect()
    }

    /// Texts of a few repeated lines and some unique ones.
    fn text() -> impl Strategy<Value = Vec<&'static str>> {
        let line =
            prop::sample::select(&["a\n", "b\n", "1\n", "2\n", "3\n", "4\n", "5\n", "6\n"][..]);
        vec(line, 0..30)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// With any limit on the compared pairs.
        #[test]
        fn changes_make_the_new_text_of_the_old(old in text(), new in text(), max_pairs in 0..200_u64) {
            let bytes = |text: &[&'static str]| text.iter().map(|l| l.as_bytes()).collect::<Vec<_>>();
            let (old, new) = (bytes(&old), bytes(&new));
            for placement in [Placement::Lowest, Placement::Readable] {
                let Compared { changes, pairs } = compare_within(max_pairs, &old, &new, placement);
                prop_assert!(pairs <= max_pairs);
                let (mut made, mut at) = (Vec::new(), 0);
                for (n, change) in changes.iter().enumerate() {
                    prop_assert!(n == 0 || at < change.old.start, "{changes:?}");
                    made.extend_from_slice(&old[at..change.old.start]);
                    prop_assert_eq!(made.len(), change.new.start);
                    made.extend_from_slice(&new[change.new.clone()]);
                    at = change.old.end;
                }
                made.extend_from_slice(&old[at..]);
                prop_assert_eq!(made, new.clone());
            }
        }

        #[test]
        fn the_longest_rising_run_is_found(seconds in Just((0..8).collect::<Vec<usize>>()).prop_shuffle()) {
            let pairs: Vec<_> = seconds.iter().copied().enumerate().collect();
            let found = rising(&pairs);
            let rises = |run: &[(usize, usize)]| run.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1);
            prop_assert!(rises(&found));
            let chosen = |set: u32| pairs.iter().copied().filter(move |(at, _)| set >> at & 1 == 1);
            let best = (0..256).filter(|set| rises(&chosen(*set).collect::<Vec<_>>()));
            prop_assert_eq!(Some(found.len()), best.map(|set| set.count_ones() as usize).max());
        }
    }

    /// Comparing each line with each would take forty billion pairs.
    #[test]
    fn texts_of_lines_that_repeat_are_not_compared_pair_by_pair() {
        let (old, new) = (letters(1, 200_000), letters(2, 200_000));
        let (old, new) = (lines(old.as_bytes()), lines(new.as_bytes()));
        let compared = compare(&old, &new, Placement::Lowest);
        let whole = Change { old: 0..old.len(), new: 0..new.len() }.trimmed(&old, &new);
        assert_eq!((compared.changes, compared.pairs), (vec![whole], 0));
    }

    #[test]
    fn a_large_text_is_compared_where_it_was_changed() {
        let line = |n: usize| match n % 3 {
            0 => "\n".to_owned(),
            1 => "- [ ] to do\n".to_owned(),
            _ => format!("What stands here, in line {n}, stands nowhere else in this page.\n"),
        };
        let old: Vec<String> = (0..200_000).map(line).collect();
        assert!(old.concat().len() > 4_900_000);
        let mut new = old.clone();
        new[10] = "- [x] to do\n".to_owned();
        new[100_001] = "What was changed.\n".to_owned();
        new.splice(199_990..199_990, ["What was added.\n".to_owned()]);
        let change = |old, new| Change { old, new };
        assert_eq!(
            changes(&old.concat(), &new.concat()),
            [
                change(10..11, 10..11),
                change(100_001..100_002, 100_001..100_002),
                change(199_990..199_990, 199_990..199_991),
            ]
        );
        // Also with every second line changed, which would take as much work as there are pairs.
        let every: Vec<String> = (0..100_000).map(|n| format!("line {n}\n")).collect();
        let other =
            |(n, line): (usize, &String)| if n % 2 == 0 { line.clone() } else { format!("{n}\n") };
        let other: Vec<String> = every.iter().enumerate().map(other).collect();
        assert_eq!(changes(&every.concat(), &other.concat()).len(), 50_000);
    }
}
