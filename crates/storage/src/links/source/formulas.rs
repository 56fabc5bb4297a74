//! Formulas between dollars, as on GitHub: `$a$` in a line, where the first dollar begins a word and the second one
//! ends it, and `$$a$$`, also of several lines.

use std::ops::Range;

/// Finds the dollars that belong to no formula, and the line breaks in formulas that have lines of their own.
pub(super) fn find(body: &str, found: &mut Vec<usize>) {
    if !body.contains('$') {
        return;
    }
    let dollars = runs(body.as_bytes());
    let mut at = 0;
    while let Some(run) = dollars.get(at) {
        let formula = dollars.get(at + 1).and_then(|next| Formula::between(body, run, next));
        match formula {
            Some(Formula::Inline) => at += 2,
            Some(Formula::Block { lines }) => {
                let breaks = body[lines.clone()].match_indices(['\n', '\r']);
                found.extend(breaks.map(|(line, _)| lines.start + line));
                at += 2;
            }
            None => {
                found.extend(run.clone());
                at += 1;
            }
        }
    }
}

/// The unescaped dollars, adjacent ones as one range.
fn runs(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], runs.last_mut()) {
            (b'\\', _) => at += 1,
            (b'$', Some(last)) if last.end == at => last.end += 1,
            (b'$', _) => runs.push(at..at + 1),
            _ => {}
        }
        at += 1;
    }
    runs
}

enum Formula {
    /// A part of a paragraph.
    Inline,
    /// A formula on lines of its own: the range between its dollars.
    Block { lines: Range<usize> },
}

impl Formula {
    /// The formula between two consecutive runs of dollars.
    fn between(body: &str, open: &Range<usize>, close: &Range<usize>) -> Option<Self> {
        let inside = open.end..close.start;
        let is_block = open.len() == 2 && has_own_lines(body, open, close);
        match (open.len(), close.len()) {
            (2, 2) if is_block => Some(Self::Block { lines: inside }),
            (2, 2) if !divides(&body[inside.clone()]) => Some(Self::Inline),
            (1, 1) if is_inline(body.as_bytes(), &inside) && !divides(&body[inside.clone()]) => {
                Some(Self::Inline)
            }
            _ => None,
        }
    }
}

/// Returns `true` if the dollars around `inside` enclose a formula within a line.
fn is_inline(bytes: &[u8], inside: &Range<usize>) -> bool {
    let is_word =
        |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_alphanumeric);
    let is_space = |at: usize| bytes.get(at).is_none_or(u8::is_ascii_whitespace);
    !is_word(inside.start.checked_sub(2))
        && !is_word(Some(inside.end + 1))
        && !is_space(inside.start)
        && !is_space(inside.end.saturating_sub(1))
}

/// Returns `true` if the opening dollars begin a line and the closing ones end one, with no code fence between
/// them.
fn has_own_lines(body: &str, open: &Range<usize>, close: &Range<usize>) -> bool {
    let inside = &body[open.end..close.start];
    let indent = body[..open.start].bytes().rev().take(4).take_while(|byte| *byte == b' ').count();
    let begins_line = open.start == indent || body[..open.start - indent].ends_with('\n');
    let rest = body[close.end..].trim_start_matches([' ', '\t', '\r']);
    let is_fence =
        |line: &str| ["```", "~~~"].iter().any(|fence| line.trim_start().starts_with(fence));
    close.len() == 2
        && indent <= 3
        && begins_line
        && (rest.is_empty() || rest.starts_with('\n'))
        && inside.contains('\n')
        && !inside.lines().any(is_fence)
}

/// Returns `true` if there is a blank line, which ends a paragraph.
fn divides(inside: &str) -> bool {
    let mut lines = inside.split('\n').skip(1).peekable();
    while let Some(line) = lines.next() {
        if lines.peek().is_some() && line.trim().is_empty() {
            return true;
        }
    }
    false
}
