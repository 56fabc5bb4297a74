//! `wikigrove remote …`

mod settings;

use std::time::Duration;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};
use wikigrove_tenant::Slug;

use super::Failure;
use super::local::Place;
use super::output::{cell, print, shown, shown_json, table};
use super::reach::ReachArgs;
use super::through::Through;
use crate::sync::Choice;
use settings::SettingArgs;

/// Interval at which the state of a run is polled.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Maximum time to wait for a run.
const PATIENCE: Duration = Duration::from_secs(900);
/// States of a run in progress.
const AT_WORK: [&str; 7] =
    ["due", "fetching", "comparing", "merging", "applying", "pushing", "verifying"];

#[derive(Debug, Subcommand)]
pub(super) enum RemoteCommand {
    /// Link a wiki to a git repository elsewhere.
    Add(Add),
    /// List the remotes of all wikis, or of one.
    List {
        /// The wiki.
        wiki: Option<Slug>,
        /// Only remotes in this state, such as needs_decision.
        #[arg(long, conflicts_with = "wiki")]
        state: Option<String>,
    },
    /// Show a remote.
    Show(Named),
    /// Change a remote.
    Set(Set),
    /// Show the keys of an SSH host, or confirm one.
    HostKey {
        #[command(flatten)]
        named: Named,
        /// The fingerprint to confirm, as published by the host (SHA256:…).
        #[arg(long, value_name = "FINGERPRINT")]
        confirm: Option<String>,
    },
    /// Test whether the repository can be read, without changing anything.
    Test(Named),
    /// Run a remote now, and wait until the run ends.
    Run(Named),
    /// Resume a paused remote.
    Resume(Named),
    /// Show a pending decision, or decide it.
    Decide {
        #[command(flatten)]
        named: Named,
        /// remote, wiki, both or retry.
        choice: Option<Choice>,
    },
    /// Remove a remote. Pages that were pulled from it stay.
    Remove(Named),
}

impl RemoteCommand {
    /// Returns `true` if the command only reads the local state.
    fn only_reads(&self) -> bool {
        matches!(self, Self::List { .. } | Self::Show(_))
    }
}

/// A remote of a wiki.
#[derive(Args, Clone, Debug)]
pub(super) struct Named {
    /// The wiki.
    wiki: Slug,
    /// The remote's id; not needed if the wiki has a single remote.
    id: Option<String>,
}

impl Named {
    /// The remote's API path.
    async fn path(&self, through: &Through) -> Result<String, Failure> {
        through.one_of(&self.wiki, "remotes", self.id.as_deref()).await
    }

    /// Accepts a choice in place of the id: no id is one of these words.
    fn or_choice(self, choice: Option<Choice>) -> (Self, Option<Choice>) {
        match self.id.as_deref().map(str::parse::<Choice>) {
            Some(Ok(only)) if choice.is_none() => (Self { id: None, ..self }, Some(only)),
            _ => (self, choice),
        }
    }
}

#[derive(Args, Debug)]
pub(super) struct Add {
    /// The wiki.
    wiki: Slug,
    /// https://host/path, ssh://user@host/path or user@host:path.
    url: String,
    #[command(flatten)]
    settings: SettingArgs,
}

#[derive(Args, Debug)]
pub(super) struct Set {
    #[command(flatten)]
    named: Named,
    /// A new URL.
    #[arg(long)]
    url: Option<String>,
    #[command(flatten)]
    settings: SettingArgs,
}

pub(super) async fn run(
    place: Place,
    token: Option<String>,
    reach: ReachArgs,
    command: RemoteCommand,
    as_json: bool,
) -> Result<(), Failure> {
    place.must_exist()?;
    let links = (!command.only_reads()).then(|| reach.options());
    let through = Through::open(&place, token, links).await?;
    let done = remote(&through, command, as_json).await;
    through.close().await;
    done
}

async fn remote(through: &Through, command: RemoteCommand, as_json: bool) -> Result<(), Failure> {
    let call = async |method, named: &Named, rest, body: Option<Value>| {
        let path = format!("{}{rest}", named.path(through).await?);
        through.admin(method, &path, body.as_ref()).await
    };
    let answer = match command {
        RemoteCommand::Add(Add { wiki, url, settings }) => {
            let mut body = settings.body()?;
            body.insert("url".to_owned(), json!(url));
            let path = format!("/wikis/{wiki}/remotes");
            let made = through.admin(Method::POST, &path, Some(&body.into())).await?;
            shown(&made, as_json)?;
            if !as_json && made["public_key"].is_string() {
                print(&format!(
                    "\nAdd the public key to the repository there, with the right to write, and then: \
                     wikigrove remote run {wiki}\n"
                ))?;
            }
            return Ok(());
        }
        RemoteCommand::List { wiki, state } => {
            let links = list(through, wiki, state).await?;
            return if as_json { shown_json(&json!(links)) } else { links_table(&links) };
        }
        RemoteCommand::Show(named) => call(Method::GET, &named, "", None).await?,
        RemoteCommand::Set(Set { named, url, settings }) => {
            let mut body = settings.body()?;
            url.map(|url| body.insert("url".to_owned(), json!(url)));
            call(Method::PATCH, &named, "", Some(body.into())).await?
        }
        RemoteCommand::HostKey { named, confirm: None } => {
            let keys = call(Method::GET, &named, "/host-key", None).await?;
            return if as_json { shown_json(&keys) } else { keys_table(&keys) };
        }
        RemoteCommand::HostKey { named, confirm: Some(fingerprint) } => {
            let body = json!({ "fingerprint": fingerprint });
            call(Method::POST, &named, "/host-key", Some(body)).await?
        }
        RemoteCommand::Test(named) => {
            let tested = call(Method::POST, &named, "/test", None).await?;
            shown(&tested, as_json)?;
            return match tested["ok"].as_bool() {
                Some(true) => Ok(()),
                _ => Err("the remote can't be used as it is".into()),
            };
        }
        RemoteCommand::Run(named) => {
            let link = run_to_its_end(through, &named).await?;
            shown(&link, as_json)?;
            return match link["state"].as_str() {
                Some("idle") => Ok(()),
                state => Err(not_done(state.unwrap_or("gone"), &link).into()),
            };
        }
        RemoteCommand::Resume(named) => call(Method::POST, &named, "/resume", None).await?,
        RemoteCommand::Decide { named, choice } => match named.or_choice(choice) {
            (named, None) => {
                let question = call(Method::GET, &named, "/decision", None).await?;
                return if as_json { shown_json(&question) } else { question_table(&question) };
            }
            (named, Some(choice)) => {
                let body = json!({ "choice": choice });
                call(Method::POST, &named, "/decision", Some(body)).await?
            }
        },
        RemoteCommand::Remove(named) => {
            call(Method::DELETE, &named, "", None).await?;
            return print("removed\n");
        }
    };
    shown(&answer, as_json)
}

async fn list(
    through: &Through,
    wiki: Option<Slug>,
    state: Option<String>,
) -> Result<Vec<Value>, Failure> {
    let path = match (wiki, state) {
        (Some(wiki), _) => format!("/wikis/{wiki}/remotes"),
        (None, Some(state)) if state.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') => {
            format!("/remotes?state={state}")
        }
        (None, Some(state)) => return Err(format!("`{state}` is no state").into()),
        (None, None) => "/remotes".to_owned(),
    };
    through.admin_list(&path).await
}

async fn run_to_its_end(through: &Through, named: &Named) -> Result<Value, Failure> {
    let path = named.path(through).await?;
    let mut link = through.admin(Method::POST, &format!("{path}/runs"), None).await?;
    let started = std::time::Instant::now();
    // Also wait while the remote only checks whether the other side makes the same merge.
    let puts_off = |link: &Value| link["state"] == "backoff" && link["last_error"].is_null();
    let is_at_work = |link: &Value| link["state"].as_str().is_some_and(|s| AT_WORK.contains(&s));
    while is_at_work(&link) || puts_off(&link) {
        if started.elapsed() > PATIENCE {
            return Err("the run takes too long; it goes on by itself".into());
        }
        tokio::time::sleep(LOOK_EVERY).await;
        link = through.admin(Method::GET, &path, None).await?;
    }
    Ok(link)
}

/// Explains a run that didn't succeed, and suggests the next command.
fn not_done(state: &str, link: &Value) -> String {
    let (wiki, reason) = (cell(&link["wiki"]), cell(&link["reason"]));
    match state {
        "needs_decision" => {
            format!("somebody has to decide ({reason}): wikigrove remote decide {wiki}")
        }
        "paused" if reason == "host_key_changed" => {
            format!("the host's key isn't confirmed: wikigrove remote host-key {wiki}")
        }
        "paused" => {
            format!("the link is paused ({reason}); mend that, and run it again")
        }
        state => format!("the run didn't work, the link's state is {state}"),
    }
}

fn links_table(links: &[Value]) -> Result<(), Failure> {
    let mut table =
        table(["WIKI", "ID", "URL", "STATE", "REASON", "WAITING", "OLDEST", "DOWN SINCE"]);
    for link in links {
        let cells = [
            "wiki",
            "id",
            "url",
            "state",
            "reason",
            "queue_length",
            "oldest_waiting",
            "down_since",
        ];
        table.add_row(cells.map(|name| cell(&link[name])));
    }
    print(&format!("{table}\n"))
}

fn keys_table(keys: &Value) -> Result<(), Failure> {
    let of = |name: &str| keys[name].as_array().cloned().unwrap_or_default();
    let confirmed = of("confirmed");
    let mut table = table(["FINGERPRINT", "CONFIRMED", "KEY"]);
    for key in of("shown") {
        let counts = if confirmed.contains(&key) { "yes" } else { "no" };
        table.add_row([cell(&key["fingerprint"]), counts.to_owned(), cell(&key["key"])]);
    }
    print(&format!("{table}\n"))
}

fn question_table(question: &Value) -> Result<(), Failure> {
    let mut table = table(["CHOICE", "GONE", "CONFLICTS", "MEANING"]);
    for choice in question["choices"].as_array().into_iter().flatten() {
        let preview = &choice["preview"];
        table.add_row([
            cell(&choice["choice"]),
            match preview.is_null() {
                true => String::new(),
                false => {
                    format!("{} of {} pages", cell(&preview["deleted"]), cell(&preview["pages"]))
                }
            },
            cell(&preview["conflicts"]),
            cell(&choice["meaning"]),
        ]);
    }
    let mut text = format!("{}: {}\n\n", cell(&question["reason"]), cell(&question["revision"]));
    if let Some(error) = question["error"].as_str() {
        text.push_str(&format!("What each would do can't be told: {error}\n\n"));
    }
    print(&format!("{text}{table}\n"))
}
