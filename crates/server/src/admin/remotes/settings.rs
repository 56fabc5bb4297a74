//! What a link is to be set to, as it is sent.

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

/// The shortest interval, in seconds.
const LEAST_INTERVAL: u64 = 30;
/// The longest interval and cooldown, in seconds.
const MONTH: u64 = 31 * 24 * 60 * 60;

#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateRemote)]
pub(super) struct Create {
    /// `https://host/path`, `ssh://user@host/path` or `user@host:path`.
    url: String,
    /// `main` if it isn't given.
    branch: Option<String>,
    /// The directory there that the wiki is.
    subdirectory: Option<String>,
    /// Of the wiki only this page and those below it go there, and come from there.
    filter: Option<String>,
    /// `both`, `push`, `pull` or `off`.
    #[schema(value_type = Option<String>)]
    mode: Option<Mode>,
    /// Who keeps the page in a conflict: `wiki`, `remote`, or `stable` where several pull from each other.
    #[schema(value_type = Option<String>)]
    winner: Option<Winner>,
    /// What to do on meeting a remote with a history of its own: `ask`, `merge`, `import` or `push`.
    #[schema(value_type = Option<String>)]
    first_run: Option<FirstRun>,
    /// What to do when the remote's history was replaced: `ask` or `follow`.
    #[schema(value_type = Option<String>)]
    on_rewrite: Option<OnRewrite>,
    /// How often it looks by itself; 300 if it isn't given.
    interval_seconds: Option<u64>,
    /// For how long after one look a reader doesn't cause another; 60 if it isn't given.
    cooldown_seconds: Option<u64>,
    /// Whether it leaves the network alone. What is saved waits.
    #[serde(default)]
    offline: bool,
    /// Where it isn't given, the repository is open to everybody.
    credential: Option<Credential>,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChangeRemote)]
pub(super) struct Change {
    url: Option<String>,
    branch: Option<String>,
    /// Null: all of the repository.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    subdirectory: Option<Option<String>>,
    /// Null: all of the wiki.
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
    /// Null: nothing is shown any more.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Credential>)]
    credential: Option<Option<Credential>>,
    /// The answer has a new secret then, and the old one holds no longer.
    #[serde(default)]
    renew_webhook_secret: bool,
}

/// One of these: a token (with its user, where the host wants one), the name of a file with a token
/// below the directory for mounted secrets, a key that is made now, or the name of a file with a key.
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

/// What was sent, checked.
pub(super) struct New {
    pub(super) settings: LinkSettings,
    pub(super) credential: Option<StoredCredential>,
}

impl Create {
    pub(super) fn read(&self, admin: &Admin, slug: &str) -> Result<New, Problem> {
        let defaults = Settings::default();
        let before = LinkSettings {
            url: String::new(),
            branch: "main".to_owned(),
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
        // A file is read anew for each use; whether it can be read is better said now.
        stored.open(&admin.remotes.options().secret_files).map_err(|error| wrong(&error))?;
        Ok(stored)
    }
}

/// Whether whoever is logged in with learns the credential. Who asks for a signature by a key doesn't.
fn shows_text(kind: &str) -> bool {
    matches!(kind, "token" | "token_file")
}

fn same_origin(one: &LinkSettings, other: &LinkSettings) -> bool {
    let origin = |settings: &LinkSettings| settings.url.parse().map(|url: RemoteUrl| url.origin());
    matches!((origin(one), origin(other)), (Ok(one), Ok(other)) if one == other)
}

/// A key is for ssh, a token for https.
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
