//! Secrets that wikis need for external services.

use crate::context::blocking;
use crate::{Error, Platform, Secret, TenantId};

impl Platform {
    /// Stores a secret of a wiki, replacing the previous one of this name. It is sealed with the platform's key, which
    /// is made if there is none.
    ///
    /// # Errors
    /// The wiki doesn't exist; the key can't be read or made.
    pub async fn put_secret(&self, wiki: TenantId, name: &str, value: Secret) -> Result<(), Error> {
        let (platform, name) = (self.clone(), name.to_owned());
        blocking(move || platform.put_secret_blocking(wiki, &name, &value)).await
    }

    /// Like [`put_secret`](Self::put_secret), for code that may block.
    ///
    /// # Errors
    /// As [`put_secret`](Self::put_secret).
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
    /// [`Error::SecretKey`]: the platform's key isn't the one that the secret was sealed with.
    pub async fn secret(&self, wiki: TenantId, name: &str) -> Result<Option<Secret>, Error> {
        let (platform, name) = (self.clone(), name.to_owned());
        blocking(move || match platform.0.catalog.secret(wiki, &name)? {
            Some(sealed) => platform.0.vault.open(wiki, &name, &sealed).map(Some),
            None => Ok(None),
        })
        .await
    }

    /// Removes a secret. Returns `false` if it didn't exist.
    ///
    /// # Errors
    /// The catalog can't be written.
    pub async fn remove_secret(&self, wiki: TenantId, name: &str) -> Result<bool, Error> {
        let name = name.to_owned();
        self.catalog(move |catalog| catalog.remove_secret(wiki, &name)).await
    }

    /// The names of a wiki's secrets in alphabetical order.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub async fn secret_names(&self, wiki: TenantId) -> Result<Vec<String>, Error> {
        self.catalog(move |catalog| catalog.secret_names(wiki)).await
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Slug;

    async fn platform(dir: &Path) -> (Platform, TenantId) {
        let platform = Platform::open(dir).await.unwrap();
        let slug: Slug = "garden".parse().unwrap();
        if platform.tenant(&slug).await.unwrap().is_none() {
            platform.create("garden").await.unwrap();
        }
        let id = platform.tenant(&slug).await.unwrap().unwrap().id;
        (platform, id)
    }

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn no_key_takes_the_place_of_one_that_stored_secrets_need() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret-key");
        let (first, id) = platform(dir.path()).await;
        first.put_secret(id, "A", secret("a")).await.unwrap();
        first.close().await;
        drop(first);
        let key = std::fs::read(&file).unwrap();
        let wrong: Vec<u8> = (0..32).collect();
        for present in [None, Some(&wrong[..]), Some(&[0; 32]), Some(&key[..31])] {
            match present {
                Some(bytes) => std::fs::write(&file, bytes).unwrap(),
                None => std::fs::remove_file(&file).unwrap(),
            }
            let (other, id) = platform(dir.path()).await;
            let error = other.put_secret(id, "B", secret("b")).await.unwrap_err().to_string();
            assert!(error.contains("secret-key") && error.contains("put"), "{error}");
            other.secret(id, "A").await.unwrap_err();
            other.close().await;
            assert_eq!(std::fs::read(&file).ok().as_deref(), present, "a key was made");
        }
        std::fs::write(&file, key).unwrap();
        let (again, id) = platform(dir.path()).await;
        assert_eq!(again.secret(id, "A").await.unwrap().unwrap().expose(), "a");
        again.put_secret(id, "B", secret("b")).await.unwrap();
    }

    #[tokio::test]
    async fn without_stored_secrets_a_lost_key_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let (first, id) = platform(dir.path()).await;
        first.put_secret(id, "A", secret("a")).await.unwrap();
        first.remove_secret(id, "A").await.unwrap();
        first.close().await;
        drop(first);
        std::fs::remove_file(dir.path().join("secret-key")).unwrap();
        let (again, id) = platform(dir.path()).await;
        again.put_secret(id, "A", secret("b")).await.unwrap();
    }
}
