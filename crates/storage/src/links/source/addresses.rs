//! Addresses of other sites in the text.

/// Finds the characters in addresses that would begin or end emphasis.
pub(super) fn find(body: &str, found: &mut Vec<usize>) {
    for beginning in ["://", "www."] {
        let mut done = 0;
        for (at, _) in body.match_indices(beginning) {
            if at < done {
                continue;
            }
            let address = address(&body[at..]);
            done = at + address.len().max(1);
            let marks = address.match_indices(['_', '*', '~']).map(|(mark, _)| at + mark);
            found.extend(marks.filter(|mark| !body[..*mark].ends_with('\\')));
        }
    }
}

/// The address at the beginning of a text, without trailing punctuation.
fn address(text: &str) -> &str {
    let mut open = 0_u32;
    let ends = |c: char| match c {
        '(' => {
            open += 1;
            false
        }
        ')' if open == 0 => true,
        ')' => {
            open -= 1;
            false
        }
        c => c.is_whitespace() || c.is_control() || "<>[]|\"`".contains(c),
    };
    let end = text.find(ends).unwrap_or(text.len());
    text[..end].trim_end_matches(['?', '!', '.', ',', ':', ';', '*', '_', '~', '\''])
}
