//! Secrets of wikis, sealed with a key that is stored apart from them.
//!
//! platform.db alone, for example in a backup, reveals none of them. Each value is bound to its wiki and its name: a
//! row that is moved to another wiki can't be opened there.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use wikigrove_storage::FileError;
use wikigrove_storage::files::{Keeper, read_secret, sync_dir, write_new};
use zeroize::{Zeroize as _, Zeroizing};

use crate::catalog::Catalog;
use crate::{Error, Secret, TenantId, random};

/// Size of a key in bytes.
const KEY_BYTES: usize = 32;
/// Size of a nonce in bytes. Random nonces of this size never collide in practice.
const NONCE_BYTES: usize = 24;

/// A sealed value as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) nonce: Vec<u8>,
    pub(crate) sealed: Vec<u8>,
}

/// Seals and opens values, with a key from a file that is read on first use.
pub(crate) struct Vault {
    file: PathBuf,
    keeper: Keeper,
    cipher: Mutex<Option<XChaCha20Poly1305>>,
    /// The reason why the key must not be used or made, if there is one.
    refused: OnceLock<&'static str>,
}

impl Vault {
    pub(crate) fn new(file: PathBuf, keeper: Keeper) -> Self {
        Self { file, keeper, cipher: Mutex::new(None), refused: OnceLock::new() }
    }

    /// Tests the key against the stored values. If there are some and the key opens none of them, the vault refuses to
    /// use the key, or to make one, from now on: with a second key some values would open with one key and some with
    /// the other.
    ///
    /// # Errors
    /// The stored values can't be listed.
    pub(crate) fn check(&self, catalog: &Catalog) -> Result<(), Error> {
        let mut last = None;
        let is_opened = catalog.any_sealed(|wiki, name, sealed| {
            last = self.open(wiki, name, sealed).err();
            last.is_none()
        })?;
        let Some(error) = last.filter(|_| !is_opened) else { return Ok(()) };
        let why = match &error {
            Error::File(error) if error.source.kind() == ErrorKind::NotFound => {
                "it is missing, and stored secrets are sealed with it: put it back and start again"
            }
            Error::File(_) => "it can't be read, and stored secrets are sealed with it",
            _ => {
                "it opens none of the stored secrets: put back the key that they are sealed with and start again"
            }
        };
        tracing::error!(file = %self.file.display(), %error, "no secret can be kept or used: {why}");
        let _ = self.refused.set(why);
        Ok(())
    }

    /// Seals a value. Makes the key if there is none.
    ///
    /// # Errors
    /// The key can't be read or made.
    pub(crate) fn seal(&self, wiki: TenantId, name: &str, value: &Secret) -> Result<Sealed, Error> {
        let nonce = random::bytes::<NONCE_BYTES>();
        let cipher = self.cipher(true)?;
        let payload = Payload { msg: value.expose().as_bytes(), aad: &bound_to(wiki, name) };
        let sealed = cipher
            .encrypt(&XNonce::from(nonce), payload)
            .expect("a value in memory is short enough for the cipher");
        Ok(Sealed { nonce: nonce.to_vec(), sealed })
    }

    /// Opens a value that was sealed for this wiki and name.
    ///
    /// # Errors
    /// The key is missing or a different one; the value is damaged, or was sealed for another wiki or name.
    pub(crate) fn open(
        &self,
        wiki: TenantId,
        name: &str,
        sealed: &Sealed,
    ) -> Result<Secret, Error> {
        let refused = || {
            self.error(
                "it doesn't open a stored secret: it is another key, or the secret is damaged",
            )
        };
        let cipher = self.cipher(false)?;
        let nonce: [u8; NONCE_BYTES] = sealed.nonce.as_slice().try_into().map_err(|_| refused())?;
        let payload = Payload { msg: &sealed.sealed, aad: &bound_to(wiki, name) };
        let opened = cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| refused())?;
        let text = String::from_utf8(opened).map_err(|error| {
            error.into_bytes().zeroize();
            refused()
        })?;
        Ok(Secret::new(text))
    }

    /// Reads the key and checks its form. With `create`, makes the key if it is missing.
    fn cipher(&self, create: bool) -> Result<XChaCha20Poly1305, Error> {
        if let Some(why) = self.refused.get() {
            return Err(self.error(why));
        }
        let mut known = self.cipher.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cipher) = &*known {
            return Ok(cipher.clone());
        }
        let key = match read_secret(&self.file, self.keeper) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.source.kind() == ErrorKind::NotFound && create => self.create()?,
            Err(error) => return Err(error.into()),
        };
        let key = Key::try_from(key.as_slice())
            .map_err(|_| self.error("a key is 32 bytes, and these are more or fewer"))?;
        if key.iter().all(|byte| *byte == key[0]) {
            // Zeros are the content of a file after a power cut or a failed copy.
            return Err(self.error("its bytes are all the same, which no random key is"));
        }
        let cipher = XChaCha20Poly1305::new(&key);
        *known = Some(cipher.clone());
        Ok(cipher)
    }

    /// Makes the key, durably, before any value is sealed with it. If another process was faster, its key is used.
    fn create(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let key = Zeroizing::new(random::bytes::<KEY_BYTES>());
        let private = self.file.with_extension("new");
        if let Err(source) = std::fs::remove_file(&private)
            && source.kind() != ErrorKind::NotFound
        {
            return Err(self.file_error("remove a leftover beside", source));
        }
        write_new(&private, key.as_slice())?;
        // Linked and not renamed, so that an existing key is never replaced.
        let linked = std::fs::hard_link(&private, &self.file);
        std::fs::remove_file(&private)
            .map_err(|source| self.file_error("tidy up beside", source))?;
        match linked {
            Err(source) if source.kind() != ErrorKind::AlreadyExists => {
                return Err(self.file_error("create", source));
            }
            _ => {}
        }
        let dir = self.file.parent().filter(|dir| !dir.as_os_str().is_empty());
        sync_dir(dir.unwrap_or(Path::new(".")))?;
        let stored = std::fs::read(&self.file).map_err(|source| self.file_error("read", source))?;
        Ok(Zeroizing::new(stored))
    }

    fn error(&self, why: &'static str) -> Error {
        Error::SecretKey { file: self.file.clone(), why }
    }

    fn file_error(&self, action: &'static str, source: std::io::Error) -> Error {
        FileError { action, path: self.file.clone(), source }.into()
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("file", &self.file).finish_non_exhaustive()
    }
}

/// The name under which the credential of a link is sealed.
pub(crate) fn credential_name(link: &str) -> String {
    format!("link {link} credential")
}

/// The name under which the secret of a link's incoming webhook is sealed.
pub(crate) fn webhook_name(link: &str) -> String {
    format!("link {link} webhook")
}

/// The name under which a channel's address and secret are sealed.
pub(crate) fn channel_name(channel: &str) -> String {
    format!("channel {channel}")
}

/// The bytes that bind a value to its wiki and name. The id has a fixed length, so different pairs give different
/// bytes.
fn bound_to(wiki: TenantId, name: &str) -> Vec<u8> {
    format!("{wiki}{name}").into_bytes()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn vault(dir: &tempfile::TempDir) -> Vault {
        Vault::new(dir.path().join("secret-key"), Keeper::Program)
    }

    #[test]
    fn a_value_opens_only_for_its_wiki_and_name() {
        let dir = tempfile::tempdir().unwrap();
        let (garden, kitchen) = (TenantId::random(), TenantId::random());
        let value = Secret::new("hunter2".to_owned());
        let sealed = vault(&dir).seal(garden, "MAIL_PASSWORD", &value).unwrap();
        let again = vault(&dir);
        assert_eq!(again.open(garden, "MAIL_PASSWORD", &sealed).unwrap().expose(), "hunter2");
        again.open(kitchen, "MAIL_PASSWORD", &sealed).unwrap_err();
        again.open(garden, "SECRET_KEY", &sealed).unwrap_err();
        let mut damaged = sealed.clone();
        damaged.sealed[0] ^= 1;
        again.open(garden, "MAIL_PASSWORD", &damaged).unwrap_err();
        assert!(!sealed.sealed.windows(7).any(|bytes| bytes == b"hunter2"));
        assert_ne!(again.seal(garden, "MAIL_PASSWORD", &value).unwrap(), sealed);
    }

    #[test]
    fn the_key_is_made_when_first_needed_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let vault = vault(&dir);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        vault.seal(TenantId::random(), "A", &Secret::new(String::new())).unwrap();
        let key = dir.path().join("secret-key").metadata().unwrap();
        assert_eq!((key.len(), key.permissions().mode() & 0o777), (32, 0o600));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_wrong_key_is_said_with_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let wiki = TenantId::random();
        let sealed = vault(&dir).seal(wiki, "A", &Secret::new("b".to_owned())).unwrap();
        let file = dir.path().join("secret-key");
        let other: Vec<u8> = (0..32).collect();
        for key in [&other[..], &other[..31], &[0; 32], &[7; 32]] {
            std::fs::write(&file, key).unwrap();
            let error = vault(&dir).open(wiki, "A", &sealed).unwrap_err();
            assert!(error.to_string().contains(&*file.to_string_lossy()), "{error}");
        }
        std::fs::remove_file(&file).unwrap();
        vault(&dir).open(wiki, "A", &sealed).unwrap_err();
        assert!(!file.exists(), "reading makes no key");
    }
}
