//! `wikigrove conflict …`

use clap::Subcommand;
use http::Method;
use serde_json::json;
use wikigrove_tenant::Slug;

use super::Failure;
use super::local::Place;
use super::output::{cell, print, shown, shown_json, table};
use super::through::Through;

#[derive(Debug, Subcommand)]
pub(super) enum ConflictCommand {
    /// List a wiki's conflicts.
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
    /// Resolve a conflict: the page stays as it is, or gets the text of a file, and the page beside it
    /// that holds the losing text is removed. A page that couldn't keep its name stays under its new
    /// one.
    Resolve {
        /// The wiki.
        wiki: Slug,
        /// The conflict's number.
        id: u64,
        /// A file with the page's new text.
        #[arg(long, value_name = "FILE")]
        content: Option<std::path::PathBuf>,
    },
}

pub(super) async fn run(
    place: Place,
    token: Option<String>,
    command: ConflictCommand,
    as_json: bool,
) -> Result<(), Failure> {
    place.must_exist()?;
    let through = Through::open(&place, token, None).await?;
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
            let found = through.wiki_list(wiki.as_str(), "/conflicts").await?;
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
            let mut conflict = through.wiki(wiki.as_str(), Method::GET, &path, None).await?;
            if as_json {
                return shown_json(&conflict);
            }
            let texts = conflict["texts"].take();
            shown(&conflict, false)?;
            for (name, heading) in [("base", "before"), ("ours", "here"), ("theirs", "there")] {
                let text = texts[name].as_str().unwrap_or("(none)");
                print(&format!("\n--- {heading} ---\n{}\n", cell(&json!(text)).trim_end()))?;
            }
            Ok(())
        }
        ConflictCommand::Resolve { wiki, id, content } => {
            let path = format!("/conflicts/{id}");
            let mut body = json!({});
            if let Some(file) = content {
                let text = std::fs::read_to_string(&file)
                    .map_err(|error| format!("{}: {error}", file.display()))?;
                let conflict = through.wiki(wiki.as_str(), Method::GET, &path, None).await?;
                // A page that couldn't keep its name is at its new path.
                let place = match conflict["kind"].as_str() {
                    Some("same_name" | "file_and_directory") => "conflict_path",
                    _ => "path",
                };
                let page = conflict[place].as_str().unwrap_or_default();
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

/// Percent-encodes a page's path for a URL.
fn percent(path: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEPT: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
    utf8_percent_encode(path, KEPT).to_string()
}
