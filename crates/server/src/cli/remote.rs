//! `wikigrove remote …` and `wikigrove conflict …`

use std::time::Duration;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};
use wikigrove_tenant::Slug;

use super::Failure;
use super::local::{Place, print};
use super::through::Through;
use super::wiki::table;

/// How often to look whether a run is over.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long a run is waited for.
const PATIENCE: Duration = Duration::from_secs(900);
/// The states of a run that is on.
const AT_WORK: [&str; 7] =
    ["due", "fetching", "comparing", "merging", "applying", "pushing", "verifying"];

#[derive(Debug, Subcommand)]
pub(super) enum RemoteCommand {
    /// Link a wiki with a git repository elsewhere.
    Add(Add),
    /// List the links of all wikis, or of one.
    List {
        /// The wiki.
        wiki: Option<Slug>,
        /// Only those in this state, such as needs_decision.
        #[arg(long, conflicts_with = "wiki")]
        state: Option<String>,
    },
    /// Show a link.
    Show(Named),
    /// Change a link.
    Set(Set),
    /// Look whether the remote can be read, and change nothing.
    Test(Named),
    /// Run a link now, and wait for the end.
    Run(Named),
    /// Have a link go on after a pause.
    Resume(Named),
    /// Show what has to be decided, or decide it.
    Decide {
        #[command(flatten)]
        named: Named,
        /// remote, wiki, both or retry.
        choice: Option<String>,
    },
    /// Remove a link. What it brought stays.
    Remove(Named),
}

#[derive(Debug, Subcommand)]
pub(super) enum ConflictCommand {
    /// List what synchronising couldn't merge.
    List {
        /// The wiki.
        wiki: Slug,
    },
    /// Show a conflict with its three texts.
    Show {
        /// The wiki.
        wiki: Slug,
        /// The conflict's number.
        id: u64,
    },
    /// Close a conflict: the page stays, or becomes the text of a file, and the page beside it goes.
    Resolve {
        /// The wiki.
        wiki: Slug,
        /// The conflict's number.
        id: u64,
        /// A file with what the page shall be.
        #[arg(long, value_name = "FILE")]
        content: Option<std::path::PathBuf>,
    },
}

/// A link.
#[derive(Args, Clone, Debug)]
pub(super) struct Named {
    /// The wiki.
    wiki: Slug,
    /// The link's id.
    id: String,
}

impl Named {
    fn path(&self, rest: &str) -> Result<String, Failure> {
        if !self.id.bytes().all(|byte| byte.is_ascii_hexdigit()) || self.id.is_empty() {
            return Err(format!("`{}` is no link's id", self.id).into());
        }
        Ok(format!("/wikis/{}/remotes/{}{rest}", self.wiki, self.id))
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
    /// Another place.
    #[arg(long)]
    url: Option<String>,
    #[command(flatten)]
    settings: SettingArgs,
}

#[derive(Args, Debug)]
struct SettingArgs {
    /// The branch there [default: main].
    #[arg(long)]
    branch: Option<String>,
    /// The directory there that the wiki is.
    #[arg(long, value_name = "DIR")]
    subdirectory: Option<String>,
    /// Of the wiki only this page and those below it.
    #[arg(long, value_name = "PAGE")]
    filter: Option<String>,
    /// both, push, pull or off [default: both].
    #[arg(long)]
    mode: Option<String>,
    /// Who keeps the page in a conflict: wiki, remote or stable [default: wiki].
    #[arg(long)]
    winner: Option<String>,
    /// On meeting a remote with a history of its own: ask, merge, import or push [default: ask].
    #[arg(long)]
    first_run: Option<String>,
    /// When the remote's history was replaced: ask or follow [default: ask].
    #[arg(long)]
    on_rewrite: Option<String>,
    /// How often it looks by itself, in seconds [default: 300].
    #[arg(long, value_name = "SECONDS")]
    interval: Option<u64>,
    /// Leave the network alone, or use it again.
    #[arg(long)]
    offline: Option<bool>,
    /// A token, read from this file (- is the standard input) and kept sealed.
    #[arg(long, value_name = "FILE", group = "credential")]
    token: Option<std::path::PathBuf>,
    /// Who the token belongs to, where the host wants to know.
    #[arg(long, requires = "token")]
    user: Option<String>,
    /// Make a deploy key; its public half is printed.
    #[arg(long, group = "credential")]
    deploy_key: bool,
}

impl SettingArgs {
    fn body(&self) -> Result<Map<String, Value>, Failure> {
        let mut body = Map::new();
        for (name, value) in [
            ("branch", &self.branch),
            ("subdirectory", &self.subdirectory),
            ("filter", &self.filter),
            ("mode", &self.mode),
            ("winner", &self.winner),
            ("first_run", &self.first_run),
            ("on_rewrite", &self.on_rewrite),
        ] {
            if let Some(value) = value {
                body.insert(name.to_owned(), json!(value));
            }
        }
        if let Some(interval) = self.interval {
            body.insert("interval_seconds".to_owned(), json!(interval));
        }
        if let Some(offline) = self.offline {
            body.insert("offline".to_owned(), json!(offline));
        }
        if let Some(file) = &self.token {
            let text = if file.as_os_str() == "-" {
                std::io::read_to_string(std::io::stdin())?
            } else {
                std::fs::read_to_string(file)
                    .map_err(|error| format!("{}: {error}", file.display()))?
            };
            let mut credential = json!({ "token": text.trim() });
            if let Some(user) = &self.user {
                credential["user"] = json!(user);
            }
            body.insert("credential".to_owned(), credential);
        }
        if self.deploy_key {
            body.insert("credential".to_owned(), json!({ "deploy_key": true }));
        }
        Ok(body)
    }
}

pub(super) async fn run(
    place: Place,
    token: Option<String>,
    command: RemoteCommand,
    as_json: bool,
) -> Result<(), Failure> {
    let through = Through::open(&place, token).await?;
    let done = remote(&through, command, as_json).await;
    through.close().await;
    done
}

async fn remote(through: &Through, command: RemoteCommand, as_json: bool) -> Result<(), Failure> {
    let answer = match command {
        RemoteCommand::Add(Add { wiki, url, settings }) => {
            let mut body = settings.body()?;
            body.insert("url".to_owned(), json!(url));
            let path = format!("/wikis/{wiki}/remotes");
            through.admin(Method::POST, &path, Some(&body.into())).await?
        }
        RemoteCommand::List { wiki, state } => {
            let links = list(through, wiki, state).await?;
            return if as_json { shown_json(&json!(links)) } else { links_table(&links) };
        }
        RemoteCommand::Show(named) => through.admin(Method::GET, &named.path("")?, None).await?,
        RemoteCommand::Set(Set { named, url, settings }) => {
            let mut body = settings.body()?;
            url.map(|url| body.insert("url".to_owned(), json!(url)));
            through.admin(Method::PATCH, &named.path("")?, Some(&body.into())).await?
        }
        RemoteCommand::Test(named) => {
            let tested = through.admin(Method::POST, &named.path("/test")?, None).await?;
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
                state => Err(format!("the link is {}", state.unwrap_or("gone")).into()),
            };
        }
        RemoteCommand::Resume(named) => {
            through.admin(Method::POST, &named.path("/resume")?, None).await?
        }
        RemoteCommand::Decide { named, choice: None } => {
            through.admin(Method::GET, &named.path("/decision")?, None).await?
        }
        RemoteCommand::Decide { named, choice: Some(choice) } => {
            let body = json!({ "choice": choice });
            through.admin(Method::POST, &named.path("/decision")?, Some(&body)).await?
        }
        RemoteCommand::Remove(named) => {
            through.admin(Method::DELETE, &named.path("")?, None).await?;
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
    let base = match (wiki, state) {
        (Some(wiki), _) => format!("/wikis/{wiki}/remotes?limit=500"),
        (None, Some(state)) if state.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') => {
            format!("/remotes?limit=500&state={state}")
        }
        (None, Some(state)) => return Err(format!("`{state}` is no state").into()),
        (None, None) => "/remotes?limit=500".to_owned(),
    };
    through.admin_items(&base).await
}

async fn run_to_its_end(through: &Through, named: &Named) -> Result<Value, Failure> {
    let mut link = through.admin(Method::POST, &named.path("/runs")?, None).await?;
    let started = std::time::Instant::now();
    while link["state"].as_str().is_some_and(|state| AT_WORK.contains(&state)) {
        if started.elapsed() > PATIENCE {
            return Err("the run takes too long; it goes on by itself".into());
        }
        tokio::time::sleep(LOOK_EVERY).await;
        link = through.admin(Method::GET, &named.path("")?, None).await?;
    }
    Ok(link)
}

pub(super) async fn conflict(
    place: Place,
    token: Option<String>,
    command: ConflictCommand,
    as_json: bool,
) -> Result<(), Failure> {
    let through = Through::open(&place, token).await?;
    let done = of_conflicts(&through, command, as_json).await;
    through.close().await;
    done
}

async fn of_conflicts(
    through: &Through,
    command: ConflictCommand,
    as_json: bool,
) -> Result<(), Failure> {
    match command {
        ConflictCommand::List { wiki } => {
            let mut found = Vec::new();
            let mut path = "/conflicts?limit=500".to_owned();
            loop {
                let mut part = through.wiki(wiki.as_str(), Method::GET, &path, None).await?;
                if let Some(items) = part["items"].as_array_mut() {
                    found.append(items);
                }
                match part["next_cursor"].as_str() {
                    Some(cursor) => path = format!("/conflicts?limit=500&cursor={cursor}"),
                    None => break,
                }
            }
            if as_json {
                return shown_json(&json!(found));
            }
            let mut table = table(["ID", "PATH", "KIND", "BESIDE", "CREATED"]);
            for conflict in &found {
                let cells = ["id", "path", "kind", "conflict_path", "created"];
                table.add_row(cells.map(|name| cell(&conflict[name])));
            }
            print(&format!("{table}\n"))
        }
        ConflictCommand::Show { wiki, id } => {
            let path = format!("/conflicts/{id}");
            shown(&through.wiki(wiki.as_str(), Method::GET, &path, None).await?, as_json)
        }
        ConflictCommand::Resolve { wiki, id, content } => {
            let path = format!("/conflicts/{id}");
            let mut body = json!({});
            if let Some(file) = content {
                let text = std::fs::read_to_string(&file)
                    .map_err(|error| format!("{}: {error}", file.display()))?;
                let conflict = through.wiki(wiki.as_str(), Method::GET, &path, None).await?;
                let page = conflict["path"].as_str().unwrap_or_default();
                let page = format!("/pages/{}", percent(page));
                let now = through.wiki(wiki.as_str(), Method::GET, &page, None).await?;
                body = json!({ "content": text, "etag": now["etag"] });
            }
            let path = format!("{path}/resolution");
            let done = through.wiki(wiki.as_str(), Method::POST, &path, Some(&body)).await?;
            if as_json { shown_json(&done) } else { print("resolved\n") }
        }
    }
}

/// A page's path as it stands in a URL.
fn percent(path: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEPT: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
    utf8_percent_encode(path, KEPT).to_string()
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

pub(super) fn shown(value: &Value, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return shown_json(value);
    }
    let mut text = String::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        if !value.is_null() {
            text.push_str(&format!("{:<18}{}\n", name.replace('_', " "), cell(value)));
        }
    }
    print(&text)
}

pub(super) fn shown_json(value: &Value) -> Result<(), Failure> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// A value for people, without what a terminal would act on.
pub(super) fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.chars().filter(|c| !c.is_control() || *c == '\n').collect()
}
