//! Changes and deletion of wikis.

use wikigrove_storage::files::sync_dir;
use wikigrove_storage::{Quota, Usage, Wiki};

use super::create::rename;
use crate::context::blocking;
use crate::live::Use;
use crate::memory::Memory;
use crate::{Domain, Error, Platform, Slug, State, Tenant, TenantId, TenantUpdate};

impl Platform {
    /// The settled wikis in the order of their slugs: at most `limit` after `after`.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub async fn wikis(&self, after: Option<&Slug>, limit: u32) -> Result<Vec<Tenant>, Error> {
        let after = after.cloned();
        self.catalog(move |catalog| catalog.list(after.as_ref(), limit)).await
    }

    /// Changes a wiki's title, visibility, state or quota.
    ///
    /// # Errors
    /// The wiki doesn't exist, or is being created or deleted.
    pub async fn update(&self, slug: &Slug, update: TenantUpdate) -> Result<Tenant, Error> {
        let id = self.tenant(slug).await?.ok_or(Error::UnknownWiki)?.id;
        let limits = [update.max_bytes, update.max_pages, update.max_disk_bytes];
        let is_limit = limits.iter().any(Option::is_some);
        let (platform, name) = (self.clone(), slug.clone());
        let updating = async move {
            // The gate keeps the wiki from being opened with the old limits meanwhile, and orders concurrent changes,
            // so that the open wiki, too, gets the limits of the last one.
            let gate = if is_limit { Some(platform.0.registry.gate(id).await?) } else { None };
            let forget = move |memory: &Memory| memory.tenants.invalidate(&name);
            let updated =
                platform.change(move |catalog| catalog.update(id, &update), forget).await?;
            if let Some(live) = gate.as_ref().and_then(|gate| gate.open_wiki()) {
                // A wiki that is being closed reads its limits when it is opened again.
                let _ = live.with(|wiki| {
                    wiki.set_quota(platform.0.settings.quota(updated.quota));
                    Ok(())
                });
            }
            Ok(updated)
        };
        self.0.background.finish(updating).await
    }

    /// The wiki's quota, with the platform's default limit of the size on disk if the wiki has none of its own.
    pub fn quota_of(&self, tenant: &Tenant) -> Quota {
        self.0.settings.quota(tenant.quota)
    }

    /// The present size of a wiki, even of a suspended one.
    ///
    /// # Errors
    /// The wiki doesn't exist; it can't be opened or read.
    pub async fn usage(&self, slug: &Slug) -> Result<Usage, Error> {
        let tenant = self.tenant(slug).await?.ok_or(Error::UnknownWiki)?;
        if !tenant.state.is_settled() {
            return Err(Error::UnknownWiki);
        }
        let live = self.open_wiki(&tenant).await?;
        let turn = live.turn(Use::Read).await;
        let name = slug.clone();
        blocking(move || {
            let _turn = turn;
            live.with(Wiki::usage).map_err(|source| Error::Wiki { wiki: name, source })
        })
        .await
    }

    /// Suspends a wiki: callers who may see it get the reason, and none can read or write.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub async fn suspend(&self, slug: &Slug, reason: impl Into<String>) -> Result<Tenant, Error> {
        let state = Some(State::Suspended { reason: reason.into() });
        self.update(slug, TenantUpdate { state, ..TenantUpdate::default() }).await
    }

    /// Ends a suspension or a read-only period.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub async fn resume(&self, slug: &Slug) -> Result<Tenant, Error> {
        self.update(slug, TenantUpdate { state: Some(State::Active), ..TenantUpdate::default() })
            .await
    }

    /// Deletes a wiki: moves its files into `trash/<id>` and frees its slug. Open handles return errors from then on.
    /// The moved files contain all acknowledged saves.
    ///
    /// # Errors
    /// The wiki doesn't exist; its directory can't be moved.
    pub async fn delete(&self, slug: &Slug) -> Result<(), Error> {
        let id = self.tenant(slug).await?.ok_or(Error::UnknownWiki)?.id;
        let platform = self.clone();
        self.0.background.finish(async move { platform.delete_by_id(id).await }).await
    }

    async fn delete_by_id(&self, id: TenantId) -> Result<(), Error> {
        // The gate keeps other tasks from opening or deleting the wiki until its name is free. Afterwards a directory
        // of that name would be another wiki's.
        let gate = self.0.registry.gate(id).await?;
        let platform = self.clone();
        let tenant = blocking(move || platform.begin_deleting(id)).await?;
        gate.close().await;
        let platform = self.clone();
        blocking(move || {
            let finished = platform.finish_deleting(&tenant);
            platform.0.memory.forget(|memory| {
                memory.tenants.invalidate(&tenant.slug);
                memory.forget_tokens(|token| token.role.wiki() == Some(id));
            });
            finished
        })
        .await
    }

    fn begin_deleting(&self, id: TenantId) -> Result<Tenant, Error> {
        // The wiki may have been deleted while this task waited for the gate.
        let found = self.0.catalog.by_id(id)?.filter(|tenant| tenant.state != State::Deleted);
        found.ok_or(Error::UnknownWiki)?;
        let begun = self.0.catalog.begin_delete(id)?;
        self.0.changed(&begun.slug);
        Ok(begun)
    }

    /// Moves the files aside and completes the deletion in the catalog. Also called at start, after a crash in between.
    pub(super) fn finish_deleting(&self, tenant: &Tenant) -> Result<(), Error> {
        // The name belongs to this wiki only as long as its row is in this state.
        let row = self.0.catalog.by_id(tenant.id)?;
        if row.is_none_or(|row| row.state != State::Deleting) {
            return Err(Error::UnknownWiki);
        }
        let (from, trash) = (self.wiki_dir(&tenant.slug), self.0.dir.join("trash"));
        if from.exists() {
            rename(&from, &trash.join(tenant.id.to_string()))?;
            sync_dir(&trash)?;
            sync_dir(&self.0.dir.join("wikis"))?;
        }
        Ok(self.0.catalog.finish_delete(tenant.id)?)
    }

    /// Gives a wiki a domain of its own (see [`Resolver::domains`](crate::Resolver::domains)).
    ///
    /// # Errors
    /// The wiki doesn't exist; the domain belongs to another wiki.
    pub async fn add_domain(&self, slug: &Slug, domain: Domain) -> Result<(), Error> {
        let id = self.tenant(slug).await?.ok_or(Error::UnknownWiki)?.id;
        self.catalog(move |catalog| catalog.add_domain(id, &domain)).await
    }

    /// Takes a domain from a wiki. Returns `false` if the wiki didn't own it.
    ///
    /// # Errors
    /// The wiki doesn't exist.
    pub async fn remove_domain(&self, slug: &Slug, domain: Domain) -> Result<bool, Error> {
        let id = self.tenant(slug).await?.ok_or(Error::UnknownWiki)?.id;
        self.catalog(move |catalog| catalog.remove_domain(id, &domain)).await
    }

    /// The domains of a wiki.
    ///
    /// # Errors
    /// The wiki doesn't exist.
    pub async fn domains(&self, slug: &Slug) -> Result<Vec<Domain>, Error> {
        let id = self.tenant(slug).await?.ok_or(Error::UnknownWiki)?.id;
        self.catalog(move |catalog| catalog.domains(id)).await
    }
}
