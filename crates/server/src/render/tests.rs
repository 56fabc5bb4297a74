mod growth;

use super::*;

/// What exists in these tests, on the page `garden/home` of the wiki at `/w/g`.
const THERE: &[(&str, bool)] =
    &[("roses", true), ("garden/Red roses", true), ("garden/home/photo.png", false)];

fn render_as(text: &str, style: LinkStyle) -> Rendered {
    let page = ExistingPath::new("garden/home").unwrap();
    let there = |path: &String| {
        let (found, is_page) = THERE.iter().find(|(found, _)| found == path)?;
        Some(Found { path: (*found).to_owned(), is_page: *is_page })
    };
    let found = wanted(&page, text, style)
        .into_iter()
        .map(|paths| (paths.clone(), paths.iter().find_map(there)))
        .collect();
    Renderer::new().render(text, &Context { page: &page, base: "/w/g", style, found: &found })
}

fn render(text: &str) -> Rendered {
    render_as(text, LinkStyle::TargetFirst)
}

fn html(text: &str) -> String {
    render(text).html
}

#[test]
fn githubs_markdown_is_rendered() {
    for (text, expected) in [
        (
            "*a* **b** ~~c~~ `d`",
            "<p><em>a</em> <strong>b</strong> <del>c</del> <code>d</code></p>\n",
        ),
        (
            "| a | b |\n|:-:|--:|\n| 1 | 2 |\n",
            "<table><thead><tr><th align=\"center\">a</th><th align=\"right\">b</th></tr></thead><tbody>\n\
             <tr><td align=\"center\">1</td><td align=\"right\">2</td></tr>\n</tbody></table>\n",
        ),
        (
            "```rust\nlet a = \"<b>\";\n```\n",
            "<pre><code class=\"language-rust\">let a = \"&lt;b&gt;\";\n</code></pre>\n",
        ),
        ("<kbd>a</kbd><br>H<sub>2</sub>O", "<p><kbd>a</kbd><br>H<sub>2</sub>O</p>\n"),
    ] {
        assert_eq!(html(text), expected, "{text}");
    }
    let tasks = html("- [x] done\n- [ ] open\n");
    assert_eq!(tasks.matches("<input").count(), 2, "{tasks}");
    assert_eq!(tasks.matches("type=\"checkbox\"").count(), 2, "{tasks}");
    assert_eq!(tasks.matches("disabled").count(), 2, "{tasks}");
    assert_eq!(tasks.matches("checked").count(), 1, "{tasks}");
    assert!(html("> [!NOTE]\n> text\n").contains("class=\"markdown-alert-note\""));
}

#[test]
fn headings_have_anchors_of_their_own() {
    let page = render("# All *about* `roses`\n\n## Care\n\n## Care\n\n[[Title]]\n=====\n");
    let headings: Vec<_> =
        page.headings.iter().map(|h| (h.level, h.text.as_str(), h.id.as_str())).collect();
    assert_eq!(
        headings,
        [
            (1, "All about roses", "user-content-all-about-roses"),
            (2, "Care", "user-content-care"),
            (2, "Care", "user-content-care-1"),
            (1, "Title", "user-content-title"),
        ]
    );
    for heading in &page.headings {
        assert_eq!(page.html.matches(&format!("id=\"{}\"", heading.id)).count(), 1);
    }
}

#[test]
fn ids_are_ours_only() {
    for text in [
        "<h1 id=\"user-content-a\">a</h1>",
        "<div id=location>a</div>",
        "<a name=cookie id=cookie>a</a>",
        "<img name=body id=body>",
        "<form id=forms><input name=action></form>",
        "# a {#location}\n",
    ] {
        let html = html(text);
        assert!(!html.contains(" name=") && !html.contains("<form"), "{html}");
        assert!(
            !html.contains(" id=") || html.contains("id=\"user-content-a-location\""),
            "{html}"
        );
    }
}

#[test]
fn footnotes_lead_to_each_other_and_nowhere_else() {
    let html = html("a[^forms]\n\n[^forms]: b\n");
    assert!(html.contains("href=\"#user-content-fn-forms\""), "{html}");
    assert!(html.contains("id=\"user-content-fn-forms\""), "{html}");
}

#[test]
fn links_are_resolved() {
    for (text, expected) in [
        ("[[roses]]", "<a href=\"/w/g/roses\" class=\"wiki-link\">roses</a>"),
        (
            "[r](<Red roses.md#My care> \"a \\\"b\\\"\")",
            "<a href=\"/w/g/garden/Red%20roses#user-content-my-care\" class=\"wiki-link\" title=\"a &quot;b&quot;\"",
        ),
        ("[[tulips|*T*]]", "<a href=\"/w/g/tulips\" class=\"wiki-link missing\"><em>T</em></a>"),
        (
            "![p](photo.png)",
            "<img src=\"/w/g/api/v1/attachments/garden/home/photo.png\" alt=\"p\">",
        ),
        (
            "![[photo.png]]",
            "<img src=\"/w/g/api/v1/attachments/garden/home/photo.png\" alt=\"photo.png\">",
        ),
        (
            "[p](photo.png)",
            "<a href=\"/w/g/api/v1/attachments/garden/home/photo.png\" class=\"wiki-link\"",
        ),
        ("![[roses]]", "<a href=\"/w/g/roses\" class=\"wiki-link\""),
        ("[[#My care]]", "<a href=\"#user-content-my-care\""),
        ("[x](../../../x)", "<p>x</p>"),
        ("[x](a%00b)", "<p>x</p>"),
        (
            "<https://example.org/?a&b>",
            "<a href=\"https://example.org/?a&amp;b\" rel=\"nofollow noopener\">",
        ),
        ("<a@example.org>", "<a href=\"mailto:a@example.org\""),
        (
            "![a [b](roses) `c`](https://example.org/p.png)",
            "<img src=\"https://example.org/p.png\" alt=\"a b c\">",
        ),
    ] {
        let html = html(text);
        assert!(html.contains(expected), "{text}: {html}");
    }
    let page = render_as("# [[*Queen*|roses]] x", LinkStyle::TitleFirst);
    assert!(page.html.contains("class=\"wiki-link\">*Queen*</a> x</h1>"), "{}", page.html);
    assert_eq!(page.headings[0].text, "*Queen* x");
    let link =
        |target: &str, kind, exists| RenderedLink { target: target.to_owned(), kind, exists };
    assert_eq!(
        render("[[roses]] [r](/roses) [[roses]] [[x]] ![p](photo.png)").links,
        [
            link("roses", "wiki", true),
            link("roses", "link", true),
            link("x", "wiki", false),
            link("garden/home/photo.png", "image", true)
        ]
    );
}

#[test]
fn front_matter_is_data_and_not_text() {
    let page = render("---\ntitle: Roses\ntags: [a, b]\nn: 1.5\n---\n# Text\n");
    assert_eq!(
        page.front_matter.unwrap(),
        serde_json::json!({ "title": "Roses", "tags": ["a", "b"], "n": 1.5 })
    );
    assert!(page.html.starts_with("<h1") && page.front_matter_error.is_none());
    let page = render("+++\nday = 2026-01-02\n[a]\nb = [1, nan]\n+++\nText\n");
    assert_eq!(
        page.front_matter.unwrap(),
        serde_json::json!({ "day": "2026-01-02", "a": { "b": [1, null] } })
    );
    assert_eq!(page.html, "<p>Text</p>\n");
    let bomb = (1..30).fold("a0: &a0 [x]\n".to_owned(), |text, n| {
        let last = format!("*a{}", n - 1);
        text + &format!("a{n}: &a{n} [{}]\n", [last.as_str(); 9].join(", "))
    });
    for data in [
        "a: [",
        "just text",
        "- a",
        "a: *b",
        &bomb,
        &"[".repeat(60_000),
        &format!("a: {}", "x".repeat(70_000)),
    ] {
        let page = render(&format!("---\n{data}\n---\nText\n"));
        assert!(page.front_matter.is_none() && page.front_matter_error.is_some(), "{data:.40}");
        assert_eq!(page.html, "<p>Text</p>\n");
    }
    let deep = format!("+++\na = {}{}\n+++\n", "[".repeat(30_000), "]".repeat(30_000));
    assert!(render(&deep).front_matter_error.is_some());
}

#[test]
fn hostile_pages_take_bounded_time_and_are_shown() {
    let size = limits::TEXT - 100;
    for part in [
        "[",
        "![[",
        "[[a|",
        "[[a]]",
        "[a](b)",
        "[a](",
        "> ",
        "- ",
        "*a ",
        "**a*",
        "<div>",
        "<b>",
        "<a href=x>",
        "<table>",
        "<b a=1>\n\n",
        "<i><p>",
        "`",
        "``a`",
        "&amp;",
        "| ",
        "\\",
        "# a\n",
        "[^a]",
        "<svg><math>",
        "</p>",
        "<!--",
        "~",
        "a\n\n",
        "<br>",
        "_a_",
        "1. ",
    ] {
        let text = part.repeat(size / part.len());
        let page = render(&text);
        assert!(page.html.len() <= limits::HTML, "{part}: {}", page.html.len());
        assert!(page.headings.len() <= limits::HEADINGS && page.links.len() <= limits::LINKS);
    }
    let long = render(&"<script>".repeat(limits::TEXT / 8 + 1));
    assert!(long.plain && !long.html.contains("<script"));
    assert!(render(&"> ".repeat(200)).plain);
}

#[test]
fn a_page_is_shown_in_part_where_all_of_it_would_be_too_large() {
    let page = render(&"&".repeat(5_000_000));
    assert!(page.plain && page.truncated);
    assert!(page.html.len() > limits::HTML - 100 && page.html.ends_with("&amp;</pre>"));
    let page = render(&"\"".repeat(5_000_000));
    assert!(page.plain && !page.truncated, "a quotation mark needs no more space in text");
    // What is short grows, too: here by its base, once for each link, until links are shown as text.
    let garden = ExistingPath::new("garden").unwrap();
    let (base, style) = (format!("/{}", "b".repeat(2000)), LinkStyle::TargetFirst);
    let text = "[a](b) ".repeat(9000);
    let found = wanted(&garden, &text, style).into_iter().map(|paths| (paths, None)).collect();
    let context = Context { page: &garden, base: &base, style, found: &found };
    let page = Renderer::new().render(&text, &context);
    assert!(
        !page.plain && page.html.len() < 2 * limits::ADDRESSES && page.html.contains("</a> a ")
    );
}

#[test]
fn long_text_is_whole_however_often_it_has_to_be_escaped() {
    for line in ["é° & «", "& < >", "&amp;&#x;"] {
        for (before, after) in [("", " "), ("", "\n"), ("# ", " "), ("```\n", " "), ("```\n", "\n")]
        {
            let text = format!("{line}{after}").repeat(20_000);
            let page = render(&format!("{before}{text}"));
            let outside = page.html.split(['<', '>']).step_by(2).collect::<String>();
            let shown = outside.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
            let meant = if before == "```\n" { text } else { text.replace("&amp;", "&") };
            assert!(!page.plain && shown.trim() == meant.trim(), "{before}{line}: {shown:.80}");
        }
    }
}

#[test]
fn where_a_link_leads_is_read_as_browsers_read_it() {
    for stays in ["/", "/f", "f", "f/../g", "?q", "#f", "./f", "/f//g", "/f:g", "\u{a0}//f", ""] {
        let html = html(&format!("<a href=\"{stays}\">x</a>"));
        assert!(!html.contains("rel="), "{stays:?}: {html}");
        // Nor does the order of the attributes matter.
        let html = self::html(&format!("<a title=t href=\"{stays}\">x</a>"));
        assert!(!html.contains("rel=") && html.contains("title=\"t\""), "{stays:?}: {html}");
    }
    for leaves in [
        "//e.example",
        "///e.example",
        "\\\\e.example",
        "/\\e.example",
        "\\/e.example",
        "/&#9;/e.example",
        "/&#10;/e.example",
        "/&#13;/e.example",
        "&#9;//e.example",
        "&#10;/&#9;/e.example",
        " //e.example",
        "&#1;//e.example",
        "&#32;&#9;/\\e.example",
        "https://e.example",
        "https:e.example",
        "https:/e.example",
        "HTTP&#9;S://e.example",
        "ht&#10;tp:\\\\e.example",
        "mailto:a@e.example",
    ] {
        let html = html(&format!("<a href=\"{leaves}\">x</a>"));
        assert!(
            html.contains(" rel=\"nofollow noopener\"") || !html.contains("href"),
            "{leaves}: {html}"
        );
        let html = self::html(&format!("<a title=t href=\"{leaves}\">x</a>"));
        assert!(html.contains(" rel=") || !html.contains("href"), "{leaves}: {html}");
    }
    // Only images load by themselves, and nothing else has an address at all.
    let text = "<img src=a.png srcset='//e.example 2x' longdesc=//e.example ping=x data-src=//e.example>\
                <q cite=//e.example>q</q><blockquote cite=//e.example>q</blockquote>\
                <form action=//e.example><button formaction=//e.example>b</button></form>\
                <del cite=//e.example>d</del><td background=//e.example>t</td>";
    let html = html(text);
    assert!(!html.contains("e.example") && html.contains("src=\"a.png\""), "{html}");
}

#[test]
fn links_of_a_page_deep_in_the_wiki_take_no_more_than_a_page_does() {
    let page = ExistingPath::new(&["d".repeat(60).as_str(); 15].join("/")).unwrap();
    let style = LinkStyle::TargetFirst;
    let distinct: String = (0..40_000).map(|n| format!("[a](p{n})")).collect();
    for text in ["[a](b)".repeat(60_000), distinct] {
        let wanted = wanted(&page, &text, style);
        let looked_up: usize = wanted.iter().flatten().map(String::len).sum();
        assert!(looked_up <= limits::LOOKED_UP, "{looked_up}");
        let found = wanted.into_iter().map(|paths| (paths, None)).collect();
        let context = Context { page: &page, base: "/w/g", style, found: &found };
        let shown = Renderer::new().render(&text, &context);
        let links: usize = shown.links.iter().map(|link| link.target.len()).sum();
        assert!(links <= limits::ADDRESSES && shown.html.contains("</a>"), "{links}");
        assert!(shown.html.len() < 2 * limits::ADDRESSES, "{}", shown.html.len());
    }
}

#[test]
fn only_links_that_leave_say_that_nobody_vouches_for_them() {
    let text = "[[roses]] [a](b) [c](#c) [d](https://d.example) <a href=\"//e.example\">e</a> \
                <a href=\"/f\" title=\"<a href=x>\">f</a> \
                <a href=\"/f\" class=\"bad\" title=\"t\">f</a> <a href='/\\g.example'>g</a> \
                <https://h.example> x[^1]\n\n[^1]: y";
    let html = html(text);
    let links: Vec<&str> =
        html.split("<a ").skip(1).filter_map(|a| a.split("</a>").next()).collect();
    assert_eq!(links.len(), 10, "{html}");
    for link in links {
        let leaves = link.contains(".example");
        assert_eq!(link.contains(" rel=\"nofollow noopener\""), leaves, "{link}");
    }
    assert!(html.contains("title=\"&lt;a href=x&gt;\">f</a>"), "{html}");
}
