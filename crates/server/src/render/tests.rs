mod growth;

use wikigrove_tenant::storage::Found;

use super::*;

/// The content of the wiki at `/w/g` in these tests, as seen from the page `garden/home`.
const THERE: &[(&str, bool)] =
    &[("roses", true), ("garden/Red roses", true), ("garden/home/photo.png", false)];

fn render_as(text: &str, style: LinkStyle) -> Rendered {
    let page = ExistingPath::new("garden/home").unwrap();
    let there = |path: &String| {
        let (found, is_page) = THERE.iter().find(|(found, _)| found == path)?;
        Some(Found { path: (*found).to_owned(), is_page: *is_page })
    };
    let found = wanted(&page, text, style, true)
        .into_iter()
        .map(|sought| (sought.clone(), sought.candidates.iter().find_map(there).into()))
        .collect();
    let (base, by_name) = ("/w/g", true);
    Renderer::new().render(text, &Context { page: &page, base, style, by_name, found: &found })
}

/// Resolves no link.
fn nothing(wanted: Vec<Sought>) -> HashMap<Sought, Resolved> {
    wanted.into_iter().map(|sought| (sought, Resolved::Nothing)).collect()
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
        let ids = html.split(" id=\"").skip(1);
        assert!(ids.into_iter().all(|id| id.starts_with("user-content-")), "{html}");
    }
    assert!(html("<img id=body><input id=x>").matches(" id=\"user-content-").count() == 2);
}

#[test]
fn anchors_that_people_write_are_led_to() {
    for (text, id) in [
        ("[t](#x)\n\n<a name=\"x\"></a>\n\ntext\n", "x"),
        ("[t](#x)\n\n<a id='x'></a>", "x"),
        ("[t](#X.Y)\n\n<a name=X.Y></a>", "xy"),
        ("<a href=\"#sec\">j</a>\n\n## Sec\n", "sec"),
        ("<a href=\"#%C3%84pfel\">j</a>\n\n## Äpfel\n", "äpfel"),
        ("[t](#%C3%84pfel)\n\n## Äpfel\n", "äpfel"),
        ("[t](#äpfel)\n\n<p id=\"%C3%84pfel\">x</p>", "äpfel"),
        ("[t](#user-content-x)\n\n<span id=\"user-content-x\">x</span>", "x"),
        ("[[#My care]]\n\nMy care\n===\n", "my-care"),
        ("<a href=' #x'>j</a> <h2 id=x>x</h2>", "x"),
        ("[t](#x)\n\n<a name=x></a>\n# X\n", "x"),
        ("[t](#x)\n\n# X\n\n<a name=x></a>\n", "x"),
        ("[t](#x)\n\n<a name=x></a>\n\n<a name=X></a>\n", "x"),
    ] {
        let html = html(text);
        let address = format!("href=\"#user-content-{}\"", escape::path(id));
        assert!(html.contains(&address), "{text}: {html}");
        assert_eq!(
            html.matches(&format!(" id=\"user-content-{id}\"")).count(),
            1,
            "{text}: {html}"
        );
    }
    let page = render("<a name=x></a>\n\n# X\n\n# X\n");
    assert_eq!(
        page.headings.iter().map(|h| &*h.id).collect::<Vec<_>>(),
        ["user-content-x", "user-content-x-1"]
    );
}

#[test]
fn the_beginning_of_a_page_is_led_to() {
    for text in ["[up](#)", "<a href='#'>up</a>"] {
        assert!(html(text).contains("<a href=\"#\">up</a>"), "{}", html(text));
    }
    for text in ["[up](#top)", "<a href='#top'>up</a>"] {
        assert!(html(text).contains("<a href=\"#top\">up</a>"), "{}", html(text));
        let html = html(&format!("{text}\n\n# Top\n"));
        assert!(html.contains("<a href=\"#user-content-top\">up</a>"), "{html}");
    }
}

#[test]
fn html_that_swallows_what_follows_is_text() {
    let names = "script style template title textarea iframe noscript xmp plaintext noembed noframes \
                 select option svg math frameset object embed form button dialog video audio canvas \
                 table td tr caption col details head body html frame listing marquee input";
    let mut openings: Vec<String> = names.split(' ').map(|name| format!("<{name}>")).collect();
    let others = [
        "<!--",
        "<!-- a",
        "<?php",
        "<![CDATA[",
        "<!DOCTYPE",
        "<div lang='",
        "<div title=\"",
        "<b lang='",
        "<? > <b lang='?>",
        "<ScRiPt src='",
        "</div lang='",
        "<p",
        "<textarea rows='>'",
    ];
    openings.extend(others.map(str::to_owned));
    for opening in openings {
        for before in ["", "Put it in a ", "> ", "- "] {
            let text = format!(
                "{before}{opening} tag.\n\n## Next\n\nimportant [t](#next) [^f]\n\n[^f]: g\n"
            );
            let page = render(&text);
            assert!(
                page.html.contains("<h2 id=\"user-content-next\">Next</h2>"),
                "{text}: {}",
                page.html
            );
            assert!(
                page.html.contains("<p>important <a href=\"#user-content-next\">"),
                "{text}: {}",
                page.html
            );
            assert_eq!(page.headings.len(), 1);
        }
    }
    assert_eq!(html("Put it in a <script> tag.\n"), "<p>Put it in a &lt;script&gt; tag.</p>\n");
    assert!(html("a <!-- b\n").contains("a &lt;!-- b"));
    assert_eq!(html("a <!-- b --> c\n"), "<p>a  c</p>\n");
}

#[test]
fn the_marker_of_ids_stays_here() {
    let renderer = Renderer::new();
    let page = ExistingPath::new("a").unwrap();
    let found = HashMap::new();
    let style = LinkStyle::TargetFirst;
    let context = Context { page: &page, base: "", style, by_name: true, found: &found };
    for opening in [
        "<textarea>",
        "<title>",
        "<div lang='",
        "<xmp>",
        "<? > <b lang='?>",
        "<a title='",
        "<svg><style>",
    ] {
        let text = format!("{opening}\n\n# a [b](#c) [^d]\n\n<a name=e></a> '>\n\n[^d]: f\n");
        let html = renderer.render(&text, &context).html;
        assert!(!html.contains(&renderer.marker[..16]), "{opening}: {html}");
    }
}

#[test]
fn addresses_become_links() {
    for (text, expected) in [
        (
            "See https://example.org/x\n",
            "See <a href=\"https://example.org/x\" rel=\"nofollow noopener\">https://example.org/x</a>",
        ),
        (
            "www.example.org/a_b",
            "<a href=\"http://www.example.org/a_b\" rel=\"nofollow noopener\">www.example.org/a_b</a>",
        ),
        (
            "ann@example.org",
            "<a href=\"mailto:ann@example.org\" rel=\"nofollow noopener\">ann@example.org</a>",
        ),
        ("https://example.org/__init__.py", ">https://example.org/__init__.py</a>"),
        (
            "**https://example.org/?a=b&c=d**",
            "<strong><a href=\"https://example.org/?a=b&amp;c=d\"",
        ),
        ("| https://example.org |\n|---|\n", ">https://example.org</a></th>"),
        ("# https://example.org\n", ">https://example.org</a></h1>"),
        ("<b>https://example.org</b>", "<b><a href=\"https://example.org\""),
        ("(see https://example.org).", ">https://example.org</a>).</p>"),
    ] {
        let html = html(text);
        assert!(html.contains(expected), "{text}: {html}");
    }
    for text in [
        "`https://example.org`",
        "```\nhttps://example.org\n```",
        "    https://example.org",
        "$https://example.org$",
        "![https://example.org](https://a.example)",
        "<!-- https://example.org -->",
        "javascript://example.org",
    ] {
        let html = html(text);
        assert!(!html.contains("<a "), "{text}: {html}");
    }
    for text in [
        "[https://example.org](https://a.example)",
        "<https://example.org>",
        "<a href=\"https://a.example\">https://example.org</a>",
    ] {
        let html = html(text);
        assert_eq!(html.matches("<a ").count(), 1, "{text}: {html}");
    }
}

#[test]
fn alerts_say_what_they_are() {
    for kind in ["Note", "Tip", "Important", "Warning", "Caution"] {
        let html = html(&format!("> [!{}]\n> hot\n", kind.to_uppercase()));
        let class = kind.to_lowercase();
        let expected = format!(
            "<blockquote class=\"markdown-alert-{class}\"><p class=\"markdown-alert-title\">{kind}</p>\n<p>hot</p>"
        );
        assert!(html.replace(">\n<p class", "><p class").contains(&expected), "{html}");
    }
}

#[test]
fn formulas_keep_every_byte() {
    for (text, expected) in [
        (
            "$x*y*z$ $$a \\\\ b$$\n",
            "<p><span class=\"math math-inline\">$x*y*z$</span> <span class=\"math math-display\">$$a \\\\ b$$</span></p>\n",
        ),
        (
            "$$\n\\begin{a}\n  x &= y \\\\\n\n- z_1_ <b>\n\\end{a}\n$$\n",
            "$$\n\\begin{a}\n  x &amp;= y \\\\\n\n- z_1_ &lt;b&gt;\n\\end{a}\n$$</span>",
        ),
        ("> $$\n> a_b_c\n> $$\n", "$$\na_b_c\n$$</span>"),
        ("$a_{1}^*b_{2}^*$", "$a_{1}^*b_{2}^*$</span>"),
        ("# $x$\n", "<span class=\"math math-inline\">$x$</span></h1>"),
        ("`$a$`", "<code>$a$</code>"),
        ("It costs $5 or $10.", "<p>It costs $5 or $10.</p>"),
        ("US$5 *a* US$7", "<p>US$5 <em>a</em> US$7</p>"),
        ("\\$a$ b$", "<p>$a$ b$</p>"),
    ] {
        assert!(html(text).contains(expected), "{text}: {}", html(text));
    }
    assert_eq!(render("# a $x*y$\n").headings[0].text, "a $x*y$");
}

#[test]
fn wiki_links_are_whole_in_tables() {
    let page =
        render("| a | b |\n|---|---|\n| [[roses|*Queen*]] | y |\n| [[roses\\|*Q*]] | `z` |\n");
    assert!(
        page.html
            .contains("<td><a href=\"/w/g/roses\" class=\"wiki-link\">*Queen*</a></td><td>y</td>"),
        "{}",
        page.html
    );
    assert!(
        page.html.contains("<td><a href=\"/w/g/roses\" class=\"wiki-link\"><em>Q</em></a></td>"),
        "{}",
        page.html
    );
    let page = render_as("| [[Queen|roses]] | b |\n|---|---|\n", LinkStyle::TitleFirst);
    assert!(
        page.html
            .contains("<th><a href=\"/w/g/roses\" class=\"wiki-link\">Queen</a></th><th>b</th>"),
        "{}",
        page.html
    );
}

#[test]
fn links_without_text_are_visible() {
    for (text, expected) in [
        ("[[roses|]]", ">roses</a>"),
        ("[](roses.md)", ">roses</a>"),
        ("[](https://example.org)", ">https://example.org</a>"),
        ("[](#a)", ">a</a>"),
        ("[![](https://a.example/p.png)](https://example.org)", "alt=\"\"></a>"),
    ] {
        assert!(html(text).contains(expected), "{text}: {}", html(text));
    }
}

#[test]
fn a_table_of_contents_stands_where_its_tag_does() {
    let page = render("[[_TOC_]]\n\n# A <b>\n\n## B\n");
    assert!(
        page.html.starts_with("<div class=\"toc\"><ul><li><a href=\"#user-content-a-\">A </a><ul><li><a href=\"#user-content-b\">B</a>")
            || page.html.starts_with("<div class=\"toc\"><ul><li><a href=\"#user-content-a\">A</a><ul><li><a href=\"#user-content-b\">B</a>"),
        "{}",
        page.html
    );
    assert!(page.links.is_empty() && !page.html.contains("<p>"));
    let page = render("x [[_TOC_]] y [[_TOC_]]\n\n# A\n");
    assert_eq!(page.html.matches("class=\"toc\"").count(), 1, "{}", page.html);
}

#[test]
fn footnotes_lead_to_each_other_and_nowhere_else() {
    let html = html("a[^forms]\n\n[^forms]: b\n");
    assert!(html.contains("href=\"#user-content-fn-forms\""), "{html}");
    assert!(html.contains("id=\"user-content-fn-forms\""), "{html}");
    let html = self::html("a[^Note] b[^Ä]\n\n[^note]: c\n[^ä]: d\n");
    for id in ["user-content-fn-note", "user-content-fn-ä"] {
        assert!(
            html.contains(&format!(" id=\"{id}\"")) && html.contains(&format!("href=\"#{id}\"")),
            "{html}"
        );
    }
    assert!(html.contains(">1</a></sup>") && html.contains("label\">1</sup>"), "{html}");
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
    let link = |target: &str, kind, exists| RenderedLink {
        target: target.to_owned(),
        kind,
        exists,
        is_ambiguous: false,
    };
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
    for data in ["a: [", "a: *b", &bomb, &format!("a: {}", "x".repeat(70_000))] {
        let page = render(&format!("---\n{data}\n---\nText\n"));
        assert!(page.front_matter.is_none() && page.front_matter_error.is_some(), "{data:.40}");
        assert_eq!(page.html, "<p>Text</p>\n");
    }
    for data in ["just text", "- a", "[a", &"[".repeat(60_000)] {
        let page = render(&format!("---\n{data}\n---\nText\n"));
        assert!(page.front_matter.is_none() && page.front_matter_error.is_none(), "{data:.40}");
        assert!(page.html.starts_with("<hr>\n") && page.html.ends_with("<p>Text</p>\n"));
        assert!(page.html.contains(data.trim_start_matches("- ")), "{}", page.html);
    }
    assert_eq!(html("\u{feff}# A\n"), html("# A\n"));
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
fn formatting_that_is_left_open_is_not_opened_anew_without_end() {
    let open = |count: usize| (0..count).map(|n| format!("<b x{n}>")).collect::<String>();
    let tags = ["<b>", "<i>", "<u>", "<s>", "<tt>", "<em>", "<big>", "<code>", "<font>"];
    let three_of_each: String = tags.iter().map(|tag| tag.repeat(3)).collect();
    for text in [
        format!("x\n\n{}{}", open(500), "<p>a".repeat(480)),
        format!("x\n\n{}\n\n{}", open(99), "a\n\n".repeat(10_000)),
        format!("x\n\n{three_of_each}\n\n{}", "a\n\n".repeat(10_000)),
        format!("x\n\n{}\n\n{}", "<b x><table><td></b>".repeat(70), "a\n\n".repeat(4_000)),
        format!("x\n\n{}\n\n{}{}", open(99), "a\n\n".repeat(3_000), "</b>".repeat(99)),
    ] {
        let page = render(&text);
        assert!(page.plain && page.html.len() < 2 * text.len() + 100, "{:.40}", text);
    }
    // Closed elements cost nothing, and a page with a few open ones is shown.
    let closed = "<p><b class=a>x</b> <font color=red>y</font> <a href=z>z</a></p>\n\n".repeat(120);
    for text in [closed, format!("<font color=red>\n\n{}", "a\n\n".repeat(5_000))] {
        assert!(!render(&text).plain, "{text:.40}");
    }
}

#[test]
fn a_small_page_is_one_that_costs_little() {
    let garden = ExistingPath::new("garden").unwrap();
    let (found, style) = (HashMap::new(), LinkStyle::TargetFirst);
    let context = Context { page: &garden, base: "", style, by_name: true, found: &found };
    let renderer = Renderer::new();
    let small = |text: &str| renderer.render_small(text, &context);
    let honest = format!("# A\n\n<p>b</p>\n\n{}", "- *c* [d](e)\n".repeat(500));
    assert_eq!(small(&honest), Some(renderer.render(&honest, &context)));
    for costly in ["<p>a".repeat(400), format!("{}{}", "<i>".repeat(9), "a\n\n".repeat(6_000))] {
        assert_eq!(small(&costly), None, "{costly:.20}");
    }
    assert!(small(&"> ".repeat(200)).unwrap().plain);
}

#[test]
fn a_page_is_shown_in_part_where_all_of_it_would_be_too_large() {
    let page = render(&"&".repeat(5_000_000));
    assert!(page.plain && page.truncated);
    assert!(page.html.len() > limits::HTML - 100 && page.html.ends_with("&amp;</pre>"));
    let page = render(&"\"".repeat(5_000_000));
    assert!(page.plain && !page.truncated, "a quotation mark needs no more space in text");
    // Short text can grow, too: here by the base, once for each link, until links are shown as text.
    let garden = ExistingPath::new("garden").unwrap();
    let (base, style) = (format!("/{}", "b".repeat(2000)), LinkStyle::TargetFirst);
    let text = "[a](b) ".repeat(9000);
    let found = nothing(wanted(&garden, &text, style, true));
    let context = Context { page: &garden, base: &base, style, by_name: true, found: &found };
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
        // The order of the attributes doesn't matter either.
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
    // Only images are loaded automatically, and no other element has a URL to load.
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
        let wanted = wanted(&page, &text, style, true);
        let paths = wanted.iter().flat_map(|sought| sought.candidates.iter().chain(&sought.names));
        let looked_up: usize = paths.map(String::len).sum();
        assert!(looked_up <= limits::LOOKED_UP, "{looked_up}");
        let found = nothing(wanted);
        let (base, by_name) = ("/w/g", true);
        let context = Context { page: &page, base, style, by_name, found: &found };
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
