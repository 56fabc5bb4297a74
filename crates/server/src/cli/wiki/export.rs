//! `wikigrove wiki export`

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use wikigrove_tenant::{Platform, Slug};

use super::progress::{bar, show};
use crate::cli::Failure;
use crate::cli::output::print;
use crate::export::{export_file, export_otterwiki, export_to};
use crate::import::Progress;

#[derive(Args, Debug)]
pub(in crate::cli) struct Export {
    /// The wiki's name in URLs.
    slug: Slug,
    /// The file to be made, for `wiki import`; `-` is the standard output.
    #[arg(required_unless_present = "otterwiki", conflicts_with = "otterwiki")]
    file: Option<PathBuf>,
    /// The data directory of an OtterWiki, to be made.
    #[arg(long, value_name = "DIR")]
    otterwiki: Option<PathBuf>,
}

pub(super) async fn run(platform: &Platform, args: Export, as_json: bool) -> Result<(), Failure> {
    let Export { slug, file, otterwiki } = args;
    if let Some(directory) = otterwiki {
        let report = export_otterwiki(platform, &slug, &directory).await?;
        return print(&text(&report, as_json, || report.to_text())?);
    }
    let file = file.unwrap_or_default();
    let bar = bar()?;
    let progress = |what: &str, percent: u8| show(&bar, Progress::Git(what, percent));
    let is_stdout = file == Path::new("-");
    let report = if is_stdout {
        let mut out = std::io::stdout().lock();
        if out.is_terminal() {
            return Err("the file isn't text: say where to, such as `> wiki.tar`".into());
        }
        export_to(platform, &slug, &mut out, progress).await
    } else {
        export_file(platform, &slug, &file, progress).await
    };
    bar.finish_and_clear();
    let report = report?;
    let text = text(&report, as_json, || report.to_text())?;
    if !is_stdout {
        return print(&text);
    }
    // Standard output has the file.
    Ok(std::io::stderr().write_all(text.as_bytes())?)
}

fn text(
    report: &impl Serialize,
    as_json: bool,
    to_text: impl FnOnce() -> String,
) -> Result<String, Failure> {
    if as_json {
        return Ok(format!("{}\n", serde_json::to_string_pretty(report)?));
    }
    Ok(to_text())
}
