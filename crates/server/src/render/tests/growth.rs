//! Rendering takes time linear in a page's length, not quadratic.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::{limits, render};

/// Size of the longer of two compared pages, in bytes.
const LONG: usize = 256_000;
const SHORT: usize = LONG / 16;
/// Maximum ratio of their times. Linear growth is 16, quadratic growth is 256.
const MOST: f64 = 40.0;

/// Fails if the time for a page of a beginning and many copies of a part grows too fast. `{#}` in a part is replaced by
/// a different number in each copy.
fn grows_evenly(patterns: &[(&str, &str)]) {
    for (beginning, part) in patterns {
        let (short, long) = (page(beginning, part, SHORT), page(beginning, part, LONG));
        // Repeated, in case other load disturbed the measurement.
        let ratio = || time(&long).as_secs_f64() / time(&short).as_secs_f64();
        let least = (0..3).map(|_| ratio()).find(|ratio| *ratio <= MOST);
        assert!(least.is_some(), "{beginning:?} {part:?}");
    }
}

fn page(beginning: &str, part: &str, size: usize) -> String {
    let mut text = beginning.to_owned();
    for n in 1.. {
        text += &part.replace("{#}", &n.to_string());
        if text.len() >= size {
            break;
        }
    }
    text
}

fn time(text: &str) -> Duration {
    let start = used();
    render(text);
    used() - start
}

/// The processor time of this thread.
fn used() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap()
}

#[test]
fn of_text() {
    grows_evenly(&[
        ("", "&"),
        ("", "&a"),
        ("", "&#"),
        ("", "&amp;"),
        ("", "&#{#};"),
        ("", "°"),
        ("", "\u{a0}"),
        ("", "\""),
        ("", "<"),
        ("", "\\"),
        ("", "a\n"),
        ("", "a  \n"),
        ("# ", "&"),
        ("```\n", "& \n"),
        ("> ", "& "),
        ("---\n", "a{#}: b\n"),
        ("---\na: ", "["),
        ("+++\n", "a{#} = 1\n"),
        ("+++\na = ", "["),
    ]);
}

#[test]
fn of_links() {
    grows_evenly(&[
        ("", "["),
        ("", "]"),
        ("", "![["),
        ("", "[[a|"),
        ("", "[[a{#}]]"),
        ("", "[a](b{#})"),
        ("", "[a]("),
        ("", "[a](<b"),
        ("", "[a][b"),
        ("[b]: c\n\n", "[a][b]"),
        ("", "[a{#}]: b\n"),
        ("", "[^a]"),
        ("[^a]: b\n\n", "[^a]"),
        ("", "[^{#}]\n\n[^{#}]: b\n\n"),
        ("[a](b \"", "&"),
        ("![", "& "),
        ("[a](http://", "ä"),
        ("[a](http://", "a."),
        ("[a](/", "a/"),
        ("[a](", "../"),
        ("[[", "a/"),
        ("", "<https://a.b/>"),
        ("", "<a@b.c>"),
        ("", "https://a.b "),
    ]);
}

#[test]
fn of_blocks_and_emphasis() {
    grows_evenly(&[
        ("", "> "),
        ("", "- "),
        ("", "1. "),
        ("", "* a\n"),
        ("", "- a\n  - b\n"),
        ("", "*a "),
        ("", "**a*"),
        ("", "*"),
        ("", "a**b"),
        ("", "*a_ **b~ "),
        ("", "~~a"),
        ("", "``a`"),
        ("", "```\n"),
        ("", "| "),
        ("|a|b|\n|-|-|\n", "|c|d|\n"),
        ("|a|b|\n|-|-|\n", "a\n"),
        ("", "|a"),
        ("", "|a|\n|-|\n\n"),
        ("", "# a\n"),
        ("", "# a{#}\n"),
        ("", "# a-{#}\n# a\n"),
        ("", "a\n===\n"),
        ("", "a\n\n"),
    ]);
}

#[test]
fn of_html() {
    grows_evenly(&[
        ("", "<!--"),
        ("", "<!-- -->"),
        ("", "<?"),
        ("", "<![CDATA["),
        ("", "</"),
        ("", "</p>"),
        ("", "<a"),
        ("", "<a href=x>"),
        ("", "<a href='&"),
        ("", "<b>"),
        ("", "<b a={#}>\n\n"),
        ("", "<br>"),
        ("", "<div id=a{#}></div>"),
        ("", "<i><p>"),
        ("", "<script>"),
        ("", "<svg><math>"),
        ("", "<table>"),
        ("", "<select>"),
    ]);
}

#[test]
fn of_what_follows_an_open_tag() {
    grows_evenly(&[
        ("<a href=\"", "&"),
        ("<a title=\"", "° "),
        ("<div title=\"", "&\n"),
        ("<div>\n", "&\n"),
        ("<textarea>\n\n", "&\n"),
        ("<plaintext>\n\n", "a\n\n"),
        ("<table>\n\n", "a\n\n"),
        ("<table>\n", "<br>\n"),
        ("<table>\n", "&\n"),
        ("<table><colgroup>\n\n", "a\n\n"),
        ("<table><tr><td>\n\n", "|a|\n|-|\n|b|\n\n"),
        ("<select>\n\n", "&\n\n"),
        ("<b><i><u>\n\n", "a\n\n"),
        ("<ul>\n\n", "- a\n"),
        ("<math><mi>\n\n", "a\n\n"),
        ("<template>\n\n", "a\n\n"),
        ("<a href=x>\n\n", "[a](b)\n\n"),
        ("<h1>\n\n", "# a\n"),
    ]);
}

#[test]
fn what_takes_the_square_is_given_up() {
    // The parser compares each attribute of a tag with all previous ones.
    for part in ["a{#}\n", "a{#}='>'\n"] {
        let text = page("<div\n", part, 900_000) + ">";
        let start = used();
        let shown = render(&text);
        assert!(shown.plain && shown.html.starts_with("<pre>&lt;div\na1"), "{:.40}", shown.html);
        assert!(used() - start < 10 * limits::CLEANING);
    }
}
