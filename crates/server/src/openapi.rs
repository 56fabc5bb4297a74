//! The OpenAPI 3.1 documents, made from the routes themselves, and the answers' shapes.
//!
//! The structs here describe answers that other crates' types are turned into. Tests read real
//! answers back into them, and they accept nothing they don't know, so they can't drift.
//!
//! One long file, as it is one vocabulary: a shape that another one mentions stands beside it. Shapes
//! repeat fields instead of sharing them, because what is flattened can't refuse what it doesn't know.

pub mod channels;
mod errors;
pub mod people;
pub mod remotes;

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
    errors::describe(&mut document);
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
    /// Whether only the beginning of the plain text is shown, because all of it would be too large.
    pub truncated: bool,
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
    /// Whether it was merged and the content is left out.
    #[serde(default)]
    pub truncated: bool,
}

/// An attachment in a list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttachmentItem {
    /// The page it belongs to; empty at the root of the tree.
    pub page: String,
    /// The name of the file.
    pub name: String,
    /// Both, with a slash between them.
    pub path: String,
    /// The version of the content.
    pub etag: String,
    /// Bytes of content.
    pub size: u64,
    /// What it is served as.
    pub content_type: String,
    /// The commit that last changed it.
    pub revision: String,
    /// Who made that commit.
    pub author: Author,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub modified: OffsetDateTime,
}

/// Attachments, and where to go on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttachmentList {
    /// In the order of their names.
    pub items: Vec<AttachmentItem>,
    /// For `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
}

/// What became of a save of an attachment.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SavedAttachment {
    /// The page it belongs to.
    pub page: String,
    /// The name of the file, in NFC.
    pub name: String,
    /// Both, with a slash between them.
    pub path: String,
    /// The version of the content now.
    pub etag: String,
    /// The commit that contains it.
    pub revision: String,
    /// Bytes of content.
    pub size: u64,
}

/// What became of a deletion.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Deleted {
    /// The path.
    pub path: String,
    /// The commit that removed it.
    pub revision: String,
    /// Sub-pages and attachments that went with it. At most 500.
    #[serde(default)]
    pub others: Vec<String>,
    /// Present and true if there are more than the 500 that are told.
    #[serde(default)]
    pub truncated: bool,
}

/// What a move did.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    /// The commit.
    pub revision: String,
    /// The moved pages and attachments, and pages whose links were rewritten. At most 500.
    pub changes: Vec<PathChange>,
    /// Present and true if there are more than the 500 that are told.
    #[serde(default)]
    pub truncated: bool,
}

/// The links from and to a page.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Links {
    /// The page.
    pub path: String,
    /// Where its links lead, each place once.
    pub outgoing: Vec<OutgoingLink>,
    /// Its links that lead to nothing.
    pub broken: Vec<BrokenLink>,
    /// Present and true if the page has more links than are told.
    #[serde(default)]
    pub truncated: bool,
    /// Pages with a link to it, in the order of their paths.
    pub incoming: Vec<IncomingLink>,
    /// For `?cursor=`, to see more of `incoming`; null at the end.
    pub next_cursor: Option<String>,
    /// Present while the index is being built and links may be missing.
    pub index: Option<IndexProgress>,
}

/// A link of the page.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OutgoingLink {
    /// The path it leads to.
    pub path: String,
    /// `page` or `attachment`.
    pub r#type: String,
    /// `wiki`, `embed`, `link` or `image`: how it is written.
    pub kind: String,
    /// What follows the `#`.
    pub fragment: Option<String>,
}

/// A link of the page to nothing.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BrokenLink {
    /// The path it would lead to.
    pub target: String,
    /// `wiki`, `embed`, `link` or `image`: how it is written.
    pub kind: String,
}

/// A page with a link to the page.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IncomingLink {
    /// Its path.
    pub path: String,
    /// Its title.
    pub title: String,
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

/// How far the index is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IndexProgress {
    /// Steps that are done.
    pub done: usize,
    /// Steps there are.
    pub total: usize,
}

/// A commit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// Its id.
    pub revision: String,
    /// Who made it.
    pub author: Author,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub date: OffsetDateTime,
    /// Why.
    pub message: String,
    /// What it changes: against its parent, or, for a merge, against all of them. At most 500 places.
    pub changes: Vec<PathChange>,
    /// Whether it changes more than those.
    #[serde(default)]
    pub truncated: bool,
}

/// What a commit does to one page or attachment.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PathChange {
    /// The page path, or the path of the attachment.
    pub path: String,
    /// `page` or `attachment`.
    pub r#type: String,
    /// `added`, `modified`, `deleted`, `renamed` or `copied`; in the history of a path that a page left, `moved`.
    pub kind: String,
    /// Where it was before it was renamed, or what it was copied from.
    pub old_path: Option<String>,
    /// Where it was moved.
    pub new_path: Option<String>,
}

/// Commits, and where to go on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CommitList {
    /// Newest first.
    pub items: Vec<Commit>,
    /// For `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
    /// Present while the index is being built and commits may be missing.
    pub index: Option<IndexProgress>,
}

/// A page that was found.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchResult {
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
    /// Where the words stand, as HTML: escaped text with `<mark>` around them.
    pub snippet: String,
}

/// Pages that were found, and where to go on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchResults {
    /// Best first.
    pub items: Vec<SearchResult>,
    /// For `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
    /// Present while the index is being built and pages may be missing.
    pub index: Option<IndexProgress>,
}

/// The difference between two states of a page.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Diff {
    /// The path, as asked for.
    pub path: String,
    /// The older state.
    pub from: DiffSide,
    /// The newer state.
    pub to: DiffSide,
    /// The places that differ, with lines around them.
    pub hunks: Vec<DiffHunk>,
    /// The same as text, as `diff -u` has it; empty if nothing differs.
    pub unified: String,
    /// Whether more differs than is shown.
    #[serde(default)]
    pub truncated: bool,
}

/// A state of a page.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiffSide {
    /// The commit; null before the first one.
    pub revision: Option<String>,
    /// Where the page was then.
    pub path: String,
    /// Its version; null if it didn't exist.
    pub etag: Option<String>,
}

/// Changed lines that are near each other.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiffHunk {
    /// The first line in the older state, counted from 1; with no lines, the one it comes after.
    pub old_start: usize,
    /// How many lines of the older state it covers.
    pub old_lines: usize,
    /// The first line in the newer state.
    pub new_start: usize,
    /// How many lines of the newer state it covers.
    pub new_lines: usize,
    /// The lines.
    pub lines: Vec<DiffLine>,
}

/// A line of a hunk.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiffLine {
    /// `context`, `removed` or `added`.
    pub kind: String,
    /// The text, without its end.
    pub text: String,
    /// True, and only there, if the file ends here without an end of line.
    #[serde(default)]
    pub unended: bool,
}

/// A page, line by line.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Blame {
    /// The path, without `.md`.
    pub path: String,
    /// The version of the page.
    pub etag: String,
    /// The commit in which it was looked at.
    pub revision: String,
    /// All lines in order, in runs that come from one commit.
    pub ranges: Vec<BlameRange>,
    /// Whether the page has more lines than those.
    #[serde(default)]
    pub truncated: bool,
    /// The commits that they name, each once.
    pub commits: Vec<BlameCommit>,
}

/// Lines beside each other that one commit brought.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BlameRange {
    /// The first line, counted from 1.
    pub line: usize,
    /// The lines, without their ends.
    pub lines: Vec<String>,
    /// The commit.
    pub revision: String,
}

/// A commit that brought lines.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BlameCommit {
    /// Its id.
    pub revision: String,
    /// Who made it.
    pub author: Author,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub date: OffsetDateTime,
    /// The beginning of the first line of its message.
    pub summary: String,
}

/// What was undone, or would be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Undone {
    /// The commit that was made; null if nothing had to be done, or only a plan was asked for.
    pub revision: Option<String>,
    /// What it changes. At most 500.
    pub changes: Vec<PathChange>,
    /// In a plan: what changed since in the same place. With any, nothing can be done. At most 500.
    pub conflicts: Vec<String>,
    /// Present and true if there are more changes or conflicts than the 500 of each that are told.
    #[serde(default)]
    pub truncated: bool,
}

/// A draft in a list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DraftItem {
    /// The path of the page, which need not exist.
    pub path: String,
    /// The version it was begun from; null if there was no page.
    pub base: Option<String>,
    /// When it was last written.
    #[serde(with = "time::serde::rfc3339")]
    pub updated: OffsetDateTime,
    /// Bytes of text.
    pub size: u64,
    /// Whether the page has another version now.
    pub stale: bool,
}

/// Drafts, and where to go on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DraftList {
    /// In the order of their paths.
    pub items: Vec<DraftItem>,
    /// For `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
}

/// A draft with its text.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// The path of the page, which need not exist.
    pub path: String,
    /// The text.
    pub content: String,
    /// The version it was begun from; null if there was no page.
    pub base: Option<String>,
    /// Where its author was.
    pub cursor: Option<Cursor>,
    /// When it was last written.
    #[serde(with = "time::serde::rfc3339")]
    pub updated: OffsetDateTime,
    /// Whether the page has another version now.
    pub stale: bool,
    /// The page's version now; null if there is no page.
    pub current: Option<String>,
}

/// A place in a text.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// The line.
    pub line: u32,
    /// The place in the line.
    pub column: u32,
}

/// What became of a draft.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeptDraft {
    /// The path, in NFC.
    pub path: String,
    /// The version it was begun from; null if there was no page.
    pub base: Option<String>,
    /// When it was written.
    #[serde(with = "time::serde::rfc3339")]
    pub updated: OffsetDateTime,
    /// Whether the page has another version now.
    pub stale: bool,
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
    /// Where git clones it from.
    pub git_url: String,
    /// The most bytes it may hold; null is as many as there is room for.
    pub max_bytes: Option<u64>,
    /// The most pages it may have; null is any number.
    pub max_pages: Option<u64>,
    /// The most bytes of the disk that it may take; null is what the platform gives.
    pub max_disk_bytes: Option<u64>,
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
    /// Whose it is; null is nobody's.
    pub subject: Option<String>,
    /// When it was last used, to the minute.
    #[serde(with = "time::serde::rfc3339::option")]
    pub used_at: Option<OffsetDateTime>,
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

/// Settings. Answers have all of them; in a change, what isn't named stays, and `null` brings the
/// default back.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Preferences {
    /// The wiki's name for its readers; without one it has its title.
    pub site_name: Option<String>,
    /// What the wiki is about.
    pub site_description: Option<String>,
    /// The language of the pages (BCP 47); `en` by default.
    pub site_lang: Option<String>,
    /// The path or address of the logo.
    pub site_logo: Option<String>,
    /// The path or address of the icon.
    pub site_icon: Option<String>,
    /// Whether the logo isn't shown.
    pub hide_logo: Option<bool>,
    /// `allow` (the default) or `disallow`: whether search engines are welcome.
    pub robots_txt: Option<String>,
    /// The path of the page that visitors see first; `home` by default.
    pub home_page: Option<String>,
    /// `optional` (the default), `required` (a change without a message is refused) or `disabled`
    /// (messages are dropped).
    pub commit_message: Option<String>,
    /// The message of changes that come without one; `%P` stands for the page's path.
    pub default_commit_message: Option<String>,
    /// `link_title` (the default) or `title_link`: which side of `[[a|b]]` is the page.
    pub wikilink_style: Option<String>,
    /// Whether links to other sites open in a new tab.
    pub open_links_in_new_tab: Option<bool>,
    /// Whether page names keep their case (the default) or become lower-case.
    pub retain_page_name_case: Option<bool>,
    /// Whether titles made from names show spaces for underscores.
    pub treat_underscore_as_space_for_titles: Option<bool>,
    /// The sidebar's menu, as JSON in a text.
    pub sidebar_custom_menu: Option<String>,
    /// The sidebar's shortcuts, separated by spaces.
    pub sidebar_shortcuts: Option<String>,
    /// How the sidebar's tree of pages is sorted, such as `SORTED`.
    pub sidebar_menutree_mode: Option<String>,
    /// What the tree shows, such as `SUBTREE`.
    pub sidebar_menutree_focus: Option<String>,
    /// How deep the tree goes.
    pub sidebar_menutree_maxdepth: Option<u32>,
    /// Whether the tree is sorted without regard to case.
    pub sidebar_menutree_ignore_case: Option<bool>,
    /// `off` (the default) or `otterwiki`: whether such addresses lead to the pages, too.
    pub legacy_urls: Option<String>,
    /// Whether the wiki can be cloned, fetched and pushed with git; true by default.
    pub git_enabled: Option<bool>,
    /// Whether admins may push a history that isn't built on what is there; false by default.
    pub git_force_push: Option<bool>,
}

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
        assert_eq!(wikis.len(), 31);
        let control = operations(&control());
        assert!(control.contains("delete /admin/v1/wikis/{slug}/tokens/{id}"), "{control:?}");
        assert_eq!(control.len(), 45);
    }

    #[test]
    fn every_error_is_described_as_a_problem() {
        for document in [wikis(), control()] {
            let document = serde_json::to_value(document).unwrap();
            assert!(document["components"]["schemas"]["Problem"].is_object());
            for (path, item) in document["paths"].as_object().unwrap() {
                for (method, operation) in item.as_object().unwrap() {
                    let responses = operation["responses"].as_object().unwrap();
                    let errors: Vec<_> = responses
                        .iter()
                        .filter(|(status, _)| status.starts_with(['4', '5']))
                        .collect();
                    let kinds: BTreeSet<_> =
                        errors.iter().map(|(status, _)| &status[..1]).collect();
                    assert_eq!(kinds, BTreeSet::from(["4", "5"]), "{method} {path}");
                    for (status, error) in errors {
                        let content = error["content"].as_object().unwrap();
                        let types: Vec<_> = content.keys().collect();
                        assert_eq!(types, ["application/problem+json"], "{method} {path} {status}");
                        let schema = &content["application/problem+json"]["schema"];
                        assert!(schema["$ref"].is_string(), "{method} {path} {status}: {schema}");
                    }
                }
            }
        }
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
