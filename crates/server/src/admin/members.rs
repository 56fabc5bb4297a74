//! Members of a wiki, their roles and their permissions.

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Error, Member, Permissions, Role};

use super::wikis::subject;
use super::{Admin, SlugInPath};
use crate::extract::{Json, Listing, Paging, Query, Segment};
use crate::guard::{Needs, Routes};
use crate::openapi;

pub(super) fn router() -> Routes<Admin> {
    Routes::new()
        .route(Needs::OPERATOR, routes!(list))
        .route(Needs::OPERATOR, routes!(show))
        .route(Needs::OPERATOR.audited("member.set"), routes!(set))
        .route(Needs::OPERATOR.audited("member.remove"), routes!(remove))
        .route(Needs::OPERATOR, routes!(permissions))
}

/// Lists a wiki's members.
#[utoipa::path(get, path = "/wikis/{slug}/members", params(("slug" = String, Path), openapi::PagingParams),
    responses((status = 200, body = openapi::people::MemberList), (status = "4XX", body = openapi::Problem)))]
async fn list(
    State(admin): State<Admin>,
    SlugInPath(slug): SlugInPath,
    paging: Paging,
) -> Result<Listing<Member>, Error> {
    let more = paging.one_more();
    let found = admin.platform.members(&slug, paging.cursor.as_deref(), more).await?;
    Ok(Listing::part(found, paging.limit, |member| member.subject.clone(), |member| member))
}

/// Shows a member.
///
/// The subject is one segment of the path: a slash in it is written `%2F`.
#[utoipa::path(get, path = "/wikis/{slug}/members/{subject}", params(("slug" = String, Path), ("subject" = String, Path)),
    responses((status = 200, body = openapi::people::Member), (status = "4XX", body = openapi::Problem)))]
async fn show(
    State(admin): State<Admin>,
    SlugInPath(slug): SlugInPath,
    Segment(subject): Segment,
) -> Result<Json<Member>, Problem> {
    let found = admin.platform.member(&slug, &subject).await.map_err(|error| error.problem())?;
    found.map(Json).ok_or_else(not_found)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SetMember)]
struct Set {
    /// `reader`, `editor`, `admin` or `owner`.
    #[schema(value_type = String)]
    role: Role,
}

/// Adds a member, or changes a member's role. The user needn't have logged in before.
#[utoipa::path(put, path = "/wikis/{slug}/members/{subject}", request_body = Set, params(("slug" = String, Path), ("subject" = String, Path)),
    responses((status = 200, body = openapi::people::Member), (status = "4XX", body = openapi::Problem)))]
async fn set(
    State(admin): State<Admin>,
    SlugInPath(slug): SlugInPath,
    Segment(named): Segment,
    Json(Set { role }): Json<Set>,
) -> Result<Json<Member>, Problem> {
    let named = subject("subject", &named)?;
    let setting = admin.platform.set_member(&slug, &named, role).await;
    setting.map_err(|error| error.problem())?;
    let found = admin.platform.member(&slug, &named).await.map_err(|error| error.problem())?;
    found.map(Json).ok_or_else(not_found)
}

/// Removes a member.
#[utoipa::path(delete, path = "/wikis/{slug}/members/{subject}", params(("slug" = String, Path), ("subject" = String, Path)),
    responses((status = 204), (status = "4XX", body = openapi::Problem)))]
async fn remove(
    State(admin): State<Admin>,
    SlugInPath(slug): SlugInPath,
    Segment(subject): Segment,
) -> Result<StatusCode, Problem> {
    match admin.platform.remove_member(&slug, &subject).await {
        Ok(true) => Ok(StatusCode::NO_CONTENT),
        Ok(false) => Err(not_found()),
        Err(error) => Err(error.problem()),
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// A user's subject, `anonymous`, `operator`, or `token:` and the id of a token of this wiki.
    subject: String,
}

/// Explains a subject's permissions in a wiki.
#[utoipa::path(get, path = "/wikis/{slug}/permissions", params(("slug" = String, Path), Whose),
    responses((status = 200, body = openapi::people::Permissions), (status = "4XX", body = openapi::Problem)))]
async fn permissions(
    State(admin): State<Admin>,
    SlugInPath(slug): SlugInPath,
    Query(Whose { subject }): Query<Whose>,
) -> Result<Json<Permissions>, Error> {
    admin.platform.permissions(&slug, &subject).await.map(Json)
}

fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "member_not_found", "there is no such member")
}
