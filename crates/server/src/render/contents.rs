//! The table of contents of a page.

use super::escape;
use super::headings::Heading;

/// Nested lists of links to the headings.
pub(super) fn list(headings: &[Heading]) -> String {
    let mut html = String::from("<div class=\"toc\">");
    let mut open: Vec<u8> = Vec::new();
    for Heading { level, text, id } in headings {
        while open.last().is_some_and(|last| last > level) {
            open.pop();
            html.push_str("</li></ul>");
        }
        if open.last() == Some(level) {
            html.push_str("</li><li>");
        } else {
            open.push(*level);
            html.push_str("<ul><li>");
        }
        html.push_str(&format!("<a href=\"#{}\">{}</a>", escape::path(id), escape::text(text)));
    }
    html.push_str(&"</li></ul>".repeat(open.len()));
    html.push_str("</div>");
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_nested_by_their_levels() {
        let heading =
            |level, id: &str| Heading { level, text: id.to_uppercase(), id: id.to_owned() };
        let link = |id: &str| format!("<a href=\"#{id}\">{}</a>", id.to_uppercase());
        let headings = [heading(2, "a"), heading(4, "b"), heading(2, "c"), heading(1, "d")];
        assert_eq!(
            list(&headings),
            format!(
                "<div class=\"toc\"><ul><li>{}<ul><li>{}</li></ul></li><li>{}</li></ul><ul><li>{}</li></ul></div>",
                link("a"),
                link("b"),
                link("c"),
                link("d")
            )
        );
        assert_eq!(list(&[]), "<div class=\"toc\"></div>");
    }
}
