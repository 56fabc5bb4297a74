//! Creates wikis so that a crash leaves either a complete wiki or none.

use std::path::{Path, PathBuf};

use wikigrove_storage as storage;
use wikigrove_storage::FileError;
use wikigrove_storage::files::sync_dir;

use super::lookup::Known;
use crate::context::blocking;
use crate::{Caller, Error, NewTenant, Platform, Slug, State, Tenant, TenantId, Wiki};

impl Platform {
    /// Creates a private, empty wiki and returns a handle for the operator. The wiki is durable when this returns.
    ///
    /// # Errors
    /// The slug is invalid, reserved or taken; a preference can't be stored; the disk is full.
    pub async fn create(&self, slug: &str) -> Result<Wiki, Error> {
        let epoch = self.0.memory.epoch();
        let tenant = self.create_tenant(NewTenant::new(slug.parse()?)).await?.into();
        self.bind(Known { tenant, epoch }, Caller::operator()).await
    }

    /// Creates a wiki with these values. The wiki is durable when this returns.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub async fn create_tenant(&self, new: NewTenant) -> Result<Tenant, Error> {
        self.create_with(new, |dir, _| storage::Wiki::create(dir)).await
    }

    /// Creates a wiki whose directory `make` builds at the path it is given. `make` may take long: the wiki is
    /// invisible until it is complete.
    ///
    /// # Errors
    /// As [`create`](Self::create), and the error of `make`. Then no trace of the wiki is left.
    pub async fn create_with<F>(&self, new: NewTenant, make: F) -> Result<Tenant, Error>
    where
        F: FnOnce(&Path, &Tenant) -> Result<(), storage::Error> + Send + 'static,
    {
        let platform = self.clone();
        // A blocking task isn't interrupted if the caller is cancelled.
        blocking(move || platform.create_blocking(new, make)).await
    }

    fn create_blocking<F>(&self, new: NewTenant, make: F) -> Result<Tenant, Error>
    where
        F: FnOnce(&Path, &Tenant) -> Result<(), storage::Error>,
    {
        storage::check_preferences(&new.preferences)
            .map_err(|wrong| Error::Wiki { wiki: new.slug.clone(), source: wrong.into() })?;
        self.refuse_orphan(&new.slug)?;
        // The row precedes the directory: after a crash the row tells which directory to complete or to remove.
        let tenant = self.0.catalog.begin_create(&new)?;
        let unfinished = Unfinished { platform: self, tenant: &tenant };
        self.make_dir(&tenant, make)?;
        let active = self.0.catalog.activate(tenant.id)?;
        std::mem::forget(unfinished);
        self.0.changed(&tenant.slug);
        Ok(active)
    }

    /// A directory without a row is no wiki, but its data may be valuable.
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

    /// Completes or undoes the creations and deletions that a crash interrupted.
    pub(crate) async fn finish_unfinished(&self) -> Result<(), Error> {
        let platform = self.clone();
        blocking(move || {
            for tenant in platform.0.catalog.unfinished()? {
                let finished = match tenant.state {
                    State::Creating => platform.finish_creating(&tenant),
                    _ => platform.finish_deleting(&tenant),
                };
                // One failure must not prevent the start of the other wikis.
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
            // The directory gets its final name when it is complete; only the row wasn't updated.
            tracing::info!(wiki.slug = %tenant.slug, "finishing a creation that was interrupted");
            self.0.catalog.activate(tenant.id)?;
            return Ok(());
        }
        tracing::info!(wiki.slug = %tenant.slug, "undoing a creation that was interrupted");
        self.sweep_unfinished(tenant)
    }

    /// Removes an incomplete directory, and then the row: in the other order a crash would leave a directory without a
    /// row.
    fn sweep_unfinished(&self, tenant: &Tenant) -> Result<(), Error> {
        remove_dir(&self.building_dir(tenant.id))?;
        Ok(self.0.catalog.forget(tenant.id)?)
    }

    fn wikis_dir(&self) -> PathBuf {
        self.0.dir.join("wikis")
    }

    /// The directory of a wiki.
    pub(crate) fn wiki_dir(&self, slug: &Slug) -> PathBuf {
        self.wikis_dir().join(slug.as_str())
    }

    /// The directory of a wiki that is being created. No slug begins with a dot.
    fn building_dir(&self, id: TenantId) -> PathBuf {
        self.wikis_dir().join(format!(".new-{id}"))
    }
}

/// A wiki that is being created. Dropping this value, by an error or a panic, undoes the creation.
struct Unfinished<'a> {
    platform: &'a Platform,
    tenant: &'a Tenant,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        let Self { platform, tenant } = self;
        let (building, made) = (platform.building_dir(tenant.id), platform.wiki_dir(&tenant.slug));
        // A rename is one step, so a crash can't leave an incomplete wiki under its final name.
        if !building.exists() && made.exists() {
            let _ = std::fs::rename(&made, &building);
        }
        let swept = platform.sweep_unfinished(tenant);
        platform.0.changed(&tenant.slug);
        // The caller reports the original error, so a failed clean-up is only logged.
        if let Err(error) = swept {
            tracing::error!(wiki.slug = %tenant.slug, %error, "a half-created wiki remains until the next start");
        }
    }
}

/// Renames a directory; the target must not exist.
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
