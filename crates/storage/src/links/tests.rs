use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn page(path: &str) -> ExistingPath {
    ExistingPath::new(path).unwrap()
}

fn all(page: &ExistingPath, text: &str, style: LinkStyle) -> Vec<Link> {
    links(page, &MarkdownSource::of(text), style).collect()
}

fn found(text: &str) -> Vec<Link> {
    all(&page("garden/home"), text, LinkStyle::TargetFirst)
}

/// The candidates of the only link.
fn candidates(text: &str) -> Vec<String> {
    let mut links = found(text);
    assert_eq!(links.len(), 1, "{text}: {links:?}");
    let link = links.remove(0);
    link.target.candidates
}

#[test]
fn wiki_links_are_names_from_the_root() {
    for (text, expected) in [
        ("[[roses]]", &["roses"][..]),
        ("[[garden/Roses]]", &["garden/Roses"]),
        ("[[ /roses | Queen ]]", &["roses"]),
        ("[[./roses]]", &["garden/roses"]),
        ("[[../roses#care]]", &["roses#care", "roses"]),
        ("[[C#]]", &["C#", "C"]),
        ("[[100%25]]", &["100%25"]),
        ("[[roses.md]]", &["roses.md", "roses"]),
        ("![[photo.png]]", &["photo.png", "garden/home/photo.png"]),
        ("| a |\n|---|\n| [[roses\\|Queen]] |\n", &["roses"]),
        ("| a | b |\n|---|---|\n| [[roses|Queen]] | x |\n", &["roses"]),
        ("| [[roses|Queen]] | b |\n|---|---|\n", &["roses"]),
        ("\u{feff}---\nFoo\n---\n[[roses]]", &["roses"]),
        ("[[_TOC_]] [[roses]]", &["roses"]),
        ("$[[a]]$ $$ [[b]] $$ US$5 [[roses]] US$7", &["roses"]),
        ("[[What is it: a rose?]]", &["What is it: a rose?"]),
    ] {
        assert_eq!(candidates(text), expected, "{text}");
    }
}

#[test]
fn the_other_style_has_the_target_last() {
    let links = all(&page("home"), "[[Queen|roses#care]] [[tulips]]", LinkStyle::TitleFirst);
    assert_eq!(links[0].target.candidates, ["roses#care", "roses"]);
    assert_eq!(links[0].target.wished(), "roses");
    assert_eq!(links[0].target.fragment.as_deref(), Some("care"));
    assert_eq!(links[1].target.candidates, ["tulips"]);
}

#[test]
fn markdown_links_are_urls() {
    for (text, expected) in [
        ("[r](roses)", &["garden/roses", "garden/home/roses"][..]),
        ("[r](roses.md)", &["garden/roses"]),
        ("[r](/roses.md#care)", &["roses"]),
        ("[r](../roses)", &["roses"]),
        ("[r](sub/./x/../roses)", &["garden/sub/roses"]),
        ("[r](a%20rose?raw)", &["garden/a rose", "garden/home/a rose"]),
        ("[r](<a rose> \"title\")", &["garden/a rose", "garden/home/a rose"]),
        ("![r](photo.png)", &["garden/photo.png", "garden/home/photo.png"]),
        ("![r](/garden/home/a/photo.png)", &["garden/home/a/photo.png", "garden/home/photo.png"]),
        ("[r][1]\n\n[1]: /roses \"title\"\n", &["roses"]),
        ("[r](a\\_b&amp;c)", &["garden/a_b&c", "garden/home/a_b&c"]),
        ("[*emphasis* `](x)`](/roses)", &["roses"]),
        ("[r](/a(b)c)", &["a(b)c"]),
        ("> [r](\n> /roses)", &["roses"]),
    ] {
        assert_eq!(candidates(text), expected, "{text}");
    }
}

#[test]
fn what_leads_elsewhere_or_nowhere_is_no_link() {
    for text in [
        "[x](https://example.org/a)",
        "[x](//example.org/a)",
        "[x](mailto:a@example.org) <https://example.org> <a@example.org>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt&colon;alert(1))",
        "[x](java&#10;script:alert(1))",
        "[x](#here) [[#here]] [x]() [x](?raw)",
        "[x](../../roses) [x](/../roses) [[../../roses]]",
        "[x](a%00b) [x](a%2fb) [x](%ff) [x](a\\\\b)",
        "[[https://example.org]] [[]] [[ | ]]",
        "`[[roses]]` `[x](roses)`",
        "```\n[[roses]]\n[x](roses)\n```\n\n    [[roses]]\n",
        "\\[[roses\\]]",
        "---\na: \"[[roses]]\"\n---\n",
        "[x]: unused\n",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn a_range_is_the_destination_as_it_is_written() {
    for (text, destination) in [
        ("---\na: 1\n---\né [[roses#care|x]]", "roses#care"),
        ("[r](<a rose> \"t\")", "a rose"),
        ("[roses](roses)", "roses"),
        ("[![roses](/roses.png)](https://x.example/)", "/roses.png"),
        ("[![x](https://x.example/y.png) `](no)`](a\\_b#c 't')", "a\\_b#c"),
        ("[r][a] [again][a]\n\n[a]:\n  <a\\_b>\n  'title'\n", "a\\_b"),
        ("[a]\n\n[a]: /b&amp;c\n", "/b&amp;c"),
        ("> [r](\n> /b&amp;c)", "/b&amp;c"),
    ] {
        let links = found(text);
        assert_eq!(links.len(), 1, "{text}");
        assert_eq!(&text[links[0].range.clone()], destination, "{text}");
    }
}

/// Every path in `moves` exists and moves; other paths named `stays…` exist and stay.
fn rewritten(text: &str, from: &str, to: &str, moves: &[(&str, &str)]) -> String {
    let now_at = |path: &str| {
        let moved = moves.iter().find(|(old, _)| *old == path).map(|(_, new)| (*new).to_owned());
        moved.or_else(|| path.contains("stays").then(|| path.to_owned()))
    };
    rewrite(
        text,
        (&page(from), &page(to)),
        LinkStyle::TargetFirst,
        &now_at,
        &MovedNames::default(),
        usize::MAX,
    )
    .unwrap()
    .unwrap_or_else(|| text.to_owned())
}

#[test]
fn links_follow_what_moves_and_stay_what_they_are() {
    let moves = [
        ("roses", "flowers/red roses"),
        ("garden/roses", "garden/old/roses"),
        ("garden/home/a b.png", "garden/home/c d.png"),
        ("café", "bar/café"),
        ("garden/home", "garden/home"),
        ("odd", "odd.md"),
    ];
    for (text, expected) in [
        ("[[roses#care|Queen]]", "[[flowers/red roses#care|Queen]]"),
        ("[[../roses]] [[roses.md]]", "[[../flowers/red roses]] [[flowers/red roses.md]]"),
        ("[[./roses]]", "[[./old/roses]]"),
        ("[r](/roses.md#care 'T')", "[r](/flowers/red%20roses.md#care 'T')"),
        ("[r](../roses?raw)", "[r](../flowers/red%20roses?raw)"),
        ("[r](<../roses>)", "[r](<../flowers/red%20roses>)"),
        ("[r](./roses) [r](roses.md)", "[r](./old/roses) [r](old/roses.md)"),
        ("![p](a%20b.png)", "![p](home/c%20d.png)"),
        ("![p](/garden/home/a/a%20b.png)", "![p](/garden/home/a/c%20d.png)"),
        ("![[a b.png]]", "![[garden/home/c d.png]]"),
        ("[c](/café) [c](/caf%C3%A9)", "[c](/bar/café) [c](/bar/caf%C3%A9)"),
        ("[o](/odd)", "[o](/odd.md.md)"),
        ("[a][1] [b][1]\n\n[1]: /roses\n", "[a][1] [b][1]\n\n[1]: /flowers/red%20roses\n"),
        ("[r](/rose\\s)", "[r](/rose\\s)"),
        (
            "[r](/roses\\#x) `[[roses]]` [[tulips]] [[stays]]",
            "[r](/flowers/red%20roses#x) `[[roses]]` [[tulips]] [[stays]]",
        ),
    ] {
        assert_eq!(rewritten(text, "garden/home", "garden/home", &moves), expected, "{text}");
    }
}

#[test]
fn a_page_that_moves_takes_its_links_along() {
    let moves = [("a/b", "x"), ("a/b/p.png", "x/p.png"), ("a/c", "y/c")];
    for (text, expected) in [
        ("![p](p.png)", "![p](p.png)"),
        ("![p](b/p.png)", "![p](x/p.png)"),
        ("[s](stays) [c](c.md#f) [n](nothing)", "[s](a/stays) [c](y/c.md#f) [n](a/nothing)"),
        ("[[./stays]] [[stays]] [[nothing]]", "[[./a/stays]] [[stays]] [[nothing]]"),
        ("[self](b.md) [up](../stays) [out](../../x)", "[self](x.md) [up](stays) [out](../../x)"),
        ("[1]\n\n[1]: stays\n", "[1]\n\n[1]: a/stays\n"),
    ] {
        assert_eq!(rewritten(text, "a/b", "x", &moves), expected, "{text}");
    }
}

/// The page at the first candidate moves away, and this page takes its place.
#[test]
fn a_page_that_takes_anothers_place_is_not_what_its_links_mean() {
    let moves = [("b", "x")];
    assert_eq!(rewritten("[t](b)", "b/a", "b", &moves), "[t](b/b)");
}

#[test]
fn hostile_pages_take_little_time() {
    let size = 1 << 20;
    let definition = format!("[a]: /{}\n\n", "x".repeat(1000));
    for text in [
        "[".repeat(size),
        "![[".repeat(size / 3),
        "[[a|".repeat(size / 4),
        "[[a]]".repeat(size / 5),
        "[a](".repeat(size / 4),
        "[a](\\_".repeat(size / 6),
        "[a](\\_b)".repeat(size / 8),
        "]".repeat(size),
        "[a](<".repeat(size / 5),
        definition + &"[a]".repeat(size / 3),
        "[a]: \\_\n".repeat(size / 8),
        "> ".repeat(size / 2),
        "---\n".repeat(size / 4),
    ] {
        let pages = (&page("a"), &page("b/c"));
        let now_at = |_: &str| Some("x".into());
        rewrite(&text, pages, LinkStyle::TargetFirst, &now_at, &MovedNames::default(), usize::MAX)
            .unwrap();
    }
}

#[test]
fn a_link_that_is_repeated_a_million_times_is_resolved_once() {
    let deep = page(&["d".repeat(60).as_str(); 15].join("/"));
    let text = "[a](b) ![a](b) [[b]] ".repeat(300_000);
    let source = MarkdownSource::of(&text);
    let mut links = distinct_links(&deep, &source, LinkStyle::TargetFirst);
    let kinds: Vec<LinkKind> = links.by_ref().map(|link| link.kind).collect();
    assert_eq!(kinds, [LinkKind::Link, LinkKind::Image, LinkKind::Wiki]);
}

#[test]
fn a_page_is_not_rewritten_beyond_a_limit() {
    let text = "[a](b) ".repeat(1000);
    let far = page(&["d".repeat(60).as_str(); 15].join("/"));
    let now_at = |path: &str| (path == "b").then(|| path.to_owned());
    let moved = |limit| {
        rewrite(
            &text,
            (&page("a"), &far),
            LinkStyle::TargetFirst,
            &now_at,
            &MovedNames::default(),
            limit,
        )
    };
    assert!(moved(100_000).unwrap().unwrap().contains("](../../"));
    assert!(moved(20_000).unwrap_err().size > 20_000);
    let stays = |path: &str| Some(path.to_owned());
    let near = (&page("a"), &page("c"));
    assert_eq!(
        rewrite(&text, near, LinkStyle::TargetFirst, &stays, &MovedNames::default(), 10),
        Ok(None),
        "no longer"
    );
}

/// Text with many brackets in it, and links that are well-formed.
fn markdown() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        r"[\[\]()<>!|`#\\*_&; \nab./]{0,6}",
        r"\[\[[a-c./ ]{1,6}(#f)?(\|t)?\]\]",
        r"!?\[t\]\(<?[a-c./%20]{1,6}(\.md)?(#f)?>?( 't')?\)",
        r"\n\n\[[ab]\]: [a-c./]{1,5}\n\n",
        r"\[t\]\[[ab]\]|\[[ab]\]",
        Just("\n> ".to_owned()),
        Just("\n- ".to_owned()),
        Just("\n\n| a |\n|--|\n| ".to_owned()),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// The texts between the links, and the links' targets.
fn apart(at: &ExistingPath, text: &str) -> (Vec<String>, Vec<(LinkKind, Target)>) {
    let mut links = all(at, text, LinkStyle::TargetFirst);
    links.sort_by_key(|link| link.range.start);
    let mut between = Vec::new();
    let mut done = 0;
    for link in &links {
        between.push(text[done..link.range.start].to_owned());
        done = link.range.end;
    }
    between.push(text[done..].to_owned());
    (between, links.into_iter().map(|link| (link.kind, link.target)).collect())
}

proptest! {
    #[test]
    fn nothing_moves_and_nothing_changes(text in markdown()) {
        let at = page("a/b");
        let same = |path: &str| Some(path.to_owned());
        prop_assert_eq!(rewrite(&text, (&at, &at), LinkStyle::TargetFirst, &same, &MovedNames::default(), 0), Ok(None));
    }

    #[test]
    fn ranges_are_destinations(text in markdown()) {
        let at = page("a/b");
        for link in all(&at, &text, LinkStyle::TargetFirst) {
            let written = &text[link.range];
            if !written.contains(['\\', '&']) {
                prop_assert_eq!(resolve(&at, link.kind, written), Some(link.target));
            }
        }
    }

    #[test]
    fn after_a_move_links_lead_where_their_targets_are(
        text in markdown(),
        from in "[abc](/[abc]){0,2}",
        to in "[abc](/[abc]){0,2}",
        moves in proptest::collection::btree_map("[abc](/[abc]){0,2}", "[x-z](/[x-z ]{1,3}){0,2}", 0..6),
    ) {
        let (from, to) = (page(&from), page(&to));
        let moves: BTreeMap<String, String> =
            moves.into_iter().filter(|(_, new)| !new.ends_with(' ') && !new.contains(" /") && !new.contains("/ ")).collect();
        // No name has a `#`: links with one would otherwise mean pages of that name.
        let now_at = |path: &str| {
            (!path.contains('#')).then(|| moves.get(path).cloned().unwrap_or_else(|| path.to_owned()))
        };
        let new = rewrite(&text, (&from, &to), LinkStyle::TargetFirst, &now_at, &MovedNames::default(), usize::MAX).unwrap();
        let (between, targets) = apart(&from, &text);
        // A link that led above the root, and so nowhere, may have a target when seen from a deeper page.
        prop_assume!(apart(&to, &text).1.len() == targets.len());
        let (new_between, new_targets) = apart(&to, new.as_deref().unwrap_or(&text));
        prop_assert_eq!(between, new_between);
        prop_assert_eq!(targets.len(), new_targets.len());
        for ((kind, old), (new_kind, new)) in targets.iter().zip(&new_targets) {
            prop_assert_eq!(kind, new_kind);
            prop_assert_eq!(&old.fragment, &new.fragment);
            if old.wished().contains('#') {
                continue;
            }
            let expected = now_at(old.wished());
            prop_assert_eq!(expected.as_deref(), Some(new.wished()));
        }
    }
}
