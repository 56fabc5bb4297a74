//! Accepting an invitation.

use axum::extract::Extension;
use axum::response::{IntoResponse as _, Response};
use http::Extensions;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::routes;
use wikigrove_tenant::{Error, NewAuditEntry, Outside, Role, Wiki};

use crate::auth::ClientAddress;
use crate::extract::Json;
use crate::guard::recorded::between_lines;
use crate::guard::{Needs, Routes};
use crate::middleware::RequestId;
use crate::openapi;

/// Where, below the beginning of the API. Requests for it come in without seeing the wiki.
pub(crate) const ACCEPT: &str = "/invitations/accept";

pub(super) fn router() -> Routes {
    // Whoever holds the secret may; the handler itself asks for it, and writes it down.
    Routes::new().route(Needs::NOBODY, routes!(accept))
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
    extensions: Extensions,
    outside: Option<Extension<Outside>>,
    wiki: Option<Extension<Wiki>>,
    Json(body): Json<Accept>,
) -> Result<Response, Error> {
    // An app around us may let members in only.
    let from_inside = || wiki.map(|Extension(wiki)| wiki.outside());
    let outside = outside.map(|Extension(outside)| outside).or_else(from_inside);
    let outside = outside.ok_or(Error::NoContext)?;
    // Who guesses isn't written down: a flood of guesses must not fill the log.
    outside.check_invitation(&body.token).await?;
    let entry = NewAuditEntry {
        subject: outside.caller().subject().map(str::to_owned),
        action: "invitation.accept".to_owned(),
        wiki: outside.id(),
        slug: outside.slug().map(ToString::to_string),
        peer: ClientAddress::of(&extensions),
        request_id: extensions.get::<RequestId>().map(|id| id.as_str().to_owned()),
        detail: Value::Object(Map::new()),
    };
    let accepting = async {
        match outside.accept_invitation(&body.token).await {
            Ok((slug, role)) => Json(Accepted { slug: slug.to_string(), role }).into_response(),
            Err(error) => error.into_response(),
        }
    };
    Ok(between_lines(&outside.audit(), entry, accepting).await)
}
