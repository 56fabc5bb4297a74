//! The handle of an open wiki.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, TryLockError};

use crate::cache::{PageCache, WikiPages};
use crate::db::{Database, PoolUse, Scheduler, Trouble};
use crate::deadline;
use crate::error::Error;
use crate::files;
use crate::index::{self, IndexProgress};
use crate::page::{Page, PageSummary, from_seconds, title};
use crate::page_path::ExistingPath;
use crate::preferences::{RawPreferences, Remembered};
use crate::publish::Writer;
use crate::recent::{Position, RecentChanges};
use crate::redo::Redo;
use crate::repeat::Unanswered;
use crate::repo::{self, Entry, HeadStamp, Repo, RepoError};
use crate::revision::{Etag, Revision};
use crate::spelling::stored_page;
use crate::sync::LinkId;
use crate::usage::{Quota, Room};
use crate::whole::Maps;
use crate::{layout, recover};

mod indexing;

/// Resources that all open wikis of a process share.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    /// The background thread of the connection pools.
    pub scheduler: Scheduler,
    /// The page cache.
    pub cache: PageCache,
}

/// Settings that the owner of a wiki provides.
#[derive(Clone, Debug)]
pub struct Options {
    /// The wiki's immutable identifier. A directory that belongs to another wiki is refused.
    pub id: String,
    /// The initial preferences of a new wiki.db.
    pub preferences: RawPreferences,
    /// True if a history without a wiki.db is expected, because it was just imported.
    pub is_new: bool,
    /// Maximum size of a page, in bytes.
    pub page_limit: u64,
    /// Maximum size of an attachment, in bytes.
    pub attachment_limit: u64,
}

impl Options {
    /// Options with the default limits of 5 MB per page and 100 MB per attachment.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            preferences: RawPreferences::new(),
            is_new: false,
            page_limit: 5_000_000,
            attachment_limit: 100_000_000,
        }
    }
}

/// One open wiki. There must be only one handle per directory, in one process; share it by reference.
///
/// All methods block. Reads never wait for writes.
pub struct Wiki {
    dir: PathBuf,
    options: Options,
    scheduler: Scheduler,
    repo: Repo,
    pub(crate) maps: Maps,
    /// Set once wiki.db exists; see [`Wiki::database`].
    database: OnceLock<Database>,
    /// Held while wiki.db is being created.
    creating: Mutex<()>,
    /// The writer lock, held during every change.
    writer: Mutex<Writer>,
    /// Held by the thread that updates the index.
    indexing: Mutex<()>,
    /// Held by the thread that packs the repository.
    pub(crate) maintaining: Mutex<()>,
    /// Progress of the index.
    progress: Mutex<Option<IndexProgress>>,
    /// True if a reader or a save found the index far behind.
    index_wanted: AtomicBool,
    /// True if long work should stop, because the wiki is about to be closed.
    pub(crate) ending: AtomicBool,
    head: RwLock<KnownHead>,
    /// The files that the last changes touched.
    recent: RecentChanges,
    pages: WikiPages,
    preferences: Remembered,
    /// The links whose queues get every commit.
    links: RwLock<Vec<LinkId>>,
    /// Commits whose clients may not have got an answer.
    pub(crate) unanswered: Mutex<Unanswered>,
    /// The wiki's limits.
    pub(crate) quota: Mutex<Quota>,
    /// Bytes that may be added to the wiki's files before they are measured again.
    room: Room,
    closed: AtomicBool,
}

/// The branch as last read, with the stamp that its files had.
#[derive(Default)]
struct KnownHead {
    read: Option<(HeadStamp, Option<Revision>)>,
    /// The newest commit that was read from the branch and exists.
    last: Option<Revision>,
    /// The commit that is being published: wiki.db may have it already, the branch not yet.
    coming: Option<Revision>,
    /// True if the publication failed, so that the next write completes it.
    is_stuck: bool,
    /// Incremented by every change of this process, so that a reader doesn't store a head that it read before the
    /// change.
    epoch: u64,
}

impl Wiki {
    /// Creates an empty wiki in `dir`, which must not exist. On return its contents are durable; its name is durable
    /// once the caller syncs the parent directory.
    ///
    /// # Errors
    /// The directory exists or can't be written.
    pub fn create(dir: &Path) -> Result<(), Error> {
        Self::create_on(dir, repo::NEW_BRANCH)
    }

    /// Creates a wiki on a branch of another name, such as `refs/heads/master`. The caller fetches into its repository
    /// (`dir/repo`) before the wiki is first opened.
    ///
    /// # Errors
    /// The errors of [`create`](Self::create); or `branch` isn't the full name of a branch.
    pub fn create_on(dir: &Path, branch: &str) -> Result<(), Error> {
        repo::check_branch(branch)?;
        files::create_private_dir(dir)?;
        Repo::create(&layout::repo(dir), branch)?;
        Ok(files::sync_dir(dir)?)
    }

    /// Opens a wiki, removes leftovers of a killed process, and replays the acknowledged saves that had not reached the
    /// repository.
    ///
    /// # Errors
    /// The directory is missing, belongs to another wiki, was written by a newer version, or is damaged beyond what
    /// redo rows and the index can repair.
    pub fn open(dir: &Path, options: Options, resources: &Resources) -> Result<Self, Error> {
        let repo_dir = layout::repo(dir);
        let maps = Maps::of(dir)?;
        let repo = Repo::open(&repo_dir)?;
        layout::sweep(dir)?;
        let wiki = Self {
            dir: dir.to_owned(),
            options,
            scheduler: resources.scheduler.clone(),
            repo,
            maps,
            database: OnceLock::new(),
            creating: Mutex::new(()),
            writer: Mutex::new(Writer::default()),
            indexing: Mutex::new(()),
            maintaining: Mutex::new(()),
            progress: Mutex::new(None),
            index_wanted: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            head: RwLock::default(),
            recent: RecentChanges::default(),
            pages: resources.cache.for_wiki(),
            preferences: Remembered::default(),
            links: RwLock::default(),
            unanswered: Mutex::default(),
            quota: Mutex::default(),
            room: Room::default(),
            closed: AtomicBool::new(false),
        };
        recover::recover(&wiki)?;
        Ok(wiki)
    }

    /// The wiki's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The full name of the wiki's branch, such as `refs/heads/main`.
    pub fn branch(&self) -> String {
        self.repo.branch()
    }

    /// Returns the newest revision; `None` if nothing was ever saved.
    ///
    /// # Errors
    /// The branch is damaged.
    pub fn head(&self) -> Result<Option<Revision>, Error> {
        let stamp = self.repo.head_stamp();
        let epoch = {
            let known = self.head.read().unwrap_or_else(PoisonError::into_inner);
            match known.read {
                Some((then, head)) if then == stamp => return Ok(head),
                _ => known.epoch,
            }
        };
        let head = self.sound_head()?;
        let mut known = self.head.write().unwrap_or_else(PoisonError::into_inner);
        known.last = head;
        if known.epoch == epoch && stamp.is_settled() {
            known.read = Some((stamp, head));
        }
        Ok(head)
    }

    /// Returns the branch's commit, after repairing a branch that was damaged or removed while the wiki was open.
    fn sound_head(&self) -> Result<Option<Revision>, Error> {
        let damage = match self.repo.head() {
            Ok(None) if self.last_head().is_none() => return Ok(None),
            Ok(Some(head)) if self.is_good_head(head)? => return Ok(Some(head)),
            Err(error) if !matches!(error, RepoError::DamagedRef { .. }) => {
                return Err(error.into());
            }
            read => read,
        };
        self.check_open()?;
        match self.writer.try_lock() {
            Ok(writer) => self.mend_branch(&writer),
            Err(TryLockError::Poisoned(writer)) => self.mend_branch(&writer.into_inner()),
            // The next writer repairs the branch before anything else.
            Err(TryLockError::WouldBlock) => match (self.last_head(), damage) {
                (Some(last), _) => Ok(Some(last)),
                (None, damage) => Ok(damage?),
            },
        }
    }

    /// Returns `true` if the branch may name this commit: it was seen there before, or the commit exists and isn't an
    /// outdated one from packed-refs.
    pub(crate) fn is_good_head(&self, head: Revision) -> Result<bool, Error> {
        Ok(self.last_head() == Some(head)
            || self.repo.is_commit(head)? && !self.is_outdated(head)?)
    }

    /// The commit at which the branch was last seen.
    pub(crate) fn last_head(&self) -> Option<Revision> {
        self.head.read().unwrap_or_else(PoisonError::into_inner).last
    }

    /// Returns a page as it is now.
    ///
    /// # Errors
    /// There is no such page, or its file is damaged.
    pub fn read(&self, path: &ExistingPath) -> Result<Arc<Page>, Error> {
        self.check_open()?;
        let Some(head) = self.head()? else { return Err(not_found(path)) };
        if let Some(page) = self.cached_at(head, path) {
            return Ok(page);
        }
        let position = self.recent.position(head);
        let page = Arc::new(self.load(head, path, true)?);
        if page.summary.path != path.as_str() {
            // Kept under one spelling only: changes name the file as it is stored.
            return Ok(page);
        }
        Ok(self.pages.put(path.as_str(), position, page))
    }

    /// Returns the page as it is now, if it is in memory. Takes a few microseconds and never blocks.
    pub fn cached(&self, path: &ExistingPath) -> Option<Arc<Page>> {
        if self.closed.load(Ordering::Acquire) {
            return None;
        }
        self.cached_at(self.head().ok()??, path)
    }

    fn cached_at(&self, head: Revision, path: &ExistingPath) -> Option<Arc<Page>> {
        let (position, page) = self.pages.get(path.as_str())?;
        let now = self.recent.known_position(head)?;
        self.is_untouched(path, position, now).then_some(page)
    }

    /// Returns `true` if no change between the two positions touched the page.
    fn is_untouched(&self, path: &ExistingPath, one: Position, other: Position) -> bool {
        one == other || self.recent.is_untouched(&path.file(), one, other)
    }

    /// Returns a page as it was in the commit `at`.
    ///
    /// # Errors
    /// `at` isn't part of this wiki's history, or had no such page.
    pub fn read_at(&self, path: &ExistingPath, at: Revision) -> Result<Page, Error> {
        let at = self.reachable(at)?;
        self.load(at, path, self.head()? == Some(at))
    }

    /// Lists up to `limit` pages whose path starts with `prefix`, after the path `after`, in byte order.
    ///
    /// # Errors
    /// The repository or the index can't be read.
    pub fn pages(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<PageSummary>, Error> {
        self.check_open()?;
        if self.head()?.is_none() {
            return Ok(Vec::new());
        }
        match self.fresh_index()? {
            Some(database) => {
                database.read(|connection| Ok(index::list(connection, prefix, after, limit)?))
            }
            None => self.pages_from_git(prefix, after, limit),
        }
    }

    /// Makes all acknowledged changes durable in the repository itself.
    ///
    /// # Errors
    /// The disk is failing. Nothing is lost: the redo rows stay.
    pub fn checkpoint(&self) -> Result<(), Error> {
        let mut writer = self.lock_writer()?;
        self.checkpoint_locked(&mut writer)
    }

    /// Checkpoints and ends all work on this wiki: later calls get [`Error::Closed`].
    ///
    /// # Errors
    /// The checkpoint failed. The wiki is closed all the same, and nothing is lost.
    pub fn close(&self) -> Result<(), Error> {
        self.end_maintenance();
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.checkpoint_locked(&mut writer)?;
        match self.database.get() {
            Some(database) => Ok(database.checkpoint()?),
            None => Ok(()),
        }
    }

    /// Runs `work` on a read-only connection to the wiki's SQLite file, which is created if necessary.
    ///
    /// # Errors
    /// The file can't be created or opened; or the error that `work` returns.
    #[cfg(feature = "rusqlite")]
    pub fn look_into_db<T>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        self.check_open()?;
        Ok(self.database()?.look(work)?)
    }

    /// Returns the present use of wiki.db's connection pool; zero if the file was never needed.
    pub fn pool_use(&self) -> PoolUse {
        self.database.get().map(Database::pool_use).unwrap_or_default()
    }

    /// Returns `at`, if it is part of this wiki's history.
    pub(crate) fn reachable(&self, at: Revision) -> Result<Revision, Error> {
        let unknown = || Error::UnknownRevision { revision: at };
        self.current()?.ok_or_else(unknown)?;
        // Of an object that isn't there the history needn't be walked through.
        if !self.repo.is_commit(at)? || !self.in_history(HashSet::from([at]))?.contains(&at) {
            return Err(unknown());
        }
        Ok(at)
    }

    /// Returns the newest revision, if the wiki is open.
    pub(crate) fn current(&self) -> Result<Option<Revision>, Error> {
        self.check_open()?;
        self.head()
    }

    fn load(&self, head: Revision, path: &ExistingPath, is_head: bool) -> Result<Page, Error> {
        let (path, entry) = self.find(head, path)?;
        let content = self.blob(entry.id)?;
        let indexed = if is_head { self.indexed_page(&path, head, entry.id)? } else { None };
        let summary = match indexed {
            Some(summary) => summary,
            None => self.summarise(&path, entry, &content, head)?,
        };
        Ok(Page::new(summary, content.into()))
    }

    /// The page's file, under the spelling that exists.
    pub(crate) fn find(
        &self,
        head: Revision,
        path: &ExistingPath,
    ) -> Result<(ExistingPath, Entry), Error> {
        match self.repo.entry(head, &path.file())? {
            Some(entry) if entry.is_file() => Ok((path.clone(), entry)),
            _ if path.as_str().is_ascii() => Err(not_found(path)),
            _ => stored_page(&self.repo.view(), head, path)?.ok_or_else(|| not_found(path)),
        }
    }

    fn indexed_page(
        &self,
        path: &ExistingPath,
        head: Revision,
        etag: Etag,
    ) -> Result<Option<PageSummary>, Error> {
        let Some(database) = self.existing_database()? else { return Ok(None) };
        database.read(|connection| {
            // The index may be one save ahead, or some changes behind.
            let described = index::current(connection)?;
            let is_same = described == Some(head)
                || described
                    .and_then(|at| self.recent.known_position(at))
                    .is_some_and(|at| self.is_untouched(path, at, self.recent.position(head)));
            if !is_same {
                return Ok(None);
            }
            // The head may have moved since it was read; then the row is of another version.
            Ok(index::get(connection, path.as_str())?.filter(|row| row.etag == etag))
        })
    }

    /// Makes a page's summary from the history, while the index can't.
    fn summarise(
        &self,
        path: &ExistingPath,
        entry: Entry,
        content: &[u8],
        head: Revision,
    ) -> Result<PageSummary, Error> {
        let file = path.file().into_bytes();
        let found = self.repo.attribute(head, [file.clone()].into(), None, |_| ())?;
        let revision = found.get(&file).copied().unwrap_or(head);
        let commit = self.repo.commit(revision)?;
        Ok(PageSummary {
            path: path.as_str().to_owned(),
            title: title(path, content, self.preferences()?.link_style()),
            etag: entry.id,
            revision,
            size: content.len() as u64,
            author: commit.author,
            modified: from_seconds(commit.time),
        })
    }

    pub(crate) fn page_limit(&self) -> u64 {
        self.options.page_limit
    }

    /// The initial preferences of a new wiki.db.
    pub(crate) fn born_with(&self) -> &RawPreferences {
        &self.options.preferences
    }

    pub(crate) fn remembered_preferences(&self) -> &Remembered {
        &self.preferences
    }

    pub(crate) fn links(&self) -> &RwLock<Vec<LinkId>> {
        &self.links
    }

    pub(crate) fn room(&self) -> &Room {
        &self.room
    }

    pub(crate) fn attachment_limit(&self) -> u64 {
        self.options.attachment_limit
    }

    /// True if a missing wiki.db is expected.
    pub(crate) fn is_new(&self) -> bool {
        self.options.is_new
    }

    pub(crate) fn id(&self) -> &str {
        &self.options.id
    }

    pub(crate) fn repo(&self) -> &Repo {
        &self.repo
    }

    pub(crate) fn blob(&self, id: Etag) -> Result<Vec<u8>, Error> {
        Ok(self.repo.blob(id)?)
    }

    /// Takes the writer lock, and repairs wiki.db and the branch as far as possible.
    pub(crate) fn lock_writer(&self) -> Result<MutexGuard<'_, Writer>, Error> {
        let mut writer = self.lock_writer_only()?;
        deadline::shielded(|| {
            self.mend_database(&mut writer)?;
            self.mend_branch(&writer)?;
            self.mend_objects(&mut writer)
        })?;
        Ok(writer)
    }

    /// Repairs damage that was met: rebuilds lost pack indexes, and requests a replay of the redo rows.
    fn mend_objects(&self, writer: &mut Writer) -> Result<(), Error> {
        if !writer.doubtful {
            return Ok(());
        }
        if self.mend_packs()? {
            writer.doubtful = false;
        }
        writer.unapplied |= writer.pending > 0;
        Ok(())
    }

    /// As [`mend_database`](Self::mend_database), but leaves the repair to the next writer if the writer lock is taken.
    fn mend_database_unless_writing(&self) -> Result<(), Error> {
        self.check_open()?;
        let mut writer = match self.writer.try_lock() {
            Ok(writer) => writer,
            Err(TryLockError::Poisoned(writer)) => writer.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        deadline::shielded(|| self.mend_database(&mut writer))
    }

    /// Replaces a damaged wiki.db by a rebuilt one with all readable rows, and sets the damaged one aside; or switches
    /// to another file that has taken its place.
    fn mend_database(&self, writer: &mut Writer) -> Result<(), Error> {
        let Some(database) = self.database.get() else { return Ok(()) };
        let (dir, options) = (&self.dir, &self.options);
        let Some(trouble) = database.trouble() else { return Ok(()) };
        match trouble {
            Trouble::Damaged if database.is_sound()? => {
                tracing::warn!(
                    wiki.id = options.id,
                    "SQLite found damage in wiki.db, and now finds none"
                );
                database.dismiss();
                return Ok(());
            }
            Trouble::Damaged => {}
            Trouble::Replaced => {
                tracing::error!(
                    wiki.id = options.id,
                    path = %database.path().display(),
                    "wiki.db was removed or replaced while it was open; what is there now is used, and drafts and \
                     preferences that were written since are lost"
                );
                if writer.unapplied {
                    self.replay(writer)?;
                }
            }
        }
        // Redo rows may be lost, so the repository must not depend on them.
        files::sync_filesystem(self.repo.dir())?;
        database.exchange(|| match trouble {
            Trouble::Damaged => {
                layout::rebuild_database(dir, options, "SQLite found damage in the open file")
            }
            Trouble::Replaced => layout::take_over_database(dir, options, &self.scheduler),
        })?;
        self.preferences.forget();
        self.index_wanted.store(true, Ordering::Relaxed);
        writer.counted = None;
        self.settle_redo_rows(writer)
    }

    pub(crate) fn lock_writer_only(&self) -> Result<MutexGuard<'_, Writer>, Error> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.check_open()?;
        Ok(writer)
    }

    /// Announces the commit that is about to be published, until [`head_moved`](Self::head_moved).
    pub(crate) fn head_will_move(&self, redo: &Redo) {
        let to = redo.new;
        match &redo.commit {
            Some(_) => {
                let files = redo.edits.iter().map(|edit| &*edit.path);
                self.recent.will_move(redo.old, to, files);
            }
            // The touched files are known only from a comparison. If that fails, the commit stays unknown.
            None => {
                if let Ok(changes) = self.repo.changes(redo.old, to) {
                    self.recent.will_move(redo.old, to, changes.iter().map(|change| &*change.path));
                }
            }
        }
        let mut known = self.head.write().unwrap_or_else(PoisonError::into_inner);
        known.coming = Some(to);
        known.is_stuck = false;
    }

    /// Drops the known head, so that the next call reads the branch again. With `unapplied`, the announced commit isn't
    /// on the branch yet.
    pub(crate) fn head_moved(&self, unapplied: bool) {
        let mut known = self.head.write().unwrap_or_else(PoisonError::into_inner);
        known.read = None;
        known.coming = known.coming.filter(|_| unapplied);
        known.is_stuck = unapplied;
        known.epoch += 1;
    }

    /// Returns wiki.db; creates it if necessary.
    pub(crate) fn database(&self) -> Result<&Database, Error> {
        if let Some(database) = self.existing_database()? {
            return Ok(database);
        }
        let _one_at_a_time = self.creating.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(database) = self.database.get() {
            return Ok(database);
        }
        let database = layout::create_database(&self.dir, &self.options, &self.scheduler)?;
        Ok(self.database.get_or_init(|| database))
    }

    /// Returns wiki.db, if it exists.
    pub(crate) fn existing_database(&self) -> Result<Option<&Database>, Error> {
        if let Some(database) = self.database.get() {
            if database.trouble().is_some() {
                self.mend_database_unless_writing()?;
            }
            return Ok(Some(database));
        }
        if !layout::has_database(&self.dir)? {
            return Ok(None);
        }
        let _one_at_a_time = self.creating.lock().unwrap_or_else(PoisonError::into_inner);
        if self.database.get().is_none() {
            let database = layout::open_database(&self.dir, &self.options, &self.scheduler)?;
            self.database.get_or_init(|| database);
        }
        Ok(self.database.get())
    }

    pub(crate) fn check_open(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::Acquire) { Err(Error::Closed) } else { Ok(()) }
    }
}

impl std::fmt::Debug for Wiki {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wiki")
            .field("id", &self.options.id)
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

fn not_found(path: &ExistingPath) -> Error {
    Error::NotFound { path: path.as_str().to_owned() }
}
