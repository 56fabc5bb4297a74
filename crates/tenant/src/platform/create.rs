//! Creating a wiki so that a crash leaves either a whole one or nothing.

use std::path::{Path, PathBuf};

use wikigrove_storage as storage;
use wikigrove_storage::FileError;
use wikigrove_storage::files::sync_dir;

use super::lookup::Known;
use crate::context::blocking;
use crate::{Caller, Error, NewTenant, Platform, Slug, State, Tenant, TenantId, Wiki};

impl Platform {
    /// Creates a private, empty wiki and returns it for the operator; durable when this returns.
    ///
    /// # Errors
    /// The slug is invalid, reserved or taken; a preference can't be stored; the disk is full.
    pub async fn create(&self, slug: &str) -> Result<Wiki, Error> {
        let epoch = self.0.memory.epoch();
        let tenant = self.create_tenant(NewTenant::new(slug.parse()?)).await?.into();
        self.bind(Known { tenant, epoch }, Caller::operator()).await
    }

    /// Creates a wiki with everything said about it; durable when this returns.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub async fn create_tenant(&self, new: NewTenant) -> Result<Tenant, Error> {
        self.create_with(new, |dir, _| storage::Wiki::create(dir)).await
    }

    /// Creates a wiki whose directory is made by `make`, at the path it is given. It may take long:
    /// the wiki is seen by nobody before it is complete.
    ///
    /// # Errors
    /// As [`create`](Self::create), and what `make` says. Nothing is left then.
    pub async fn create_with<F>(&self, new: NewTenant, make: F) -> Result<Tenant, Error>
    where
        F: FnOnce(&Path, &Tenant) -> Result<(), storage::Error> + Send + 'static,
    {
        let platform = self.clone();
        // Not interrupted in the middle when the caller goes away.
        blocking(move || platform.create_blocking(new, make)).await
    }

    fn create_blocking<F>(&self, new: NewTenant, make: F) -> Result<Tenant, Error>
    where
        F: FnOnce(&Path, &Tenant) -> Result<(), storage::Error>,
    {
        storage::check_preferences(&new.preferences)
            .map_err(|wrong| Error::Wiki { wiki: new.slug.clone(), source: wrong.into() })?;
        self.refuse_orphan(&new.slug)?;
        // A row before a directory: after a crash the row says what to finish or to sweep.
        let tenant = self.0.catalog.begin_create(&new)?;
        let unfinished = Unfinished { platform: self, tenant: &tenant };
        self.make_dir(&tenant, make)?;
        let active = self.0.catalog.activate(tenant.id)?;
        std::mem::forget(unfinished);
        self.0.changed(&tenant.slug);
        Ok(active)
    }

    /// A directory without a row is nobody's wiki, but it may be somebody's data.
    fn refuse_orphan(&self, slug: &Slug) -> Result<(), Error> {
        let dir = self.wiki_dir(slug);
        if !dir.exists() {
            return Ok(());
        }
        match self.0.catalog.by_slug(slug)? {
            Some(_) => Err(Error::SlugTaken(slug.clone())),
            None => Err(exists(&dir)),
        }
    }

    fn make_dir<F>(&self, tenant: &Tenant, make: F) -> Result<(), Error>
    where
        F: FnOnce(&Path, &Tenant) -> Result<(), storage::Error>,
    {
        let building = self.building_dir(tenant.id);
        let of_wiki = |source| Error::Wiki { wiki: tenant.slug.clone(), source };
        make(&building, tenant).map_err(of_wiki)?;
        rename(&building, &self.wiki_dir(&tenant.slug))?;
        Ok(sync_dir(&self.wikis_dir())?)
    }

    /// Finishes or undoes what a crash interrupted.
    pub(crate) async fn finish_unfinished(&self) -> Result<(), Error> {
        let platform = self.clone();
        blocking(move || {
            for tenant in platform.0.catalog.unfinished()? {
                let finished = match tenant.state {
                    State::Creating => platform.finish_creating(&tenant),
                    _ => platform.finish_deleting(&tenant),
                };
                // The other wikis must not wait for this one.
                if let Err(error) = finished {
                    tracing::error!(wiki.slug = %tenant.slug, state = %tenant.state, %error, "a wiki remains unfinished until the next start");
                }
            }
            Ok(())
        })
        .await
    }

    fn finish_creating(&self, tenant: &Tenant) -> Result<(), Error> {
        if self.wiki_dir(&tenant.slug).exists() {
            // The directory gets its name when it is complete; only the row was not told.
            tracing::info!(wiki.slug = %tenant.slug, "finishing a creation that was interrupted");
            self.0.catalog.activate(tenant.id)?;
            return Ok(());
        }
        tracing::info!(wiki.slug = %tenant.slug, "undoing a creation that was interrupted");
        self.sweep_unfinished(tenant)
    }

    /// Removes a directory that isn't complete, and then the row: the other way round a crash would
    /// leave a directory that nobody knows.
    fn sweep_unfinished(&self, tenant: &Tenant) -> Result<(), Error> {
        remove_dir(&self.building_dir(tenant.id))?;
        Ok(self.0.catalog.forget(tenant.id)?)
    }

    fn wikis_dir(&self) -> PathBuf {
        self.0.dir.join("wikis")
    }

    /// Where a wiki's files are.
    pub(crate) fn wiki_dir(&self, slug: &Slug) -> PathBuf {
        self.wikis_dir().join(slug.as_str())
    }

    /// Where a wiki's files are while they are made. No slug begins with a dot.
    fn building_dir(&self, id: TenantId) -> PathBuf {
        self.wikis_dir().join(format!(".new-{id}"))
    }
}

/// A wiki that is being created. Dropping this, be it by an error or by a panic, undoes it.
struct Unfinished<'a> {
    platform: &'a Platform,
    tenant: &'a Tenant,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        let Self { platform, tenant } = self;
        let (building, made) = (platform.building_dir(tenant.id), platform.wiki_dir(&tenant.slug));
        // In one step, so that no crash leaves half of a wiki where a whole one would be.
        if !building.exists() && made.exists() {
            let _ = std::fs::rename(&made, &building);
        }
        let swept = platform.sweep_unfinished(tenant);
        platform.0.changed(&tenant.slug);
        // What went wrong before matters more than a failure to clean up.
        if let Err(error) = swept {
            tracing::error!(wiki.slug = %tenant.slug, %error, "a half-created wiki remains until the next start");
        }
    }
}

/// Moves a directory to where nothing may be yet.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    if to.exists() {
        return Err(exists(to));
    }
    std::fs::rename(from, to).map_err(|source| {
        FileError { action: "move into place", path: from.to_owned(), source }.into()
    })
}

fn exists(dir: &Path) -> Error {
    let source = std::io::ErrorKind::AlreadyExists.into();
    FileError { action: "create the directory", path: dir.to_owned(), source }.into()
}

fn remove_dir(dir: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(dir) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(FileError { action: "remove", path: dir.to_owned(), source }.into())
        }
        _ => Ok(()),
    }
}
