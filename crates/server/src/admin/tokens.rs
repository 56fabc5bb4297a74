//! Tokens of a wiki, and of the platform.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Error, NewToken, Role, TenantId, Token, TokenRole};

use utoipa::ToSchema;
use utoipa_axum::routes;

use super::wikis::{checked, invalid, subject};
use super::{Admin, Operator, SlugInPath};
use crate::extract::{Json, Listing, Paging, Tail};
use crate::guard::{Needs, Routes};
use crate::idempotency::{Made, Once};
use crate::openapi;

/// Maximum length of a token's name, in bytes.
const MAX_NAME: usize = 200;

pub(super) fn router() -> Routes<Admin> {
    Routes::new()
        .route(Needs::OPERATOR, routes!(list_platform))
        .route(Needs::OPERATOR.audited("token.create"), routes!(create_platform))
        .route(Needs::OPERATOR.audited("token.revoke"), routes!(revoke_platform))
        .route(Needs::OPERATOR, routes!(list))
        .route(Needs::OPERATOR.audited("token.create"), routes!(create))
        .route(Needs::OPERATOR.audited("token.revoke"), routes!(revoke))
}

#[derive(Clone, Serialize)]
struct TokenBody {
    id: String,
    name: String,
    role: &'static str,
    act_as: bool,
    #[serde(with = "time::serde::rfc3339")]
    created: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
    subject: Option<String>,
    /// Time of the last use, to the minute.
    #[serde(with = "time::serde::rfc3339::option")]
    used_at: Option<OffsetDateTime>,
    /// Only in the response that creates the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl From<Token> for TokenBody {
    fn from(token: Token) -> Self {
        Self {
            role: token.role.as_str(),
            id: token.id,
            name: token.name,
            act_as: token.act_as,
            created: token.created,
            expires_at: token.expires,
            subject: token.subject,
            used_at: token.used,
            token: None,
        }
    }
}

#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateToken)]
struct Create {
    /// Display name.
    name: String,
    /// `reader`, `editor` or `admin` of a wiki; `operator` for the platform.
    role: String,
    /// Expiry; never by default.
    #[serde(default, with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
    /// Allows the bearer to name another author.
    #[serde(default)]
    act_as: bool,
    /// The user that a token of a wiki belongs to: its rights are limited to the user's, and its commits
    /// are attributed to the user.
    subject: Option<String>,
}

/// Lists the platform's tokens, without secrets.
#[utoipa::path(get, path = "/tokens", params(openapi::PagingParams),
    responses((status = 200, body = openapi::TokenList), (status = "4XX", body = openapi::Problem)))]
async fn list_platform(
    State(admin): State<Admin>,
    paging: Paging,
) -> Result<Listing<TokenBody>, Error> {
    tokens(&admin, None, paging).await
}

/// Lists a wiki's tokens, without secrets.
#[utoipa::path(get, path = "/wikis/{slug}/tokens", params(("slug" = String, Path), openapi::PagingParams),
    responses((status = 200, body = openapi::TokenList), (status = "4XX", body = openapi::Problem)))]
async fn list(
    State(admin): State<Admin>,
    SlugInPath(slug): SlugInPath,
    paging: Paging,
) -> Result<Listing<TokenBody>, Error> {
    let wiki = admin.existing(&slug).await?.id;
    tokens(&admin, Some(wiki), paging).await
}

async fn tokens(
    admin: &Admin,
    wiki: Option<TenantId>,
    paging: Paging,
) -> Result<Listing<TokenBody>, Error> {
    let after = paging.cursor.as_deref();
    let tokens = admin.platform.tokens(wiki, after, paging.one_more()).await?;
    Ok(Listing::part(tokens, paging.limit, |token| token.id.clone(), TokenBody::from))
}

/// Creates an operator token.
#[utoipa::path(post, path = "/tokens", request_body = Create, params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = openapi::Token), (status = "4XX", body = openapi::Problem)))]
async fn create_platform(
    State(admin): State<Admin>,
    operator: Operator,
    headers: HeaderMap,
    Json(body): Json<Create>,
) -> Result<Response, Problem> {
    if body.role != "operator" {
        return Err(unknown_role("a token of the platform has the role operator"));
    }
    if body.subject.is_some() {
        let why = "a token of the platform belongs to nobody";
        return Err(invalid("subject", "invalid_value", why));
    }
    make(admin, operator, &headers, "/admin/v1/tokens", TokenRole::Operator, body).await
}

/// Creates a token for a wiki.
#[utoipa::path(post, path = "/wikis/{slug}/tokens", request_body = Create,
    params(("slug" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = openapi::Token), (status = "4XX", body = openapi::Problem)))]
async fn create(
    State(admin): State<Admin>,
    operator: Operator,
    SlugInPath(slug): SlugInPath,
    headers: HeaderMap,
    Json(body): Json<Create>,
) -> Result<Response, Problem> {
    let wiki = admin.existing(&slug).await.map_err(|error| error.problem())?.id;
    let role = match body.role.parse() {
        Ok(role @ (Role::Reader | Role::Editor | Role::Admin)) => role,
        _ => return Err(unknown_role("a token of a wiki has the role reader, editor or admin")),
    };
    let route = format!("/admin/v1/wikis/{wiki}/tokens");
    make(admin, operator, &headers, &route, TokenRole::Wiki { wiki, role }, body).await
}

async fn make(
    admin: Admin,
    Operator(caller): Operator,
    headers: &HeaderMap,
    route: &str,
    role: TokenRole,
    body: Create,
) -> Result<Response, Problem> {
    let once = Once::of(admin.platform.answers(), &caller, route, headers, &body)?;
    once.make(async move {
        let name = checked("name", &body.name, MAX_NAME)?;
        let subject = body.subject.as_deref().map(|text| subject("subject", text)).transpose()?;
        let new = NewToken { name, role, act_as: body.act_as, expires: body.expires_at, subject };
        let (token, secret) =
            admin.platform.create_token(new).await.map_err(|error| error.problem())?;
        let kept = TokenBody::from(token);
        let now = TokenBody { token: Some(secret.expose().to_owned()), ..kept.clone() };
        let id = Some(kept.id.clone());
        Ok(Made { now, kept, id })
    })
    .await
}

/// Revokes an operator token.
#[utoipa::path(delete, path = "/tokens/{id}", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = openapi::Problem)))]
async fn revoke_platform(
    State(admin): State<Admin>,
    Tail(tail): Tail,
) -> Result<StatusCode, Problem> {
    revoked(admin.platform.revoke_token(None, last(&tail)).await)
}

/// Revokes a token of a wiki.
#[utoipa::path(delete, path = "/wikis/{slug}/tokens/{id}", params(("slug" = String, Path), ("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = openapi::Problem)))]
async fn revoke(
    State(admin): State<Admin>,
    SlugInPath(slug): SlugInPath,
    Tail(tail): Tail,
) -> Result<StatusCode, Problem> {
    let wiki = admin.existing(&slug).await.map_err(|error| error.problem())?.id;
    revoked(admin.platform.revoke_token(Some(wiki), last(&tail)).await)
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn revoked(revoked: Result<bool, Error>) -> Result<StatusCode, Problem> {
    match revoked {
        Ok(true) => Ok(StatusCode::NO_CONTENT),
        Ok(false) => {
            Err(Problem::new(StatusCode::NOT_FOUND, "token_not_found", "there is no such token"))
        }
        Err(error) => Err(error.problem()),
    }
}

fn unknown_role(why: &str) -> Problem {
    invalid("role", "unknown_value", why)
}
