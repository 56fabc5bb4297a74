//! `wikigrove channel …`

use clap::{Args, Subcommand};
use http::Method;
use serde_json::json;
use wikigrove_tenant::Slug;

use super::Failure;
use super::local::Place;
use super::output::{cell, print, shown, shown_json, table};
use super::through::Through;
use crate::sync::runner::Options;

#[derive(Debug, Subcommand)]
pub(super) enum ChannelCommand {
    /// Add a channel that is notified when a remote of a wiki needs attention.
    Add(Add),
    /// List a wiki's channels.
    List {
        /// The wiki.
        wiki: Slug,
    },
    /// Send a test notification to a channel.
    Test(Named),
    /// Remove a channel.
    Remove(Named),
}

#[derive(Args, Debug)]
pub(super) struct Add {
    /// The wiki.
    wiki: Slug,
    /// A URL that accepts Standard Webhooks (- reads it from standard input, since its path is often
    /// secret).
    #[arg(long, value_name = "URL", required_unless_present = "mail", conflicts_with = "mail")]
    webhook: Option<String>,
    /// An e-mail address.
    #[arg(long, value_name = "ADDRESS")]
    mail: Option<String>,
}

/// A channel.
#[derive(Args, Clone, Debug)]
pub(super) struct Named {
    /// The wiki.
    wiki: Slug,
    /// The channel's id; not needed if the wiki has a single channel.
    id: Option<String>,
}

pub(super) async fn run(
    place: Place,
    token: Option<String>,
    command: ChannelCommand,
    as_json: bool,
) -> Result<(), Failure> {
    place.must_exist()?;
    // Only a test uses the network.
    let links = matches!(command, ChannelCommand::Test(_)).then(Options::default);
    let through = Through::open(&place, token, links).await?;
    let done = channel(&through, command, as_json).await;
    through.close().await;
    done
}

async fn channel(through: &Through, command: ChannelCommand, as_json: bool) -> Result<(), Failure> {
    match command {
        ChannelCommand::Add(Add { wiki, webhook, mail }) => {
            let body = match webhook {
                Some(url) if url == "-" => {
                    json!({ "webhook": std::io::read_to_string(std::io::stdin())?.trim() })
                }
                Some(url) => json!({ "webhook": url }),
                None => json!({ "mail": mail }),
            };
            let path = format!("/wikis/{wiki}/channels");
            shown(&through.admin(Method::POST, &path, Some(&body)).await?, as_json)
        }
        ChannelCommand::List { wiki } => {
            let channels = through.admin_list(&format!("/wikis/{wiki}/channels")).await?;
            if as_json {
                return shown_json(&json!(channels));
            }
            let mut table = table(["ID", "KIND", "TARGET", "CREATED"]);
            for channel in &channels {
                table.add_row(["id", "kind", "target", "created"].map(|name| cell(&channel[name])));
            }
            print(&format!("{table}\n"))
        }
        ChannelCommand::Test(named) => {
            let path = through.one_of(&named.wiki, "channels", named.id.as_deref()).await?;
            let tested = through.admin(Method::POST, &format!("{path}/test"), None).await?;
            shown(&tested, as_json)?;
            match tested["ok"].as_bool() {
                Some(true) => Ok(()),
                _ => Err("the channel wasn't told".into()),
            }
        }
        ChannelCommand::Remove(named) => {
            let path = through.one_of(&named.wiki, "channels", named.id.as_deref()).await?;
            through.admin(Method::DELETE, &path, None).await?;
            print("removed\n")
        }
    }
}
