//! Unclosed HTML, which would turn the rest of the page into HTML.

/// Openings and their ends. The parser takes the text between them for HTML.
const PAIRS: &[(&str, &str)] = &[
    ("<!--", "-->"),
    ("<?", "?>"),
    ("<![cdata[", "]]>"),
    ("<!", ">"),
    ("<script", "</script"),
    ("<style", "</style"),
    ("<textarea", "</textarea"),
];

/// Finds the angle brackets of openings without an end.
pub(super) fn find(body: &str, found: &mut Vec<usize>) {
    if !body.contains('<') {
        return;
    }
    let lower = body.to_ascii_lowercase();
    for (opening, end) in PAIRS {
        let last = lower.rfind(end);
        let openings = lower.match_indices(opening).map(|(at, _)| at);
        // `<!-->` is a whole comment.
        let is_open = |at: &usize| last.is_none_or(|last| last < at + 2);
        found.extend(
            openings.filter(is_open).filter(|at| begins(&lower[at + opening.len()..], opening)),
        );
    }
}

/// Returns `true` if the opening is complete before `rest`: `<script` must not be the beginning of a longer name.
fn begins(rest: &str, opening: &str) -> bool {
    let next = rest.chars().next();
    match opening {
        "<!" => next.is_some_and(|next| next.is_ascii_alphabetic()),
        "<script" | "<style" | "<textarea" => {
            !next.is_some_and(|next| next.is_ascii_alphanumeric())
        }
        _ => true,
    }
}
