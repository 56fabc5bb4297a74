//! The platform: a data directory with its catalog and all its wikis.

mod answers;
mod audit;
mod create;
mod figures;
mod held;
mod lifecycle;
mod links;
mod lock;
mod lookup;
mod maintenance;
mod members;
mod notices;
mod secrets;
mod tokens;
mod users;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::broadcast;
use wikigrove_storage::files::{Keeper, create_private_dir};
use wikigrove_storage::{FileError, PageCache, Quota, Resources};

use crate::background::Background;
use crate::catalog::{Catalog, CatalogError};
use crate::changes::{Change, Changes};
use crate::context::blocking;
use crate::figures::Announced;
use crate::heavy::HeavyPlaces;
use crate::memory::Memory;
use crate::refusals::Refusals;
use crate::registry::Registry;
use crate::secrets::Vault;
use crate::turns::Turns;
use crate::wiki::push;
use crate::{Error, Slug};

pub use answers::Answers;
pub use audit::AuditLog;
use lock::DirLock;

/// Maximal interval between two searches for wikis to close or checkpoint.
const TIDY_EVERY: Duration = Duration::from_secs(10);
/// Number of changes that a slow listener may be behind before it gets an error.
const CHANGES_KEPT: usize = 1024;

/// The limits and options of a platform.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Maximal number of open wikis, at least one. Each costs about 300 kB and up to 15 descriptors.
    pub open_wikis: usize,
    /// The time without requests after which a wiki is closed.
    pub idle: Duration,
    /// Size of the page cache in bytes, for all wikis together.
    pub cache_bytes: u64,
    /// Maximal size of a page in bytes.
    pub page_limit: u64,
    /// Maximal size of an attachment in bytes.
    pub attachment_limit: u64,
    /// Maximal size on disk in bytes, including history, index and drafts, of a wiki without a limit of its own. For a
    /// wiki with a limit of its content, the default is four times that limit plus 64 MiB.
    pub disk_limit: u64,
    /// The file with the key of the wikis' secrets, 32 random bytes; `None` is `secret-key` in the data directory. The
    /// file is made when it is first needed.
    pub secret_key_file: Option<PathBuf>,
    /// The retention of the audit log.
    pub audit_kept_for: Duration,
    /// Maximal number of rows of the audit log, of about 300 bytes each. The oldest are removed first.
    pub audit_rows: u64,
    /// Maximal number of concurrent pieces of heavy work (searches, blames, comparisons, moves, rendering of large
    /// pages), at least two. A wiki and a caller may each have half of them.
    pub heavy_places: usize,
    /// The time after which heavy work is interrupted.
    pub heavy_longest: Duration,
}

impl Default for Settings {
    /// 500 open wikis, closed after 5 idle minutes; 64 MiB for the page cache; pages of 5 MB and attachments of
    /// 100 MB; 10 GB on disk; the key in the data directory; a year and five million rows of the audit log; as many
    /// pieces of heavy work as there are cores, each for 30 seconds.
    fn default() -> Self {
        Self {
            open_wikis: 500,
            idle: Duration::from_secs(300),
            cache_bytes: 64 << 20,
            page_limit: 5_000_000,
            attachment_limit: 100_000_000,
            disk_limit: 10_000_000_000,
            secret_key_file: None,
            audit_kept_for: Duration::from_secs(365 * 24 * 3600),
            audit_rows: 5_000_000,
            heavy_places: std::thread::available_parallelism().map_or(2, usize::from),
            heavy_longest: Duration::from_secs(30),
        }
    }
}

/// The additional size on disk of a wiki with a limit of its content, besides four times that limit: room for saves
/// that aren't packed yet.
const DISK_BESIDES: u64 = 64 << 20;

impl Settings {
    /// Fills in the default limit of the size on disk if the quota has none.
    pub fn quota(&self, quota: Quota) -> Quota {
        let default = match quota.bytes {
            Some(bytes) => bytes.saturating_mul(4).saturating_add(DISK_BESIDES),
            None => self.disk_limit,
        };
        Quota { disk_bytes: Some(quota.disk_bytes.unwrap_or(default)), ..quota }
    }
}

/// Many wikis in one process. Cheap to clone; all clones are the same platform.
///
/// The methods need a tokio runtime, but not the one in which the platform was opened, nor timers: a platform can be
/// kept in a static and be used from the runtimes of many tests, one after the other or at once. A thread of the
/// platform's own closes and maintains the wikis.
#[derive(Clone)]
pub struct Platform(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    dir: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) registry: Arc<Registry>,
    /// Held while repositories are maintained: at most one git program packs at a time.
    maintaining: Arc<tokio::sync::Semaphore>,
    resources: Resources,
    pub(crate) heavy: HeavyPlaces,
    /// `None` once the platform is closed, which ends the listeners.
    changes: Mutex<Option<broadcast::Sender<Change>>>,
    announced: Announced,
    pub(crate) memory: Memory,
    vault: Vault,
    /// The queues of idempotent requests.
    pub(crate) turns: Arc<Turns>,
    pub(crate) background: Background,
    refusals: Refusals,
    /// Number of calls of the catalog.
    #[cfg(test)]
    catalog_calls: std::sync::atomic::AtomicU64,
    /// Held while the list of a wiki's links is passed to the wiki.
    telling_links: Mutex<()>,
    lock: DirLock,
    /// The directory of an in-memory platform, declared last so that it is removed after all its users.
    _scratch: Option<tempfile::TempDir>,
}

impl Platform {
    /// Opens the platform in `dir`, creating it if need be, with the default settings.
    ///
    /// # Errors
    /// [`Error::AlreadyOpen`]: this process has the directory open; use a clone of that platform, or drop all of its
    /// clones, wikis and layers first. [`Error::InUse`]: another process has the directory open. Any other error: the
    /// directory can't be created, read or migrated.
    pub async fn open(dir: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_with(dir, Settings::default()).await
    }

    /// Opens the platform in `dir`, creating it if need be. Operations that a crash interrupted, such as the creation
    /// of a wiki, are finished or undone first.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(dir: impl AsRef<Path>, settings: Settings) -> Result<Self, Error> {
        let dir = dir.as_ref().to_owned();
        blocking(move || Self::assemble(dir, settings, None)).await?.started().await
    }

    /// A platform for tests, in a private directory, which is in memory if the system supports that. Dropping the last
    /// clone removes it. In all other respects it is a normal platform.
    ///
    /// # Errors
    /// The directory can't be created.
    pub async fn in_memory() -> Result<Self, Error> {
        Self::in_memory_with(Settings::default()).await
    }

    /// Like [`in_memory`](Self::in_memory) with other settings, for tests of limits.
    ///
    /// # Errors
    /// The directory can't be created.
    pub async fn in_memory_with(settings: Settings) -> Result<Self, Error> {
        blocking(|| {
            let scratch = lock::scratch()?;
            let dir = scratch.path().to_owned();
            Self::assemble(dir, settings, Some(scratch))
        })
        .await?
        .started()
        .await
    }

    fn assemble(
        dir: PathBuf,
        settings: Settings,
        scratch: Option<tempfile::TempDir>,
    ) -> Result<Self, Error> {
        // Once for all: git runs in other directories.
        let dir = std::path::absolute(&dir).map_err(|source| FileError {
            action: "find the directory",
            path: dir,
            source,
        })?;
        // Harmless before the lock is taken: another process may have the directory open, and nothing but missing
        // directories is touched.
        for needed in [dir.clone(), dir.join("wikis"), dir.join("trash"), push::incoming(&dir)] {
            create_if_missing(&needed)?;
        }
        let lock = DirLock::take(&dir)?;
        push::sweep(&dir);
        let resources = Resources {
            cache: PageCache::with_capacity(settings.cache_bytes),
            ..Resources::default()
        };
        let catalog = Catalog::open(&dir, &resources.scheduler)?;
        let vault = match &settings.secret_key_file {
            Some(file) => Vault::new(file.clone(), Keeper::Operator),
            None => Vault::new(dir.join("secret-key"), Keeper::Program),
        };
        vault.check(&catalog)?;
        let background = Background::start().map_err(|source| FileError {
            action: "start a thread for",
            path: dir.clone(),
            source,
        })?;
        Ok(Self(Arc::new(Inner {
            registry: Arc::new(Registry::new(settings.open_wikis)),
            maintaining: Arc::new(tokio::sync::Semaphore::new(1)),
            heavy: HeavyPlaces::new(settings.heavy_places),
            catalog: Arc::new(catalog),
            resources,
            changes: Mutex::new(Some(broadcast::Sender::new(CHANGES_KEPT))),
            announced: Announced::default(),
            memory: Memory::new(),
            vault,
            turns: Arc::default(),
            background,
            refusals: Refusals::default(),
            #[cfg(test)]
            catalog_calls: std::sync::atomic::AtomicU64::default(),
            telling_links: Mutex::new(()),
            dir,
            settings,
            lock,
            _scratch: scratch,
        })))
    }

    async fn started(self) -> Result<Self, Error> {
        self.finish_unfinished().await?;
        self.0.background.spawn(tidy(Arc::downgrade(&self.0), self.0.settings.idle));
        Ok(self)
    }

    /// The data directory.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// The lock on the data directory, to be passed to a program that writes into it, for example as its standard
    /// input. While the program runs, no other process can open the directory, even if this process is killed.
    ///
    /// # Errors
    /// The process has no descriptors left.
    pub fn lock_for_child(&self) -> Result<std::fs::File, Error> {
        self.0.lock.for_child()
    }

    /// A stream of the changes of all wikis from now on.
    pub fn changes(&self) -> Changes {
        match &*self.0.changes() {
            Some(sender) => Changes(sender.subscribe()),
            None => Changes(broadcast::Sender::new(1).subscribe()),
        }
    }

    /// Number of wikis that are open now.
    pub fn open_wikis(&self) -> usize {
        self.0.registry.len()
    }

    /// Checkpoints and closes all wikis, for good: afterwards all clones report that the platform is closed
    /// ([`Error::is_busy`]), and the streams of changes end after the last change. Running work is finished first. The
    /// directory can be opened again when the last clone, wiki and layer of this platform is dropped.
    pub async fn close(&self) {
        let platform = self.clone();
        let closing = async move {
            platform.0.registry.shut().await;
            platform.write_uses().await;
            platform.write_refusals().await;
            *platform.0.changes() = None;
        };
        self.0.background.finish(closing).await;
    }

    /// Runs blocking work on the catalog.
    pub(crate) async fn catalog<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Catalog) -> Result<T, CatalogError> + Send + 'static,
    ) -> Result<T, Error> {
        #[cfg(test)]
        self.0.catalog_calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let catalog = self.0.catalog.clone();
        blocking(move || Ok(work(&catalog)?)).await
    }

    /// Changes the catalog and invalidates cached rows. Both run in one blocking task: the change may have been written
    /// even if it failed, and continues if the caller is cancelled.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Catalog) -> Result<T, CatalogError> + Send + 'static,
        forget: impl FnOnce(&Memory) + Send + 'static,
    ) -> Result<T, Error> {
        let platform = self.clone();
        blocking(move || {
            let changed = work(&platform.0.catalog);
            platform.0.memory.forget(forget);
            Ok(changed?)
        })
        .await
    }
}

impl Inner {
    /// Must be called after every change of a wiki's row.
    fn changed(&self, slug: &Slug) {
        self.memory.forget(|memory| memory.tenants.invalidate(slug));
    }

    pub(crate) fn announce(&self, change: Change) {
        self.announced.count(change.origin);
        if let Some(sender) = &*self.changes() {
            // An error means that no listener exists, which is fine.
            let _ = sender.send(change);
        }
    }

    /// A lock to send or subscribe, neither of which blocks.
    fn changes(&self) -> MutexGuard<'_, Option<broadcast::Sender<Change>>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn telling_links(&self) -> MutexGuard<'_, ()> {
        self.telling_links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.registry.is_shut()
    }
}

fn create_if_missing(dir: &Path) -> Result<(), Error> {
    match create_private_dir(dir) {
        // Perhaps exists by now: two processes may be starting.
        Err(_) if dir.is_dir() => Ok(()),
        created => Ok(created?),
    }
}

impl std::fmt::Debug for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Platform")
            .field("dir", &self.0.dir)
            .field("open", &self.open_wikis())
            .finish_non_exhaustive()
    }
}

/// Tidies the platform until the last clone is dropped.
async fn tidy(platform: Weak<Inner>, idle: Duration) {
    // A wiki is closed after at most one and a half times its idle time.
    let mut every = tokio::time::interval((idle / 2).clamp(Duration::from_millis(10), TIDY_EVERY));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        // Held while tidying: dropping the platform would release the lock on the directory.
        let Some(platform) = platform.upgrade().map(Platform) else { return };
        platform.write_uses().await;
        platform.write_refusals().await;
        platform.forget_what_is_old().await;
        platform.maintain_in_background();
        platform.0.registry.tidy(idle).await;
    }
}

#[cfg(test)]
mod tests;
