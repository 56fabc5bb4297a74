//! Credentials for remotes: a token or a deploy key, stored sealed, or a file that the operator mounts.

use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{LineEnding, PrivateKey};
use wikigrove_tenant::Secret;
use wikigrove_tenant::storage::files::{Keeper, read_secret};
use zeroize::Zeroizing;

/// The longest token, in bytes. It has to fit into a header.
const MAX_TOKEN: usize = 4096;

/// A credential that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidCredential {
    /// An empty token, or one with a space or a control character.
    #[error("the token is empty, too long, or holds what no header can")]
    Token,
    /// A user name that can't be combined with a token.
    #[error("the user may hold letters, digits and . _ @ + - only")]
    User,
    /// Text that isn't a private key.
    #[error("this is no private key in OpenSSH's format")]
    NotAKey,
    /// A key in an older format.
    #[error("the key is in an older format; `ssh-keygen -p -N '' -f FILE` writes it anew")]
    OldKey,
    /// A key with a passphrase, which can't be entered in a background process.
    #[error("the key has a passphrase, which nobody could type; `ssh-keygen -p` removes it")]
    Passphrase,
    /// No directory for mounted secrets is configured, or the name leads out of it.
    #[error("`{0}` is not a file below the directory for mounted secrets")]
    Outside(String),
    /// The file can't be read.
    #[error("`{name}` can't be read: {source}")]
    File {
        /// The name below the directory.
        name: String,
        /// The system's error.
        source: std::io::Error,
    },
}

impl InvalidCredential {
    /// Returns `true` if this machine is the cause, and the credential may be valid.
    pub fn is_ours(&self) -> bool {
        let is_there = |source: &std::io::Error| source.kind() != std::io::ErrorKind::NotFound;
        matches!(self, Self::File { source, .. } if is_there(source))
    }
}

/// A private key without a passphrase.
#[derive(Clone)]
pub struct DeployKey {
    private: Secret,
    public: String,
}

impl DeployKey {
    /// Generates an Ed25519 key. The comment is shown at the host, so that users recognise the key.
    ///
    /// # Panics
    /// The system has no random numbers.
    pub fn generate(comment: &str) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut()).expect("the system has random numbers");
        let pair = KeypairData::from(Ed25519Keypair::from_seed(&seed));
        let comment: String = comment.chars().filter(|c| !c.is_control()).collect();
        let key = PrivateKey::new(pair, comment).expect("a key that was just made is one");
        Self::of(&key).expect("a key that was just made can be written")
    }

    /// The public half, as it is pasted at the host.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// The private half in OpenSSH's format.
    pub fn private(&self) -> &Secret {
        &self.private
    }

    fn of(key: &PrivateKey) -> Result<Self, ssh_key::Error> {
        let private = Secret::new(key.to_openssh(LineEnding::LF)?.to_string());
        Ok(Self { private, public: key.public_key().to_openssh()? })
    }
}

impl FromStr for DeployKey {
    type Err = InvalidCredential;

    /// Parses a pasted key: with any line ends, indented, or on a single line.
    fn from_str(text: &str) -> Result<Self, InvalidCredential> {
        const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
        const END: &str = "-----END OPENSSH PRIVATE KEY-----";
        let Some((_, rest)) = text.split_once(BEGIN) else {
            let old = text.contains("-----BEGIN") && text.contains("PRIVATE KEY-----");
            return Err(if old { InvalidCredential::OldKey } else { InvalidCredential::NotAKey });
        };
        let (body, _) = rest.split_once(END).ok_or(InvalidCredential::NotAKey)?;
        let body: Zeroizing<String> =
            Zeroizing::new(body.replace("\\n", "").split_whitespace().collect());
        let mut written = Zeroizing::new(format!("{BEGIN}\n"));
        for line in body.as_bytes().chunks(70) {
            written.push_str(std::str::from_utf8(line).map_err(|_| InvalidCredential::NotAKey)?);
            written.push('\n');
        }
        written.push_str(END);
        written.push('\n');
        let key = PrivateKey::from_openssh(&*written).map_err(|_| InvalidCredential::NotAKey)?;
        if key.is_encrypted() {
            return Err(InvalidCredential::Passphrase);
        }
        Self::of(&key).map_err(|_| InvalidCredential::NotAKey)
    }
}

impl fmt::Debug for DeployKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeployKey").field("public", &self.public).finish_non_exhaustive()
    }
}

/// A token, with the user name that some hosts require.
#[derive(Debug, Clone)]
pub struct AccessToken {
    user: Option<String>,
    token: Secret,
}

impl AccessToken {
    /// Checks a token. Surrounding whitespace is removed.
    ///
    /// # Errors
    /// [`InvalidCredential::Token`], [`InvalidCredential::User`].
    pub fn new(user: Option<&str>, token: &str) -> Result<Self, InvalidCredential> {
        let token = token.trim();
        let fits = (1..=MAX_TOKEN).contains(&token.len());
        if !fits || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidCredential::Token);
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._@+-".contains(&byte);
        if user.is_some_and(|user| user.is_empty() || !user.bytes().all(plain)) {
            return Err(InvalidCredential::User);
        }
        Ok(Self { user: user.map(str::to_owned), token: Secret::new(token.to_owned()) })
    }

    /// The user name, if given.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The token itself.
    pub fn token(&self) -> &Secret {
        &self.token
    }
}

/// The credential of one call.
#[derive(Debug, Clone, Default)]
pub enum Credential {
    /// None: a public repository.
    #[default]
    None,
    /// For `https://`.
    Token(AccessToken),
    /// For `ssh://`.
    Key(DeployKey),
}

/// The stored form of a credential, sealed in the platform's database.
#[derive(Debug, Clone)]
pub enum StoredCredential {
    /// A token.
    Token(AccessToken),
    /// A key.
    Key(DeployKey),
    /// A file with a token, by its name below the directory for mounted secrets.
    TokenFile {
        /// The user name, if the host requires one.
        user: Option<String>,
        /// The file.
        file: String,
    },
    /// A file with a key.
    KeyFile {
        /// The file.
        file: String,
    },
}

impl StoredCredential {
    /// Returns `true` for a key, stored or mounted, and `false` for a token.
    pub fn is_key(&self) -> bool {
        matches!(self, Self::Key(_) | Self::KeyFile { .. })
    }

    /// Returns `true` for a generated deploy key, which no host knows until a user adds it there.
    pub fn is_deploy_key(&self) -> bool {
        matches!(self, Self::Key(_))
    }

    /// The credential as one text, to be sealed.
    pub fn to_be_sealed(&self) -> Secret {
        let form = match self {
            Self::Token(token) => Form {
                user: token.user.as_deref(),
                token: Some(token.token.expose()),
                ..Form::default()
            },
            Self::Key(key) => Form { key: Some(key.private.expose()), ..Form::default() },
            Self::TokenFile { user, file } => {
                Form { user: user.as_deref(), token_file: Some(file), ..Form::default() }
            }
            Self::KeyFile { file } => Form { key_file: Some(file), ..Form::default() },
        };
        // Texts can be written as JSON.
        Secret::new(serde_json::to_string(&form).unwrap_or_default())
    }

    /// Parses the unsealed text. `None` if it can't be read any more.
    pub fn unsealed(text: &Secret) -> Option<Self> {
        OwnedForm::read(text.expose())
    }

    /// Opens the credential. Files are read each time, so that a rotated secret takes effect at once.
    ///
    /// # Errors
    /// [`InvalidCredential`].
    pub fn open(&self, files: &SecretFiles) -> Result<Credential, InvalidCredential> {
        Ok(match self {
            Self::Token(token) => Credential::Token(token.clone()),
            Self::Key(key) => Credential::Key(key.clone()),
            Self::TokenFile { user, file } => {
                Credential::Token(AccessToken::new(user.as_deref(), &files.read(file)?)?)
            }
            Self::KeyFile { file } => Credential::Key(files.read(file)?.parse()?),
        })
    }
}

#[derive(Default, Serialize)]
struct Form<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_file: Option<&'a str>,
}

#[derive(Deserialize)]
struct OwnedForm {
    user: Option<String>,
    token: Option<Zeroizing<String>>,
    key: Option<Zeroizing<String>>,
    token_file: Option<String>,
    key_file: Option<String>,
}

impl OwnedForm {
    fn read(text: &str) -> Option<StoredCredential> {
        let form: Self = serde_json::from_str(text).ok()?;
        if let Some(token) = form.token {
            let token = AccessToken::new(form.user.as_deref(), &token).ok()?;
            return Some(StoredCredential::Token(token));
        }
        if let Some(key) = form.key {
            return key.parse().ok().map(StoredCredential::Key);
        }
        if let Some(file) = form.token_file {
            return Some(StoredCredential::TokenFile { user: form.user, file });
        }
        form.key_file.map(|file| StoredCredential::KeyFile { file })
    }
}

/// The directory in which the operator mounts secrets. No file outside it is ever read for a link, as its content would
/// be sent to the remote.
#[derive(Debug, Clone, Default)]
pub struct SecretFiles {
    root: Option<PathBuf>,
}

impl SecretFiles {
    /// Allows files below `root`; `None` allows no files.
    pub fn new(root: Option<PathBuf>) -> Self {
        Self { root }
    }

    /// Reads a file. Symlinks may point elsewhere below the directory, as in the mounts of orchestrators.
    ///
    /// # Errors
    /// [`InvalidCredential::Outside`], [`InvalidCredential::File`].
    pub fn read(&self, name: &str) -> Result<Zeroizing<String>, InvalidCredential> {
        let outside = || InvalidCredential::Outside(name.chars().take(64).collect());
        let unreadable = |source| InvalidCredential::File { name: name.to_owned(), source };
        let plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        let root = self.root.as_ref().filter(|_| plain && !name.is_empty()).ok_or_else(outside)?;
        let root = root.canonicalize().map_err(unreadable)?;
        let path = root.join(name).canonicalize().map_err(unreadable)?;
        if !path.starts_with(&root) {
            return Err(outside());
        }
        if !path.is_file() {
            return Err(outside());
        }
        let read = read_secret(&path, Keeper::Operator);
        let bytes = Zeroizing::new(read.map_err(|error| unreadable(error.source))?);
        let text = std::str::from_utf8(&bytes)
            .map_err(|error| unreadable(io::Error::new(io::ErrorKind::InvalidData, error)))?;
        Ok(Zeroizing::new(text.to_owned()))
    }
}

#[cfg(test)]
mod tests;
