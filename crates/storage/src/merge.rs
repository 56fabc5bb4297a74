//! Three-way merge of a page's text that never loses words of either side.
//!
//! A change is a run of base lines that one side replaced; changes of the two sides that neither overlap
//! nor touch are both applied. Touching counts as overlapping, as in git: two people who wrote at the
//! same place should look at it. Where lines are too many and too alike to be compared (see
//! [`lines`](crate::lines)) the whole run counts as replaced: whoever else changed something in it should
//! look at it, too. So does, in a text of very many lines, all between the lines that the two texts begin and
//! end with alike.

use std::ops::Range;

use serde::Serialize;

use crate::lines::{Change, Placement, common, compare, is_long, lines};

pub(crate) mod files;
mod line_ends;
mod names;
mod settle;

pub(crate) use line_ends::{Ends, merge_lines};

/// One place where both sides changed the same lines differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hunk {
    /// The first line in the base text, counted from 1.
    pub base_line: usize,
    /// The text of the base.
    pub base: String,
    /// The stored text.
    pub ours: String,
    /// The text of the request.
    pub theirs: String,
}

/// The outcome of merging two texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Merged {
    /// One text with the changes of both sides.
    Clean(Vec<u8>),
    /// The conflicts; never empty.
    Conflict(Vec<Hunk>),
}

/// The work done by merging many texts. It is measured in bytes and comparisons, never in time, so that two wikis which
/// merge the same histories give up at the same text.
#[derive(Debug, Default)]
pub(crate) struct Effort {
    bytes: usize,
    pairs: u64,
}

/// Limits for all texts together: bytes read, and pairs of lines compared in the worst case. Reaching them takes a few
/// seconds.
const MAX_BYTES: usize = 512 << 20;
const MAX_PAIRS: u64 = 4_000_000_000;

impl Effort {
    /// Returns `true` if a limit is exceeded, so that no more texts should be merged.
    pub(crate) fn is_spent(&self) -> bool {
        self.bytes > MAX_BYTES || self.pairs > MAX_PAIRS
    }
}

/// Merges the changes from `base` to `ours` and from `base` to `theirs`.
fn merge(base: &[u8], ours: &[u8], theirs: &[u8], effort: &mut Effort) -> Merged {
    let (text, hunks) = merge_text(base, ours, theirs, effort);
    if hunks.is_empty() { Merged::Clean(text) } else { Merged::Conflict(hunks) }
}

/// Makes a synthetic base for merging two texts that both descend from `ours` and `theirs`. It is never shown: regions
/// where the two conflict hold a line that neither can have, so that both sides count as changes there.
pub(crate) fn common_base(base: &[u8], ours: &[u8], theirs: &[u8], effort: &mut Effort) -> Vec<u8> {
    merge_text(base, ours, theirs, effort).0
}

/// Returns the merged text, with a placeholder line for each conflict, and the conflicts.
fn merge_text(
    base: &[u8],
    ours: &[u8],
    theirs: &[u8],
    effort: &mut Effort,
) -> (Vec<u8>, Vec<Hunk>) {
    effort.bytes += base.len() + ours.len() + theirs.len();
    if [base, ours, theirs].into_iter().any(is_long) {
        return merge_long(base, ours, theirs);
    }
    let (base_lines, our_lines, their_lines) = (lines(base), lines(ours), lines(theirs));
    let our_side = compare(&base_lines, &our_lines, Placement::Lowest);
    let their_side = compare(&base_lines, &their_lines, Placement::Lowest);
    effort.pairs += our_side.pairs + their_side.pairs;
    let (our_changes, their_changes) = (our_side.changes, their_side.changes);
    let mut text = Vec::with_capacity(ours.len().max(theirs.len()));
    let mut hunks = Vec::new();
    let mut at = 0;
    for group in groups(&our_changes, &their_changes) {
        push(&mut text, &base_lines[at..group.base.start]);
        at = group.base.end;
        let ours = group.side(&our_changes[group.ours.clone()], &base_lines, &our_lines);
        let theirs = group.side(&their_changes[group.theirs.clone()], &base_lines, &their_lines);
        if group.ours.is_empty() || ours == theirs {
            text.extend(theirs);
        } else if group.theirs.is_empty() {
            text.extend(ours);
        } else {
            text.extend_from_slice(NO_LINE);
            hunks.push(Hunk {
                base_line: group.base.start + 1,
                base: shown(base_lines[group.base.clone()].concat()),
                ours: shown(ours),
                theirs: shown(theirs),
            });
        }
    }
    push(&mut text, &base_lines[at..]);
    (text, hunks)
}

/// As [`merge_text`], without a list of the lines: each side has one change at most.
fn merge_long(base: &[u8], ours: &[u8], theirs: &[u8]) -> (Vec<u8>, Vec<Hunk>) {
    if ours == theirs || theirs == base {
        return (ours.to_vec(), Vec::new());
    }
    if ours == base {
        return (theirs.to_vec(), Vec::new());
    }
    let (our, their) = (Replaced::of(base, ours), Replaced::of(base, theirs));
    let (first, last) =
        if our.old.start <= their.old.start { (&our, &their) } else { (&their, &our) };
    let mut text = Vec::with_capacity(ours.len().max(theirs.len()));
    if first.old.end < last.old.start {
        text.extend_from_slice(&base[..first.old.start]);
        text.extend_from_slice(first.new);
        text.extend_from_slice(&base[first.old.end..last.old.start]);
        text.extend_from_slice(last.new);
        text.extend_from_slice(&base[last.old.end..]);
        return (text, Vec::new());
    }
    let span = first.old.start..our.old.end.max(their.old.end);
    text.extend_from_slice(&base[..span.start]);
    text.extend_from_slice(NO_LINE);
    text.extend_from_slice(&base[span.end..]);
    let hunk = Hunk {
        base_line: base[..span.start].iter().filter(|byte| **byte == b'\n').count() + 1,
        base: shown(base[span.clone()].to_vec()),
        ours: shown(our.within(&span, base)),
        theirs: shown(their.within(&span, base)),
    };
    (text, vec![hunk])
}

/// All that differs between two texts, in whole lines.
struct Replaced<'a> {
    /// Which bytes of the base are replaced.
    old: Range<usize>,
    new: &'a [u8],
}

impl<'a> Replaced<'a> {
    fn of(base: &[u8], side: &'a [u8]) -> Self {
        let (head, tail) = common(base, side);
        Self { old: head..base.len() - tail, new: &side[head..side.len() - tail] }
    }

    /// The side's text for a span of the base.
    fn within(&self, span: &Range<usize>, base: &[u8]) -> Vec<u8> {
        [&base[span.start..self.old.start], self.new, &base[self.old.end..span.end]].concat()
    }
}

/// A NUL is in no text that is merged.
const NO_LINE: &[u8] = b"\0\n";

/// Changes of both sides that overlap or touch, and the base lines that they span together.
struct Group {
    base: Range<usize>,
    ours: Range<usize>,
    theirs: Range<usize>,
}

impl Group {
    /// Returns one side's text for the whole span: its changes, and the base lines in between.
    fn side(&self, changes: &[Change], base: &[&[u8]], side: &[&[u8]]) -> Vec<u8> {
        let mut text = Vec::new();
        let mut at = self.base.start;
        for change in changes {
            push(&mut text, &base[at..change.old.start]);
            push(&mut text, &side[change.new.clone()]);
            at = change.old.end;
        }
        push(&mut text, &base[at..self.base.end]);
        text
    }
}

/// Sweeps both lists from the top and groups the changes that overlap or touch.
fn groups(ours: &[Change], theirs: &[Change]) -> Vec<Group> {
    let mut groups = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < ours.len() || j < theirs.len() {
        let (i0, j0) = (i, j);
        let start = [ours.get(i), theirs.get(j)].into_iter().flatten().map(|c| c.old.start).min();
        let start = start.expect("one of the lists has a change left");
        let mut end = start;
        loop {
            // A change belongs to the group if it begins inside it or right at its end. At the group's start this takes
            // the first change of either side.
            if let Some(change) = ours.get(i).filter(|c| c.old.start <= end) {
                end = end.max(change.old.end);
                i += 1;
            } else if let Some(change) = theirs.get(j).filter(|c| c.old.start <= end) {
                end = end.max(change.old.end);
                j += 1;
            } else {
                break;
            }
        }
        groups.push(Group { base: start..end, ours: i0..i, theirs: j0..j });
    }
    groups
}

fn push(text: &mut Vec<u8>, lines: &[&[u8]]) {
    for line in lines {
        text.extend_from_slice(line);
    }
}

fn shown(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests;
