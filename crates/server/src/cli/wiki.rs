//! `wikigrove wiki …`

mod export;
mod import;
mod progress;

use clap::{Args, Subcommand};
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::json;
use wikigrove_tenant::{NewTenant, Platform, Slug, Tenant, Visibility};

use super::Failure;
use super::local::{Place, open, print};

/// How many rows are read from the catalog at once.
const BATCH: u32 = 500;

#[derive(Debug, Subcommand)]
pub(super) enum WikiCommand {
    /// Create an empty wiki.
    Create(Create),
    /// List the wikis.
    List {
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Create a wiki from an exported one, a git repository or bundle, or an OtterWiki, with its whole
    /// history.
    Import(import::Import),
    /// Write a whole wiki into one new file, or for other software into a new directory.
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
    /// Who may see it: private, public_read or public_write.
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

pub(super) async fn run(place: Place, command: WikiCommand) -> Result<(), Failure> {
    match command {
        WikiCommand::Create(Create { slug, about }) => {
            on_platform(&place, async |platform| create(platform, about.of(slug)).await).await
        }
        WikiCommand::List { json } => {
            on_platform(&place, async |platform| list(platform, json).await).await
        }
        WikiCommand::Export(args) => {
            on_platform(&place, async |platform| export::run(platform, args).await).await
        }
        // It opens the platform itself: a rehearsal must not.
        WikiCommand::Import(args) => import::run(&place, args).await,
    }
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

async fn create(platform: &Platform, new: NewTenant) -> Result<(), Failure> {
    let tenant = platform.create_tenant(new).await?;
    print(&format!("created {} ({})\n", tenant.slug, tenant.visibility))
}

async fn list(platform: &Platform, as_json: bool) -> Result<(), Failure> {
    let mut wikis: Vec<Tenant> = Vec::new();
    loop {
        let batch = platform.wikis(wikis.last().map(|tenant| &tenant.slug), BATCH).await?;
        if batch.is_empty() {
            break;
        }
        wikis.extend(batch);
    }
    if as_json {
        let rows: Vec<_> = wikis.iter().map(row).collect();
        return print(&format!("{}\n", serde_json::to_string_pretty(&rows)?));
    }
    let mut table = table(["SLUG", "TITLE", "VISIBILITY", "STATE", "CREATED"]);
    for wiki in &wikis {
        let created = wiki.created.date().to_string();
        table.add_row([
            wiki.slug.as_str(),
            &wiki.title,
            wiki.visibility.as_str(),
            wiki.state.as_str(),
            &created,
        ]);
    }
    print(&format!("{table}\n"))
}

pub(super) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header);
    table
}

fn row(wiki: &Tenant) -> serde_json::Value {
    json!({
        "id": wiki.id,
        "slug": wiki.slug,
        "title": wiki.title,
        "visibility": wiki.visibility,
        "state": wiki.state.as_str(),
        "reason": wiki.state.reason(),
        "created": wiki.created.unix_timestamp(),
    })
}
