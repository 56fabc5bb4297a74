//! The OpenAPI 3.1 documents, generated from the routes, and the schemas of response bodies.
//!
//! The structs here describe responses that are made from types of other crates. Tests deserialise real
//! responses into them, and unknown fields are refused, so that the schemas can't drift.
//!
//! The schemas share one long file because many refer to each other. They repeat fields instead of
//! flattening shared structs, because serde can't refuse unknown fields of a flattened struct.

pub mod channels;
mod errors;
pub mod people;
pub mod remotes;

use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{InfoBuilder, OpenApi, SecurityRequirement, ServerBuilder};
use utoipa::{IntoParams, ToSchema};

/// The OpenAPI document of the wikis' listener.
pub fn wikis() -> OpenApi {
    let document = crate::wiki::documented().into_openapi();
    let server = ServerBuilder::new()
        .url("/w/{slug}")
        .description(Some("a wiki's base"))
        .parameter("slug", utoipa::openapi::ServerVariableBuilder::new().default_value("welcome"))
        .build();
    finish(document, "wikigrove: one wiki", server)
}

/// The OpenAPI document of the admin listener.
pub fn control() -> OpenApi {
    let document = crate::admin::documented().into_openapi();
    finish(document, "wikigrove: control plane", ServerBuilder::new().url("/").build())
}

fn finish(mut document: OpenApi, title: &str, server: utoipa::openapi::Server) -> OpenApi {
    document.info = InfoBuilder::new().title(title).version(env!("CARGO_PKG_VERSION")).build();
    document.servers = Some(vec![server]);
    // axum marks parameters that may contain slashes; OpenAPI has no such mark.
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

/// The author of a change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Author {
    /// Display name.
    pub name: String,
    /// E-mail address; may be empty.
    pub email: String,
}

/// A page in a list, without its content.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PageItem {
    /// The path, without `.md`.
    pub path: String,
    /// The title in the front matter, or else the first top-level heading, or else the last segment of the path.
    pub title: String,
    /// The content's ETag.
    pub etag: String,
    /// The commit that last changed the page.
    pub revision: String,
    /// Size of the content, in bytes.
    pub size: u64,
    /// That commit's author.
    pub author: Author,
    /// That commit's time.
    #[serde(with = "time::serde::rfc3339")]
    pub modified: OffsetDateTime,
}

/// A page with its content.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// The path, without `.md`.
    pub path: String,
    /// The title in the front matter, or else the first top-level heading, or else the last segment of the path.
    pub title: String,
    /// The text.
    pub content: String,
    /// The content's ETag.
    pub etag: String,
    /// The commit that last changed the page.
    pub revision: String,
    /// That commit's author.
    pub author: Author,
    /// That commit's time.
    #[serde(with = "time::serde::rfc3339")]
    pub modified: OffsetDateTime,
}

/// A page as HTML.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rendered {
    /// The path, without `.md`.
    pub path: String,
    /// The title in the front matter, or else the first top-level heading, or else the last segment of the path.
    pub title: String,
    /// The content's ETag.
    pub etag: String,
    /// The commit that last changed the page.
    pub revision: String,
    /// Sanitised HTML, safe to embed in any page.
    pub html: String,
    /// The headings, in order.
    pub headings: Vec<RenderedHeading>,
    /// The front matter, if it is a valid mapping.
    #[schema(value_type = Option<Object>)]
    pub front_matter: Option<serde_json::Value>,
    /// The reason if the front matter is invalid.
    pub front_matter_error: Option<String>,
    /// Links to pages and attachments of the wiki.
    pub links: Vec<RenderedLink>,
    /// True if the page is shown as plain text because it is too large or nested too deeply to render.
    pub plain: bool,
    /// True if the plain text is cut off because it is too large.
    pub truncated: bool,
    /// The encoding that the page was decoded from, if it isn't UTF-8.
    pub encoding: Option<String>,
}

/// A heading of a page.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenderedHeading {
    /// The level, 1 to 6.
    pub level: u8,
    /// The heading's text.
    pub text: String,
    /// The `id` of its HTML element.
    pub id: String,
}

/// A link of a page to a page or attachment of the wiki.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenderedLink {
    /// The path of the page or attachment.
    pub target: String,
    /// `wiki`, `embed`, `link` or `image`.
    pub kind: String,
    /// True if the target exists.
    pub exists: bool,
    /// Present and true if several pages or attachments have its name.
    #[serde(default)]
    pub ambiguous: bool,
}

/// The result of saving a page.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// The path, in NFC.
    pub path: String,
    /// The ETag of the saved content.
    pub etag: String,
    /// The commit that contains the save.
    pub revision: String,
    /// True if a concurrent change was merged into the content.
    pub merged: bool,
    /// The content, if it was merged.
    pub content: Option<String>,
    /// True if the content was merged and is omitted because it is too large.
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
    /// `page` and `name`, joined by a slash.
    pub path: String,
    /// The content's ETag.
    pub etag: String,
    /// Size of the content, in bytes.
    pub size: u64,
    /// Media type in responses.
    pub content_type: String,
    /// The commit that last changed it.
    pub revision: String,
    /// That commit's author.
    pub author: Author,
    /// That commit's time.
    #[serde(with = "time::serde::rfc3339")]
    pub modified: OffsetDateTime,
}

/// One part of a list of attachments.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttachmentList {
    /// Sorted by name.
    pub items: Vec<AttachmentItem>,
    /// Cursor of the next part, for `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
}

/// The result of saving an attachment.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SavedAttachment {
    /// The page it belongs to.
    pub page: String,
    /// The name of the file, in NFC.
    pub name: String,
    /// `page` and `name`, joined by a slash.
    pub path: String,
    /// The ETag of the saved content.
    pub etag: String,
    /// The commit that contains it.
    pub revision: String,
    /// Size of the content, in bytes.
    pub size: u64,
}

/// The result of a deletion.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Deleted {
    /// The path.
    pub path: String,
    /// The commit that removed it.
    pub revision: String,
    /// Subpages and attachments that were deleted with it, at most 500.
    #[serde(default)]
    pub others: Vec<String>,
    /// Present and true if there are more than the listed 500.
    #[serde(default)]
    pub truncated: bool,
}

/// The result of a move.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    /// The commit.
    pub revision: String,
    /// The moved pages and attachments, and the pages whose links were rewritten, at most 500.
    pub changes: Vec<PathChange>,
    /// Present and true if there are more than the listed 500.
    #[serde(default)]
    pub truncated: bool,
}

/// The links from and to a page.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Links {
    /// The page.
    pub path: String,
    /// Targets of the page's links, without duplicates.
    pub outgoing: Vec<OutgoingLink>,
    /// Links to missing pages and attachments.
    pub broken: Vec<BrokenLink>,
    /// Present and true if the page has more links than are listed.
    #[serde(default)]
    pub truncated: bool,
    /// Pages that link to this page, sorted by path.
    pub incoming: Vec<IncomingLink>,
    /// Cursor of the next part of `incoming`, for `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
    /// Present while the index is being built; links may be missing until then.
    pub index: Option<IndexProgress>,
}

/// A link of the page to an existing target.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OutgoingLink {
    /// The target's path.
    pub path: String,
    /// `page` or `attachment`.
    pub r#type: String,
    /// The syntax: `wiki`, `embed`, `link` or `image`.
    pub kind: String,
    /// The fragment after the `#`.
    pub fragment: Option<String>,
}

/// A link of the page to a missing target.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BrokenLink {
    /// The missing target's path.
    pub target: String,
    /// The syntax: `wiki`, `embed`, `link` or `image`.
    pub kind: String,
    /// Present and true if several pages or attachments have its name.
    #[serde(default)]
    pub ambiguous: bool,
}

/// A page that links to the page.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IncomingLink {
    /// Its path.
    pub path: String,
    /// Its title.
    pub title: String,
}

/// One part of a list of pages.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PageList {
    /// Sorted by path.
    pub items: Vec<PageItem>,
    /// Cursor of the next part, for `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
}

/// Progress of building the index.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IndexProgress {
    /// Completed steps.
    pub done: usize,
    /// Steps in total.
    pub total: usize,
}

/// A commit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// The commit's id.
    pub revision: String,
    /// Author of the commit.
    pub author: Author,
    /// Time of the commit.
    #[serde(with = "time::serde::rfc3339")]
    pub date: OffsetDateTime,
    /// The commit message.
    pub message: String,
    /// Changes against the parent or, for a merge, against all parents, at most 500.
    pub changes: Vec<PathChange>,
    /// True if the commit has more changes.
    #[serde(default)]
    pub truncated: bool,
}

/// The change of a commit to one page or attachment.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PathChange {
    /// The page path, or the path of the attachment.
    pub path: String,
    /// `page` or `attachment`.
    pub r#type: String,
    /// `added`, `modified`, `deleted`, `renamed` or `copied`; `moved` in the history of a page's former
    /// path.
    pub kind: String,
    /// The former path if renamed, or the source if copied.
    pub old_path: Option<String>,
    /// The new path if moved.
    pub new_path: Option<String>,
}

/// One part of a list of commits.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CommitList {
    /// Newest first.
    pub items: Vec<Commit>,
    /// Cursor of the next part, for `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
    /// Present while the index is being built; commits may be missing until then.
    pub index: Option<IndexProgress>,
}

/// A search result.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchResult {
    /// The path, without `.md`.
    pub path: String,
    /// The title in the front matter, or else the first top-level heading, or else the last segment of the path.
    pub title: String,
    /// The content's ETag.
    pub etag: String,
    /// The commit that last changed the page.
    pub revision: String,
    /// Size of the content, in bytes.
    pub size: u64,
    /// That commit's author.
    pub author: Author,
    /// That commit's time.
    #[serde(with = "time::serde::rfc3339")]
    pub modified: OffsetDateTime,
    /// The matching text as HTML: escaped, with `<mark>` around the words.
    pub snippet: String,
}

/// One part of the search results.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchResults {
    /// Best match first.
    pub items: Vec<SearchResult>,
    /// Cursor of the next part, for `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
    /// Present while the index is being built; pages may be missing until then.
    pub index: Option<IndexProgress>,
}

/// The difference between two states of a page.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Diff {
    /// The requested path.
    pub path: String,
    /// The older state.
    pub from: DiffSide,
    /// The newer state.
    pub to: DiffSide,
    /// The differing lines with context.
    pub hunks: Vec<DiffHunk>,
    /// The same in the format of `diff -u`; empty if nothing differs.
    pub unified: String,
    /// True if there are more differences.
    #[serde(default)]
    pub truncated: bool,
}

/// A state of a page.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiffSide {
    /// The commit; null before the first commit.
    pub revision: Option<String>,
    /// The page's path at that commit.
    pub path: String,
    /// The content's ETag; null if the page didn't exist.
    pub etag: Option<String>,
}

/// Changed lines close to each other, with context.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiffHunk {
    /// The first line in the older state, counted from 1; the preceding line if the hunk has no older
    /// lines.
    pub old_start: usize,
    /// Number of lines of the older state.
    pub old_lines: usize,
    /// The first line in the newer state.
    pub new_start: usize,
    /// Number of lines of the newer state.
    pub new_lines: usize,
    /// The hunk's lines.
    pub lines: Vec<DiffLine>,
}

/// A line of a hunk.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiffLine {
    /// `context`, `removed` or `added`.
    pub kind: String,
    /// The text, without the line ending.
    pub text: String,
    /// Present and true if the file ends here without a line ending.
    #[serde(default)]
    pub unended: bool,
}

/// The lines of a page with the commits they come from.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Blame {
    /// The path, without `.md`.
    pub path: String,
    /// The content's ETag.
    pub etag: String,
    /// The commit at which the page was read.
    pub revision: String,
    /// All lines in order, grouped by commit.
    pub ranges: Vec<BlameRange>,
    /// True if the page has more lines.
    #[serde(default)]
    pub truncated: bool,
    /// The commits of the ranges, without duplicates.
    pub commits: Vec<BlameCommit>,
}

/// Adjacent lines from one commit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BlameRange {
    /// The first line, counted from 1.
    pub line: usize,
    /// The lines, without line endings.
    pub lines: Vec<String>,
    /// The commit.
    pub revision: String,
}

/// A commit that lines come from.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BlameCommit {
    /// The commit's id.
    pub revision: String,
    /// Author of the commit.
    pub author: Author,
    /// Time of the commit.
    #[serde(with = "time::serde::rfc3339")]
    pub date: OffsetDateTime,
    /// The first line of the commit message, possibly shortened.
    pub summary: String,
}

/// The result or the plan of undoing changes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Undone {
    /// The new commit; null if there was nothing to do or only a plan was requested.
    pub revision: Option<String>,
    /// The changes, at most 500.
    pub changes: Vec<PathChange>,
    /// In a plan: later changes in the same places, at most 500. Any conflict prevents the undo.
    pub conflicts: Vec<String>,
    /// Present and true if there are more changes or conflicts than the listed 500 of each.
    #[serde(default)]
    pub truncated: bool,
}

/// A draft in a list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DraftItem {
    /// The page's path; the page may not exist.
    pub path: String,
    /// The ETag of the content that the draft is based on; null if there was no page.
    pub base: Option<String>,
    /// Time of the last save.
    #[serde(with = "time::serde::rfc3339")]
    pub updated: OffsetDateTime,
    /// Size of the text, in bytes.
    pub size: u64,
    /// True if the page has changed since.
    pub stale: bool,
}

/// One part of a list of drafts.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DraftList {
    /// Sorted by path.
    pub items: Vec<DraftItem>,
    /// Cursor of the next part, for `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
}

/// A draft with its text.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// The page's path; the page may not exist.
    pub path: String,
    /// The text.
    pub content: String,
    /// The ETag of the content that the draft is based on; null if there was no page.
    pub base: Option<String>,
    /// The author's cursor position.
    pub cursor: Option<Cursor>,
    /// Time of the last save.
    #[serde(with = "time::serde::rfc3339")]
    pub updated: OffsetDateTime,
    /// True if the page has changed since.
    pub stale: bool,
    /// The ETag of the page's current content; null if there is no page.
    pub current: Option<String>,
}

/// A position in a text.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// The result of saving a draft.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeptDraft {
    /// The path, in NFC.
    pub path: String,
    /// The ETag of the content that the draft is based on; null if there was no page.
    pub base: Option<String>,
    /// Time of the save.
    #[serde(with = "time::serde::rfc3339")]
    pub updated: OffsetDateTime,
    /// True if the page has changed since.
    pub stale: bool,
}

/// A wiki as shown to the operator.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Wiki {
    /// The immutable id.
    pub id: String,
    /// The wiki's name in URLs.
    pub slug: String,
    /// The title.
    pub title: String,
    /// The owner's subject.
    pub owner: Option<String>,
    /// `private`, `public_read` or `public_write`.
    pub visibility: String,
    /// `active`, `read_only` or `suspended`.
    pub state: String,
    /// Reason for the suspension.
    pub reason: Option<String>,
    /// Time of creation.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
    /// Base URL.
    pub url: String,
    /// URL for `git clone`.
    pub git_url: String,
    /// Maximum size of pages and attachments, in bytes; null for no limit but the disk.
    pub max_bytes: Option<u64>,
    /// Maximum number of pages; null for no limit.
    pub max_pages: Option<u64>,
    /// Maximum size on disk, in bytes; null for the platform's default.
    pub max_disk_bytes: Option<u64>,
}

/// One part of the list of wikis.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WikiList {
    /// Sorted by slug.
    pub items: Vec<Wiki>,
    /// Cursor of the next part, for `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
}

/// A token. Its secret is only in the response that creates it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The public id; it reveals nothing about the secret.
    pub id: String,
    /// Display name.
    pub name: String,
    /// `operator`, `reader`, `editor` or `admin`.
    pub role: String,
    /// True if the bearer may name another author.
    pub act_as: bool,
    /// Time of creation.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
    /// Expiry.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// The user that it belongs to; null if it has no owner.
    pub subject: Option<String>,
    /// Time of the last use, to the minute.
    #[serde(with = "time::serde::rfc3339::option")]
    pub used_at: Option<OffsetDateTime>,
    /// The secret.
    pub token: Option<String>,
}

/// One part of a list of tokens.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenList {
    /// Sorted by id.
    pub items: Vec<Token>,
    /// Cursor of the next part, for `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
}

/// A wiki's settings. Responses have all fields; a change keeps the fields that it omits, and `null`
/// restores a default.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Preferences {
    /// The wiki's name for readers; by default its title.
    pub site_name: Option<String>,
    /// Description of the wiki.
    pub site_description: Option<String>,
    /// The language of the pages (BCP 47); `en` by default.
    pub site_lang: Option<String>,
    /// Path or URL of the logo.
    pub site_logo: Option<String>,
    /// Path or URL of the icon.
    pub site_icon: Option<String>,
    /// True to hide the logo.
    pub hide_logo: Option<bool>,
    /// `allow` (the default) or `disallow` search engines.
    pub robots_txt: Option<String>,
    /// Path of the start page; `home` by default.
    pub home_page: Option<String>,
    /// `optional` (the default), `required` (a change without a message is refused) or `disabled`
    /// (messages are dropped).
    pub commit_message: Option<String>,
    /// Message for changes without one; `%P` stands for the page's path.
    pub default_commit_message: Option<String>,
    /// Order of `[[a|b]]`: `link_title` (the default) or `title_link`.
    pub wikilink_style: Option<String>,
    /// True to open links to other sites in a new tab.
    pub open_links_in_new_tab: Option<bool>,
    /// True (the default) to keep the case of page names, false to convert them to lower case.
    pub retain_page_name_case: Option<bool>,
    /// True to show underscores as spaces in titles made from page names.
    pub treat_underscore_as_space_for_titles: Option<bool>,
    /// The sidebar's menu, as a JSON text.
    pub sidebar_custom_menu: Option<String>,
    /// The sidebar's shortcuts, separated by spaces.
    pub sidebar_shortcuts: Option<String>,
    /// Sort mode of the sidebar's page tree, such as `SORTED`.
    pub sidebar_menutree_mode: Option<String>,
    /// Part of the tree that is shown, such as `SUBTREE`.
    pub sidebar_menutree_focus: Option<String>,
    /// Maximum depth of the tree.
    pub sidebar_menutree_maxdepth: Option<u32>,
    /// True to sort the tree case-insensitively.
    pub sidebar_menutree_ignore_case: Option<bool>,
    /// True if wiki links find the only page of a name in any directory; true by default.
    pub links_by_name: Option<bool>,
    /// True if pages show images of other sites; true by default.
    pub external_images: Option<bool>,
    /// `off` (the default) or `otterwiki`: whether such addresses lead to the pages, too.
    pub legacy_urls: Option<String>,
    /// True (the default) to allow clone, fetch and push with git.
    pub git_enabled: Option<bool>,
    /// True to allow admins pushes that aren't fast-forwards; false by default.
    pub git_force_push: Option<bool>,
}

/// An error (RFC 9457). Some codes add fields of their own.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Problem {
    /// `urn:wikigrove:problem:<code>`.
    pub r#type: String,
    /// The status text.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// An explanation for people.
    pub detail: String,
    /// A stable code for programs.
    pub code: String,
    /// The id in `X-Request-Id`.
    pub request_id: String,
}

/// The query parameters of every list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `extract::Paging` reads")]
pub struct PagingParams {
    /// Maximum number of items, 1 to 500; 50 by default.
    limit: Option<u16>,
    /// The `next_cursor` of the previous response.
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
