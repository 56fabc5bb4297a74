//! Notification channels: webhooks and mail addresses that are told when a remote needs attention.

use axum::extract::{RawPathParams, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::routes;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Error, NoticeChannel, Slug};

use super::wikis::invalid;
use super::{Admin, Operator, SlugInPath};
use crate::extract::{Json, Listing, Paging};
use crate::guard::{Needs, Routes};
use crate::idempotency::{Made, Once};
use crate::openapi;
use crate::remote::notice::{Channel, Recipient, WebhookUrl};
use crate::sync::runner::kept_channel;

/// Maximum number of channels of a wiki.
const MAX_CHANNELS: u32 = 20;

pub(super) fn router() -> Routes<Admin> {
    Routes::new()
        .route(Needs::OPERATOR, routes!(list))
        .route(Needs::OPERATOR.audited("channel.create"), routes!(create))
        .route(Needs::OPERATOR.audited("channel.remove"), routes!(remove))
        .route(Needs::OPERATOR.audited("channel.test"), routes!(test))
}

#[derive(Clone, Serialize)]
struct ChannelBody {
    id: String,
    kind: String,
    target: String,
    #[serde(with = "time::serde::rfc3339")]
    created: OffsetDateTime,
    /// Only in the response that creates the channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl From<NoticeChannel> for ChannelBody {
    fn from(channel: NoticeChannel) -> Self {
        let NoticeChannel { id, kind, target, created, .. } = channel;
        Self { id, kind, target, created, secret: None }
    }
}

/// A new channel: either `webhook` or `mail`.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateChannel)]
struct Create {
    /// A URL that accepts Standard Webhooks.
    webhook: Option<String>,
    /// An e-mail address.
    mail: Option<String>,
}

impl Create {
    fn read(&self, admin: &Admin) -> Result<Channel, Problem> {
        let options = admin.remotes.options();
        match (&self.webhook, &self.mail) {
            (Some(url), None) => {
                let wrong =
                    |code, why: &dyn std::fmt::Display| invalid("webhook", code, &why.to_string());
                let url: WebhookUrl = url.parse().map_err(|error| wrong("invalid_url", &error))?;
                let checked = options.policy.check(url.place());
                checked.map_err(|error| wrong("blocked_address", &error))?;
                Ok(Channel::webhook(url))
            }
            (None, Some(address)) => {
                let recipient: Recipient = address
                    .parse()
                    .map_err(|error| invalid("mail", "invalid_address", &format!("{error}")))?;
                // Without a relay the mail would be retried for a day and then dropped.
                if options.delivery.as_ref().is_some_and(|delivery| delivery.relay.is_none()) {
                    let detail =
                        "this server sends no mail: `serve --smtp` says by which relay it could";
                    return Err(Problem::new(StatusCode::CONFLICT, "no_mail_relay", detail));
                }
                Ok(Channel::Mail(recipient))
            }
            _ => Err(invalid("webhook", "invalid_value", "either this or `mail` is needed")),
        }
    }
}

/// Lists a wiki's notification channels, without secrets.
#[utoipa::path(get, path = "/wikis/{slug}/channels", params(("slug" = String, Path), openapi::PagingParams),
    responses((status = 200, body = openapi::channels::ChannelList), (status = "4XX", body = openapi::Problem)))]
async fn list(
    State(admin): State<Admin>,
    SlugInPath(slug): SlugInPath,
    paging: Paging,
) -> Result<Listing<ChannelBody>, Error> {
    let wiki = admin.existing(&slug).await?.id;
    let after = paging.cursor.as_deref();
    let found = admin.platform.notice_channels(wiki, after, paging.one_more()).await?;
    Ok(Listing::part(found, paging.limit, |channel| channel.id.clone(), ChannelBody::from))
}

/// Creates a notification channel for a wiki's remotes.
///
/// Only this response has the secret that signs webhook calls. Later responses show only the host of a
/// webhook's URL, since its path is often secret.
#[utoipa::path(post, path = "/wikis/{slug}/channels", request_body = Create,
    params(("slug" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = openapi::channels::Channel), (status = "4XX", body = openapi::Problem)))]
async fn create(
    State(admin): State<Admin>,
    SlugInPath(slug): SlugInPath,
    Operator(caller): Operator,
    headers: HeaderMap,
    Json(body): Json<Create>,
) -> Result<Response, Problem> {
    let wiki = admin.existing(&slug).await.map_err(|error| error.problem())?.id;
    let route = format!("/admin/v1/wikis/{wiki}/channels");
    let once = Once::of(admin.platform.answers(), &caller, route, &headers, &body)?;
    once.make(async move {
        let channel = body.read(&admin)?;
        let new = kept_channel(wiki, &channel);
        let made = admin.platform.create_notice_channel(new, MAX_CHANNELS).await;
        let kept = ChannelBody::from(made.map_err(|error| error.problem())?);
        let secret = match &channel {
            Channel::Webhook { secret, .. } => Some(secret.expose().to_owned()),
            Channel::Mail(_) => None,
        };
        let (now, id) = (ChannelBody { secret, ..kept.clone() }, Some(kept.id.clone()));
        Ok(Made { now, kept, id })
    })
    .await
}

/// Removes a notification channel, together with its queued notifications.
#[utoipa::path(delete, path = "/wikis/{slug}/channels/{id}", params(("slug" = String, Path), ("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = openapi::Problem)))]
async fn remove(
    State(admin): State<Admin>,
    SlugInPath(slug): SlugInPath,
    params: RawPathParams,
) -> Result<StatusCode, Error> {
    let channel = existing(&admin, &slug, &params).await?;
    admin.platform.remove_notice_channel(&channel.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize)]
struct Tested {
    ok: bool,
    /// The reason if the delivery failed.
    error: Option<String>,
}

/// Sends a test notification to a channel, once, and reports the outcome.
#[utoipa::path(post, path = "/wikis/{slug}/channels/{id}/test", params(("slug" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = openapi::channels::ChannelTest), (status = "4XX", body = openapi::Problem)))]
async fn test(
    State(admin): State<Admin>,
    SlugInPath(slug): SlugInPath,
    params: RawPathParams,
) -> Result<Json<Tested>, Problem> {
    let found = existing(&admin, &slug, &params).await;
    let channel = found.map_err(|error| error.problem())?;
    admin.wire()?;
    let told = admin.remotes.try_channel(&channel, slug.as_str()).await;
    let told = told.map_err(|error| error.problem())?;
    Ok(Json(Tested { ok: told.is_ok(), error: told.err().map(|error| error.to_string()) }))
}

/// Finds the channel that the path names, if it belongs to the wiki.
async fn existing(
    admin: &Admin,
    slug: &Slug,
    params: &RawPathParams,
) -> Result<NoticeChannel, Error> {
    let wiki = admin.existing(slug).await?.id;
    let (_, id) = params.iter().find(|(name, _)| *name == "id").ok_or(Error::UnknownChannel)?;
    let found = admin.platform.notice_channel(id).await?;
    found.filter(|channel| channel.wiki == wiki).ok_or(Error::UnknownChannel)
}
