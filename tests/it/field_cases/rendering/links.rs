//! Links and anchors.

use http::Method;
use serde_json::json;

use super::super::case;
use super::{garden_with, html, rendered};

#[tokio::test]
async fn an_anchor_that_was_written_as_html_is_led_to() {
    let html = html(&case("raw-anchors-dead").content()).await;
    assert!(html.contains("<a href=\"#user-content-x\">t</a>"), "{html}");
    assert!(html.contains("<a id=\"user-content-x\"></a>"), "{html}");
}

#[tokio::test]
async fn a_fragment_that_was_written_as_html_leads_to_the_heading() {
    let html = html(&case("raw-href-fragment-dead").content()).await;
    assert!(html.contains("<a href=\"#user-content-sec\">j</a>"), "{html}");
    assert!(html.contains("<h2 id=\"user-content-sec\">Sec</h2>"), "{html}");
}

#[tokio::test]
async fn a_wiki_link_in_a_table_is_whole() {
    let text = case("wikilink-in-table").content();
    for (style, target, title) in
        [("link_title", "Mary", "people/mary"), ("title_link", "people/mary", "Mary")]
    {
        let (_server, operator, editor) = garden_with(&[]).await;
        let style = json!({ "wikilink_style": style });
        operator.on("garden").change_preferences(style).await.good();
        editor.on("garden").create("page", &text).await.good();
        let page = rendered(&editor, "page").await;
        let html = page["html"].as_str().unwrap();
        let cell = format!(
            "<td><a href=\"/w/garden/{target}\" class=\"wiki-link missing\">{title}</a></td><td>y</td>"
        );
        assert!(html.contains(&cell), "{html}");
        let links = editor.on("garden").api(Method::GET, "/links/page").await.good().json();
        assert_eq!(links["broken"].as_array().unwrap().len(), 1);
        assert_eq!(links["broken"][0]["target"], target);
    }
}

#[tokio::test]
async fn a_link_finds_the_only_page_of_its_name() {
    let case = case("links-by-basename");
    assert!(case.input.contains("pages \"en/Some-Page\" and \"r\" = \"[[Some Page]]"));
    let (_server, operator, editor) =
        garden_with(&[("r", "[[Some Page]]\n"), ("en/Some-Page", "x")]).await;
    let link = async || rendered(&editor, "r").await;
    let page = link().await;
    assert_eq!(
        page["links"][0],
        json!({ "target": "en/Some-Page", "kind": "wiki", "exists": true })
    );
    let html = page["html"].as_str().unwrap();
    assert!(
        html.contains("<a href=\"/w/garden/en/Some-Page\" class=\"wiki-link\">Some Page</a>"),
        "{html}"
    );

    let other = editor.on("garden").create("de/some_page", "x").await.good().json();
    let page = link().await;
    let expected =
        json!({ "target": "Some Page", "kind": "wiki", "exists": false, "ambiguous": true });
    assert_eq!(page["links"][0], expected);
    let html = page["html"].as_str().unwrap();
    assert!(html.contains("class=\"wiki-link missing ambiguous\" title=\"Several"), "{html}");
    // As it was before.
    let then = editor.on("garden").rendered("r").query("at", page["revision"].as_str().unwrap());
    assert_eq!(then.await.good().json()["links"][0]["exists"], false);

    editor.on("garden").delete("de/some_page", other["etag"].as_str().unwrap()).await.good();
    assert_eq!(link().await["links"][0]["target"], "en/Some-Page");
    let moved = json!({ "from": "en/Some-Page", "to": "fr/Autre", "update_links": true });
    editor.on("garden").api(Method::POST, "/moves").json(moved).await.good();
    let text = editor.on("garden").read("r").await.good().json();
    assert_eq!(text["content"], "[[Autre]]\n");
    let links = editor.on("garden").api(Method::GET, "/links/fr/Autre").await.good().json();
    assert_eq!(links["incoming"][0]["path"], "r");

    let off = json!({ "links_by_name": false });
    operator.on("garden").change_preferences(off).await.good();
    assert_eq!(link().await["links"][0]["exists"], false);
}

#[tokio::test]
async fn a_link_without_text_shows_the_title() {
    let text = case("empty-link-text").input;
    let (_server, _, editor) =
        garden_with(&[("home", "# Welcome *here*\n"), ("page", &text)]).await;
    let page = rendered(&editor, "page").await;
    let html = page["html"].as_str().unwrap();
    assert!(html.contains("class=\"wiki-link\">Welcome here</a>"), "{html}");
    let then = editor.on("garden").rendered("page").query("at", page["revision"].as_str().unwrap());
    assert_eq!(then.await.good().json()["html"], page["html"]);
}
