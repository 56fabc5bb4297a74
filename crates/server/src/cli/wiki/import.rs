//! `wikigrove wiki import`

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use wikigrove_tenant::{Platform, Slug, check_subject};

use super::About;
use super::progress::{bar, show};
use crate::cli::Failure;
use crate::cli::local::{Place, open};
use crate::cli::output::print;
use crate::import::{self, Options, Progress, Report, all, rehearse, rehearse_update, shown};

#[derive(Args, Debug)]
pub(in crate::cli) struct Import {
    /// The wiki's name in URLs.
    #[arg(long, required_unless_present = "all", conflicts_with = "all")]
    slug: Option<Slug>,
    /// Import every directory in SOURCE that can be, each into a wiki called like it.
    #[arg(long)]
    all: bool,
    /// Bring an earlier import of the same source up to date.
    #[arg(long)]
    update: bool,
    /// Say what would be done, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// The subject of a person with this address, for their drafts [default: mailto:EMAIL].
    #[arg(long = "subject", value_name = "EMAIL=SUBJECT", value_parser = subject)]
    subjects: Vec<(String, String)>,
    #[command(flatten)]
    about: About,
    /// An exported wiki, a repository's directory, a bundle file, or the data directory of an OtterWiki.
    source: PathBuf,
}

fn subject(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((email, subject)) if !email.is_empty() => {
            check_subject(subject).map_err(|error| error.to_string())?;
            Ok((email.to_owned(), subject.to_owned()))
        }
        _ => Err("it must be an address, = and a subject".to_owned()),
    }
}

/// The result of importing one source.
struct Outcome {
    path: PathBuf,
    slug: Option<Slug>,
    report: Result<Report, Failure>,
}

pub(super) async fn run(place: &Place, args: Import, as_json: bool) -> Result<(), Failure> {
    // A dry run needs no platform, and must not create one.
    let platform = if args.dry_run { None } else { Some(open(place).await?) };
    let done = import(place, platform.as_ref(), &args, as_json).await;
    if let Some(platform) = platform {
        platform.close().await;
    }
    done
}

async fn import(
    place: &Place,
    platform: Option<&Platform>,
    args: &Import,
    as_json: bool,
) -> Result<(), Failure> {
    let Some(slug) = &args.slug else { return everything(place, platform, args, as_json).await };
    let report = one(place, platform, args, slug, &args.source).await?;
    if as_json {
        return print(&format!("{}\n", serde_json::to_string_pretty(&report)?));
    }
    print(&report.to_text())
}

async fn one(
    place: &Place,
    platform: Option<&Platform>,
    args: &Import,
    slug: &Slug,
    source: &Path,
) -> Result<Report, Failure> {
    let options = Options { subjects: args.subjects.iter().cloned().collect() };
    let bar = bar()?;
    let shown = bar.clone();
    let progress = move |progress: Progress<'_>| show(&shown, progress);
    // With `--all`, new wikis are imported even if `--update` is given.
    let exists = place.data.join("wikis").join(slug.as_str()).exists();
    let is_update = args.update && (exists || !args.all);
    let done = match platform {
        None if is_update => rehearse_update(&place.data, slug, source, &options, progress),
        None => rehearse(&place.data, slug, source, &options, progress),
        Some(platform) if is_update => {
            import::update(platform, slug, source, &options, progress).await
        }
        Some(platform) => {
            let new = args.about.clone().of(slug.clone());
            let imported = import::import(platform, new, source, &options, progress).await;
            imported.map(|(_, report)| report)
        }
    };
    bar.finish_and_clear();
    Ok(done?)
}

async fn everything(
    place: &Place,
    platform: Option<&Platform>,
    args: &Import,
    as_json: bool,
) -> Result<(), Failure> {
    let (candidates, others) = all::candidates(&args.source)?;
    let mut outcomes = Vec::new();
    for candidate in candidates {
        let report = match &candidate.slug {
            Ok(slug) => one(place, platform, args, slug, &candidate.path).await,
            Err(why) => Err(why.clone().into()),
        };
        outcomes.push(Outcome { path: candidate.path, slug: candidate.slug.ok(), report });
    }
    let failed = outcomes.iter().filter(|outcome| outcome.report.is_err()).count();
    let text = if as_json { in_json(&outcomes, others)? } else { in_words(&outcomes, others) };
    print(&text)?;
    if failed > 0 {
        return Err(format!("{failed} of {} could not be imported", outcomes.len()).into());
    }
    Ok(())
}

fn in_json(outcomes: &[Outcome], others: usize) -> Result<String, Failure> {
    let rows: Vec<_> = outcomes
        .iter()
        .map(|Outcome { path, slug, report }| {
            let error = report.as_ref().err().map(ToString::to_string);
            json!({ "source": path.display().to_string(), "slug": slug, "report": report.as_ref().ok(), "error": error })
        })
        .collect();
    let whole = json!({ "wikis": rows, "other_directories": others });
    Ok(format!("{}\n", serde_json::to_string_pretty(&whole)?))
}

fn in_words(outcomes: &[Outcome], others: usize) -> String {
    let mut text = String::new();
    let mut table = super::table(["SOURCE", "SLUG", "RESULT"]);
    for Outcome { path, slug, report } in outcomes {
        if let Ok(report) = report {
            text += &report.to_text();
            text.push('\n');
        }
        let result = match report {
            Ok(report) => {
                format!("{} pages, {} left behind or odd", report.pages, report.left.len())
            }
            Err(error) => format!("FAILED: {}", shown(&error.to_string())),
        };
        let slug = slug.as_ref().map_or("-", Slug::as_str).to_owned();
        table.add_row([shown(&path.display().to_string()), slug, result]);
    }
    text += &format!("{table}\n");
    if others > 0 {
        text += &format!("{others} other directories are nothing that can be imported\n");
    }
    text
}
