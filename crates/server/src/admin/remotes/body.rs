//! A remote as shown to the operator.

use serde::Serialize;
use time::OffsetDateTime;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Caller, Link, LinkSettings, Revision, Secret};

use crate::admin::Admin;
use crate::sync::runner::state_of;

#[derive(Clone, Serialize)]
pub(super) struct LinkBody {
    id: String,
    /// The wiki's slug.
    wiki: Option<String>,
    url: String,
    /// Null until it is known: the one that the remote's HEAD names.
    branch: Option<String>,
    subdirectory: Option<String>,
    filter: Option<String>,
    mode: String,
    winner: String,
    first_run: String,
    on_rewrite: String,
    interval_seconds: u64,
    cooldown_seconds: u64,
    offline: bool,
    /// Kind of the credential, such as `deploy_key`.
    credential: String,
    public_key: Option<String>,
    webhook_url: String,
    /// Only in the response that creates or renews the secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_secret: Option<String>,
    state: String,
    reason: Option<String>,
    /// Number of commits that the remote isn't known to have; null if the wiki can't be opened now.
    queue_length: Option<usize>,
    /// Time of the oldest queued commit.
    #[serde(with = "time::serde::rfc3339::option")]
    oldest_waiting: Option<OffsetDateTime>,
    /// Start of the current outage; null if the remote is reachable.
    #[serde(with = "time::serde::rfc3339::option")]
    down_since: Option<OffsetDateTime>,
    verified_revision: Option<Revision>,
    last_error: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    next_run: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339")]
    created: OffsetDateTime,
}

impl LinkBody {
    /// Adds the webhook secret, which is shown once.
    pub(super) fn with_secret(self, secret: Option<&Secret>) -> Self {
        Self { webhook_secret: secret.map(|secret| secret.expose().to_owned()), ..self }
    }

    pub(super) async fn of(admin: &Admin, link: &Link) -> Result<Self, Problem> {
        let slug = admin.platform.slug_of(link.wiki).await.map_err(|error| error.problem())?;
        let queue = match admin.platform.wiki_by_id(link.wiki, Caller::operator()).await {
            Ok(wiki) => wiki.sync_queue(link.number()).await.ok(),
            Err(_) => None,
        };
        let state = state_of(link);
        let settings = link.settings.clone();
        // If synchronisation is switched off for all remotes, show its reason instead of the remote's
        // own.
        let off = admin.remotes.off().filter(|_| link.progress.word == "offline");
        Ok(Self {
            id: link.id.clone(),
            wiki: slug.map(|slug| slug.to_string()),
            branch: Some(settings.branch).filter(|branch| branch != LinkSettings::UNNAMED),
            url: settings.url,
            subdirectory: settings.subdirectory,
            filter: settings.filter,
            mode: settings.mode,
            winner: settings.winner,
            first_run: settings.first_run,
            on_rewrite: settings.on_rewrite,
            interval_seconds: settings.interval.as_secs(),
            cooldown_seconds: settings.cooldown.as_secs(),
            offline: settings.offline,
            credential: link.credential.clone(),
            public_key: link.public_key.clone(),
            webhook_url: format!("{}/hooks/{}", admin.public_url, link.id),
            webhook_secret: None,
            state: link.progress.word.clone(),
            reason: off.map(|off| off.code().to_owned()).or_else(|| link.progress.reason.clone()),
            queue_length: queue.map(|queue| queue.waiting),
            oldest_waiting: queue.and_then(|queue| queue.oldest),
            down_since: state.down.and_then(|down| down.since.at()),
            verified_revision: state.seen,
            last_error: off.map(ToString::to_string).or(state.last_error),
            next_run: link
                .progress
                .next_at
                .and_then(|at| OffsetDateTime::from_unix_timestamp(at / 1000).ok()),
            created: link.created,
        })
    }
}
