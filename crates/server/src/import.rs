//! Imports a git repository or bundle with its whole history, or an OtterWiki or exported wiki with all its data.
//!
//! The source is read and checked before the first change, and the wiki appears complete and indexed or not at all. The
//! source is never written to, and nothing in it is executed.

pub mod all;
mod archived;
mod error;
mod foreign;
pub(crate) mod git;
mod habits;
mod linked;
mod otterwiki;
mod report;
mod repository;
mod source;
mod update;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use wikigrove_tenant::storage::IndexProgress;
use wikigrove_tenant::storage::files::sync_filesystem;
use wikigrove_tenant::{NewTenant, Platform, Revision, Secret, Slug, Tenant, storage};

use crate::archive::Incoming;
pub use error::ImportError;
use git::Checks;
use otterwiki::Plan;
pub(crate) use report::shown;
pub use report::{Hint, Left, Report, Updated};
use repository::Repository;
use source::{Source, recognise};
pub use update::{rehearse_update, update};

/// The current step of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// git is working: its current step, and the progress of that in percent.
    Git(&'a str, u8),
    /// The index is being built.
    Index(IndexProgress),
}

/// Options of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The subjects of draft authors by mail address. Other authors get `mailto:` and their address.
    pub subjects: BTreeMap<String, String>,
}

impl Options {
    fn subject(&self, email: &str) -> String {
        self.subjects.get(email).cloned().unwrap_or_else(|| format!("mailto:{email}"))
    }
}

/// Creates a wiki from `source`: the branch of its HEAD with the whole history and, from an OtterWiki, preferences,
/// drafts and accounts. The wiki appears complete and indexed, or not at all.
///
/// # Errors
/// The source isn't recognised, has no branch, or is damaged; the slug is taken; the disk is full.
pub async fn import(
    platform: &Platform,
    mut new: NewTenant,
    source: &Path,
    options: &Options,
    progress: impl FnMut(Progress<'_>) + Send + 'static,
) -> Result<(Tenant, Report), ImportError> {
    let prepared = Prepared::read(source, &new.slug, options)?;
    if let Some(name) = prepared.site_name().filter(|_| new.title == new.slug.as_str()) {
        new.title = name.to_owned();
    }
    let lock = platform.lock_for_child()?;
    let (done, report) = mpsc::channel();
    let vault = platform.clone();
    let make = move |dir: &Path, tenant: &Tenant| {
        let options = storage::Options {
            preferences: tenant.preferences.clone(),
            is_new: true,
            ..storage::Options::new(tenant.id.to_string())
        };
        let keep = |name: &str, value: &Secret| {
            let kept = vault.put_secret_blocking(tenant.id, name, value);
            kept.map_err(|error| storage::Error::Repository(Box::new(error)))
        };
        let report = prepared.fill(dir, options, Some(lock), keep, progress)?;
        // Received below. Sending fails only if the future of this import was dropped.
        let _ = done.send(report);
        Ok(())
    };
    let tenant = platform.create_with(new, make).await?;
    Ok((tenant, report.try_recv().unwrap_or_default()))
}

/// Does all that [`import`] does in a temporary directory, and returns the report. `data` is only read.
///
/// # Errors
/// As [`import`].
pub fn rehearse(
    data: &Path,
    slug: &Slug,
    source: &Path,
    options: &Options,
    progress: impl FnMut(Progress<'_>),
) -> Result<Report, ImportError> {
    if data.join("wikis").join(slug.as_str()).exists() {
        return Err(ImportError::Taken { slug: slug.clone() });
    }
    let prepared = Prepared::read(source, slug, options)?;
    let scratch = Scratch::new()?;
    let report =
        prepared.fill(&scratch.wiki(), Scratch::options(), None, |_, _| Ok(()), progress)?;
    Ok(Report { dry_run: true, ..report })
}

/// A temporary directory for a dry run.
struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Result<Self, ImportError> {
        Self::new_in(&std::env::temp_dir())
    }

    fn new_in(dir: &Path) -> Result<Self, ImportError> {
        let unwritable = |source| ImportError::Unreadable { path: dir.to_owned(), source };
        Ok(Self(tempfile::tempdir_in(dir).map_err(unwritable)?))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn wiki(&self) -> PathBuf {
        self.path().join("wiki")
    }

    fn options() -> storage::Options {
        storage::Options { is_new: true, ..storage::Options::new("rehearsal") }
    }
}

/// A source that was read and checked except for its history.
struct Prepared {
    work_tree: Option<PathBuf>,
    branch: String,
    history: History,
    plan: Option<Plan>,
    report: Report,
}

/// Selects the branch to import and its commit. The other branches are added to the report.
fn taken(
    path: &Path,
    refs: git::Refs,
    report: &mut Report,
) -> Result<(String, Option<Revision>), ImportError> {
    let branch = refs.branch.ok_or_else(|| ImportError::NoBranch { path: path.to_owned() })?;
    if refs.is_detached {
        let why = format!("it is detached: the commit that it names became {branch}");
        report.leave("branch", "HEAD", why);
    }
    report.note_refs(&refs.others);
    Ok((branch, refs.head))
}

/// The location of the history.
enum History {
    /// A bundle that git reads: its path, whether its HEAD is detached, and the commit of its HEAD.
    Bundle(PathBuf, bool, Option<Revision>),
    /// A repository that git isn't run in, with the branch and commit to import.
    Repository(Repository, String, Revision),
    /// An exported wiki, with all its data.
    Archive(Box<Incoming>),
}

impl Prepared {
    fn read(source: &Path, slug: &Slug, options: &Options) -> Result<Self, ImportError> {
        let recognised = recognise(source)?;
        let mut report = Report {
            slug: slug.to_string(),
            source: source.display().to_string(),
            kind: recognised.kind(),
            ..Report::default()
        };
        let plan = match &recognised {
            Source::OtterWiki(layout) => Some(Plan::read(layout, options, &mut report)?),
            Source::Repository(_) | Source::Bundle(_) | Source::Archive(_) => None,
        };
        let (repository, work_tree) = match recognised {
            Source::OtterWiki(layout) => (layout.repository, layout.work_tree),
            Source::Repository(repository) => (repository, None),
            Source::Bundle(path) => {
                let refs = git::refs(&path)?;
                let is_detached = refs.is_detached;
                let (branch, head) = taken(&path, refs, &mut report)?;
                let history = History::Bundle(path, is_detached, head);
                return Ok(Self { work_tree: None, branch, history, plan, report });
            }
            Source::Archive(path) => return archived::read(path, report),
        };
        let (branch, head) = taken(repository.path(), repository.refs()?, &mut report)?;
        let head =
            head.ok_or_else(|| ImportError::NoBranch { path: repository.path().to_owned() })?;
        if let Some(grafts) = repository.grafts()? {
            let why =
                "grafts are no part of the history: the parents are those that the commits name";
            report.leave("grafts", grafts.display().to_string(), why);
        }
        let history = History::Repository(repository, branch.clone(), head);
        Ok(Self { work_tree, branch, history, plan, report })
    }

    fn site_name(&self) -> Option<&str> {
        match (&self.plan, &self.history) {
            (Some(plan), _) => plan.site_name.as_deref(),
            (None, History::Archive(archive)) => archived::title(archive),
            (None, History::Bundle(..) | History::Repository(..)) => None,
        }
    }

    /// Fills the new wiki's directory. Runs on its own thread.
    fn fill(
        mut self,
        dir: &Path,
        options: storage::Options,
        lock: Option<File>,
        keep: impl Fn(&str, &Secret) -> Result<(), storage::Error>,
        mut progress: impl FnMut(Progress<'_>),
    ) -> Result<Report, storage::Error> {
        storage::Wiki::create_on(dir, &self.branch)?;
        let (repo, branch) = (dir.join("repo"), &self.branch);
        let mut step = |what: &str, percent: u8| progress(Progress::Git(what, percent));
        let history = self.history.in_dir(dir, branch, &mut step).map_err(ImportError::boxed)?;
        if let Some(history) = &history {
            let refspec = format!("{branch}:{branch}");
            git::fetch(&repo, history.path(), &refspec, lock, Checks::Objects, step)
                .map_err(|error| self.history.explained(error).boxed())?;
        }
        drop(history);
        let wiki = storage::Wiki::open(dir, options, &storage::Resources::default())?;
        if wiki.head()? != self.history.head() {
            return Err(ImportError::NotArrived { branch: branch.clone() }.boxed());
        }
        wiki.check_whole_history()?;
        if let Some(plan) = &self.plan {
            for (name, value) in &plan.secrets {
                keep(name, value)?;
            }
            let adopted = wiki.adopt(&plan.tables)?;
            for page in adopted.unresolved {
                self.report.leave("draft", page, "it is kept, but what it is based on isn't known");
            }
        }
        if let History::Archive(archive) = &self.history {
            archived::put_rows(archive, &wiki)?;
            archived::put_app_db(archive, dir).map_err(ImportError::boxed)?;
        }
        if let (None, History::Bundle(..) | History::Repository(..)) = (&self.plan, &self.history) {
            habits::adopt(&wiki, &mut self.report)?;
        }
        wiki.update_index(|commits| progress(Progress::Index(commits)))?;
        self.look_around(&wiki, &repo)?;
        wiki.close()?;
        // git syncs only its pack; its other files have to be durable before the wiki exists.
        sync_filesystem(dir)?;
        Ok(self.report)
    }

    /// Adds the newest revision, its files, and uncommitted changes of the source's work tree to the report.
    fn look_around(&mut self, wiki: &storage::Wiki, repo: &Path) -> Result<(), storage::Error> {
        self.report.head = wiki.head()?.map(|head| head.to_string());
        let survey = wiki.survey()?;
        let case = self.plan.as_ref().map(|plan| plan.case);
        self.report.note_survey(&survey, case);
        if let Some(work_tree) = &self.work_tree {
            for (why, file) in git::uncommitted(repo, work_tree).map_err(ImportError::boxed)? {
                self.report.leave("file", file, why);
            }
        }
        Ok(())
    }
}
