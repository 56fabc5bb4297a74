//! Links of wikis to remote git repositories.

use wikigrove_storage::LinkId;

use crate::catalog::{SealedLink, SealedUpdate, StoredCredential};
use crate::context::blocking;
use crate::link::{
    Link, LinkCredential, LinkSettings, LinkStep, LinkUpdate, NewLink, number, random_id,
};
use crate::secrets::{credential_name, webhook_name};
use crate::{Error, Platform, Secret, TenantId};

impl Platform {
    /// Creates a link. The second value is the secret with which the remote's host signs its webhook messages.
    ///
    /// # Errors
    /// The wiki doesn't exist; the platform's key can't be used.
    pub async fn create_link(&self, new: NewLink) -> Result<(Link, Secret), Error> {
        let platform = self.clone();
        let (link, secret) = blocking(move || {
            let NewLink { wiki, settings, credential, known_hosts, progress } = new;
            let id = random_id();
            let secret = Secret::for_webhooks();
            let sealed = SealedLink {
                credential: platform.seal_credential(wiki, &id, credential)?,
                webhook: platform.0.vault.seal(wiki, &webhook_name(&id), &secret)?,
                id,
                wiki,
                settings,
                known_hosts,
                progress,
            };
            Ok::<_, Error>((platform.0.catalog.create_link(&sealed)?, secret))
        })
        .await?;
        self.tell_links(link.wiki).await;
        Ok((link, secret))
    }

    /// The link with this id.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub async fn link(&self, id: &str) -> Result<Option<Link>, Error> {
        let id = id.to_owned();
        self.catalog(move |catalog| catalog.link(&id)).await
    }

    /// The links of a wiki by id: at most `limit` after `after`.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub async fn links(
        &self,
        wiki: TenantId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Link>, Error> {
        let after = after.map(str::to_owned);
        self.catalog(move |catalog| catalog.links(wiki, after.as_deref(), limit)).await
    }

    /// The links of all wikis, or those in a state, by id: at most `limit` after `after`.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub async fn all_links(
        &self,
        word: Option<&str>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Link>, Error> {
        let (word, after) = (word.map(str::to_owned), after.map(str::to_owned));
        self.catalog(move |catalog| catalog.all_links(word.as_deref(), after.as_deref(), limit))
            .await
    }

    /// The links that are due (in milliseconds since 1970), the longest due first.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub async fn due_links(&self, now: i64, limit: u32) -> Result<Vec<Link>, Error> {
        self.catalog(move |catalog| catalog.due_links(now, limit)).await
    }

    /// The time when the next link is due, in milliseconds since 1970.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub async fn next_link_at(&self) -> Result<Option<i64>, Error> {
        self.catalog(|catalog| catalog.next_link_at()).await
    }

    /// Changes a link in one transaction.
    ///
    /// # Errors
    /// The link doesn't exist; the platform's key can't be used.
    pub async fn update_link(&self, id: &str, update: LinkUpdate) -> Result<Link, Error> {
        let (platform, id) = (self.clone(), id.to_owned());
        let link = blocking(move || {
            let wiki = platform.0.catalog.link(&id)?.ok_or(Error::UnknownLink)?.wiki;
            let LinkUpdate { settings, credential, known_hosts, progress } = update;
            let credential = credential
                .map(|credential| platform.seal_credential(wiki, &id, credential))
                .transpose()?;
            let update =
                SealedUpdate { settings, credential, known_hosts, progress, webhook: None };
            Ok::<_, Error>(platform.0.catalog.update_link(&id, &update)?)
        })
        .await?;
        self.tell_links(link.wiki).await;
        Ok(link)
    }

    /// Names the branch of a link that names none.
    ///
    /// # Errors
    /// The catalog can't be written.
    pub async fn name_branch(&self, id: &str, branch: &str) -> Result<(), Error> {
        let (id, branch) = (id.to_owned(), branch.to_owned());
        self.catalog(move |catalog| catalog.name_branch(&id, &branch)).await
    }

    /// Gives a link's host something new to sign its messages with.
    ///
    /// # Errors
    /// The link doesn't exist; the platform's key can't be used.
    pub async fn renew_webhook_secret(&self, link: &Link) -> Result<Secret, Error> {
        let (platform, link) = (self.clone(), link.clone());
        blocking(move || {
            let secret = Secret::for_webhooks();
            let webhook = platform.0.vault.seal(link.wiki, &webhook_name(&link.id), &secret)?;
            let update = SealedUpdate { webhook: Some(webhook), ..SealedUpdate::default() };
            platform.0.catalog.update_link(&link.id, &update)?;
            Ok(secret)
        })
        .await
    }

    /// Stores new states of links and the notices about them in one transaction.
    ///
    /// # Errors
    /// The catalog can't be written.
    pub async fn save_links(&self, steps: Vec<LinkStep>) -> Result<(), Error> {
        self.catalog(move |catalog| catalog.save_links(&steps)).await
    }

    /// Removes a link and its secrets. Returns `false` if the link didn't exist.
    ///
    /// # Errors
    /// The catalog can't be written.
    pub async fn remove_link(&self, id: &str) -> Result<bool, Error> {
        let Some(link) = self.link(id).await? else { return Ok(false) };
        let id = id.to_owned();
        let removed = self.catalog(move |catalog| catalog.remove_link(&id)).await?;
        self.tell_links(link.wiki).await;
        Ok(removed)
    }

    /// The ids of the wikis that are open now, which include all recently changed ones.
    pub fn open_wiki_ids(&self) -> Vec<TenantId> {
        self.0.registry.ids()
    }

    /// Passes the present list of pushing links to the wiki, which queues its saves for them. Waits for a wiki that is
    /// being opened; a closed wiki reads the list from the catalog when it is opened.
    async fn tell_links(&self, wiki: TenantId) {
        let platform = self.clone();
        let told = self.0.background.finish(async move {
            let live = platform.open_by_id(wiki).await?;
            blocking(move || {
                // Of two concurrent changes, the one that reads the catalog last sees both.
                let _one_at_a_time = platform.0.telling_links();
                let links = platform.pushing_links(wiki)?;
                // A wiki that was closed meanwhile reads the list when it is opened again.
                let _ = live.with(|wiki| {
                    wiki.set_links(links);
                    Ok(())
                });
                Ok(())
            })
            .await
        });
        let told: Result<(), Error> = told.await;
        if let Err(error) = told {
            tracing::warn!(wiki.id = %wiki, %error, "a wiki's links count from when it is opened");
        }
    }

    /// The numbers of the links that push the wiki's saves. Blocks.
    pub(super) fn pushing_links(&self, wiki: TenantId) -> Result<Vec<LinkId>, Error> {
        let numbers = self.0.catalog.pushing_links(wiki)?;
        Ok(numbers.iter().map(|id| LinkId(number(id))).collect())
    }

    /// The credential of a link; `None` if the remote needs none.
    ///
    /// # Errors
    /// The link doesn't exist; [`Error::SecretKey`]: the platform's key isn't the one that the credential was sealed
    /// with.
    pub async fn link_credential(&self, link: &Link) -> Result<Option<LinkCredential>, Error> {
        let (platform, link) = (self.clone(), link.clone());
        blocking(move || {
            let Some(stored) = platform.0.catalog.link_credential(&link.id)? else {
                return Ok(None);
            };
            let StoredCredential { kind, public_key, sealed } = stored;
            let secret = platform.0.vault.open(link.wiki, &credential_name(&link.id), &sealed)?;
            Ok(Some(LinkCredential { kind, public_key, secret }))
        })
        .await
    }

    /// The secret with which a link's host signs its webhook messages.
    ///
    /// # Errors
    /// As [`link_credential`](Self::link_credential).
    pub async fn webhook_secret(&self, link: &Link) -> Result<Secret, Error> {
        let (platform, link) = (self.clone(), link.clone());
        blocking(move || {
            let sealed = platform.0.catalog.link_webhook(&link.id)?;
            platform.0.vault.open(link.wiki, &webhook_name(&link.id), &sealed)
        })
        .await
    }

    fn seal_credential(
        &self,
        wiki: TenantId,
        id: &str,
        credential: Option<LinkCredential>,
    ) -> Result<Option<StoredCredential>, Error> {
        let Some(LinkCredential { kind, public_key, secret }) = credential else { return Ok(None) };
        let sealed = self.0.vault.seal(wiki, &credential_name(id), &secret)?;
        Ok(Some(StoredCredential { kind, public_key, sealed }))
    }
}

/// The place of a remote, to which a link's secrets belong.
impl LinkSettings {
    /// Returns `true` if both settings name the same URL, branch, directory and filter.
    pub fn same_remote(&self, other: &Self) -> bool {
        self.url == other.url
            && self.branch == other.branch
            && self.subdirectory == other.subdirectory
            && self.filter == other.filter
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::link::LinkProgress;

    fn new(wiki: TenantId, credential: Option<LinkCredential>) -> NewLink {
        NewLink {
            wiki,
            settings: LinkSettings {
                url: "https://git.example.org/garden.git".to_owned(),
                branch: "main".to_owned(),
                subdirectory: None,
                filter: None,
                mode: "both".to_owned(),
                winner: "wiki".to_owned(),
                first_run: "ask".to_owned(),
                on_rewrite: "ask".to_owned(),
                interval: Duration::from_secs(300),
                cooldown: Duration::from_secs(60),
                offline: false,
            },
            credential,
            known_hosts: String::new(),
            progress: LinkProgress {
                state: "{}".to_owned(),
                word: "idle".to_owned(),
                reason: None,
                next_at: None,
            },
        }
    }

    #[tokio::test]
    async fn credentials_come_back_as_they_were_given_and_lie_sealed() {
        let platform = Platform::in_memory().await.unwrap();
        let wiki = platform.create("garden").await.unwrap().id();
        let canary = "canary-3f9c";
        let credential = |kind: &str, public: Option<&str>| LinkCredential {
            kind: kind.to_owned(),
            public_key: public.map(str::to_owned),
            secret: Secret::new(canary.to_owned()),
        };
        for credential in [
            None,
            Some(credential("token", None)),
            Some(credential("token_file", None)),
            Some(credential("deploy_key", Some("ssh-ed25519 AAAA"))),
            Some(credential("key_file", None)),
        ] {
            let (link, webhook) =
                platform.create_link(new(wiki, credential.clone())).await.unwrap();
            let kind = credential.as_ref().map_or("none", |credential| &credential.kind);
            assert_eq!(link.credential, kind);
            assert_eq!(platform.link_credential(&link).await.unwrap(), credential);
            assert_eq!(platform.webhook_secret(&link).await.unwrap(), webhook);
            let renewed = platform.renew_webhook_secret(&link).await.unwrap();
            assert_ne!(renewed, webhook);
            assert_eq!(platform.webhook_secret(&link).await.unwrap(), renewed);
            // The secret of one link can't be opened as another link's.
            let changed = LinkUpdate {
                credential: Some(Some(LinkCredential {
                    kind: "token".to_owned(),
                    public_key: None,
                    secret: Secret::new("another".to_owned()),
                })),
                ..LinkUpdate::default()
            };
            let link = platform.update_link(&link.id, changed).await.unwrap();
            assert_eq!(link.credential, "token");
        }
        let channel = crate::channel::NewNoticeChannel {
            wiki,
            kind: "webhook".to_owned(),
            target: "hook.example.org".to_owned(),
            secret: Some(Secret::new(canary.to_owned())),
        };
        platform.create_notice_channel(channel, 1).await.unwrap();
        platform.put_secret(wiki, "A", Secret::new(canary.to_owned())).await.unwrap();
        // Each secret is listed with the name under which it was sealed.
        let mut opened = Vec::new();
        let every = |wiki, name: &str, sealed: &_| {
            opened.push(platform.0.vault.open(wiki, name, sealed).is_ok());
            false
        };
        platform.0.catalog.any_sealed(every).unwrap();
        assert_eq!(opened, [true; 12]);
        for entry in std::fs::read_dir(platform.dir()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let bytes = std::fs::read(&path).unwrap();
                let found = bytes.windows(canary.len()).any(|part| part == canary.as_bytes());
                assert!(!found, "{}", path.display());
            }
        }
        let gone = platform.links(wiki, None, 1).await.unwrap().remove(0);
        assert!(platform.remove_link(&gone.id).await.unwrap());
        assert!(platform.link_credential(&gone).await.unwrap_err().is_not_found());
    }
}
