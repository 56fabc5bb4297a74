//! Settings of a remote in requests, and their validation.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::storage::Mapping;
use wikigrove_tenant::{Link, LinkSettings};

use crate::admin::Admin;
use crate::admin::wikis::invalid;
use crate::extract::present;
use crate::remote::{
    AccessToken, Branch, DeployKey, RemoteUrl, Scheme, StoredCredential, Subdirectory,
};
use crate::sync::{FirstRun, Mode, OnRewrite, Settings, Winner};

/// Minimum interval, in seconds.
const LEAST_INTERVAL: u64 = 30;
/// Maximum interval and cooldown, in seconds.
const MONTH: u64 = 31 * 24 * 60 * 60;

#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateRemote)]
pub(super) struct Create {
    /// `https://host/path`, `ssh://user@host/path` or `user@host:path`.
    url: String,
    /// The one that the remote's HEAD names if it isn't given; the first run finds out which.
    branch: Option<String>,
    /// The repository's directory that holds the wiki; its root by default.
    subdirectory: Option<String>,
    /// Synchronises only this page and the pages below it.
    filter: Option<String>,
    /// `both`, `push`, `pull` or `off`.
    #[schema(value_type = Option<String>)]
    mode: Option<Mode>,
    /// The side that keeps a page in a conflict: `wiki`, `remote`, or `stable` for wikis that pull from
    /// each other.
    #[schema(value_type = Option<String>)]
    winner: Option<Winner>,
    /// Policy for a remote with unrelated history: `ask`, `merge`, `import` or `push`.
    #[schema(value_type = Option<String>)]
    first_run: Option<FirstRun>,
    /// Policy for a remote whose history was rewritten: `ask` or `follow`.
    #[schema(value_type = Option<String>)]
    on_rewrite: Option<OnRewrite>,
    /// Interval between scheduled runs; 300 by default.
    interval_seconds: Option<u64>,
    /// Minimum time between runs that readers trigger; 60 by default.
    cooldown_seconds: Option<u64>,
    /// Makes no network connections. Saved commits wait in the queue.
    #[serde(default)]
    offline: bool,
    /// Needed unless the repository is public.
    credential: Option<Credential>,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChangeRemote)]
pub(super) struct Change {
    url: Option<String>,
    branch: Option<String>,
    /// Null selects the whole repository.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    subdirectory: Option<Option<String>>,
    /// Null selects the whole wiki.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    filter: Option<Option<String>>,
    #[schema(value_type = Option<String>)]
    mode: Option<Mode>,
    #[schema(value_type = Option<String>)]
    winner: Option<Winner>,
    #[schema(value_type = Option<String>)]
    first_run: Option<FirstRun>,
    #[schema(value_type = Option<String>)]
    on_rewrite: Option<OnRewrite>,
    interval_seconds: Option<u64>,
    cooldown_seconds: Option<u64>,
    offline: Option<bool>,
    /// Null removes the credential.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Credential>)]
    credential: Option<Option<Credential>>,
    /// Replaces the webhook's secret; the new one is in the response.
    #[serde(default)]
    renew_webhook_secret: bool,
}

/// A credential, as one of: a token, with its user if the host needs one; the name of a token file in
/// the directory of mounted secrets; a key that is generated now; or the name of a key file.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RemoteCredential)]
pub(super) struct Credential {
    token: Option<String>,
    token_file: Option<String>,
    user: Option<String>,
    deploy_key: Option<bool>,
    key_file: Option<String>,
}

/// Validated settings and credential of a new remote.
pub(super) struct New {
    pub(super) settings: LinkSettings,
    pub(super) credential: Option<StoredCredential>,
}

impl Create {
    pub(super) fn read(&self, admin: &Admin, slug: &str) -> Result<New, Problem> {
        let defaults = Settings::default();
        let before = LinkSettings {
            url: String::new(),
            branch: LinkSettings::UNNAMED.to_owned(),
            subdirectory: None,
            filter: None,
            mode: defaults.mode.to_string(),
            winner: defaults.winner.to_string(),
            first_run: defaults.first_run.to_string(),
            on_rewrite: defaults.on_rewrite.to_string(),
            interval: defaults.interval,
            cooldown: defaults.cooldown,
            offline: self.offline,
        };
        let change = Change {
            url: Some(self.url.clone()),
            branch: self.branch.clone(),
            subdirectory: self.subdirectory.clone().map(Some),
            filter: self.filter.clone().map(Some),
            mode: self.mode,
            winner: self.winner,
            first_run: self.first_run,
            on_rewrite: self.on_rewrite,
            interval_seconds: self.interval_seconds,
            cooldown_seconds: self.cooldown_seconds,
            ..Change::default()
        };
        let settings = change.settings(admin, before)?;
        let credential = self.credential.as_ref().map(|new| new.read(admin, slug)).transpose()?;
        check_kind(&settings, credential.as_ref().map(StoredCredential::is_key))?;
        Ok(New { settings, credential })
    }
}

type Changed = (LinkSettings, Option<Option<StoredCredential>>);

impl Change {
    pub(super) fn read(&self, admin: &Admin, slug: &str, link: &Link) -> Result<Changed, Problem> {
        let settings = self.settings(admin, link.settings.clone())?;
        let credential = match &self.credential {
            None if shows_text(&link.credential) && !same_origin(&settings, &link.settings) => {
                let why = "the token that is kept was given for another host: give the one for this host, \
                           or null";
                return Err(invalid("credential", "required", why));
            }
            None => None,
            Some(None) => Some(None),
            Some(Some(new)) => Some(Some(new.read(admin, slug)?)),
        };
        let is_key = match &credential {
            Some(new) => new.as_ref().map(StoredCredential::is_key),
            None => match link.credential.as_str() {
                "none" => None,
                kind => Some(matches!(kind, "deploy_key" | "key_file")),
            },
        };
        check_kind(&settings, is_key)?;
        Ok((settings, credential))
    }

    pub(super) fn renews_webhook_secret(&self) -> bool {
        self.renew_webhook_secret
    }

    fn settings(&self, admin: &Admin, before: LinkSettings) -> Result<LinkSettings, Problem> {
        let mut settings = before;
        if let Some(url) = &self.url {
            let parsed: RemoteUrl =
                url.parse().map_err(|error| wrong("url", "invalid_url", &error))?;
            let policy = &admin.remotes.options().policy;
            policy.check(&parsed).map_err(|error| wrong("url", "blocked_address", &error))?;
            settings.url = parsed.to_string();
        }
        if let Some(branch) = &self.branch {
            let parsed: Branch =
                branch.parse().map_err(|error| wrong("branch", "invalid_branch", &error))?;
            settings.branch = parsed.to_string();
        }
        if let Some(subdirectory) = &self.subdirectory {
            let parse = |text: &String| text.parse::<Subdirectory>();
            let parsed = subdirectory.as_ref().map(parse).transpose();
            let parsed = parsed.map_err(|error| wrong("subdirectory", "invalid_path", &error))?;
            settings.subdirectory = parsed.map(|parsed| parsed.as_str().to_owned());
        }
        if let Some(filter) = &self.filter {
            let prefix = filter.as_deref().unwrap_or_default().trim_end_matches('/');
            Mapping::new("", prefix).map_err(|error| wrong("filter", "invalid_path", &error))?;
            settings.filter = Some(prefix.to_owned()).filter(|prefix| !prefix.is_empty());
        }
        if let Some(mode) = self.mode {
            settings.mode = mode.to_string();
        }
        if let Some(winner) = self.winner {
            settings.winner = winner.to_string();
        }
        if let Some(first_run) = self.first_run {
            settings.first_run = first_run.to_string();
        }
        if let Some(on_rewrite) = self.on_rewrite {
            settings.on_rewrite = on_rewrite.to_string();
        }
        if let Some(seconds) = self.interval_seconds {
            if !(LEAST_INTERVAL..=MONTH).contains(&seconds) {
                let why = format!("{LEAST_INTERVAL} to {MONTH} seconds are possible");
                return Err(invalid("interval_seconds", "invalid_value", &why));
            }
            settings.interval = Duration::from_secs(seconds);
        }
        if let Some(seconds) = self.cooldown_seconds {
            if seconds > MONTH {
                let why = format!("at most {MONTH} seconds are possible");
                return Err(invalid("cooldown_seconds", "invalid_value", &why));
            }
            settings.cooldown = Duration::from_secs(seconds);
        }
        settings.offline = self.offline.unwrap_or(settings.offline);
        Ok(settings)
    }
}

impl Credential {
    fn read(&self, admin: &Admin, slug: &str) -> Result<StoredCredential, Problem> {
        let Self { token, token_file, user, deploy_key, key_file } = self;
        let wrong =
            |error: &dyn std::fmt::Display| wrong("credential", "invalid_credential", error);
        let stored = match (token, token_file, deploy_key, key_file) {
            (Some(token), None, None, None) => {
                let token = AccessToken::new(user.as_deref(), token);
                StoredCredential::Token(token.map_err(|error| wrong(&error))?)
            }
            (None, Some(file), None, None) => {
                StoredCredential::TokenFile { user: user.clone(), file: file.clone() }
            }
            (None, None, Some(true), None) if user.is_none() => {
                StoredCredential::Key(DeployKey::generate(&format!("wikigrove {slug}")))
            }
            (None, None, None, Some(file)) if user.is_none() => {
                StoredCredential::KeyFile { file: file.clone() }
            }
            _ => {
                return Err(wrong(
                    &"one of token, token_file, deploy_key: true and key_file is needed, and a user \
                      only with a token",
                ));
            }
        };
        // A file is read again for each use; reading it now reports an error early.
        stored.open(&admin.remotes.options().secret_files).map_err(|error| wrong(&error))?;
        Ok(stored)
    }
}

/// Returns `true` if logging in reveals the credential to the host. Signing with a key doesn't reveal
/// it.
fn shows_text(kind: &str) -> bool {
    matches!(kind, "token" | "token_file")
}

fn same_origin(one: &LinkSettings, other: &LinkSettings) -> bool {
    let origin = |settings: &LinkSettings| settings.url.parse().map(|url: RemoteUrl| url.origin());
    matches!((origin(one), origin(other)), (Ok(one), Ok(other)) if one == other)
}

/// Checks that ssh is used with a key, and https with a token or no credential.
fn check_kind(settings: &LinkSettings, is_key: Option<bool>) -> Result<(), Problem> {
    let url: RemoteUrl =
        settings.url.parse().map_err(|error| wrong("url", "invalid_url", &error))?;
    match (url.scheme(), is_key) {
        (Scheme::Ssh, Some(true)) | (Scheme::Https | Scheme::Http, None | Some(false)) => Ok(()),
        (Scheme::Ssh, _) => {
            Err(invalid("credential", "invalid_credential", "ssh needs a deploy key"))
        }
        (_, Some(true)) => {
            Err(invalid("credential", "invalid_credential", "https takes a token, and no key"))
        }
    }
}

fn wrong(field: &str, code: &str, why: &dyn std::fmt::Display) -> Problem {
    invalid(field, code, &why.to_string())
}
