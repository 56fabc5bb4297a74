//! Secrets that a wiki needs for something elsewhere.

use crate::context::blocking;
use crate::{Error, Platform, Secret, TenantId};

impl Platform {
    /// Keeps a secret for a wiki, in place of the one that had the name. It is sealed under the
    /// platform's key, which is made if there is none.
    ///
    /// # Errors
    /// There is no such wiki; the key can't be read or made.
    pub async fn put_secret(&self, wiki: TenantId, name: &str, value: Secret) -> Result<(), Error> {
        let (platform, name) = (self.clone(), name.to_owned());
        blocking(move || platform.put_secret_blocking(wiki, &name, &value)).await
    }

    /// As [`put_secret`](Self::put_secret), for code that may block.
    ///
    /// # Errors
    /// As there.
    pub fn put_secret_blocking(
        &self,
        wiki: TenantId,
        name: &str,
        value: &Secret,
    ) -> Result<(), Error> {
        let sealed = self.0.vault.seal(wiki, name, value)?;
        Ok(self.0.catalog.put_secret(wiki, name, &sealed)?)
    }

    /// The secret of this name.
    ///
    /// # Errors
    /// [`Error::SecretKey`]: the platform's key isn't the one it was sealed under.
    pub async fn secret(&self, wiki: TenantId, name: &str) -> Result<Option<Secret>, Error> {
        let (platform, name) = (self.clone(), name.to_owned());
        blocking(move || match platform.0.catalog.secret(wiki, &name)? {
            Some(sealed) => platform.0.vault.open(wiki, &name, &sealed).map(Some),
            None => Ok(None),
        })
        .await
    }

    /// Forgets a secret. `false`: there was none.
    ///
    /// # Errors
    /// The catalog can't be written.
    pub async fn remove_secret(&self, wiki: TenantId, name: &str) -> Result<bool, Error> {
        let name = name.to_owned();
        self.catalog(move |catalog| catalog.remove_secret(wiki, &name)).await
    }

    /// The names of a wiki's secrets, in their order.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub async fn secret_names(&self, wiki: TenantId) -> Result<Vec<String>, Error> {
        self.catalog(move |catalog| catalog.secret_names(wiki)).await
    }
}
