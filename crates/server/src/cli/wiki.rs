//! `wikigrove wiki …`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use wikigrove_tenant::{NewTenant, Platform, Slug, Tenant, Visibility};

use super::Failure;
use super::local::{open, print};
use crate::import::{Progress, import};

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
    /// Create a wiki from a git repository or bundle, with its whole history.
    Import(Import),
}

#[derive(Args, Debug)]
pub(super) struct Create {
    /// The wiki's name in URLs.
    slug: Slug,
    #[command(flatten)]
    about: About,
}

#[derive(Args, Debug)]
pub(super) struct Import {
    /// The wiki's name in URLs.
    #[arg(long)]
    slug: Slug,
    #[command(flatten)]
    about: About,
    /// The repository's directory, or a bundle file.
    source: PathBuf,
}

#[derive(Args, Debug)]
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

pub(super) async fn run(data: PathBuf, command: WikiCommand) -> Result<(), Failure> {
    let platform = open(&data).await?;
    let done = match command {
        WikiCommand::Create(Create { slug, about }) => create(&platform, about.of(slug)).await,
        WikiCommand::List { json } => list(&platform, json).await,
        WikiCommand::Import(Import { slug, about, source }) => {
            bring_in(&platform, about.of(slug), source).await
        }
    };
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
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["SLUG", "TITLE", "VISIBILITY", "STATE", "CREATED"]);
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

async fn bring_in(platform: &Platform, new: NewTenant, source: PathBuf) -> Result<(), Failure> {
    let bar = Arc::new(ProgressBar::new(100));
    bar.set_style(ProgressStyle::with_template("{msg:24} {wide_bar} {pos:>3} %")?);
    bar.enable_steady_tick(Duration::from_millis(200));
    let shown = bar.clone();
    let imported = import(platform, new, &source, move |progress| show(&shown, progress)).await;
    bar.finish_and_clear();
    let tenant = imported?;
    let wiki = platform.wiki(tenant.slug.as_str(), wikigrove_tenant::Caller::operator()).await?;
    let head =
        wiki.head().await?.map_or_else(|| "nothing".to_owned(), |revision| revision.to_string());
    print(&format!("imported {} into {} (head {head})\n", source.display(), tenant.slug))
}

fn show(bar: &ProgressBar, progress: Progress<'_>) {
    match progress {
        Progress::Git(what, percent) => {
            bar.set_message(what.to_owned());
            bar.set_position(u64::from(percent));
        }
        Progress::Index(now) => {
            bar.set_message("Indexing the history");
            bar.set_position((100 * now.done / now.total.max(1)) as u64);
        }
    }
}
