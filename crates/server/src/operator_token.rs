//! The operator's token: in the environment, or in a file that only its owner can read.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use data_encoding::BASE64URL_NOPAD;
use wikigrove_tenant::storage::FileError;
use wikigrove_tenant::storage::files::{sync_dir, write_new};

/// The operator's token, and whether it was made just now.
pub struct OperatorToken {
    /// The secret.
    pub secret: String,
    /// Where it is kept; `None` when it came from the environment.
    pub file: Option<PathBuf>,
    /// Whether this start made it.
    pub is_new: bool,
}

impl std::fmt::Debug for OperatorToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OperatorToken").field("file", &self.file).finish_non_exhaustive()
    }
}

/// The token given from outside, or the one in `<data>/operator-token`, made if it isn't there.
///
/// # Errors
/// The file can't be read or written.
pub fn load_or_create(data: &Path, given: Option<String>) -> Result<OperatorToken, FileError> {
    // As it can stand in a header; a variable that is there but empty says nothing.
    let given = given.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
    if let Some(secret) = given {
        return Ok(OperatorToken { secret, file: None, is_new: false });
    }
    let path = path(data);
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let secret = text.trim().to_owned();
            Ok(OperatorToken { secret, file: Some(path), is_new: false })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => replace(data),
        Err(source) => Err(FileError { action: "read", path, source }),
    }
}

/// Makes a new token; the old one is worth nothing once the server has started anew.
///
/// # Errors
/// The file can't be written.
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
        for given in ["given", "given\n"] {
            assert_eq!(load_or_create(dir.path(), Some(given.into())).unwrap().secret, "given");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(load_or_create(dir.path(), Some(" ".into())).unwrap().file.is_some());
    }
}
