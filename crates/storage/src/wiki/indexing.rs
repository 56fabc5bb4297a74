//! Keeps the index in step with the branch. Reads and saves never wait for a full update: they index a few commits
//! themselves, and leave more to a background call of [`Wiki::update_index`].

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use unicode_normalization::UnicodeNormalization as _;

use super::Wiki;
use crate::db::Database;
use crate::error::Error;
use crate::index::{self, CatchUp, IndexProgress};
use crate::page::{PageSummary, from_seconds, title};
use crate::page_path::ExistingPath;
use crate::repo::{Entry, Want};
use crate::revision::Revision;

/// Maximum number of commits that a read or a save indexes itself: a few milliseconds.
const A_LITTLE: usize = 16;
/// Maximum number of changed files in these commits.
const FEW_FILES: usize = 256;
/// Number of rounds in which saves may outrun the indexing; the last round then takes the writer lock.
const ROUNDS: usize = 4;

impl Wiki {
    /// Brings the index up to date with the branch. Reads and saves go on meanwhile. If the wiki is closed, the call
    /// stops early, and the next call continues where it stopped. `progress` is called repeatedly.
    ///
    /// # Errors
    /// The repository or wiki.db can't be read or written.
    pub fn update_index(&self, mut progress: impl FnMut(IndexProgress)) -> Result<(), Error> {
        let database = self.database()?;
        let mut report = |now: IndexProgress| {
            *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
            progress(now);
            if self.ending.load(Ordering::Acquire) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let mut updated = Ok(());
        for round in 0.. {
            if self.behind(database)?.is_none() {
                break;
            }
            // In the order in which a save takes these locks.
            let _writer = if round < ROUNDS { None } else { Some(self.lock_writer()?) };
            let _alone = self.indexing.lock().unwrap_or_else(PoisonError::into_inner);
            updated = match self.catch_up(database, &mut report) {
                // A concurrent save left the index alone; the next round covers it.
                Ok(true) => continue,
                Ok(false) => Ok(()),
                Err(error) => Err(error),
            };
            break;
        }
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = None;
        updated
    }

    /// The progress of the index, if it doesn't describe the newest commit and won't in a moment.
    ///
    /// # Errors
    /// wiki.db can't be read.
    pub fn index_progress(&self) -> Result<Option<IndexProgress>, Error> {
        self.check_open()?;
        if self.head()?.is_none() || self.catch_up_a_little(self.database()?)? {
            return Ok(None);
        }
        let told = *self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Some(told.unwrap_or(IndexProgress { done: 0, total: 1 })))
    }

    /// Returns `true` if the index was found far behind since the last call: then [`update_index`](Self::update_index)
    /// should be called in the background.
    pub fn takes_index_request(&self) -> bool {
        self.index_wanted.load(Ordering::Relaxed)
            && self.index_wanted.swap(false, Ordering::Relaxed)
    }

    /// Stops a running [`update_index`](Self::update_index) or [`maintain`](Self::maintain) at its next step.
    pub fn stop_indexing(&self) {
        self.ending.store(true, Ordering::Release);
    }

    /// Returns wiki.db if its index describes the head, after indexing a few commits if necessary.
    pub(crate) fn fresh_index(&self) -> Result<Option<&Database>, Error> {
        let database = self.database()?;
        let is_fresh = self.catch_up_a_little(database)? && !self.is_ahead(database)?;
        Ok(is_fresh.then_some(database))
    }

    /// Returns `true` if the index describes a commit that didn't get onto the branch. The index isn't set back, since
    /// the next write or open moves the branch.
    fn is_ahead(&self, database: &Database) -> Result<bool, Error> {
        let stuck = {
            let known = self.head.read().unwrap_or_else(PoisonError::into_inner);
            known.coming.filter(|_| known.is_stuck)
        };
        let Some(stuck) = stuck else { return Ok(false) };
        database.read(|connection| Ok(index::current(connection)? == Some(stuck)))
    }

    /// Returns `true` if the index describes the head, after indexing a few commits if necessary.
    pub(crate) fn catch_up_a_little(&self, database: &Database) -> Result<bool, Error> {
        if self.behind(database)?.is_none() {
            return Ok(true);
        }
        // The holder of this lock is building the index.
        let Ok(_alone) = self.indexing.try_lock() else { return Ok(false) };
        let Some(head) = self.behind(database)? else { return Ok(true) };
        let indexed = database.read(|connection| Ok::<_, Error>(index::indexed(connection)?))?;
        let is_near = self.repo().is_near(indexed, head, A_LITTLE)?
            && self.repo().changes(indexed, head)?.len() <= FEW_FILES;
        if !is_near {
            self.index_wanted.store(true, Ordering::Relaxed);
            return Ok(false);
        }
        self.catch_up(database, &mut |_| ControlFlow::Continue(()))
    }

    /// Brings the index up to date; the caller must hold `indexing`.
    fn catch_up(&self, database: &Database, report: index::Report<'_>) -> Result<bool, Error> {
        let style = self.preferences()?.link_style();
        let coming = || self.head.read().unwrap_or_else(PoisonError::into_inner).coming;
        let way = CatchUp { repo: self.repo(), database, style, coming: &coming };
        index::catch_up(&way, report)
    }

    /// Returns the commit that the index should describe but doesn't. An index that already has the save being
    /// published isn't behind: it must not be set back.
    fn behind(&self, database: &Database) -> Result<Option<Revision>, Error> {
        let current = database.read(|connection| Ok::<_, Error>(index::current(connection)?))?;
        // In this order: a save that ends in between has moved the branch by the time the branch is read.
        let coming = self.head.read().unwrap_or_else(PoisonError::into_inner).coming;
        let head = self.head()?;
        let is_current = current == head || (current.is_some() && current == coming);
        Ok(head.filter(|_| !is_current))
    }

    /// Lists pages from the history, while the index is behind.
    pub(super) fn pages_from_git(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<PageSummary>, Error> {
        let Some(head) = self.head()? else { return Ok(Vec::new()) };
        let style = self.preferences()?.link_style();
        let pages: BTreeMap<ExistingPath, Entry> = self
            .repo()
            .files(head)?
            .into_iter()
            .filter(|(_, entry)| entry.is_file())
            .filter_map(|(file, entry)| {
                Some((ExistingPath::of_file(std::str::from_utf8(&file).ok()?)?, entry))
            })
            .filter(|(path, _)| {
                let begins = path.as_str().starts_with(prefix)
                    || !prefix.is_ascii() && is_below(path.as_str(), prefix);
                begins && after.is_none_or(|after| path.as_str() > after)
            })
            .collect();
        let listed: Vec<_> = pages.into_iter().take(limit).collect();
        let want: Want = listed.iter().map(|(path, _)| path.file().into_bytes()).collect();
        let view = self.repo().view();
        let changed = self.repo().attribute(head, want, None, |_| ())?;
        let summary = |(path, entry): (ExistingPath, Entry)| {
            let content = view.blob(entry.id)?;
            let revision = changed.get(path.file().as_bytes()).copied().unwrap_or(head);
            let commit = view.commit(revision)?;
            Ok(PageSummary {
                title: title(&path, &content, style),
                path: path.as_str().to_owned(),
                etag: entry.id,
                size: content.len() as u64,
                revision,
                author: commit.author,
                modified: from_seconds(commit.time),
            })
        };
        listed.into_iter().map(summary).collect()
    }
}

/// Says if a path begins with a prefix, in any composition of both.
fn is_below(path: &str, prefix: &str) -> bool {
    let mut path = path.nfc();
    prefix.nfc().all(|c| path.next() == Some(c))
}
