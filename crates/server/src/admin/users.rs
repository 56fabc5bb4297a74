//! Users of the platform.

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::routes;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Error, NewUser, User, UserUpdate};

use super::wikis::{MAX_REASON, checked, invalid, subject};
use super::{Admin, Operator};
use crate::extract::{Json, Listing, Paging, Segment, present};
use crate::guard::{Needs, Routes};
use crate::idempotency::{Made, Once};
use crate::openapi;

/// Maximum length of a name or an e-mail address, in bytes, as commits limit it.
const MAX_NAME: usize = 320;

pub(super) fn router() -> Routes<Admin> {
    Routes::new()
        .route(Needs::OPERATOR, routes!(list))
        .route(Needs::OPERATOR.audited("user.create"), routes!(create))
        .route(Needs::OPERATOR, routes!(show))
        .route(Needs::OPERATOR.audited("user.change"), routes!(change))
}

#[derive(Serialize)]
struct UserBody {
    subject: String,
    name: Option<String>,
    email: Option<String>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    suspended_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339")]
    created: OffsetDateTime,
}

impl From<User> for UserBody {
    fn from(user: User) -> Self {
        let state = if user.suspended.is_some() { "suspended" } else { "active" };
        let (suspended_at, reason) =
            user.suspended.map(|suspension| (suspension.since, suspension.reason)).unzip();
        let User { subject, name, email, created, .. } = user;
        Self { subject, name, email, state, reason, suspended_at, created }
    }
}

/// Lists users.
#[utoipa::path(get, path = "/users", params(openapi::PagingParams),
    responses((status = 200, body = openapi::people::UserList), (status = "4XX", body = openapi::Problem)))]
async fn list(State(admin): State<Admin>, paging: Paging) -> Result<Listing<UserBody>, Error> {
    let found = admin.platform.users(paging.cursor.as_deref(), paging.one_more()).await?;
    Ok(Listing::part(found, paging.limit, |user| user.subject.clone(), UserBody::from))
}

#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateUser)]
struct Create {
    /// The identity provider's stable identifier of the user, such as a DID, or an issuer and a subject;
    /// never a name or an address that could be reassigned to another person.
    subject: String,
    /// For display.
    name: Option<String>,
    /// For display, and for the author of commits.
    email: Option<String>,
}

/// Creates a user before their first login.
#[utoipa::path(post, path = "/users", request_body = Create, params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = openapi::people::User), (status = "4XX", body = openapi::Problem)))]
async fn create(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    headers: HeaderMap,
    Json(body): Json<Create>,
) -> Result<Response, Problem> {
    let once = Once::of(admin.platform.answers(), &caller, "/admin/v1/users", &headers, &body)?;
    once.make(async move {
        let new = NewUser {
            subject: subject("subject", &body.subject)?,
            name: body.name.as_deref().map(name).transpose()?,
            email: body.email.as_deref().map(email).transpose()?,
        };
        let user = admin.platform.create_user(new).await.map_err(|error| error.problem())?;
        let now = UserBody::from(user);
        let kept = serde_json::to_value(&now).map_err(|error| Problem::internal(&error))?;
        // Users are never removed, so a repeated request needs no id to check.
        Ok(Made { now, kept, id: None })
    })
    .await
}

/// Shows a user.
///
/// The subject is one segment of the path: a slash in it is written `%2F`.
#[utoipa::path(get, path = "/users/{subject}", params(("subject" = String, Path)),
    responses((status = 200, body = openapi::people::User), (status = "4XX", body = openapi::Problem)))]
async fn show(
    State(admin): State<Admin>,
    Segment(subject): Segment,
) -> Result<Json<UserBody>, Error> {
    let found = admin.platform.user(&subject).await?.ok_or(Error::UnknownUser)?;
    Ok(Json(found.into()))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChangeUser)]
struct Change {
    /// Null removes the name until the next login.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    name: Option<Option<String>>,
    /// Null removes the address until the next login.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    email: Option<Option<String>>,
    /// A suspended user has no rights in any wiki, and their tokens are refused.
    state: Option<StateWord>,
    /// Required for `suspended`, and refused otherwise.
    reason: Option<String>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = UserState)]
enum StateWord {
    Active,
    Suspended,
}

/// Changes a user's name or address, suspends the user or lifts the suspension.
#[utoipa::path(patch, path = "/users/{subject}", request_body = Change, params(("subject" = String, Path)),
    responses((status = 200, body = openapi::people::User), (status = "4XX", body = openapi::Problem)))]
async fn change(
    State(admin): State<Admin>,
    Segment(subject): Segment,
    Json(body): Json<Change>,
) -> Result<Json<UserBody>, Problem> {
    let text = |text: Option<String>, check: fn(&str) -> Result<String, Problem>| {
        text.as_deref().map(check).transpose()
    };
    let update = UserUpdate {
        name: body.name.map(|new| text(new, name)).transpose()?,
        email: body.email.map(|new| text(new, email)).transpose()?,
        suspended: suspended(body.state, body.reason)?,
    };
    let user = admin.platform.update_user(&subject, update).await;
    Ok(Json(user.map_err(|error| error.problem())?.into()))
}

fn suspended(
    word: Option<StateWord>,
    reason: Option<String>,
) -> Result<Option<Option<String>>, Problem> {
    match (word, reason) {
        (Some(StateWord::Suspended), Some(reason)) => {
            Ok(Some(Some(checked("reason", &reason, MAX_REASON)?)))
        }
        (Some(StateWord::Suspended), None) => {
            Err(invalid("reason", "invalid_value", "a suspension needs a reason"))
        }
        (_, Some(_)) => Err(invalid("reason", "invalid_value", "only a suspension has a reason")),
        (Some(StateWord::Active), None) => Ok(Some(None)),
        (None, None) => Ok(None),
    }
}

fn name(text: &str) -> Result<String, Problem> {
    for_commits("name", text)
}

pub(super) fn email(text: &str) -> Result<String, Problem> {
    for_commits("email", text)
}

/// Checks a text that becomes part of a commit's author.
fn for_commits(field: &'static str, text: &str) -> Result<String, Problem> {
    let text = checked(field, text, MAX_NAME)?;
    if text.contains(['<', '>', '\u{2028}', '\u{2029}']) {
        return Err(invalid(field, "invalid_value", "it must not have `<`, `>` or line breaks"));
    }
    Ok(text)
}
