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

/// The longest title, in bytes.
const MAX_TITLE: usize = 1000;
/// The longest reason for a suspension, in bytes.
pub(super) const MAX_REASON: usize = 4000;

pub(super) fn router() -> Routes<Admin> {
    Routes::new()
        .route(Needs::OPERATOR, routes!(list))
        .route(Needs::OPERATOR.audited("wiki.create"), routes!(create))
        .route(Needs::OPERATOR, routes!(show))
        .route(Needs::OPERATOR.audited("wiki.change"), routes!(change))
        .route(Needs::OPERATOR.audited("wiki.delete"), routes!(delete))
}

/// A wiki as the operator sees it.
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
    /// The name in URLs.
    slug: String,
    /// The slug if it isn't given.
    title: Option<String>,
    /// The subject that becomes its owner.
    owner: Option<String>,
    /// `private` if it isn't given.
    #[schema(value_type = Option<String>)]
    visibility: Option<Visibility>,
    /// Settings it begins with.
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
        // Nothing in it is secret: what is kept is what was answered.
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
    /// With `suspended`, and only then.
    reason: Option<String>,
    /// The most bytes of content that all pages and attachments may have together; null is as many as
    /// there is room for.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u64>)]
    max_bytes: Option<Option<u64>>,
    /// The most pages it may have; null is any number.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u64>)]
    max_pages: Option<Option<u64>>,
    /// The most bytes of the disk that it may take, with its history, its index and its drafts; null is what
    /// the platform gives.
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

/// Changes what is said of a wiki.
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
        // What had to rest while nobody could enter needn't wait for its next try.
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

/// Moves a wiki aside and frees its slug.
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

/// Text for people: something, not too long, and nothing that a terminal would act on.
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

/// A user's subject, exactly as it is.
pub(super) fn subject(field: &'static str, text: &str) -> Result<String, Problem> {
    match check_subject(text) {
        Ok(()) => Ok(text.to_owned()),
        Err(error) => Err(invalid(field, "invalid_subject", &error.to_string())),
    }
}

/// A field of the body that can be read and is wrong.
pub(crate) fn invalid(field: &str, code: &str, why: &str) -> Problem {
    let error = serde_json::json!({ "pointer": format!("/{field}"), "code": code, "detail": why });
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_value", format!("`{field}`: {why}"))
        .field("errors", [error])
}
