//! Accepting an invitation.

use axum::extract::{Extension, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;
use wikigrove_tenant::{Error, Outside, Role, Wiki};

use crate::extract::{Json, JsonLimit};
use crate::guard::recorded::Recorder;
use crate::guard::{Needs, Routes};
use crate::openapi;

/// The path below the API's base. Requests for it are accepted from users who can't see the wiki.
pub(crate) const ACCEPT: &str = "/invitations/accept";
/// The largest body, in bytes: it is read for users who can't see the wiki.
const MAX_BODY: usize = 4096;

pub(super) fn router() -> Routes {
    let needs = Needs::USER.audited_by_handler("invitation.accept");
    Routes::new().route(needs, routes!(accept)).within(|methods| methods.layer(from_fn(small)))
}

async fn small(mut request: Request, next: Next) -> Response {
    JsonLimit::lower(&mut request, MAX_BODY);
    next.run(request).await
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

/// Makes the caller a member by an invitation. A member with a higher role keeps it.
///
/// The caller has to be a user, and need not be able to see the wiki yet. An unknown secret and a wiki that doesn't
/// exist get the same response. Accepting again gives the same response again.
#[utoipa::path(post, path = "/invitations/accept", request_body = Accept,
    responses((status = 200, body = openapi::people::Accepted), (status = "4XX", body = openapi::Problem)))]
async fn accept(
    outside: Option<Extension<Outside>>,
    wiki: Option<Extension<Wiki>>,
    Extension(recorder): Extension<Recorder>,
    Json(body): Json<Accept>,
) -> Result<Response, Error> {
    // An embedding application may allow only members to open the wiki.
    let from_inside = || wiki.map(|Extension(wiki)| wiki.outside());
    let outside = outside.map(|Extension(outside)| outside).or_else(from_inside);
    let outside = outside.ok_or(Error::NoContext)?;
    // Wrong secrets are counted, not logged one by one: they would fill the log.
    if let Err(error) = outside.check_invitation(&body.token).await {
        recorder.refused(error.status()).await;
        return Err(error);
    }
    let accepting = async {
        let accepted = outside.accept_invitation(&body.token).await;
        let accepted = accepted.map(|(slug, role)| Accepted { slug: slug.to_string(), role });
        accepted.map(Json).into_response()
    };
    Ok(recorder.around(accepting).await)
}
