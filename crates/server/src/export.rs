//! Exports a wiki as one file, or as the data directory of an OtterWiki.

mod file;

use std::path::{Path, PathBuf};

use serde::Serialize;
use wikigrove_tenant::storage::FileError;
use wikigrove_tenant::storage::files::{create_private_dir, sync_dir, sync_filesystem};
use wikigrove_tenant::storage::otterwiki::{CaseMode, Draft, Tables};
use wikigrove_tenant::{Caller, Error, Platform, Slug, Wiki, storage};

use crate::import::{ImportError, Left, git, shown};

pub use file::{FileReport, export_file, export_to};

/// Number of pages that are read from the index at once.
const BATCH: usize = 1000;
/// Number of digits of a commit id that OtterWiki stores with a draft.
const SHORT: usize = 6;

/// The result of an export: numbers of exported rows, and omissions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ExportReport {
    /// The wiki's name in URLs.
    pub slug: String,
    /// The directory that was made.
    pub directory: String,
    /// The newest revision.
    pub head: Option<String>,
    /// Number of preferences.
    pub preferences: usize,
    /// Number of drafts.
    pub drafts: usize,
    /// Number of accounts, which are exported without passwords.
    pub users: usize,
    /// Things that were omitted, or can't be reached in OtterWiki.
    pub left: Vec<Left>,
}

impl ExportReport {
    /// The report as text for people.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "exported {} to {} (head {})\n{} preferences, {} drafts, {} users\n",
            self.slug,
            shown(&self.directory),
            self.head.as_deref().unwrap_or("nothing"),
            self.preferences,
            self.drafts,
            self.users
        );
        for Left { what, name, why } in &self.left {
            text += &format!("{what} {}: {why}\n", shown(name));
        }
        text
    }

    fn leave(&mut self, what: &'static str, name: &str, why: &str) {
        self.left.push(Left { what, name: name.to_owned(), why: why.to_owned() });
    }
}

/// Writes a wiki into the new directory `to` in the layout of OtterWiki: `repository` with the whole history and a work
/// tree, and `db.sqlite`. The directory appears complete or not at all.
///
/// # Errors
/// There is no such wiki; `to` exists; the disk is full.
pub async fn export_otterwiki(
    platform: &Platform,
    slug: &Slug,
    to: &Path,
) -> Result<ExportReport, ImportError> {
    let wiki = platform.wiki(slug.as_str(), Caller::operator()).await?;
    let mut report = ExportReport {
        slug: slug.to_string(),
        directory: to.display().to_string(),
        head: wiki.head().await?.map(|head| head.to_string()),
        ..ExportReport::default()
    };
    let tables = tables(&wiki, &mut report).await?;
    for name in platform.secret_names(wiki.id()).await? {
        report.leave("secret", &name, "secrets are not exported; its setting is empty");
    }
    let repo = wiki.repository()?;
    if to.exists() {
        let source = std::io::ErrorKind::AlreadyExists.into();
        return Err(file_error("create", to, source).into());
    }
    let parent = parent(to);
    let parent = parent.canonicalize().map_err(|source| file_error("find", &parent, source))?;
    let building = tempfile::Builder::new()
        .prefix(".wikigrove-export-")
        .tempdir_in(&parent)
        .map_err(|source| file_error("create a directory in", &parent, source))?;
    let made = building.path().join("made");
    fill(&made, &repo, &tables)?;
    std::fs::rename(&made, to).map_err(|source| file_error("move into place", to, source))?;
    sync_dir(&parent).map_err(Error::from)?;
    Ok(report)
}

fn fill(made: &Path, repo: &Path, tables: &Tables) -> Result<(), ImportError> {
    create_private_dir(made).map_err(Error::from)?;
    let branch = git::refs(repo)?.branch;
    git::clone(repo, branch.as_deref(), &made.join("repository"))?;
    tables.write_new(&made.join("db.sqlite"))?;
    Ok(sync_filesystem(made).map_err(Error::from)?)
}

fn parent(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new(".")).to_owned()
}

fn file_error(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    FileError { action, path: path.to_owned(), source }.into()
}

/// The wiki's rows, with names and values that OtterWiki knows.
async fn tables(wiki: &Wiki, report: &mut ExportReport) -> Result<Tables, ImportError> {
    const CASE: &str = "RETAIN_PAGE_NAME_CASE";
    let mut tables = wiki.source_tables().await?;
    // Preferences that OtterWiki doesn't know.
    tables
        .preferences
        .retain(|(name, _)| !["LEGACY_URLS", "GIT_FORCE_PUSH"].contains(&name.as_str()));
    let row = tables.preferences.iter().find(|(name, _)| name.eq_ignore_ascii_case(CASE));
    let case = match row {
        Some((_, value)) => case_mode(value.as_deref()),
        // Without this preference, files are named like their pages; capitals show that case matters.
        None if wiki.survey().await?.with_capitals.iter().any(|name| name.ends_with(".md")) => {
            tables.preferences.push((CASE.to_owned(), Some("True".to_owned())));
            CaseMode::Retain
        }
        None => CaseMode::Lower,
    };
    note_unreachable(wiki, case, report).await?;
    tables.drafts = drafts(&tables.drafts, case, report);
    report.preferences = tables.preferences.len();
    report.drafts = tables.drafts.len();
    report.users = tables.users.len();
    Ok(tables)
}

fn case_mode(value: Option<&str>) -> CaseMode {
    match value.unwrap_or_default().to_lowercase().as_str() {
        "true" | "yes" => CaseMode::Retain,
        _ => CaseMode::Lower,
    }
}

/// Reports pages whose names don't lead back to their files in OtterWiki.
async fn note_unreachable(
    wiki: &Wiki,
    case: CaseMode,
    report: &mut ExportReport,
) -> Result<(), Error> {
    let mut after: Option<String> = None;
    loop {
        let pages = wiki.pages("", after.as_deref(), BATCH).await?;
        for page in &pages {
            let file = format!("{}.md", page.path);
            if case.file_name(&case.full_page_name(&file)) != file {
                report.leave("page", &page.path, "OtterWiki looks for it under another name");
            }
        }
        match pages.last() {
            Some(last) => after = Some(last.path.clone()),
            None => return Ok(()),
        }
    }
}

/// The drafts of users whose mail address is known.
fn drafts(found: &[Draft], case: CaseMode, report: &mut ExportReport) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for draft in found {
        let Some(email) = draft.author.as_deref().and_then(|author| author.strip_prefix("mailto:"))
        else {
            report.leave("draft", &draft.page, "its author isn't known by an address");
            continue;
        };
        let is_commit = |text: &&str| text.parse::<storage::Revision>().is_ok();
        let revision = draft.revision.as_deref();
        let short = revision.filter(is_commit).map(|full| full[..SHORT].to_owned());
        drafts.push(Draft {
            page: case.full_page_name(&format!("{}.md", draft.page)),
            author: Some(email.to_owned()),
            revision: short.or_else(|| draft.revision.clone()),
            ..draft.clone()
        });
    }
    drafts
}
