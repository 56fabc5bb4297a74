//! `wikigrove wiki …`

mod export;
mod import;
mod progress;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};
use wikigrove_tenant::{NewTenant, Platform, Slug, Visibility};

use super::Failure;
use super::local::{Place, open};
use super::output::{cell, print, shown_json, table};
use super::through::Through;

#[derive(Debug, Subcommand)]
pub(super) enum WikiCommand {
    /// Create an empty wiki.
    Create(Create),
    /// List the wikis.
    List,
    /// Create a wiki with its whole history from a wikigrove export, a git repository or bundle, or An
    /// Otter Wiki.
    Import(import::Import),
    /// Export a whole wiki into a new file, or for other software into a new directory.
    Export(export::Export),
}

#[derive(Args, Debug)]
pub(super) struct Create {
    /// The wiki's name in URLs.
    slug: Slug,
    #[command(flatten)]
    about: About,
}

#[derive(Args, Clone, Debug)]
struct About {
    /// The title [default: the slug].
    #[arg(long)]
    title: Option<String>,
    /// The visibility: private, public_read or public_write.
    #[arg(long, default_value_t = Visibility::Private)]
    visibility: Visibility,
}

impl About {
    fn of(self, slug: Slug) -> NewTenant {
        let mut new = NewTenant::new(slug);
        new.title = self.title.unwrap_or(new.title);
        new.visibility = self.visibility;
        new
    }
}

pub(super) async fn run(
    place: Place,
    token: Option<String>,
    command: WikiCommand,
    as_json: bool,
) -> Result<(), Failure> {
    match command {
        WikiCommand::Create(args) => {
            through(&place, token, async |api| create(api, args, as_json).await).await
        }
        WikiCommand::List => through(&place, token, async |api| list(api, as_json).await).await,
        WikiCommand::Export(args) => {
            on_platform(&place, async |platform| export::run(platform, args, as_json).await).await
        }
        // An import opens the platform itself, because a dry run must not open it.
        WikiCommand::Import(args) => import::run(&place, args, as_json).await,
    }
}

async fn through(
    place: &Place,
    token: Option<String>,
    work: impl AsyncFnOnce(&Through) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let api = Through::open(place, token, None).await?;
    let done = work(&api).await;
    api.close().await;
    done
}

async fn on_platform(
    place: &Place,
    work: impl AsyncFnOnce(&Platform) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let platform = open(place).await?;
    let done = work(&platform).await;
    platform.close().await;
    done
}

async fn create(api: &Through, args: Create, as_json: bool) -> Result<(), Failure> {
    let Create { slug, about: About { title, visibility } } = args;
    let body = json!({ "slug": slug, "title": title, "visibility": visibility });
    let made = api.admin(Method::POST, "/wikis", Some(&body)).await?;
    if as_json {
        return shown_json(&made);
    }
    print(&format!("created {} ({})\n", cell(&made["slug"]), cell(&made["visibility"])))
}

async fn list(api: &Through, as_json: bool) -> Result<(), Failure> {
    let wikis = api.admin_list("/wikis").await?;
    if as_json {
        return shown_json(&Value::Array(wikis));
    }
    let mut table = table(["SLUG", "TITLE", "VISIBILITY", "STATE", "CREATED"]);
    for wiki in &wikis {
        let cells = ["slug", "title", "visibility", "state", "created"];
        table.add_row(cells.map(|name| cell(&wiki[name])));
    }
    print(&format!("{table}\n"))
}
