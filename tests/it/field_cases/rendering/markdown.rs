//! Formulas, alerts, addresses, and HTML that would swallow what follows.

use super::super::case;
use super::{garden_with, html, rendered};

#[tokio::test]
async fn a_tag_that_swallows_what_follows_is_shown_as_text() {
    let html = html(&case("raw-script-swallows").content()).await;
    assert!(html.contains("<p>Put it in a &lt;script&gt; tag.</p>"), "{html}");
    assert!(html.contains("<h2 id=\"user-content-next\">Next</h2>\n<p>important</p>"), "{html}");
}

#[tokio::test]
async fn front_matter_that_is_no_mapping_is_text() {
    let page = case("front-matter-not-a-mapping").content();
    let (_server, _, editor) =
        garden_with(&[("page", &page), ("list", "---\n- [[a]]\n---\n")]).await;
    let page = rendered(&editor, "page").await;
    let html = page["html"].as_str().unwrap();
    assert!(html.contains("Foo") && html.contains("<p>Bar</p>"), "{html}");
    assert!(page["front_matter"].is_null() && page["front_matter_error"].is_null());
    assert_eq!(rendered(&editor, "list").await["links"][0]["target"], "a");
}

#[tokio::test]
async fn a_formula_keeps_every_byte() {
    let html = html(&case("math-destroyed").content()).await;
    assert!(html.contains(">$x*y*z$</span>") && html.contains(">$$a \\\\ b$$</span>"), "{html}");
}

#[tokio::test]
async fn an_alert_says_what_it_is() {
    let html = html(&case("alert-kind-lost").content()).await;
    assert!(html.contains("<p class=\"markdown-alert-title\">Warning</p>"), "{html}");
    let style = include_str!("../../../../crates/server/templates/style.css");
    assert!(style.contains(".markdown-alert-warning"));
}

#[tokio::test]
async fn an_address_in_the_text_is_a_link() {
    let html = html(&case("bare-urls").content()).await;
    let link =
        "<a href=\"https://example.org/x\" rel=\"nofollow noopener\">https://example.org/x</a>";
    assert!(html.contains(link), "{html}");
}

#[tokio::test]
async fn a_table_of_contents_stands_for_its_tag() {
    let text = format!("{}\n\n# One\n\n## Two\n", case("gollum-toc-tag").input);
    let (_server, _, editor) = garden_with(&[("page", &text)]).await;
    let page = rendered(&editor, "page").await;
    let html = page["html"].as_str().unwrap();
    assert!(
        html.starts_with("<div class=\"toc\"><ul><li><a href=\"#user-content-one\">One</a>"),
        "{html}"
    );
    assert_eq!(page["links"], serde_json::json!([]));
    let links = editor.on("garden").api(http::Method::GET, "/links/page").await.good().json();
    assert_eq!(links["broken"], serde_json::json!([]));
}
