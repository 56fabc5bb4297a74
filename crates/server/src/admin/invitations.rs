//! Invitations to a wiki.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::routes;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Invitation, NewInvitation, Role, Slug};

use super::users::email;
use super::{Admin, Operator, SlugInPath};
use crate::extract::{Json, Listing, Paging, Segment};
use crate::guard::{Needs, Routes};
use crate::idempotency::{Made, Once};
use crate::openapi;
use crate::wiki::API;
use crate::wiki::invitations::ACCEPT;

pub(super) fn router() -> Routes<Admin> {
    Routes::new()
        .route(Needs::OPERATOR, routes!(list))
        .route(Needs::OPERATOR.audited("invitation.create"), routes!(create))
        .route(Needs::OPERATOR.audited("invitation.revoke"), routes!(revoke))
}

#[derive(Clone, Serialize)]
struct InvitationBody {
    id: String,
    role: Role,
    email: Option<String>,
    state: &'static str,
    #[serde(with = "time::serde::rfc3339")]
    created: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    accepted_at: Option<OffsetDateTime>,
    url: String,
    /// Only in the response that creates the invitation.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl Admin {
    fn show(&self, slug: &Slug, invitation: Invitation) -> InvitationBody {
        let state = match &invitation.accepted {
            Some(_) => "accepted",
            None if invitation.expires <= OffsetDateTime::now_utc() => "expired",
            None => "open",
        };
        let (accepted_at, accepted_by) =
            invitation.accepted.map(|accepted| (accepted.at, accepted.by)).unzip();
        InvitationBody {
            id: invitation.id,
            role: invitation.role,
            email: invitation.email,
            state,
            created: invitation.created,
            expires_at: invitation.expires,
            accepted_by,
            accepted_at,
            url: format!("{}/w/{slug}{API}{ACCEPT}", self.public_url),
            token: None,
        }
    }
}

/// Lists the invitations to a wiki, including accepted and expired ones, without secrets.
#[utoipa::path(get, path = "/wikis/{slug}/invitations", params(("slug" = String, Path), openapi::PagingParams),
    responses((status = 200, body = openapi::people::InvitationList), (status = "4XX", body = openapi::Problem)))]
async fn list(
    State(admin): State<Admin>,
    SlugInPath(slug): SlugInPath,
    paging: Paging,
) -> Result<Listing<InvitationBody>, Problem> {
    let more = paging.one_more();
    let found = admin.platform.invitations(&slug, paging.cursor.as_deref(), more).await;
    let found = found.map_err(|error| error.problem())?;
    let show = |invitation| admin.show(&slug, invitation);
    Ok(Listing::part(found, paging.limit, |invitation| invitation.id.clone(), show))
}

#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateInvitation)]
struct Create {
    /// The new member's role: `reader`, `editor`, `admin` or `owner`.
    #[schema(value_type = String)]
    role: Role,
    /// The invitee's address, for display only.
    email: Option<String>,
    /// Expiry; seven days from now by default.
    #[serde(default, with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
}

/// Creates an invitation.
///
/// The first user to present its secret becomes a member.
#[utoipa::path(post, path = "/wikis/{slug}/invitations", request_body = Create,
    params(("slug" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = openapi::people::Invitation), (status = "4XX", body = openapi::Problem)))]
async fn create(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    SlugInPath(slug): SlugInPath,
    headers: HeaderMap,
    Json(body): Json<Create>,
) -> Result<Response, Problem> {
    let wiki = admin.existing(&slug).await.map_err(|error| error.problem())?.id;
    let route = format!("/admin/v1/wikis/{wiki}/invitations");
    let once = Once::of(admin.platform.answers(), &caller, route, &headers, &body)?;
    once.make(async move {
        let email = body.email.as_deref().map(email).transpose()?;
        let new = NewInvitation { role: body.role, email, expires: body.expires_at };
        let made = admin.platform.create_invitation(&slug, new).await;
        let (invitation, secret) = made.map_err(|error| error.problem())?;
        let kept = admin.show(&slug, invitation);
        let now = InvitationBody { token: Some(secret.expose().to_owned()), ..kept.clone() };
        let id = Some(kept.id.clone());
        Ok(Made { now, kept, id })
    })
    .await
}

/// Revokes an invitation.
///
/// A user who has accepted it remains a member.
#[utoipa::path(delete, path = "/wikis/{slug}/invitations/{id}", params(("slug" = String, Path), ("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = openapi::Problem)))]
async fn revoke(
    State(admin): State<Admin>,
    SlugInPath(slug): SlugInPath,
    Segment(id): Segment,
) -> Result<StatusCode, Problem> {
    match admin.platform.revoke_invitation(&slug, &id).await {
        Ok(true) => Ok(StatusCode::NO_CONTENT),
        Ok(false) => {
            let detail = "there is no such invitation";
            Err(Problem::new(StatusCode::NOT_FOUND, "invitation_not_found", detail))
        }
        Err(error) => Err(error.problem()),
    }
}
