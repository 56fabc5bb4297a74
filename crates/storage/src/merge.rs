//! Three-way merge of a page's text in which no side's words are ever lost.
//!
//! Lines are compared with the histogram algorithm. A change is a run of base lines that one side
//! replaced; changes of the two sides that neither overlap nor touch are both applied. Touching
//! counts as overlapping, as in git: two people who wrote at the same place should look at it.

use std::ops::Range;

use imara_diff::{Algorithm, Diff, InternedInput};
use serde::Serialize;

pub(crate) mod files;
mod names;
mod settle;

/// One place where both sides changed the same lines differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hunk {
    /// The first line concerned, counted from 1, in the base text.
    pub base_line: usize,
    /// What stood there.
    pub base: String,
    /// What is stored now.
    pub ours: String,
    /// What was sent.
    pub theirs: String,
}

/// What became of merging two texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Merged {
    /// Both sides' changes in one text.
    Clean(Vec<u8>),
    /// The places that need a person; never empty.
    Conflict(Vec<Hunk>),
}

/// Merges the changes from `base` to `ours` and from `base` to `theirs`.
pub(crate) fn merge(base: &[u8], ours: &[u8], theirs: &[u8]) -> Merged {
    let (text, hunks) = merge_text(base, ours, theirs);
    if hunks.is_empty() { Merged::Clean(text) } else { Merged::Conflict(hunks) }
}

/// A base for merging two texts that are both made of `ours` and `theirs`. Nobody reads it: where
/// those two disagree it has lines that neither can have, so that both count as changed there.
pub(crate) fn common_base(base: &[u8], ours: &[u8], theirs: &[u8]) -> Vec<u8> {
    merge_text(base, ours, theirs).0
}

/// The merged text, with a line of its own for every place that needs a person, and those places.
fn merge_text(base: &[u8], ours: &[u8], theirs: &[u8]) -> (Vec<u8>, Vec<Hunk>) {
    let base_lines = lines(base);
    let (our_lines, their_lines) = (lines(ours), lines(theirs));
    let our_changes = changes(base, ours);
    let their_changes = changes(base, theirs);
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

/// A NUL is in no text that is merged.
const NO_LINE: &[u8] = b"\0\n";

/// A run of base lines, and the run of the side's lines that took its place.
#[derive(Clone, Debug)]
struct Change {
    base: Range<usize>,
    side: Range<usize>,
}

/// Changes of both sides that overlap or touch, and the base lines they span together.
struct Group {
    base: Range<usize>,
    ours: Range<usize>,
    theirs: Range<usize>,
}

impl Group {
    /// This side's text for the whole span: its changes, and base lines in between.
    fn side(&self, changes: &[Change], base: &[&[u8]], side: &[&[u8]]) -> Vec<u8> {
        let mut text = Vec::new();
        let mut at = self.base.start;
        for change in changes {
            push(&mut text, &base[at..change.base.start]);
            push(&mut text, &side[change.side.clone()]);
            at = change.base.end;
        }
        push(&mut text, &base[at..self.base.end]);
        text
    }
}

/// Sweeps both lists from the top, gathering what belongs together.
fn groups(ours: &[Change], theirs: &[Change]) -> Vec<Group> {
    let mut groups = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < ours.len() || j < theirs.len() {
        let (i0, j0) = (i, j);
        let start = [ours.get(i), theirs.get(j)].into_iter().flatten().map(|c| c.base.start).min();
        let start = start.expect("one of the lists has a change left");
        let mut end = start;
        loop {
            // A change belongs to the group if it begins inside it or right at its end. At the
            // group's very start that takes the first change of either side.
            if let Some(change) = ours.get(i).filter(|c| c.base.start <= end) {
                end = end.max(change.base.end);
                i += 1;
            } else if let Some(change) = theirs.get(j).filter(|c| c.base.start <= end) {
                end = end.max(change.base.end);
                j += 1;
            } else {
                break;
            }
        }
        groups.push(Group { base: start..end, ours: i0..i, theirs: j0..j });
    }
    groups
}

fn changes(base: &[u8], side: &[u8]) -> Vec<Change> {
    let mut input = InternedInput::default();
    input.update_before(lines(base).into_iter());
    input.update_after(lines(side).into_iter());
    let mut diff = Diff::compute(Algorithm::Histogram, &input);
    diff.postprocess_no_heuristic(&input);
    let range = |r: Range<u32>| r.start as usize..r.end as usize;
    diff.hunks().map(|hunk| Change { base: range(hunk.before), side: range(hunk.after) }).collect()
}

/// Lines with their ends, so that joining them gives the text back.
fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').collect()
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
