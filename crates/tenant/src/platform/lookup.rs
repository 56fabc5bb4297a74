//! From a name to a wiki that is open, for a caller who may see it.

use std::sync::Arc;

use wikigrove_storage as storage;

use crate::live::Live;
use crate::resolver::Resolution;
use crate::{
    Action, Caller, Domain, Error, Membership, Platform, Settings, Slug, Tenant, TenantId, Wiki,
};

/// What the catalog says of a wiki, and the epoch before it was asked.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) epoch: u64,
}

/// A wiki that a caller may read, and what the catalog says of the two.
pub(crate) struct Admitted {
    pub(crate) known: Known,
    membership: Membership,
}

/// The queries that a look-up made. The others were answered from memory, or weren't needed.
#[derive(Default)]
struct Asked {
    wiki: bool,
    member: bool,
}

impl Platform {
    /// The wiki of this name, for this caller.
    ///
    /// # Errors
    /// There is no such wiki, or the caller may not see it; it is suspended; it can't be opened.
    pub async fn wiki(&self, slug: &str, caller: Caller) -> Result<Wiki, Error> {
        caller.check()?;
        let admitted = self.admitted(Resolution::Slug(slug.parse()?), &caller).await?;
        self.bind_admitted(admitted.ok_or(Error::UnknownWiki)?, caller).await
    }

    /// The wiki with this id, for this caller.
    ///
    /// # Errors
    /// As [`wiki`](Self::wiki).
    pub async fn wiki_by_id(&self, id: TenantId, caller: Caller) -> Result<Wiki, Error> {
        let epoch = self.0.memory.epoch();
        let found = self.catalog(move |catalog| catalog.by_id(id)).await?;
        let tenant = found.filter(|tenant| tenant.state.is_settled()).ok_or(Error::UnknownWiki)?;
        self.bind(Known { tenant: tenant.into(), epoch }, caller).await
    }

    /// What a wiki is called now; `None` if there is no such wiki, or no more.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub async fn slug_of(&self, id: TenantId) -> Result<Option<Slug>, Error> {
        let found = self.catalog(move |catalog| catalog.by_id(id)).await?;
        Ok(found.filter(|tenant| tenant.state.is_settled()).map(|tenant| tenant.slug))
    }

    /// What the catalog says of a wiki, for whoever runs the platform. Callers' rights are not asked.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub async fn tenant(&self, slug: &Slug) -> Result<Option<Arc<Tenant>>, Error> {
        Ok(self.known(slug).await?.map(|known| known.tenant))
    }

    pub(crate) async fn known(&self, slug: &Slug) -> Result<Option<Known>, Error> {
        self.known_asking(slug, &mut Asked::default()).await
    }

    async fn known_asking(&self, slug: &Slug, asked: &mut Asked) -> Result<Option<Known>, Error> {
        let memory = &self.0.memory;
        let epoch = memory.epoch();
        if let Some(tenant) = memory.tenants.get(slug) {
            return Ok(Some(Known { tenant, epoch }));
        }
        asked.wiki = true;
        let name = slug.clone();
        let found = self.catalog(move |catalog| catalog.by_slug(&name)).await?.map(Arc::new);
        Ok(found.map(|tenant| {
            memory.keep(epoch, |m| m.tenants.insert(slug.clone(), tenant.clone()));
            Known { tenant, epoch }
        }))
    }

    /// The wiki with this id, which was called `slug` when it was last seen.
    pub(crate) async fn known_by_id(&self, id: TenantId, slug: &Slug) -> Result<Known, Error> {
        match self.known(slug).await? {
            Some(known) if known.tenant.id == id => Ok(known),
            _ => {
                let epoch = self.0.memory.epoch();
                let found = self.catalog(move |catalog| catalog.by_id(id)).await?;
                let tenant = found.ok_or(Error::UnknownWiki)?.into();
                Ok(Known { tenant, epoch })
            }
        }
    }

    async fn known_by_domain(&self, domain: Domain) -> Result<Option<Known>, Error> {
        let epoch = self.0.memory.epoch();
        let found = self.catalog(move |catalog| catalog.by_domain(&domain)).await?;
        Ok(found.map(|tenant| Known { tenant: tenant.into(), epoch }))
    }

    /// The wiki that a request is for, whether or not its caller may see it; `None` if there is no such
    /// wiki, or the request is for none.
    pub(crate) async fn resolved(
        &self,
        mut resolution: Resolution,
    ) -> Result<Option<Known>, Error> {
        let mut asked = Asked { wiki: false, member: true };
        let found = loop {
            match resolution {
                Resolution::NotFound | Resolution::InvalidSlug => break None,
                Resolution::Invalid(why) => return Err(Error::BadHost(why)),
                Resolution::Slug(slug) => break self.known_asking(&slug, &mut asked).await?,
                Resolution::Domain { domain, otherwise } => {
                    asked.wiki = true;
                    match self.known_by_domain(domain).await? {
                        Some(known) => break Some(known),
                        None => resolution = *otherwise,
                    }
                }
            }
        };
        self.ask_in_vain(&asked, &Caller::anonymous()).await?;
        Ok(found)
    }

    /// The wiki that a request is for, if its caller may read it; `None` if the request is for no wiki.
    ///
    /// # Errors
    /// A wiki that the caller may not see and one that doesn't exist are the same
    /// [`Error::UnknownWiki`]; the domain of either is one that no wiki owns.
    pub(crate) async fn resolved_for(
        &self,
        resolution: Resolution,
        caller: &Caller,
    ) -> Result<Option<Admitted>, Error> {
        if resolution == Resolution::NotFound {
            return Ok(None);
        }
        // Asked later, it would tell whether there is a wiki to be asked for.
        caller.check()?;
        self.admitted(resolution, caller).await
    }

    /// As [`resolved_for`](Self::resolved_for). A wiki that the caller may not see takes as many queries as
    /// one that doesn't exist: what a query finds in memory is asked for in vain, so that the time tells
    /// nothing either.
    async fn admitted(
        &self,
        resolution: Resolution,
        caller: &Caller,
    ) -> Result<Option<Admitted>, Error> {
        let mut asked = Asked::default();
        let found = self.find_for(resolution, caller, &mut asked).await;
        if matches!(found, Ok(None) | Err(Error::UnknownWiki)) {
            self.ask_in_vain(&asked, caller).await?;
        }
        found
    }

    async fn find_for(
        &self,
        mut resolution: Resolution,
        caller: &Caller,
        asked: &mut Asked,
    ) -> Result<Option<Admitted>, Error> {
        loop {
            match resolution {
                Resolution::NotFound => return Ok(None),
                Resolution::InvalidSlug => return Err(Error::UnknownWiki),
                Resolution::Invalid(why) => return Err(Error::BadHost(why)),
                Resolution::Slug(slug) => {
                    let known = self.known_asking(&slug, asked).await?;
                    let known = known.ok_or(Error::UnknownWiki)?;
                    return self.admit(known, caller, asked).await.map(Some);
                }
                Resolution::Domain { domain, otherwise } => {
                    asked.wiki = true;
                    if let Some(known) = self.known_by_domain(domain).await? {
                        match self.admit(known, caller, asked).await {
                            Err(Error::UnknownWiki) => {}
                            admitted => return admitted.map(Some),
                        }
                    }
                    resolution = *otherwise;
                }
            }
        }
    }

    /// Whether this caller may at least read.
    async fn admit(
        &self,
        known: Known,
        caller: &Caller,
        asked: &mut Asked,
    ) -> Result<Admitted, Error> {
        let membership = self.membership_asking(known.tenant.id, caller, &mut asked.member).await?;
        crate::wiki::require(&known.tenant, caller, &membership, Action::Read)?;
        Ok(Admitted { known, membership })
    }

    /// Makes the queries that weren't made, for rows that don't exist, so that the number of queries is the same.
    async fn ask_in_vain(&self, asked: &Asked, caller: &Caller) -> Result<(), Error> {
        if !asked.wiki {
            self.catalog(|catalog| catalog.look_for_no_wiki()).await?;
        }
        if let Some(subject) = caller.user_subject().filter(|_| !asked.member) {
            let subject = subject.to_owned();
            let no_wiki = TenantId::random();
            self.catalog(move |catalog| catalog.membership(no_wiki, &subject)).await?;
        }
        Ok(())
    }

    /// A handle for this caller, if it may at least read.
    pub(crate) async fn bind(&self, known: Known, caller: Caller) -> Result<Wiki, Error> {
        let admitted = self.admit(known, &caller, &mut Asked::default()).await?;
        self.bind_admitted(admitted, caller).await
    }

    /// A handle for the caller that was admitted.
    pub(crate) async fn bind_admitted(
        &self,
        admitted: Admitted,
        caller: Caller,
    ) -> Result<Wiki, Error> {
        let Admitted { known: Known { tenant, epoch }, membership } = admitted;
        let live = self.open_wiki(&tenant).await?;
        Ok(Wiki::new(self.clone(), tenant, live, caller, membership, epoch))
    }

    pub(super) async fn open_wiki(&self, tenant: &Tenant) -> Result<Arc<Live>, Error> {
        match self.0.registry.get(tenant.id) {
            Some(open) => Ok(open),
            None => {
                let (platform, id) = (self.clone(), tenant.id);
                // A caller who goes away must not leave a half-opened wiki behind.
                self.0.background.finish(async move { platform.open_by_id(id).await }).await
            }
        }
    }

    pub(super) async fn open_by_id(&self, id: TenantId) -> Result<Arc<Live>, Error> {
        let platform = self.clone();
        let (live, fresh) = self.0.registry.open(id, move || platform.open_behind_gate(id)).await?;
        if fresh {
            self.update_index_in_background(id, &live);
        }
        Ok(live)
    }

    /// Asks the catalog again: a deletion holds the same gate, so here it has not begun or is over.
    /// What the caller read earlier may be older, and the directory another wiki's by now.
    fn open_behind_gate(&self, id: TenantId) -> Result<storage::Wiki, Error> {
        let found = self.0.catalog.by_id(id)?.filter(|tenant| tenant.state.is_settled());
        let Tenant { slug, preferences, quota, .. } = found.ok_or(Error::UnknownWiki)?;
        let Settings { page_limit, attachment_limit, .. } = self.0.settings;
        let new = storage::Options::new(id.to_string());
        let options = storage::Options { preferences, page_limit, attachment_limit, ..new };
        let wiki = storage::Wiki::open(&self.wiki_dir(&slug), options, &self.0.resources)
            .map_err(|source| Error::Wiki { wiki: slug, source })?;
        wiki.set_links(self.pushing_links(id)?);
        wiki.set_quota(self.0.settings.quota(quota));
        Ok(wiki)
    }

    /// Reads and saves go on meanwhile; lists are answered from the history, or say how far it is.
    pub(crate) fn update_index_in_background(&self, id: TenantId, live: &Arc<Live>) {
        // The platform stays until this is over: with it would go the lock on the directory.
        let (platform, live) = (self.clone(), live.clone());
        self.0.background.spawn_blocking(move || {
            let updated = live.with(|wiki| match wiki.head()? {
                // Nothing to index, and no reason to create a wiki.db.
                None => Ok(()),
                Some(_) => wiki.update_index(|_| ()),
            });
            live.moved();
            match updated {
                Ok(()) | Err(storage::Error::Closed) => {}
                Err(error) => {
                    tracing::error!(wiki.id = %id, %error, "the page index could not be brought up to date");
                }
            }
            drop(platform);
        });
    }
}
