//! Links and anchors.

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
        let style = serde_json::json!({ "wikilink_style": style });
        operator.on("garden").change_preferences(style).await.good();
        editor.on("garden").create("page", &text).await.good();
        let page = rendered(&editor, "page").await;
        let html = page["html"].as_str().unwrap();
        let cell = format!(
            "<td><a href=\"/w/garden/{target}\" class=\"wiki-link missing\">{title}</a></td><td>y</td>"
        );
        assert!(html.contains(&cell), "{html}");
        let links = editor.on("garden").api(http::Method::GET, "/links/page").await.good().json();
        assert_eq!(links["broken"].as_array().unwrap().len(), 1);
        assert_eq!(links["broken"][0]["target"], target);
    }
}
