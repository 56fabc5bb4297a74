//! The OpenAPI 3.1 documents, made from the routes themselves, and the answers' shapes.
//!
//! The structs here describe answers that other crates' types are turned into. Tests read real
//! answers back into them, and they accept nothing they don't know, so they can't drift.

use std::collections::BTreeMap;

use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{InfoBuilder, OpenApi, SecurityRequirement, ServerBuilder};
use utoipa::{IntoParams, ToSchema};

/// The document of the wikis' listener.
pub fn wikis() -> OpenApi {
    let document = crate::wiki::documented().into_openapi();
    let server = ServerBuilder::new()
        .url("/w/{slug}")
        .description(Some("a wiki's base"))
        .parameter("slug", utoipa::openapi::ServerVariableBuilder::new().default_value("welcome"))
        .build();
    finish(document, "wikigrove: one wiki", server)
}

/// The document of the control plane.
pub fn control() -> OpenApi {
    let document = crate::admin::documented().into_openapi();
    finish(document, "wikigrove: control plane", ServerBuilder::new().url("/").build())
}

fn finish(mut document: OpenApi, title: &str, server: utoipa::openapi::Server) -> OpenApi {
    document.info = InfoBuilder::new().title(title).version(env!("CARGO_PKG_VERSION")).build();
    document.servers = Some(vec![server]);
    // axum marks a parameter that may hold slashes; OpenAPI has no word for that.
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths =
        paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    document.components.get_or_insert_default().add_security_scheme("bearer", bearer);
    let no_scopes: [&str; 0] = [];
    document.security = Some(vec![SecurityRequirement::new("bearer", no_scopes)]);
    document
}

/// Who made a change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Author {
    /// Display name.
    pub name: String,
    /// E-mail address; may be empty.
    pub email: String,
}

/// A page in a list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PageItem {
    /// The path, without `.md`.
    pub path: String,
    /// The first heading, or else the last segment of the path.
    pub title: String,
    /// The version of the content.
    pub etag: String,
    /// The commit that last changed the page.
    pub revision: String,
    /// Bytes of content.
    pub size: u64,
    /// Who made that commit.
    pub author: Author,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub modified: OffsetDateTime,
}

/// A page with its content.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// The path, without `.md`.
    pub path: String,
    /// The first heading, or else the last segment of the path.
    pub title: String,
    /// The text.
    pub content: String,
    /// The version of the content.
    pub etag: String,
    /// The commit that last changed the page.
    pub revision: String,
    /// Who made that commit.
    pub author: Author,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub modified: OffsetDateTime,
}

/// A page as HTML.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rendered {
    /// The path, without `.md`.
    pub path: String,
    /// The first heading, or else the last segment of the path.
    pub title: String,
    /// The version of the content.
    pub etag: String,
    /// The commit that last changed the page.
    pub revision: String,
    /// Safe HTML, to be put into any page.
    pub html: String,
    /// The headings, in order.
    pub headings: Vec<RenderedHeading>,
    /// The data that the page begins with, if it is a mapping that can be read.
    #[schema(value_type = Option<Object>)]
    pub front_matter: Option<serde_json::Value>,
    /// Why that can't be read.
    pub front_matter_error: Option<String>,
    /// What it links to in the wiki.
    pub links: Vec<RenderedLink>,
    /// Whether it is shown as plain text, because it is too large or too deep to be rendered.
    pub plain: bool,
}

/// A heading of a page.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenderedHeading {
    /// 1 to 6.
    pub level: u8,
    /// What it says.
    pub text: String,
    /// The id of its element.
    pub id: String,
}

/// A link of a page to somewhere in the wiki.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenderedLink {
    /// The path of the page or attachment.
    pub target: String,
    /// `wiki`, `embed`, `link` or `image`.
    pub kind: String,
    /// Whether it exists.
    pub exists: bool,
}

/// What became of a save.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// The path, in NFC.
    pub path: String,
    /// The version of the content now.
    pub etag: String,
    /// The commit that contains the save.
    pub revision: String,
    /// Whether somebody else's change is in the content, too.
    pub merged: bool,
    /// The content, if it was merged.
    pub content: Option<String>,
}

/// What became of a deletion.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Deleted {
    /// The path.
    pub path: String,
    /// The commit that removed the page.
    pub revision: String,
}

/// Pages, and where to go on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PageList {
    /// In the order of their paths.
    pub items: Vec<PageItem>,
    /// For `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
}

/// A wiki as the operator sees it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Wiki {
    /// The immutable id.
    pub id: String,
    /// The name in URLs.
    pub slug: String,
    /// The title.
    pub title: String,
    /// The subject of its owner.
    pub owner: Option<String>,
    /// `private`, `public_read` or `public_write`.
    pub visibility: String,
    /// `active`, `read_only` or `suspended`.
    pub state: String,
    /// Why it is suspended.
    pub reason: Option<String>,
    /// When it was created.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
    /// Its base.
    pub url: String,
}

/// Wikis, and where to go on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WikiList {
    /// In the order of their slugs.
    pub items: Vec<Wiki>,
    /// For `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
}

/// A token; its secret is only in the answer that makes it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Names it without giving it away.
    pub id: String,
    /// What its maker calls it.
    pub name: String,
    /// `operator`, `reader`, `editor` or `admin`.
    pub role: String,
    /// Whether its bearer may name another author.
    pub act_as: bool,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
    /// From when on it is refused.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// The secret.
    pub token: Option<String>,
}

/// Tokens, and where to go on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenList {
    /// In the order of their ids.
    pub items: Vec<Token>,
    /// For `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
}

/// Names and values of settings.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Preferences(pub BTreeMap<String, String>);

/// An error (RFC 9457). Some codes add fields of their own.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Problem {
    /// `urn:wikigrove:problem:<code>`.
    pub r#type: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// A sentence for people.
    pub detail: String,
    /// Stable, for programs.
    pub code: String,
    /// As in `X-Request-Id`.
    pub request_id: String,
}

/// The parameters of every list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `extract::Paging` reads")]
pub struct PagingParams {
    /// 1 to 500; 50 if it isn't given.
    limit: Option<u16>,
    /// The `next_cursor` of the answer before.
    cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn operations(document: &OpenApi) -> BTreeSet<String> {
        let paths = serde_json::to_value(document).unwrap()["paths"].clone();
        let paths = paths.as_object().unwrap().clone();
        paths
            .into_iter()
            .flat_map(|(path, item)| {
                let methods: Vec<_> = item.as_object().unwrap().keys().cloned().collect();
                methods.into_iter().map(move |method| format!("{method} {path}"))
            })
            .collect()
    }

    #[test]
    fn every_route_is_described() {
        let wikis = operations(&wikis());
        assert!(wikis.contains("put /api/v1/pages/{path}"), "{wikis:?}");
        assert_eq!(wikis.len(), 6);
        let control = operations(&control());
        assert!(control.contains("delete /admin/v1/wikis/{slug}/tokens/{id}"), "{control:?}");
        assert_eq!(control.len(), 13);
    }

    #[test]
    fn the_documents_are_openapi_3_1() {
        for document in [wikis(), control()] {
            let json = serde_json::to_value(&document).unwrap();
            assert_eq!(json["openapi"], "3.1.0");
            assert!(
                json["components"]["schemas"]["Problem"]["properties"]["request_id"].is_object()
            );
        }
    }
}
