//! Host keys of an SSH remote: the keys that the host presents, and the key that the operator confirmed.

use axum::extract::{RawPathParams, State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Link, LinkUpdate};

use super::body::LinkBody;
use super::named;
use crate::admin::{Admin, SlugInPath};
use crate::extract::Json;
use crate::guard::{Needs, Routes};
use crate::openapi;
use crate::remote::{HostKey, RemoteUrl, Scheme};
use crate::sync::Event;
use crate::sync::runner::host_keys;

pub(super) fn router() -> Routes<Admin> {
    Routes::new()
        .route(Needs::OPERATOR, routes!(show))
        .route(Needs::OPERATOR.audited("remote.host_key"), routes!(confirm))
}

#[derive(Serialize)]
struct Keys {
    /// Keys that the host presents now. Reading them doesn't trust them.
    shown: Vec<Key>,
    /// Trusted keys: built in, or confirmed by the operator.
    confirmed: Vec<Key>,
}

#[derive(Serialize)]
struct Key {
    fingerprint: String,
    key: String,
}

impl Key {
    fn of(key: &HostKey) -> Self {
        Self { fingerprint: key.fingerprint(), key: key.to_string() }
    }
}

/// Asks an SSH host for its keys, to be compared with the published ones.
#[utoipa::path(get, path = "/wikis/{slug}/remotes/{id}/host-key", params(("slug" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = openapi::remotes::HostKeys), (status = "4XX", body = openapi::Problem)))]
async fn show(
    State(admin): State<Admin>,
    SlugInPath(slug): SlugInPath,
    params: RawPathParams,
) -> Result<Json<Keys>, Problem> {
    let link = named(&admin, &slug, &params).await?;
    let (url, shown) = scan(&admin, &link).await?;
    let mut confirmed = HostKey::built_in(url.host());
    confirmed.extend(host_keys(&link.known_hosts));
    let keys = |keys: &[HostKey]| keys.iter().map(Key::of).collect();
    Ok(Json(Keys { shown: keys(&shown), confirmed: keys(&confirmed) }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConfirmHostKey)]
struct Confirm {
    /// `SHA256:…`, as published by the host.
    fingerprint: String,
}

/// Confirms the fingerprint of a host key, which replaces the key confirmed before.
///
/// The remote runs at once.
#[utoipa::path(post, path = "/wikis/{slug}/remotes/{id}/host-key", request_body = Confirm,
    params(("slug" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = openapi::remotes::Remote), (status = "4XX", body = openapi::Problem)))]
async fn confirm(
    State(admin): State<Admin>,
    SlugInPath(slug): SlugInPath,
    params: RawPathParams,
    Json(Confirm { fingerprint }): Json<Confirm>,
) -> Result<Json<LinkBody>, Problem> {
    let link = named(&admin, &slug, &params).await?;
    let (_, shown) = scan(&admin, &link).await?;
    let Some(key) = shown.iter().find(|key| key.fingerprint() == fingerprint.trim()) else {
        let fingerprints: Vec<_> = shown.iter().map(HostKey::fingerprint).collect();
        let detail = "the host shows no key with this fingerprint";
        return Err(Problem::new(StatusCode::CONFLICT, "host_key_differs", detail)
            .field("shown", fingerprints));
    };
    let update = LinkUpdate { known_hosts: Some(format!("{key}\n")), ..LinkUpdate::default() };
    admin.platform.update_link(&link.id, update).await.map_err(|error| error.problem())?;
    let link = admin.tell(&link, Event::Changed { remote: false, unused_key: false }).await?;
    LinkBody::of(&admin, &link).await.map(Json)
}

async fn scan(admin: &Admin, link: &Link) -> Result<(RemoteUrl, Vec<HostKey>), Problem> {
    let url: RemoteUrl = link.settings.url.parse().map_err(|error| Problem::internal(&error))?;
    if url.scheme() != Scheme::Ssh {
        let detail = "only ssh hosts have such keys";
        return Err(Problem::new(StatusCode::CONFLICT, "no_host_key", detail));
    }
    let shown = admin.wire()?.host_keys(&url).await.map_err(|failure| {
        Problem::new(StatusCode::BAD_GATEWAY, "remote_unreachable", failure.to_string())
    })?;
    Ok((url, shown))
}
