//! Settings of a remote, as options.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::Failure;
use crate::sync::{FirstRun, Mode, OnRewrite, Winner};

#[derive(Args, Debug)]
pub(super) struct SettingArgs {
    /// The branch there [default: the one that the remote's HEAD names].
    #[arg(long)]
    branch: Option<String>,
    /// The directory of the repository that holds the wiki.
    #[arg(long, value_name = "DIR")]
    subdirectory: Option<String>,
    /// Synchronise only this page and the pages below it.
    #[arg(long, value_name = "PAGE")]
    filter: Option<String>,
    /// both, push, pull or off [default: both].
    #[arg(long)]
    mode: Option<Mode>,
    /// The side that keeps a page in a conflict: wiki, remote or stable [default: wiki].
    #[arg(long)]
    winner: Option<Winner>,
    /// Policy for a remote with unrelated history: ask, merge, import or push [default: ask].
    #[arg(long)]
    first_run: Option<FirstRun>,
    /// Policy for a remote whose history was rewritten: ask or follow [default: ask].
    #[arg(long)]
    on_rewrite: Option<OnRewrite>,
    /// Interval between scheduled runs, in seconds [default: 300].
    #[arg(long, value_name = "SECONDS")]
    interval: Option<u64>,
    /// Minimum time between runs that readers trigger, in seconds [default: 60].
    #[arg(long, value_name = "SECONDS")]
    cooldown: Option<u64>,
    /// Make no network connections (true), or make them again (false).
    #[arg(long)]
    offline: Option<bool>,
    #[command(flatten)]
    credential: CredentialArgs,
}

#[derive(Args, Debug)]
struct CredentialArgs {
    /// A token, read from this file (- is standard input) and stored encrypted.
    #[arg(long, value_name = "FILE", group = "credential")]
    token: Option<PathBuf>,
    /// A token file below the server's --sync-secrets, read again for each run.
    #[arg(long, value_name = "NAME", group = "credential")]
    token_file: Option<String>,
    /// The user that the token belongs to, if the host needs it.
    #[arg(long, conflicts_with_all = ["deploy_key", "key_file"], requires = "credential")]
    user: Option<String>,
    /// Generate a deploy key, and print its public half.
    #[arg(long, group = "credential")]
    deploy_key: bool,
    /// A key file below the server's --sync-secrets, read again for each run.
    #[arg(long, value_name = "NAME", group = "credential")]
    key_file: Option<String>,
}

impl SettingArgs {
    /// The request body, with only the given options.
    pub(super) fn body(&self) -> Result<Map<String, Value>, Failure> {
        let fields = json!({
            "branch": self.branch,
            "subdirectory": self.subdirectory,
            "filter": self.filter,
            "mode": self.mode,
            "winner": self.winner,
            "first_run": self.first_run,
            "on_rewrite": self.on_rewrite,
            "interval_seconds": self.interval,
            "cooldown_seconds": self.cooldown,
            "offline": self.offline,
            "credential": self.credential.body()?,
        });
        Ok(given(fields))
    }
}

impl CredentialArgs {
    fn body(&self) -> Result<Option<Value>, Failure> {
        let token = self.token.as_ref().map(read_token).transpose()?;
        let fields = json!({
            "token": token,
            "token_file": self.token_file,
            "user": self.user,
            "deploy_key": self.deploy_key.then_some(true),
            "key_file": self.key_file,
        });
        Ok(Some(given(fields)).filter(|fields| !fields.is_empty()).map(Value::Object))
    }
}

fn read_token(file: &PathBuf) -> Result<String, Failure> {
    let text = if file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin())?
    } else {
        std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?
    };
    Ok(text.trim().to_owned())
}

fn given(fields: Value) -> Map<String, Value> {
    let fields = match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    fields.into_iter().filter(|(_, value)| !value.is_null()).collect()
}
