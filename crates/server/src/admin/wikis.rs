//! Wikis: create, list, show, change, delete.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use wikigrove_tenant::problem::{Problem, invalid_preferences};
use wikigrove_tenant::{Error, NewTenant, Slug, Tenant, TenantUpdate, Visibility, check_subject};

use wikigrove_tenant::storage::preference_rows;

use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{Admin, Operator, SlugInPath};
use crate::extract::{Json, Listing, Paging, present};
use crate::guard::{Needs, Routes};
use crate::idempotency::{Made, Once};
use crate::openapi;
use crate::sync::Event;
use crate::wiki::preferences;

/// Maximum length of a title, in bytes.
const MAX_TITLE: usize = 1000;
/// Maximum length of the reason for a suspension, in bytes.
pub(super) const MAX_REASON: usize = 4000;

pub(super) fn router() -> Routes<Admin> {
    Routes::new()
        .route(Needs::OPERATOR, routes!(list))
        .route(Needs::OPERATOR.audited("wiki.create"), routes!(create))
        .route(Needs::OPERATOR, routes!(show))
        .route(Needs::OPERATOR.audited("wiki.change"), routes!(change))
        .route(Needs::OPERATOR.audited("wiki.delete"), routes!(delete))
}

/// A wiki as shown to the operator.
#[derive(Serialize)]
struct WikiBody {
    id: String,
    slug: String,
    title: String,
    owner: Option<String>,
    visibility: Visibility,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    created: time::OffsetDateTime,
    url: String,
    git_url: String,
    max_bytes: Option<u64>,
    max_pages: Option<u64>,
    max_disk_bytes: Option<u64>,
}

impl Admin {
    fn describe(&self, tenant: &Tenant) -> WikiBody {
        WikiBody {
            id: tenant.id.to_string(),
            slug: tenant.slug.to_string(),
            title: tenant.title.clone(),
            owner: tenant.owner.clone(),
            visibility: tenant.visibility,
            state: tenant.state.as_str(),
            reason: tenant.state.reason().map(str::to_owned),
            created: tenant.created,
            url: format!("{}/w/{}", self.public_url, tenant.slug),
            git_url: format!("{}/w/{}/git", self.public_url, tenant.slug),
            max_bytes: tenant.quota.bytes,
            max_pages: tenant.quota.pages,
            max_disk_bytes: tenant.quota.disk_bytes,
        }
    }
}

/// Lists wikis.
#[utoipa::path(get, path = "/wikis", params(openapi::PagingParams),
    responses((status = 200, body = openapi::WikiList), (status = "4XX", body = openapi::Problem)))]
async fn list(State(admin): State<Admin>, paging: Paging) -> Result<Listing<WikiBody>, Problem> {
    let after = paging.cursor.as_ref().map(|slug| slug.parse::<Slug>()).transpose();
    let after = after.map_err(|_| super::not_of_this_list())?;
    let found = admin.platform.wikis(after.as_ref(), paging.one_more()).await;
    let found = found.map_err(|error| error.problem())?;
    let slug = |tenant: &Tenant| tenant.slug.to_string();
    Ok(Listing::part(found, paging.limit, slug, |tenant| admin.describe(&tenant)))
}

#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateWiki)]
struct Create {
    /// The wiki's name in URLs.
    slug: String,
    /// The slug by default.
    title: Option<String>,
    /// The owner's subject.
    owner: Option<String>,
    /// `private` by default.
    #[schema(value_type = Option<String>)]
    visibility: Option<Visibility>,
    /// Initial settings.
    #[serde(default)]
    #[schema(value_type = Option<openapi::Preferences>)]
    preferences: preferences::Sent,
}

/// Creates a wiki.
#[utoipa::path(post, path = "/wikis", request_body = Create, params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = openapi::Wiki), (status = "4XX", body = openapi::Problem)))]
async fn create(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    headers: HeaderMap,
    Json(body): Json<Create>,
) -> Result<Response, Problem> {
    let once = Once::of(admin.platform.answers(), &caller, "/admin/v1/wikis", &headers, &body)?;
    once.make(async move {
        let new = new_tenant(&body)?;
        let tenant = admin.platform.create_tenant(new).await.map_err(|error| error.problem())?;
        let now = admin.describe(&tenant);
        // The response has no secrets, so it is stored as sent.
        let kept = serde_json::to_value(&now).map_err(|error| Problem::internal(&error))?;
        Ok(Made { now, kept, id: Some(tenant.id.to_string()) })
    })
    .await
}

fn new_tenant(body: &Create) -> Result<NewTenant, Problem> {
    let slug: Slug = body.slug.parse().map_err(|error| Error::from(error).problem())?;
    let mut new = NewTenant::new(slug);
    if let Some(title) = &body.title {
        new.title = checked("title", title, MAX_TITLE)?;
    }
    new.owner = body.owner.as_deref().map(|owner| subject("owner", owner)).transpose()?;
    new.visibility = body.visibility.unwrap_or(Visibility::Private);
    new.preferences = preference_rows(&preferences::changes(body.preferences.clone()))
        .map_err(|wrong| invalid_preferences("/preferences", &wrong))?;
    Ok(new)
}

/// Shows a wiki.
#[utoipa::path(get, path = "/wikis/{slug}", params(("slug" = String, Path)),
    responses((status = 200, body = openapi::Wiki), (status = "4XX", body = openapi::Problem)))]
async fn show(
    State(admin): State<Admin>,
    SlugInPath(slug): SlugInPath,
) -> Result<Json<WikiBody>, Error> {
    Ok(Json(admin.describe(&*admin.existing(&slug).await?)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChangeWiki)]
struct Change {
    title: Option<String>,
    #[schema(value_type = Option<String>)]
    visibility: Option<Visibility>,
    state: Option<StateWord>,
    /// Required for `suspended`, and refused otherwise.
    reason: Option<String>,
    /// Maximum size of all pages and attachments, in bytes; null for no limit but the disk.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u64>)]
    max_bytes: Option<Option<u64>>,
    /// Maximum number of pages; null for no limit.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u64>)]
    max_pages: Option<Option<u64>>,
    /// Maximum size on disk, in bytes, including history, index and drafts; null for the platform's
    /// default.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u64>)]
    max_disk_bytes: Option<Option<u64>>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "snake_case")]
enum StateWord {
    Active,
    ReadOnly,
    Suspended,
}

/// Changes a wiki's title, state or limits.
#[utoipa::path(patch, path = "/wikis/{slug}", request_body = Change, params(("slug" = String, Path)),
    responses((status = 200, body = openapi::Wiki), (status = "4XX", body = openapi::Problem)))]
async fn change(
    State(admin): State<Admin>,
    SlugInPath(slug): SlugInPath,
    Json(body): Json<Change>,
) -> Result<Json<WikiBody>, Problem> {
    admin.existing(&slug).await.map_err(|error| error.problem())?;
    let update = TenantUpdate {
        title: body.title.as_deref().map(|title| checked("title", title, MAX_TITLE)).transpose()?,
        visibility: body.visibility,
        state: state(body.state, body.reason)?,
        max_bytes: body.max_bytes,
        max_pages: body.max_pages,
        max_disk_bytes: body.max_disk_bytes,
    };
    let tenant = admin.platform.update(&slug, update).await.map_err(|error| error.problem())?;
    if body.state == Some(StateWord::Active) {
        // Runs that waited while the wiki was closed start now instead of at their next retry.
        admin.remotes.tell_wiki(tenant.id, Event::Requested).await;
    }
    Ok(Json(admin.describe(&tenant)))
}

fn state(
    word: Option<StateWord>,
    reason: Option<String>,
) -> Result<Option<wikigrove_tenant::State>, Problem> {
    use wikigrove_tenant::State;
    match (word, reason) {
        (Some(StateWord::Suspended), Some(reason)) => {
            Ok(Some(State::Suspended { reason: checked("reason", &reason, MAX_REASON)? }))
        }
        (Some(StateWord::Suspended), None) => {
            Err(invalid("reason", "invalid_value", "a suspension needs a reason"))
        }
        (_, Some(_)) => Err(invalid("reason", "invalid_value", "only a suspension has a reason")),
        (Some(StateWord::Active), None) => Ok(Some(State::Active)),
        (Some(StateWord::ReadOnly), None) => Ok(Some(State::ReadOnly)),
        (None, None) => Ok(None),
    }
}

/// Deletes a wiki: sets its data aside and frees its slug.
#[utoipa::path(delete, path = "/wikis/{slug}", params(("slug" = String, Path)),
    responses((status = 204), (status = "4XX", body = openapi::Problem)))]
async fn delete(
    State(admin): State<Admin>,
    SlugInPath(slug): SlugInPath,
) -> Result<StatusCode, Error> {
    admin.existing(&slug).await?;
    admin.platform.delete(&slug).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Trims a text for display; it must not be empty, longer than `limit` bytes, or have control
/// characters.
pub(super) fn checked(field: &'static str, text: &str, limit: usize) -> Result<String, Problem> {
    let text = text.trim();
    if text.is_empty() || text.len() > limit || text.chars().any(char::is_control) {
        return Err(invalid(
            field,
            "invalid_value",
            &format!("1 to {limit} bytes of text without control characters are needed"),
        ));
    }
    Ok(text.to_owned())
}

/// Checks a user's subject, which is taken unchanged.
pub(super) fn subject(field: &'static str, text: &str) -> Result<String, Problem> {
    match check_subject(text) {
        Ok(()) => Ok(text.to_owned()),
        Err(error) => Err(invalid(field, "invalid_subject", &error.to_string())),
    }
}

/// A 422 error for a well-formed field with an invalid value.
pub(crate) fn invalid(field: &str, code: &str, why: &str) -> Problem {
    let error = serde_json::json!({ "pointer": format!("/{field}"), "code": code, "detail": why });
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_value", format!("`{field}`: {why}"))
        .field("errors", [error])
}
