//! Wiki links in the cells of tables.

use std::ops::Range;

/// Finds the bars inside of wiki links in tables.
pub(super) fn find(body: &str, found: &mut Vec<usize>) {
    if !body.contains("[[") {
        return;
    }
    let (mut at, mut before, mut is_in_table) = (0, None, false);
    for line in body.split_inclusive('\n') {
        let range = at..at + line.len();
        at = range.end;
        if is_in_table {
            is_in_table = !is_blank(line);
            bars(body, &range, found);
        } else if is_delimiter_row(line)
            && let Some(header) = &before
        {
            is_in_table = true;
            bars(body, header, found);
        }
        before = Some(range);
    }
}

/// Returns `true` if a line, also of a quotation, has no text.
fn is_blank(line: &str) -> bool {
    line.trim_start_matches(['>', ' ', '\t']).trim().is_empty()
}

/// Returns `true` if a line may be the delimiter row of a table.
fn is_delimiter_row(line: &str) -> bool {
    line.contains('-')
        && line.contains(['|', ':'])
        && line.trim_end().chars().all(|c| matches!(c, '|' | ':' | '-' | '>' | ' ' | '\t'))
}

/// The unescaped bars in the wiki links of a line.
fn bars(body: &str, line: &Range<usize>, found: &mut Vec<usize>) {
    let mut rest = line.clone();
    while let Some(end) = body[rest.clone()].find("]]").map(|end| rest.start + end) {
        if let Some(start) = body[rest.start..end].rfind("[[").map(|start| rest.start + start) {
            let bars = body[start..end].match_indices('|').map(|(bar, _)| start + bar);
            found.extend(bars.filter(|bar| !body[..*bar].ends_with('\\')));
        }
        rest.start = end + 2;
    }
}
