//! The operator's token, from the environment or from a file that only its owner can read.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use data_encoding::BASE64URL_NOPAD;
use wikigrove_tenant::storage::FileError;
use wikigrove_tenant::storage::files::{Keeper, read_secret, sync_dir, write_new};

/// Minimum length of a token, in characters: 64 bits if they are hexadecimal digits.
const SHORTEST: usize = 16;
/// Minimum number of distinct characters. Of random tokens with 16 hexadecimal digits, one in a million
/// has fewer.
const FEWEST: usize = 6;
/// The environment variable with the token.
const GIVEN: &str = "WIKIGROVE_ADMIN_TOKEN";

/// The operator's token and its origin.
pub struct OperatorToken {
    /// The secret.
    pub secret: String,
    /// The file that holds it; `None` if it came from the environment.
    pub file: Option<PathBuf>,
    /// True if the token was created at this start.
    pub is_new: bool,
}

impl std::fmt::Debug for OperatorToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OperatorToken").field("file", &self.file).finish_non_exhaustive()
    }
}

/// Errors in loading the operator's token.
#[derive(Debug, thiserror::Error)]
pub enum OperatorTokenError {
    /// The token is weak enough to be guessed.
    #[error("the operator's token in {place} {source}")]
    Weak {
        /// The token's origin.
        place: String,
        /// The weakness.
        source: WeakToken,
    },
    /// The token's file can't be used.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Error for a token that is weak enough to be guessed.
#[derive(Debug, thiserror::Error)]
#[error(
    "could be guessed: it needs {SHORTEST} random characters, as `openssl rand -hex 32` makes them, or \
     `wikigrove token create --operator` makes a new one in the data directory"
)]
pub struct WeakToken;

/// Returns the given token, or else the one in `<data>/operator-token`, which is created if missing.
///
/// # Errors
/// If the token is weak; or if the file can't be read or written, or others may write to it.
pub fn load_or_create(
    data: &Path,
    given: Option<String>,
) -> Result<OperatorToken, OperatorTokenError> {
    // Trim it as in a header; an empty variable counts as unset.
    let given = given.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
    if let Some(secret) = given {
        check(&secret)
            .map_err(|source| OperatorTokenError::Weak { place: GIVEN.to_owned(), source })?;
        return Ok(OperatorToken { secret, file: None, is_new: false });
    }
    let path = path(data);
    match read(&path) {
        Ok(secret) => {
            let place = path.display().to_string();
            check(&secret).map_err(|source| OperatorTokenError::Weak { place, source })?;
            Ok(OperatorToken { secret, file: Some(path), is_new: false })
        }
        Err(error) if error.source.kind() == ErrorKind::NotFound => Ok(replace(data)?),
        Err(error) => Err(error.into()),
    }
}

/// Reads the token from its file.
///
/// # Errors
/// If the file is missing, or others could have replaced it.
pub(crate) fn read(path: &Path) -> Result<String, FileError> {
    let bytes = read_secret(path, Keeper::Program)?;
    let text = String::from_utf8(bytes).map_err(|error| FileError {
        action: "use",
        path: path.to_owned(),
        source: std::io::Error::new(ErrorKind::InvalidData, error.utf8_error()),
    })?;
    Ok(text.trim().to_owned())
}

/// Refuses tokens that can be guessed. Random tokens of this length can't be.
fn check(secret: &str) -> Result<(), WeakToken> {
    let different: BTreeSet<char> = secret.chars().collect();
    let (length, different) = (secret.chars().count(), different.len());
    if length < SHORTEST || different < FEWEST { Err(WeakToken) } else { Ok(()) }
}

/// Creates a new token; the old one becomes invalid at the server's next start.
///
/// # Errors
/// If the file can't be written.
pub fn replace(data: &Path) -> Result<OperatorToken, FileError> {
    let path = path(data);
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| FileError {
        action: "make a token for",
        path: path.clone(),
        source: error.into(),
    })?;
    let secret = format!("wg_{}", BASE64URL_NOPAD.encode(&bytes));
    let private = path.with_extension("new");
    if let Err(source) = std::fs::remove_file(&private)
        && source.kind() != ErrorKind::NotFound
    {
        return Err(FileError { action: "remove", path: private, source });
    }
    write_new(&private, format!("{secret}\n").as_bytes())?;
    std::fs::rename(&private, &path).map_err(|source| FileError {
        action: "replace",
        path: path.clone(),
        source,
    })?;
    sync_dir(data)?;
    Ok(OperatorToken { secret, file: Some(path), is_new: true })
}

fn path(data: &Path) -> PathBuf {
    data.join("operator-token")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_start_makes_a_token_that_the_second_finds() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let first = load_or_create(dir.path(), None).unwrap();
        let second = load_or_create(dir.path(), None).unwrap();
        assert!(first.is_new && !second.is_new);
        assert_eq!(first.secret, second.secret);
        let mode = first.file.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_ne!(replace(dir.path()).unwrap().secret, second.secret);
    }

    #[test]
    fn a_given_token_is_not_written_down() {
        let dir = tempfile::tempdir().unwrap();
        let token = "given-from-outside";
        for given in [token, &format!("{token}\n")] {
            assert_eq!(load_or_create(dir.path(), Some(given.into())).unwrap().secret, token);
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(load_or_create(dir.path(), Some(" ".into())).unwrap().file.is_some());
    }

    #[test]
    fn what_could_be_guessed_is_refused_wherever_it_comes_from() {
        let dir = tempfile::tempdir().unwrap();
        for weak in
            ["x", "secret", "fifteen-letters", "aaaaaaaaaaaaaaaaaaaaaaaa", "abababababababab"]
        {
            let error = load_or_create(dir.path(), Some(weak.into())).unwrap_err().to_string();
            assert!(error.contains("WIKIGROVE_ADMIN_TOKEN"), "{error}");
            assert!(weak.len() == 1 || !error.contains(weak), "{error}");
            write_new(&path(dir.path()), weak.as_bytes()).unwrap();
            let error = load_or_create(dir.path(), None).unwrap_err().to_string();
            assert!(error.contains("operator-token") && error.contains("guessed"), "{error}");
            std::fs::remove_file(path(dir.path())).unwrap();
        }
        load_or_create(dir.path(), Some("0123456789abcdef".into())).unwrap();
    }

    #[test]
    fn a_link_to_somebody_elses_token_is_refused() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let token = load_or_create(other.path(), None).unwrap().file.unwrap();
        std::os::unix::fs::symlink(token, path(dir.path())).unwrap();
        let error = load_or_create(dir.path(), None).unwrap_err().to_string();
        assert!(error.contains("link"), "{error}");
    }
}
