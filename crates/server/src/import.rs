//! Bringing in a git repository or bundle with its whole history, or an OtterWiki with all that
//! belongs to it.
//!
//! Everything is read and checked before the first change, and the wiki appears complete and indexed
//! or not at all. The source is never written to, and nothing in it is run.

pub mod all;
pub(crate) mod git;
mod otterwiki;
mod report;
mod update;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use wikigrove_tenant::storage::files::sync_filesystem;
use wikigrove_tenant::storage::otterwiki::CaseMode;
use wikigrove_tenant::{Error, NewTenant, Platform, Secret, Slug, Tenant, storage};

use otterwiki::{Layout, Plan};
pub(crate) use report::shown;
pub use report::{Hint, Left, Report, Updated};
pub use update::{rehearse_update, update};

/// Why a source can't be imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// There is nothing at this path.
    #[error("`{}` can't be read: {source}", path.display())]
    Unreadable {
        /// The path as given.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What is there is none of the things that are understood.
    #[error("`{}` is neither a git repository nor a git bundle, nor the data of an OtterWiki", path.display())]
    Unknown {
        /// The path.
        path: PathBuf,
    },
    /// The source has no branch to take.
    #[error("`{}` has no branch that a wiki could be made of", path.display())]
    NoBranch {
        /// The path.
        path: PathBuf,
    },
    /// A part of the source is damaged.
    #[error("`{}` can't be read: {source}", path.display())]
    Source {
        /// The part.
        path: PathBuf,
        /// What is wrong with it.
        source: storage::Error,
    },
    /// The wiki has changes of its own, or the source has another history.
    #[error(
        "`{slug}` has changes that the source doesn't have, so it can't simply follow it; nothing was changed"
    )]
    Diverged {
        /// The wiki.
        slug: Slug,
    },
    /// There is a wiki, or at least a directory, of this name.
    #[error("the slug `{slug}` is taken")]
    Taken {
        /// The name.
        slug: Slug,
    },
    /// The git program is missing or failed.
    #[error("git {command} failed: {detail}")]
    Git {
        /// The subcommand.
        command: &'static str,
        /// What git said last.
        detail: String,
    },
    /// The wiki could not be created or changed.
    #[error(transparent)]
    Platform(#[from] Error),
    /// A wiki that was made to see how it would go could not be.
    #[error(transparent)]
    Storage(#[from] storage::Error),
}

/// What an import is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// git is working: what it does, and how much of it is done, in percent.
    Git(&'a str, u8),
    /// The page index is being built: commits visited so far.
    Index(usize),
}

/// How an import is to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The subjects of people by their addresses, for their drafts. Who isn't here becomes
    /// `mailto:` and the address.
    pub subjects: BTreeMap<String, String>,
}

impl Options {
    fn subject(&self, email: &str) -> String {
        self.subjects.get(email).cloned().unwrap_or_else(|| format!("mailto:{email}"))
    }
}

/// Creates a wiki from what is at `source`: the branch its HEAD names with the whole history and, of
/// an OtterWiki, preferences, drafts and accounts. The wiki appears complete and indexed, or not at
/// all.
///
/// # Errors
/// The source isn't understood, has no branch, or is damaged; the slug is taken; the disk is full.
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
            ..storage::Options::new(tenant.id.to_string())
        };
        let keep = |name: &str, value: &Secret| {
            let kept = vault.put_secret_blocking(tenant.id, name, value);
            kept.map_err(|error| storage::Error::Repository(Box::new(error)))
        };
        let report = prepared.fill(dir, options, Some(lock), keep, progress)?;
        // Whoever waits for it waits below.
        let _ = done.send(report);
        Ok(())
    };
    let tenant = platform.create_with(new, make).await?;
    Ok((tenant, report.try_recv().unwrap_or_default()))
}

/// Does all that [`import`] does, in a directory that is gone afterwards, and says what came of it.
/// `data` is only looked at.
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

/// A directory to try things in.
struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Result<Self, ImportError> {
        let unreadable = |source| ImportError::Unreadable { path: std::env::temp_dir(), source };
        Ok(Self(tempfile::tempdir().map_err(unreadable)?))
    }

    fn wiki(&self) -> PathBuf {
        self.0.path().join("wiki")
    }

    fn options() -> storage::Options {
        storage::Options::new("rehearsal")
    }
}

/// A source that was read as far as it can be without its history.
struct Prepared {
    repository: PathBuf,
    work_tree: Option<PathBuf>,
    branch: String,
    plan: Option<Plan>,
    report: Report,
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
            Source::Git(_) => None,
        };
        let (repository, work_tree) = match recognised {
            Source::OtterWiki(layout) => (layout.repository, layout.work_tree),
            Source::Git(repository) => (repository, None),
        };
        let refs = git::refs(&repository)?;
        let branch =
            refs.branch.ok_or_else(|| ImportError::NoBranch { path: repository.clone() })?;
        for name in refs.others {
            report.leave("branch", name, "only the branch that HEAD names is taken");
        }
        Ok(Self { repository, work_tree, branch, plan, report })
    }

    fn site_name(&self) -> Option<&str> {
        self.plan.as_ref()?.site_name.as_deref()
    }

    /// Fills the new wiki's directory. Runs on a thread of its own.
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
        let step = |what: &str, percent: u8| progress(Progress::Git(what, percent));
        git::fetch(&repo, &self.repository, branch, branch, lock, step).map_err(boxed)?;
        let wiki = storage::Wiki::open(dir, options, &storage::Resources::default())?;
        if let Some(plan) = &self.plan {
            for (name, value) in &plan.secrets {
                keep(name, value)?;
            }
            let adopted = wiki.adopt(&plan.tables)?;
            for page in adopted.unresolved {
                self.report.leave("draft", page, "it is kept, but what it is based on isn't known");
            }
        }
        wiki.update_index(|commits| progress(Progress::Index(commits)))?;
        self.look_around(&wiki, &repo)?;
        wiki.close()?;
        // git synced its pack at most; what else it wrote has to be on the disk before the wiki
        // exists.
        sync_filesystem(dir)?;
        Ok(self.report)
    }

    /// Says what is in the history, and what isn't.
    fn look_around(&mut self, wiki: &storage::Wiki, repo: &Path) -> Result<(), storage::Error> {
        self.report.head = wiki.head()?.map(|head| head.to_string());
        let survey = wiki.survey()?;
        let case = self.plan.as_ref().map(|plan| plan.case);
        note_survey(&survey, case, &mut self.report);
        if let Some(work_tree) = &self.work_tree {
            for (why, file) in git::uncommitted(repo, work_tree).map_err(boxed)? {
                self.report.leave("file", file, why);
            }
        }
        Ok(())
    }
}

fn boxed(error: ImportError) -> storage::Error {
    storage::Error::Repository(Box::new(error))
}

fn note_survey(survey: &storage::Survey, case: Option<CaseMode>, report: &mut Report) {
    (report.files, report.pages) = (survey.files, survey.pages);
    for (name, why) in &survey.refused {
        report.leave(
            "name",
            name,
            format!("it stays readable, but couldn't be created here: {why}"),
        );
    }
    for (one, other) in &survey.colliding {
        report.leave("name", other, format!("it differs from `{one}` only in case or composition"));
    }
    for link in &survey.links {
        report.leave("link", link, "it stays in the history and is never followed");
    }
    for submodule in &survey.submodules {
        report.leave("submodule", submodule, "it stays in the history; what it names isn't here");
    }
    if case == Some(CaseMode::Lower) {
        let pages = survey.with_capitals.iter().filter(|name| name.ends_with(".md"));
        for name in pages {
            report.leave(
                "name",
                name,
                "it has capitals, where the source looked for lower case only",
            );
        }
    }
}

/// What can be imported, recognised by its content.
#[derive(Debug)]
enum Source {
    /// A repository's own directory or a bundle.
    Git(PathBuf),
    OtterWiki(Layout),
}

impl Source {
    fn kind(&self) -> &'static str {
        match self {
            Self::Git(_) => "git",
            Self::OtterWiki(layout) => layout.kind,
        }
    }
}

fn recognise(source: &Path) -> Result<Source, ImportError> {
    let unreadable = |error| ImportError::Unreadable { path: source.to_owned(), source: error };
    // Absolute, so that git can take it for nothing but a path.
    let path = source.canonicalize().map_err(unreadable)?;
    if path.is_dir() {
        if let Some(layout) = otterwiki::recognise(&path) {
            return Ok(Source::OtterWiki(layout));
        }
        return repository_in(&path).map(Source::Git).ok_or(ImportError::Unknown { path });
    }
    let mut beginning = Vec::new();
    let file = File::open(&path).map_err(unreadable)?;
    file.take(32).read_to_end(&mut beginning).map_err(unreadable)?;
    let is_bundle =
        beginning.starts_with(b"# v2 git bundle\n") || beginning.starts_with(b"# v3 git bundle\n");
    if is_bundle { Ok(Source::Git(path)) } else { Err(ImportError::Unknown { path }) }
}

/// The directory that git reads, of a repository with a work tree or a bare one.
fn repository_in(path: &Path) -> Option<PathBuf> {
    let is_repository = |dir: &PathBuf| dir.join("HEAD").is_file() && dir.join("objects").is_dir();
    [path.join(".git"), path.to_owned()].into_iter().find(is_repository)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_recognised_by_their_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("text.bundle"), "just text").unwrap();
        std::fs::write(path("history"), "# v2 git bundle\n0123 refs/heads/main\n\nPACK").unwrap();
        std::fs::create_dir_all(path("work/.git/objects")).unwrap();
        std::fs::write(path("work/.git/HEAD"), "ref: refs/heads/main\n").unwrap();
        std::fs::create_dir(path("empty")).unwrap();
        assert!(matches!(recognise(&path("text.bundle")), Err(ImportError::Unknown { .. })));
        assert!(matches!(recognise(&path("empty")), Err(ImportError::Unknown { .. })));
        assert!(matches!(recognise(&path("missing")), Err(ImportError::Unreadable { .. })));
        let git = |name: &str| match recognise(&path(name)).unwrap() {
            Source::Git(repository) => repository,
            other => panic!("{other:?}"),
        };
        assert!(git("history").is_absolute());
        assert!(git("work").ends_with("work/.git"));
        assert!(git("work/.git").ends_with("work/.git"));
    }

    #[test]
    fn an_otterwiki_is_a_repository_beside_a_database() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for repository in ["a/repository/.git", "b/repository", "c/repo"] {
            std::fs::create_dir_all(path(repository).join("objects")).unwrap();
            std::fs::write(path(repository).join("HEAD"), "ref: refs/heads/main\n").unwrap();
        }
        assert!(matches!(recognise(&path("a")), Err(ImportError::Unknown { .. })));
        for file in ["a/db.sqlite", "b/db.sqlite", "c/wiki.db"] {
            std::fs::write(path(file), "").unwrap();
        }
        for (name, kind, is_bare) in
            [("a", "otterwiki", false), ("b", "otterwiki", true), ("c", "platform", true)]
        {
            let Source::OtterWiki(layout) = recognise(&path(name)).unwrap() else {
                panic!("{name}")
            };
            assert_eq!((layout.kind, layout.work_tree.is_none()), (kind, is_bare), "{name}");
        }
    }
}
