//! Accepting an invitation.

use axum::extract::Extension;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;
use wikigrove_tenant::{Error, Outside, Role, Wiki};

use crate::extract::Json;
use crate::guard::{Needs, Routes};
use crate::openapi;

/// Where, below the beginning of the API. Requests for it come in without seeing the wiki.
pub(crate) const ACCEPT: &str = "/invitations/accept";

pub(super) fn router() -> Routes {
    Routes::new().route(Needs::NOBODY.audited("invitation.accept"), routes!(accept))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AcceptInvitation)]
struct Accept {
    /// The invitation's secret.
    token: String,
}

#[derive(Serialize)]
struct Accepted {
    slug: String,
    role: Role,
}

/// Makes the caller a member by an invitation. A greater role that they have stays.
///
/// Who doesn't see the wiki yet may call it, too. A secret that isn't known is answered like a wiki
/// that isn't. Accepting a second time gives the same answer again.
#[utoipa::path(post, path = "/invitations/accept", request_body = Accept,
    responses((status = 200, body = openapi::people::Accepted), (status = "4XX", body = openapi::Problem)))]
async fn accept(
    outside: Option<Extension<Outside>>,
    wiki: Option<Extension<Wiki>>,
    Json(body): Json<Accept>,
) -> Result<Json<Accepted>, Error> {
    // An app around us may let members in only.
    let from_inside = || wiki.map(|Extension(wiki)| wiki.outside());
    let outside = outside.map(|Extension(outside)| outside).or_else(from_inside);
    let outside = outside.ok_or(Error::NoContext)?;
    let (slug, role) = outside.accept_invitation(&body.token).await?;
    Ok(Json(Accepted { slug: slug.to_string(), role }))
}
