//! A handle of a wiki for one caller.

mod attachments;
mod drafts;
mod history;
mod idempotency;
mod moves;
mod presentation;
pub(crate) mod push;
mod reference;
mod repository;
mod snapshot;
mod storage_access;
mod sync;
mod versions;

use std::sync::Arc;
use std::time::Duration;

use wikigrove_storage as storage;
use wikigrove_storage::deadline::Deadline;
use wikigrove_storage::{
    Author, Etag, ExistingPath, Found, PageSummary, PreferenceChanges, Preferences, Revision,
    Saved, Usage,
};

use crate::base::Base;
use crate::changes::{Change, Origin};
use crate::context::blocking;
use crate::heavy::{self, HeavyPlace};
use crate::live::{Live, Use};
use crate::{
    Action, AuditLog, Caller, Decision, Error, Membership, Platform, Slug, Tenant, TenantId, decide,
};

pub use attachments::{Download, Upload};
pub use presentation::Presentation;
pub use push::Incoming;
pub use reference::Reference;
pub use repository::Repository;
pub use storage_access::Storage;
pub use sync::{Quarantine, SyncOrder};
pub use versions::UndoOptions;

/// A handle of one open wiki, bound to one caller. Every method checks the caller's rights. Cheap to clone.
///
/// While a handle is held the wiki stays open. When the wiki is deleted, all handles return errors.
#[derive(Clone)]
pub struct Wiki(Arc<Bound>);

struct Bound {
    platform: Platform,
    tenant: Arc<Tenant>,
    live: Arc<Live>,
    caller: Caller,
    known: Membership,
    /// The epoch of the catalog cache at which `tenant` and `known` were read.
    epoch: u64,
}

/// A page with its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The page path, such as `garden/roses`.
    pub path: String,
    /// The title in the front matter, or else the first top-level heading, or else the last segment of the path.
    pub title: String,
    /// The text.
    pub content: String,
    /// The version of the content, to base a save on.
    pub etag: Etag,
    /// The commit that last changed the page.
    pub revision: Revision,
    /// The author of the commit.
    pub author: Author,
    /// The time of the commit, in UTC.
    pub modified: time::OffsetDateTime,
}

/// Options of a save.
#[derive(Clone, Debug)]
pub struct SaveOptions {
    /// The commit message; generated if there is none.
    pub message: Option<String>,
    /// The author of the commit; the caller if there is none.
    pub author: Option<Author>,
    /// `true` if the save may be merged with a concurrent change in another part of the page. Otherwise such a save is
    /// refused.
    pub merge: bool,
}

impl Default for SaveOptions {
    fn default() -> Self {
        Self { message: None, author: None, merge: true }
    }
}

impl Wiki {
    pub(crate) fn new(
        platform: Platform,
        tenant: Arc<Tenant>,
        live: Arc<Live>,
        caller: Caller,
        known: Membership,
        epoch: u64,
    ) -> Self {
        Self(Arc::new(Bound { platform, tenant, live, caller, known, epoch }))
    }

    /// The immutable id.
    pub fn id(&self) -> TenantId {
        self.0.tenant.id
    }

    /// The name, as of the time the handle was made.
    pub fn slug(&self) -> &Slug {
        &self.0.tenant.slug
    }

    /// The title, as of the time the handle was made.
    pub fn title(&self) -> &str {
        &self.0.tenant.title
    }

    /// The wiki's row in the catalog, as of the time the handle was made.
    pub fn tenant(&self) -> &Tenant {
        &self.0.tenant
    }

    /// The caller.
    pub fn caller(&self) -> &Caller {
        &self.0.caller
    }

    pub(crate) fn platform(&self) -> &Platform {
        &self.0.platform
    }

    pub(crate) fn shared_tenant(&self) -> Arc<Tenant> {
        self.0.tenant.clone()
    }

    /// The audit log of the platform.
    pub fn audit(&self) -> AuditLog {
        self.0.platform.audit()
    }

    /// The same wiki for another caller.
    ///
    /// # Errors
    /// The other caller may not see the wiki.
    pub async fn for_caller(&self, caller: Caller) -> Result<Self, Error> {
        let known = self.0.platform.known_by_id(self.id(), self.slug()).await?;
        self.0.platform.bind(known, caller).await
    }

    /// The present version of a page.
    ///
    /// # Errors
    /// The page doesn't exist, or isn't UTF-8 text (see [`read_raw`](Self::read_raw)).
    pub async fn read(&self, path: &str) -> Result<Page, Error> {
        let page = self.read_raw(path).await?;
        self.to_text(&page)
    }

    /// The present version of a page, as bytes; from the cache if it was read before.
    ///
    /// # Errors
    /// The page doesn't exist.
    pub async fn read_raw(&self, path: &str) -> Result<Arc<storage::Page>, Error> {
        self.allow(Action::Read).await?;
        let path = self.existing(path)?;
        if let Ok(Some(page)) = self.0.live.with(|wiki| Ok(wiki.cached(&path))) {
            return Ok(page);
        }
        self.run(move |wiki| wiki.read(&path)).await
    }

    /// A page as of the commit `at`, as bytes.
    ///
    /// # Errors
    /// `at` isn't part of this wiki's history, or had no such page.
    pub async fn read_at(&self, path: &str, at: Revision) -> Result<storage::Page, Error> {
        self.allow(Action::Read).await?;
        let path = self.existing(path)?;
        self.run(move |wiki| wiki.read_at(&path, at)).await
    }

    /// Up to `limit` pages with paths that start with `prefix` and come after the path `after`, in byte order.
    ///
    /// # Errors
    /// The wiki can't be read.
    pub async fn pages(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<PageSummary>, Error> {
        self.allow(Action::Read).await?;
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        self.run(move |wiki| wiki.pages(&prefix, after.as_deref(), limit)).await
    }

    /// Saves a page. When this returns, the text survives a crash and a power cut. Dropping the future cancels the save
    /// while it waits for its turn; once it has begun, it is finished.
    ///
    /// # Errors
    /// An edit [conflict](Error::conflict); the base isn't a version of this page; the path is invalid for a page.
    pub async fn save(
        &self,
        path: &str,
        text: impl Into<String>,
        base: Base,
    ) -> Result<Saved, Error> {
        self.save_with(path, text.into().into_bytes(), base, SaveOptions::default()).await
    }

    /// Saves a page with options: a message, another author, or without merging. Removes the caller's draft of the
    /// page, if there is one.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub async fn save_with(
        &self,
        path: &str,
        content: Vec<u8>,
        base: Base,
        options: SaveOptions,
    ) -> Result<Saved, Error> {
        self.allow(Action::Write).await?;
        let path = self.existing(path)?;
        let place = self.place_to_merge(&path, &content, base, &options).await?;
        let this = self.clone();
        self.run_writing(move |wiki| {
            // Held until the save is done.
            let _place = place;
            let author = options.author.as_ref().unwrap_or(this.caller().author());
            let save = storage::Save {
                path: &path,
                content: &content,
                base: base.into(),
                author,
                message: options.message.as_deref(),
                merge: options.merge,
            };
            let saved = match this.caller().subject() {
                Some(subject) => wiki.save_from_draft(&save, subject)?,
                None => wiki.save(&save)?,
            };
            if saved.changed {
                this.announce(saved.revision, &saved.path, author);
            }
            Ok(saved)
        })
        .await
    }

    /// Deletes a page with the version `base`, and returns the deleting commit.
    ///
    /// # Errors
    /// The page doesn't exist, or changed meanwhile.
    pub async fn delete(
        &self,
        path: &str,
        base: Etag,
        options: SaveOptions,
    ) -> Result<Revision, Error> {
        self.allow(Action::Write).await?;
        let path = self.existing(path)?;
        let this = self.clone();
        self.run_writing(move |wiki| {
            let author = options.author.as_ref().unwrap_or(this.caller().author());
            let message = options.message.as_deref();
            let revision = wiki.delete(&storage::Delete { path: &path, base, author, message })?;
            this.announce(revision, path.as_str(), author);
            Ok(revision)
        })
        .await
    }

    /// Finds, for each list of candidates, the first path that exists in the commit `at`, or at present; see
    /// [`storage::Wiki::resolve`].
    ///
    /// # Errors
    /// `at` isn't part of this wiki's history; the wiki can't be read.
    pub async fn resolve(
        &self,
        at: Option<Revision>,
        candidates: Vec<Vec<String>>,
    ) -> Result<Vec<Option<Found>>, Error> {
        self.allow(Action::Read).await?;
        self.run(move |wiki| wiki.resolve(at, &candidates)).await
    }

    /// The targets of links in the commit `at`, or now; see [`storage::Wiki::resolve_links`].
    ///
    /// # Errors
    /// `at` isn't part of this wiki's history; the wiki can't be read.
    pub async fn resolve_links(
        &self,
        at: Option<Revision>,
        sought: Vec<storage::links::Sought>,
    ) -> Result<Vec<storage::Resolved>, Error> {
        self.allow(Action::Read).await?;
        self.run(move |wiki| wiki.resolve_links(at, &sought)).await
    }

    /// All preferences that this program knows, typed, with defaults where nothing is set.
    ///
    /// # Errors
    /// The caller isn't an admin of the wiki, or the wiki can't be read.
    pub async fn preferences(&self) -> Result<Arc<Preferences>, Error> {
        self.allow(Action::Inspect).await?;
        self.run(|wiki| wiki.preferences()).await
    }

    /// Changes preferences in one transaction, and returns all preferences.
    ///
    /// # Errors
    /// The caller isn't an admin of the wiki; a name is unknown, or a value is invalid.
    pub async fn change_preferences(
        &self,
        changes: PreferenceChanges,
    ) -> Result<Arc<Preferences>, Error> {
        self.allow(Action::Administer).await?;
        self.run_writing(move |wiki| wiki.change_preferences(&changes)).await
    }

    /// Fast-forwards the branch to a commit that `fetch` brings into the repository at the given path. Returns `false`,
    /// without a change, if the wiki has commits that aren't ancestors of the new one.
    ///
    /// # Errors
    /// The caller isn't an admin of the wiki; the error of `fetch`; the disk is failing.
    pub async fn fast_forward(
        &self,
        fetch: impl FnOnce(&std::path::Path) -> Result<Revision, storage::Error> + Send + 'static,
    ) -> Result<bool, Error> {
        self.allow(Action::Administer).await?;
        self.run_writing(move |wiki| {
            let to = fetch(&wiki.dir().join("repo"))?;
            wiki.fast_forward(to)
        })
        .await
    }

    /// The present size of the wiki.
    ///
    /// # Errors
    /// The caller isn't an admin of the wiki, or the wiki can't be read.
    pub async fn usage(&self) -> Result<Usage, Error> {
        self.allow(Action::Inspect).await?;
        self.run(storage::Wiki::usage).await
    }

    /// The path of the repository, for reading with the git program. Must be called again for each use: after a
    /// deletion the path may belong to the next wiki of this name.
    ///
    /// # Errors
    /// The caller isn't an admin of the wiki.
    pub fn repository(&self) -> Result<std::path::PathBuf, Error> {
        self.allow_blocking(Action::Administer)?;
        self.with(|wiki| Ok(wiki.dir().join("repo")))
    }

    /// Preferences, drafts and users as rows, for an export of the wiki.
    ///
    /// # Errors
    /// The caller isn't an admin of the wiki, or the wiki can't be read.
    pub async fn source_tables(&self) -> Result<storage::otterwiki::Tables, Error> {
        self.allow(Action::Administer).await?;
        self.run(|wiki| wiki.source_tables()).await
    }

    /// Imports preferences and drafts that changed in the source of an earlier import and didn't change here.
    ///
    /// # Errors
    /// The caller isn't an admin of the wiki, or the wiki can't be written.
    pub async fn refresh(
        &self,
        tables: storage::otterwiki::Tables,
    ) -> Result<storage::otterwiki::Refresh, Error> {
        self.allow(Action::Administer).await?;
        self.run_writing(move |wiki| wiki.refresh(&tables)).await
    }

    /// A report of the wiki's files that couldn't be created through this program.
    ///
    /// # Errors
    /// The wiki can't be read.
    pub async fn survey(&self) -> Result<storage::Survey, Error> {
        self.allow(Action::Read).await?;
        self.run(|wiki| wiki.survey()).await
    }

    /// Blocking access for reading: for code that blocks anyway, such as code in
    /// [`spawn_blocking`](crate::spawn_blocking).
    ///
    /// # Errors
    /// The caller may not read.
    pub fn storage(&self) -> Result<Storage, Error> {
        self.allow_blocking(Action::Read)?;
        Ok(Storage(self.clone()))
    }

    /// Reads wiki.db on a separate connection that can neither write nor attach other files, and that is closed when
    /// `work` returns: open statements and changed settings are lost. The wiki can't be closed or deleted until then.
    ///
    /// All of wiki.db can be read, including the drafts of other users. An application's own tables belong in
    /// [`app_db`](Self::app_db).
    ///
    /// # Errors
    /// The caller may not read; or the error of `work`.
    #[cfg(feature = "rusqlite")]
    pub async fn db<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.allow(Action::Read).await?;
        self.run(move |wiki| wiki.look_into_db(work)).await
    }

    /// The path of the application's own tables for this wiki: `app.db` beside wiki.db. The file is part of exports of
    /// the wiki; its content is the application's. Must be called again for each use: after a deletion the path may
    /// belong to the next wiki of this name.
    ///
    /// # Errors
    /// The caller may not read.
    pub fn app_db(&self) -> Result<std::path::PathBuf, Error> {
        self.allow_blocking(Action::Read)?;
        self.with(|wiki| Ok(wiki.dir().join("app.db")))
    }

    /// Checks that the caller may do this, by the present state of the catalog.
    ///
    /// # Errors
    /// The caller may not; see [`decide`].
    pub async fn allow(&self, action: Action) -> Result<(), Error> {
        let Bound { platform, tenant, caller, known, epoch, .. } = &*self.0;
        allowed(platform, tenant, caller, known, *epoch, action).await
    }

    /// The same wiki for the same caller, without keeping the wiki open.
    pub fn reference(&self) -> Reference {
        let Bound { platform, tenant, caller, known, epoch, .. } = &*self.0;
        Reference {
            platform: platform.clone(),
            tenant: tenant.clone(),
            caller: caller.clone(),
            known: known.clone(),
            epoch: *epoch,
        }
    }

    /// Like [`allow`](Self::allow), for code that may block.
    fn allow_blocking(&self, action: Action) -> Result<(), Error> {
        let Bound { platform, tenant, caller, known, .. } = &*self.0;
        if self.is_current() {
            return require(tenant, caller, known, action);
        }
        let catalog = &platform.0.catalog;
        let tenant = catalog.by_id(tenant.id)?.ok_or(Error::UnknownWiki)?;
        if let Some(token) = caller.token_id()
            && !catalog.has_token(token)?
        {
            return Err(Error::TokenEnded);
        }
        let known = match caller.user_subject() {
            Some(subject) => catalog.membership(tenant.id, subject)?,
            None => Membership::default(),
        };
        require(&tenant, caller, &known, action)
    }

    /// Returns `true` if the catalog hasn't changed since the handle was made.
    fn is_current(&self) -> bool {
        self.0.platform.0.memory.epoch() == self.0.epoch
    }

    /// Runs a read. Dropping the future interrupts it.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&storage::Wiki) -> Result<T, storage::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let interrupt = Interrupt(self.0.live.work(None));
        self.run_in_turn(Use::Read, interrupt.0.clone(), work).await
    }

    /// Runs a write. Once it has begun, dropping the future doesn't interrupt it.
    async fn run_writing<T: Send + 'static>(
        &self,
        work: impl FnOnce(&storage::Wiki) -> Result<T, storage::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let deadline = self.0.live.work(None);
        self.run_in_turn(Use::Write, deadline, work).await
    }

    /// Runs heavy work under one of the platform's permits for it. The work is interrupted if the future is dropped,
    /// and after the platform's limit for heavy work.
    async fn run_heavy<T: Send + 'static>(
        &self,
        purpose: Use,
        work: impl FnOnce(&storage::Wiki) -> Result<T, storage::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let place = self.heavy_place().await?;
        let interrupt = Interrupt(self.0.live.work(Some(self.heavy_longest())));
        let done = self.run_in_turn(purpose, interrupt.0.clone(), move |wiki| {
            // Held by the work itself, which may continue for a moment after it was interrupted.
            let _place = place;
            work(wiki)
        });
        done.await
    }

    /// Runs heavy work that belongs to this wiki without accessing it, such as rendering a large page, under one of the
    /// platform's permits for heavy work. The work should poll [`storage::deadline`]: it is interrupted if the future
    /// is dropped, and after the platform's limit for heavy work.
    ///
    /// # Errors
    /// [`Error::Busy`]: no permit became free in time.
    pub async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let place = self.heavy_place().await?;
        let interrupt = Interrupt(self.0.live.work(Some(self.heavy_longest())));
        let deadline = interrupt.0.clone();
        let done = blocking(move || {
            let _place = place;
            Ok(deadline.enter(work))
        });
        done.await
    }

    /// Runs light work that belongs to this wiki without accessing it, such as rendering a small page, in a turn of the
    /// wiki's readers. The work should poll [`storage::deadline`]: it is interrupted if the future is dropped.
    ///
    /// # Errors
    /// [`Error::NoRuntime`]
    pub async fn work_in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let interrupt = Interrupt(self.0.live.work(None));
        let deadline = interrupt.0.clone();
        let turn = self.0.live.turn(Use::Read).await;
        let done = blocking(move || {
            // Held by the work itself, which may continue after the future is dropped.
            let _turn = turn;
            Ok(deadline.enter(work))
        });
        done.await
    }

    /// The permit that merging a large text with a newer version needs; `None` for all other saves.
    async fn place_to_merge(
        &self,
        path: &ExistingPath,
        content: &[u8],
        base: Base,
        options: &SaveOptions,
    ) -> Result<Option<HeavyPlace>, Error> {
        let Base::Version(base) = base else { return Ok(None) };
        if !options.merge || content.len() <= MERGED_LIGHTLY {
            return Ok(None);
        }
        let path = path.clone();
        // Of an error the save will tell.
        let is_stale =
            self.run(move |wiki| Ok(wiki.read(&path).is_ok_and(|page| page.summary.etag != base)));
        if is_stale.await? { self.heavy_place().await.map(Some) } else { Ok(None) }
    }

    async fn heavy_place(&self) -> Result<HeavyPlace, Error> {
        let Bound { platform, tenant, caller, .. } = &*self.0;
        let taken = platform.0.heavy.take(tenant.id, caller);
        let in_time = platform.0.background.timeout(heavy::PATIENCE, taken);
        in_time.await.unwrap_or_else(|_| Err(heavy::busy()))
    }

    fn heavy_longest(&self) -> Duration {
        self.0.platform.0.settings.heavy_longest
    }

    async fn run_in_turn<T: Send + 'static>(
        &self,
        purpose: Use,
        deadline: Deadline,
        work: impl FnOnce(&storage::Wiki) -> Result<T, storage::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let this = self.clone();
        let turn = self.0.live.turn(purpose).await;
        blocking(move || {
            // Held by the work itself, which may continue after the future is dropped.
            let _turn = turn;
            this.with(|wiki| {
                let done = deadline.enter(|| work(wiki));
                if wiki.takes_index_request() {
                    let Bound { platform, live, .. } = &*this.0;
                    platform.update_index_in_background(this.id(), live);
                }
                done
            })
        })
        .await
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&storage::Wiki) -> Result<T, storage::Error>,
    ) -> Result<T, Error> {
        match self.0.live.with(work) {
            Err(storage::Error::Closed) => Err(self.ended()),
            Err(storage::Error::Cancelled(_)) if self.0.live.is_closing() => Err(self.ended()),
            done => done.map_err(|error| self.failed(error)),
        }
    }

    /// The error if the wiki was closed while this handle was held.
    fn ended(&self) -> Error {
        if self.0.platform.0.is_closed() {
            Error::Busy("the platform is being closed".to_owned())
        } else {
            // The wiki was deleted. Its handles report the same as a request for a deleted wiki.
            Error::UnknownWiki
        }
    }

    fn failed(&self, source: storage::Error) -> Error {
        Error::Wiki { wiki: self.slug().clone(), source }
    }

    fn existing(&self, path: &str) -> Result<ExistingPath, Error> {
        ExistingPath::new(path).map_err(|error| self.failed(error.into()))
    }

    fn to_text(&self, page: &storage::Page) -> Result<Page, Error> {
        let storage::Page { summary, content, .. } = page;
        let Ok(content) = std::str::from_utf8(content) else {
            return Err(self.failed(storage::Error::NotText { path: summary.path.clone() }));
        };
        Ok(Page {
            path: summary.path.clone(),
            title: summary.title.clone(),
            content: content.to_owned(),
            etag: summary.etag,
            revision: summary.revision,
            author: summary.author.clone(),
            modified: summary.modified,
        })
    }

    fn announce(&self, revision: Revision, path: &str, author: &Author) {
        self.announce_all(revision, vec![path.to_owned()], author);
    }

    fn announce_all(&self, revision: Revision, paths: Vec<String>, author: &Author) {
        self.announce_from(Origin::Api, revision, paths, author);
    }

    fn announce_from(
        &self,
        origin: Origin,
        revision: Revision,
        paths: Vec<String>,
        author: &Author,
    ) {
        self.0.platform.0.announce(Change {
            wiki: self.id(),
            slug: self.slug().clone(),
            revision,
            paths,
            author: author.clone(),
            origin,
        });
        self.0.live.moved();
    }
}

impl std::fmt::Debug for Wiki {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wiki")
            .field("slug", self.slug())
            .field("caller", self.caller())
            .finish_non_exhaustive()
    }
}

/// The largest text, in bytes, that is merged without a permit for heavy work.
const MERGED_LIGHTLY: usize = 256 * 1024;

/// Interrupts work when the future that waits for it is dropped.
struct Interrupt(Deadline);

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Checks that a caller may do this at present. `tenant` and `known` were read at this epoch of the catalog cache, and
/// are read again if the epoch changed.
async fn allowed(
    platform: &Platform,
    tenant: &Tenant,
    caller: &Caller,
    known: &Membership,
    epoch: u64,
    action: Action,
) -> Result<(), Error> {
    if platform.0.memory.epoch() == epoch {
        return require(tenant, caller, known, action);
    }
    // The catalog changed since then, possibly the rows of this wiki.
    let tenant = platform.known_by_id(tenant.id, &tenant.slug).await?.tenant;
    platform.require_token(caller).await?;
    let known = platform.membership(tenant.id, caller).await?;
    require(&tenant, caller, &known, action)
}

/// Converts a decision to a result.
pub(crate) fn require(
    tenant: &Tenant,
    caller: &Caller,
    known: &Membership,
    action: Action,
) -> Result<(), Error> {
    match decide(tenant, caller, known, action) {
        Decision::Allowed(_) => Ok(()),
        Decision::Hidden => Err(Error::UnknownWiki),
        Decision::Denied { has, .. } => Err(Error::denied(&tenant.slug, has, action)),
        Decision::ReadOnly => Err(Error::ReadOnly { wiki: tenant.slug.clone() }),
        Decision::Suspended { reason } => {
            Err(Error::Suspended { wiki: tenant.slug.clone(), reason })
        }
        Decision::UserSuspended { reason } => Err(Error::UserSuspended { reason }),
    }
}
