//! Updates an imported wiki from its source.

use std::path::Path;

use wikigrove_tenant::{Caller, Error, Platform, Slug, TenantId, storage};

use super::{
    History, ImportError, Options, Prepared, Progress, Report, Scratch, Updated, archived, git,
};

/// Updates an imported wiki from the same source: new commits, and the preferences and drafts that changed only there.
/// Nothing is changed unless the update is a fast-forward.
///
/// # Errors
/// [`ImportError::Diverged`]; there is no such wiki; otherwise as [`import`](super::import).
pub async fn update(
    platform: &Platform,
    slug: &Slug,
    source: &Path,
    options: &Options,
    mut progress: impl FnMut(Progress<'_>) + Send + 'static,
) -> Result<Report, ImportError> {
    let Prepared { work_tree, branch, history, plan, mut report } =
        Prepared::read(source, slug, options)?;
    let scratch = Scratch::new_in(&platform.scratch()?)?;
    let mut step = move |what: &str, percent: u8| progress(Progress::Git(what, percent));
    let fetched = history.in_dir(scratch.path(), &branch, &mut step)?;
    // Read before the first change, because it may be damaged.
    let tables = match &history {
        History::Archive(archive) => {
            archived::note_kept(archive, &mut report);
            Some(archived::tables(archive)?)
        }
        History::Bundle(..) | History::Repository(..) => None,
    };
    let wiki = platform.wiki(slug.as_str(), Caller::operator()).await?;
    let from = wiki.head().await?;
    let lock = platform.lock_for_child()?;
    if let Some(fetched) = fetched {
        let fetch = move |repo: &Path| {
            let fetched = git::fetch_beside(repo, fetched.path(), &branch, lock, step);
            fetched.map_err(|error| history.explained(error).boxed())
        };
        if !wiki.fast_forward(fetch).await? {
            return Err(ImportError::Diverged { slug: slug.clone() });
        }
    }
    let mut updated = Updated { from: from.map(|head| head.to_string()), ..Updated::default() };
    let mut case = None;
    if let Some(plan) = plan {
        case = Some(plan.case);
        keep_new_secrets(platform, wiki.id(), &plan.secrets, &mut report).await?;
        let refresh = wiki.refresh(plan.tables).await?;
        (updated.taken, updated.kept) = (refresh.taken, refresh.kept);
    }
    if let Some(tables) = tables {
        let refresh = wiki.refresh(tables).await?;
        (updated.taken, updated.kept) = (refresh.taken, refresh.kept);
    }
    report.head = wiki.head().await?.map(|head| head.to_string());
    report.note_survey(&wiki.survey().await?, case);
    if let Some(work_tree) = work_tree {
        for (why, file) in git::uncommitted(&wiki.repository()?, &work_tree)? {
            report.leave("file", file, why);
        }
    }
    report.updated = Some(updated);
    Ok(report)
}

/// Stores new secrets. Existing ones stay, because it is unknown which value is the right one.
async fn keep_new_secrets(
    platform: &Platform,
    wiki: TenantId,
    secrets: &[(String, wikigrove_tenant::Secret)],
    report: &mut Report,
) -> Result<(), Error> {
    report.secrets.clear();
    for (name, value) in secrets {
        match platform.secret(wiki, name).await? {
            None => {
                platform.put_secret(wiki, name, value.clone()).await?;
                report.secrets.push(name.clone());
            }
            Some(kept) if kept == *value => {}
            Some(_) => report.leave("secret", name, "it is another one at the source; ours stays"),
        }
    }
    Ok(())
}

/// Checks that [`update`] would succeed, without changing anything: the source is fetched into a temporary directory.
///
/// # Errors
/// As [`update`].
pub fn rehearse_update(
    data: &Path,
    slug: &Slug,
    source: &Path,
    options: &Options,
    progress: impl FnMut(Progress<'_>),
) -> Result<Report, ImportError> {
    let repo = data.join("wikis").join(slug.as_str()).join("repo");
    if !repo.is_dir() {
        return Err(ImportError::Platform(Error::UnknownWiki));
    }
    let from = git::refs(&repo)?.head;
    let prepared = Prepared::read(source, slug, options)?;
    let scratch = Scratch::new()?;
    let mut report =
        prepared.fill(&scratch.wiki(), Scratch::options(), None, |_, _| Ok(()), progress)?;
    let resources = storage::Resources::default();
    let theirs = storage::Wiki::open(&scratch.wiki(), Scratch::options(), &resources)?;
    match theirs.changes_since(from) {
        Ok(_) => {}
        Err(storage::Error::UnknownRevision { .. }) => {
            return Err(ImportError::Diverged { slug: slug.clone() });
        }
        Err(error) => return Err(error.into()),
    }
    report.leave("rehearsal", "preferences and drafts", "they are compared only when it is done");
    let updated = Updated { from: from.map(|head| head.to_string()), ..Updated::default() };
    Ok(Report { dry_run: true, updated: Some(updated), ..report })
}
