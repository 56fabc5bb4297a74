//! Remotes, which link a wiki to a git repository elsewhere: create, show, run and decide.

mod body;
mod decision;
mod host_key;
mod settings;

use axum::extract::{RawPathParams, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;
use utoipa_axum::routes;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Error, Link, LinkUpdate, NewLink, TenantId, spawn};

use super::{Admin, Operator, SlugInPath};
use crate::extract::{Json, Listing, Paging, Query};
use crate::guard::{Needs, Routes};
use crate::idempotency::{Made, Once};
use crate::openapi;
use crate::remote::StoredCredential;
use crate::sync::runner::{changed, kept, remote, state_of};
use crate::sync::{Event, LinkState, State as LinkWord};

use body::LinkBody;
use settings::{Change, Create};

/// Maximum number of remotes of a wiki.
const MAX_LINKS: u32 = 32;

pub(super) fn router() -> Routes<Admin> {
    Routes::new()
        .route(Needs::OPERATOR, routes!(list_all))
        .route(Needs::OPERATOR, routes!(list))
        .route(Needs::OPERATOR.audited("remote.create"), routes!(create))
        .route(Needs::OPERATOR, routes!(show))
        .route(Needs::OPERATOR.audited("remote.change"), routes!(change))
        .route(Needs::OPERATOR.audited("remote.remove"), routes!(remove))
        .route(Needs::OPERATOR.audited("remote.run"), routes!(run))
        .route(Needs::OPERATOR.audited("remote.test"), routes!(test))
        .route(Needs::OPERATOR.audited("remote.resume"), routes!(resume))
        .merge(decision::router())
        .merge(host_key::router())
}

/// Finds the remote that the path names, if it belongs to the wiki.
async fn existing(admin: &Admin, wiki: TenantId, params: &RawPathParams) -> Result<Link, Problem> {
    let unknown = || Error::UnknownLink.problem();
    let id = params.iter().find(|(name, _)| *name == "id").ok_or_else(unknown)?.1;
    let found = admin.platform.link(id).await.map_err(|error| error.problem())?;
    found.filter(|link| link.wiki == wiki).ok_or_else(unknown)
}

async fn named(
    admin: &Admin,
    slug: &wikigrove_tenant::Slug,
    params: &RawPathParams,
) -> Result<Link, Problem> {
    let wiki = admin.existing(slug).await.map_err(|error| error.problem())?.id;
    existing(admin, wiki, params).await
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct InState {
    /// Only remotes in this state, such as `needs_decision`.
    state: Option<String>,
}

/// Lists the remotes of all wikis, optionally those in one state.
#[utoipa::path(get, path = "/remotes", params(InState, openapi::PagingParams),
    responses((status = 200, body = openapi::remotes::RemoteList), (status = "4XX", body = openapi::Problem)))]
async fn list_all(
    State(admin): State<Admin>,
    Query(InState { state }): Query<InState>,
    paging: Paging,
) -> Result<Listing<LinkBody>, Problem> {
    if let Some(state) = &state {
        state.parse::<LinkWord>().map_err(|error| {
            crate::extract::query::invalid("state", "unknown_value", &error.to_string())
        })?;
    }
    let after = paging.cursor.as_deref();
    let found = admin.platform.all_links(state.as_deref(), after, paging.one_more()).await;
    listing(&admin, found, &paging).await
}

/// Lists a wiki's remotes.
#[utoipa::path(get, path = "/wikis/{slug}/remotes", params(("slug" = String, Path), openapi::PagingParams),
    responses((status = 200, body = openapi::remotes::RemoteList), (status = "4XX", body = openapi::Problem)))]
async fn list(
    State(admin): State<Admin>,
    SlugInPath(slug): SlugInPath,
    paging: Paging,
) -> Result<Listing<LinkBody>, Problem> {
    let wiki = admin.existing(&slug).await.map_err(|error| error.problem())?.id;
    let found = admin.platform.links(wiki, paging.cursor.as_deref(), paging.one_more()).await;
    listing(&admin, found, &paging).await
}

async fn listing(
    admin: &Admin,
    found: Result<Vec<Link>, Error>,
    paging: &Paging,
) -> Result<Listing<LinkBody>, Problem> {
    let found = found.map_err(|error| error.problem())?;
    let mut bodies = Vec::with_capacity(found.len());
    for link in &found {
        bodies.push((link.id.clone(), LinkBody::of(admin, link).await?));
    }
    Ok(Listing::part(bodies, paging.limit, |(id, _)| id.clone(), |(_, body)| body))
}

/// Links a wiki to a git repository elsewhere.
///
/// The response has the webhook's secret, which isn't shown again, and the public half of a deploy key.
/// With a newly generated deploy key the remote is paused (`paused`, `auth`) until a run is requested,
/// so that the key can be registered at the host first.
#[utoipa::path(post, path = "/wikis/{slug}/remotes", request_body = Create,
    params(("slug" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = openapi::remotes::Remote), (status = "4XX", body = openapi::Problem)))]
async fn create(
    State(admin): State<Admin>,
    SlugInPath(slug): SlugInPath,
    Operator(caller): Operator,
    headers: HeaderMap,
    Json(body): Json<Create>,
) -> Result<Response, Problem> {
    let wiki = admin.existing(&slug).await.map_err(|error| error.problem())?;
    let route = format!("/admin/v1/wikis/{}/remotes", wiki.id);
    let once = Once::of(admin.platform.answers(), &caller, route, &headers, &body)?;
    once.make(async move {
        let new = body.read(&admin, slug.as_str())?;
        let those = admin.platform.links(wiki.id, None, MAX_LINKS).await;
        if those.map_err(|error| error.problem())?.len() >= MAX_LINKS as usize {
            let detail = format!("a wiki has at most {MAX_LINKS} remotes");
            return Err(Problem::new(StatusCode::CONFLICT, "too_many_remotes", detail));
        }
        let unused_key = new.credential.as_ref().is_some_and(StoredCredential::is_deploy_key);
        let new = NewLink {
            wiki: wiki.id,
            credential: new.credential.as_ref().map(kept),
            progress: changed(LinkState::default(), &new.settings, true, unused_key),
            settings: new.settings,
            known_hosts: String::new(),
        };
        let offline = new.settings.offline;
        let (link, secret) =
            admin.platform.create_link(new).await.map_err(|error| error.problem())?;
        let begin = Event::Changed { remote: true, unused_key };
        let link = admin.begin(link, offline, begin).await?;
        let kept = LinkBody::of(&admin, &link).await?;
        let now = kept.clone().with_secret(Some(&secret));
        Ok(Made { now, kept, id: Some(link.id) })
    })
    .await
}

/// Shows a remote.
#[utoipa::path(get, path = "/wikis/{slug}/remotes/{id}", params(("slug" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = openapi::remotes::Remote), (status = "4XX", body = openapi::Problem)))]
async fn show(
    State(admin): State<Admin>,
    SlugInPath(slug): SlugInPath,
    params: RawPathParams,
) -> Result<Json<LinkBody>, Problem> {
    let link = named(&admin, &slug, &params).await?;
    LinkBody::of(&admin, &link).await.map(Json)
}

/// Changes a remote and starts a run.
///
/// A different URL, branch or subdirectory means another repository: the state of the old one is
/// forgotten.
#[utoipa::path(patch, path = "/wikis/{slug}/remotes/{id}", request_body = Change,
    params(("slug" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = openapi::remotes::Remote), (status = "4XX", body = openapi::Problem)))]
async fn change(
    State(admin): State<Admin>,
    SlugInPath(slug): SlugInPath,
    params: RawPathParams,
    Json(body): Json<Change>,
) -> Result<Json<LinkBody>, Problem> {
    let before = named(&admin, &slug, &params).await?;
    // Runs in a task of its own, so that a client that disconnects can't leave a change half done.
    let changing = spawn(async move { changed_as(&admin, slug.as_str(), before, &body).await });
    changing.await.map_err(|error| Problem::internal(&error))?.map(Json)
}

async fn changed_as(
    admin: &Admin,
    slug: &str,
    before: Link,
    body: &Change,
) -> Result<LinkBody, Problem> {
    let (settings, credential) = body.read(admin, slug, &before)?;
    let same_host = host_of(&before.settings.url) == host_of(&settings.url);
    let remote = !before.settings.same_remote(&settings);
    let offline = settings.offline;
    let unused_key = credential.iter().flatten().any(StoredCredential::is_deploy_key);
    let begins_anew = remote || unused_key;
    let update = LinkUpdate {
        progress: begins_anew.then(|| changed(state_of(&before), &settings, remote, unused_key)),
        settings: Some(settings),
        credential: credential.map(|new| new.as_ref().map(kept)),
        // Confirmed keys belong to the old host.
        known_hosts: (!same_host).then(String::new),
    };
    let updating = admin.platform.update_link(&before.id, update).await;
    let link = updating.map_err(|error| error.problem())?;
    let secret = if body.renews_webhook_secret() {
        let renewed = admin.platform.renew_webhook_secret(&link).await;
        Some(renewed.map_err(|error| error.problem())?)
    } else {
        None
    };
    let link = admin.begin(link, offline, Event::Changed { remote, unused_key }).await?;
    let body = LinkBody::of(admin, &link).await?;
    Ok(body.with_secret(secret.as_ref()))
}

fn host_of(url: &str) -> Option<String> {
    url.parse::<crate::remote::RemoteUrl>().ok().map(|url| format!("{}:{}", url.host(), url.port()))
}

/// Removes a remote with its credential and its queue.
///
/// Pages that were pulled from it stay, and so do the backups that it made.
#[utoipa::path(delete, path = "/wikis/{slug}/remotes/{id}", params(("slug" = String, Path), ("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = openapi::Problem)))]
async fn remove(
    State(admin): State<Admin>,
    SlugInPath(slug): SlugInPath,
    params: RawPathParams,
) -> Result<StatusCode, Problem> {
    let link = named(&admin, &slug, &params).await?;
    let removing = async {
        admin.remotes.tell(&link.id, Event::Disabled).await?;
        admin.platform.remove_link(&link.id).await?;
        admin.remotes.forget_queue(&link).await;
        Ok::<_, Error>(())
    };
    removing.await.map_err(|error| error.problem())?;
    Ok(StatusCode::NO_CONTENT)
}

/// Requests a run, even if the remote is paused.
///
/// A pending decision isn't skipped. The response shows the remote's state.
#[utoipa::path(post, path = "/wikis/{slug}/remotes/{id}/runs", params(("slug" = String, Path), ("id" = String, Path)),
    responses((status = 202, body = openapi::remotes::Remote), (status = "4XX", body = openapi::Problem)))]
async fn run(
    State(admin): State<Admin>,
    SlugInPath(slug): SlugInPath,
    params: RawPathParams,
) -> Result<Response, Problem> {
    let link = named(&admin, &slug, &params).await?;
    let link = admin.tell(&link, Event::Requested).await?;
    let body = LinkBody::of(&admin, &link).await?;
    Ok((StatusCode::ACCEPTED, Json(body)).into_response())
}

/// Resumes a paused remote, or resumes pushing.
#[utoipa::path(post, path = "/wikis/{slug}/remotes/{id}/resume", params(("slug" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = openapi::remotes::Remote), (status = "4XX", body = openapi::Problem)))]
async fn resume(
    State(admin): State<Admin>,
    SlugInPath(slug): SlugInPath,
    params: RawPathParams,
) -> Result<Json<LinkBody>, Problem> {
    let link = named(&admin, &slug, &params).await?;
    let link = admin.tell(&link, Event::Resumed).await?;
    LinkBody::of(&admin, &link).await.map(Json)
}

/// Tests whether the remote repository can be read, without changing anything.
#[utoipa::path(post, path = "/wikis/{slug}/remotes/{id}/test", params(("slug" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = openapi::remotes::RemoteTest), (status = "4XX", body = openapi::Problem)))]
async fn test(
    State(admin): State<Admin>,
    SlugInPath(slug): SlugInPath,
    params: RawPathParams,
) -> Result<Response, Problem> {
    let link = named(&admin, &slug, &params).await?;
    let wire = admin.wire()?;
    let tried = match remote(&admin.remotes, &link).await {
        Err(text) => Err(text),
        Ok(remote) => wire.branches(&remote).await.map_err(|failure| failure.to_string()),
    };
    Ok(Json(match tried {
        Ok(branches) => {
            let has_branch = match link.settings.is_branch_named() {
                true => branches.all.iter().any(|(name, _)| *name == link.settings.branch),
                false => branches.usual().is_some(),
            };
            let names: Vec<_> = branches.all.iter().take(200).map(|(name, _)| name).collect();
            json!({
                "ok": has_branch || names.is_empty(),
                "empty": names.is_empty(),
                "has_branch": has_branch,
                "default_branch": branches.head,
                "branches": names,
                "error": null,
            })
        }
        Err(error) => json!({
            "ok": false,
            "empty": null,
            "has_branch": null,
            "default_branch": null,
            "branches": [],
            "error": error,
        }),
    })
    .into_response())
}

impl Admin {
    /// Passes an event to a remote.
    async fn tell(&self, link: &Link, event: Event) -> Result<Link, Problem> {
        self.remotes.tell(&link.id, event).await.map_err(|error| error.problem())
    }

    /// Starts a remote with its current settings.
    async fn begin(&self, link: Link, offline: bool, begin: Event) -> Result<Link, Problem> {
        let offline = offline || self.remotes.off().is_some();
        self.tell(&link, if offline { Event::Offline } else { Event::Online }).await?;
        self.tell(&link, begin).await
    }

    /// The git client for outgoing connections, or 503 with the reason if they are switched off.
    pub(super) fn wire(&self) -> Result<&crate::remote::Wire, Problem> {
        self.remotes.wire().map_err(|off| {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, off.code(), off.to_string())
        })
    }
}
