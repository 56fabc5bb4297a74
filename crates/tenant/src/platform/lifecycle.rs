//! What becomes of a wiki after it was created.

use wikigrove_storage::files::sync_dir;
use wikigrove_storage::{Quota, Usage, Wiki};

use super::create::rename;
use crate::context::blocking;
use crate::live::Use;
use crate::memory::Memory;
use crate::{Domain, Error, Platform, Slug, State, Tenant, TenantId, TenantUpdate};

impl Platform {
    /// The wikis that exist, in the order of their slugs: at most `limit` after `after`.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub async fn wikis(&self, after: Option<&Slug>, limit: u32) -> Result<Vec<Tenant>, Error> {
        let after = after.cloned();
        self.catalog(move |catalog| catalog.list(after.as_ref(), limit)).await
    }

    /// Changes what is said of a wiki: its title, who may see it, whether it is suspended.
    ///
    /// # Errors
    /// There is no such wiki; or it is being created or deleted.
    pub async fn update(&self, slug: &Slug, update: TenantUpdate) -> Result<Tenant, Error> {
        let id = self.tenant(slug).await?.ok_or(Error::UnknownWiki)?.id;
        let limits = [update.max_bytes, update.max_pages, update.max_disk_bytes];
        let is_limit = limits.iter().any(Option::is_some);
        let (platform, name) = (self.clone(), slug.clone());
        let updating = async move {
            // Nobody opens it meanwhile with the limits of before, and of two changes the later one
            // counts in the open wiki, too.
            let gate = if is_limit { Some(platform.0.registry.gate(id).await?) } else { None };
            let forget = move |memory: &Memory| memory.tenants.invalidate(&name);
            let updated =
                platform.change(move |catalog| catalog.update(id, &update), forget).await?;
            if let Some(live) = gate.as_ref().and_then(|gate| gate.open_wiki()) {
                // One that is being closed reads its limits when it is opened again.
                let _ = live.with(|wiki| {
                    wiki.set_quota(platform.0.settings.quota(updated.quota));
                    Ok(())
                });
            }
            Ok(updated)
        };
        self.0.background.finish(updating).await
    }

    /// How much a wiki may hold, with the limit of the disk that the platform gives if it has none of its own.
    pub fn quota_of(&self, tenant: &Tenant) -> Quota {
        self.0.settings.quota(tenant.quota)
    }

    /// How much a wiki holds, also one that is suspended.
    ///
    /// # Errors
    /// There is no such wiki; it can't be opened or read.
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

    /// Suspends a wiki: everybody who may see it is told the reason, nobody reads or writes.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub async fn suspend(&self, slug: &Slug, reason: impl Into<String>) -> Result<Tenant, Error> {
        let state = Some(State::Suspended { reason: reason.into() });
        self.update(slug, TenantUpdate { state, ..TenantUpdate::default() }).await
    }

    /// Ends a suspension, or a time of being read-only.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub async fn resume(&self, slug: &Slug) -> Result<Tenant, Error> {
        self.update(slug, TenantUpdate { state: Some(State::Active), ..TenantUpdate::default() })
            .await
    }

    /// Deletes a wiki: its files are moved aside, into `trash/<id>`, and its slug is free again.
    /// Whoever holds a handle gets errors from then on; a save that was acknowledged is in the files.
    ///
    /// # Errors
    /// There is no such wiki; its directory can't be moved.
    pub async fn delete(&self, slug: &Slug) -> Result<(), Error> {
        let id = self.tenant(slug).await?.ok_or(Error::UnknownWiki)?.id;
        let platform = self.clone();
        self.0.background.finish(async move { platform.delete_by_id(id).await }).await
    }

    async fn delete_by_id(&self, id: TenantId) -> Result<(), Error> {
        // Nobody opens it, or deletes it too, until its name is free: a directory of that name
        // would be another wiki's then.
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
        // Somebody else may have deleted it while we waited for the gate.
        let found = self.0.catalog.by_id(id)?.filter(|tenant| tenant.state != State::Deleted);
        found.ok_or(Error::UnknownWiki)?;
        let begun = self.0.catalog.begin_delete(id)?;
        self.0.changed(&begun.slug);
        Ok(begun)
    }

    /// Moves the files aside and ends the row; also at start, when a crash came in between.
    pub(super) fn finish_deleting(&self, tenant: &Tenant) -> Result<(), Error> {
        // The name is this wiki's for as long as its row says so, and no longer.
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

    /// Makes a wiki answer on a domain of its own (see [`Resolver::domains`](crate::Resolver::domains)).
    ///
    /// # Errors
    /// There is no such wiki; the domain belongs to another one.
    pub async fn add_domain(&self, slug: &Slug, domain: Domain) -> Result<(), Error> {
        let id = self.tenant(slug).await?.ok_or(Error::UnknownWiki)?.id;
        self.catalog(move |catalog| catalog.add_domain(id, &domain)).await
    }

    /// Ends that. `false`: the domain wasn't this wiki's.
    ///
    /// # Errors
    /// There is no such wiki.
    pub async fn remove_domain(&self, slug: &Slug, domain: Domain) -> Result<bool, Error> {
        let id = self.tenant(slug).await?.ok_or(Error::UnknownWiki)?.id;
        self.catalog(move |catalog| catalog.remove_domain(id, &domain)).await
    }

    /// The domains of a wiki.
    ///
    /// # Errors
    /// There is no such wiki.
    pub async fn domains(&self, slug: &Slug) -> Result<Vec<Domain>, Error> {
        let id = self.tenant(slug).await?.ok_or(Error::UnknownWiki)?.id;
        self.catalog(move |catalog| catalog.domains(id)).await
    }
}
