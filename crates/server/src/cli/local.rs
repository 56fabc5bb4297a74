//! Commands that work on the data directory directly, while no server has it open.

use std::path::PathBuf;

use wikigrove_tenant::{Error, Platform, Settings};

use super::Failure;
use super::output::print;
use crate::operator_token;

/// Locations of the data directory and the secret key.
#[derive(Debug)]
pub(super) struct Place {
    /// The data directory.
    pub(super) data: PathBuf,
    /// The file with the key that encrypts the wikis' secrets, unless it is in the data directory.
    pub(super) secret_key_file: Option<PathBuf>,
}

impl Place {
    /// Checks that the data directory exists, for commands that don't create it.
    pub(super) fn must_exist(&self) -> Result<(), Failure> {
        if self.data.join("platform.db").exists() {
            return Ok(());
        }
        let data = self.data.display();
        Err(format!(
            "there is no data directory at {data}: say where with --data or WIKIGROVE_DATA"
        )
        .into())
    }
}

/// Opens the data directory, or names the alternatives if a server has it open.
pub(super) async fn open(place: &Place) -> Result<Platform, Failure> {
    let settings =
        Settings { secret_key_file: place.secret_key_file.clone(), ..Settings::default() };
    Platform::open_with(&place.data, settings).await.map_err(|error| match error {
        Error::InUse { .. } => format!("{error}: use its admin API, or stop it first").into(),
        error => error.into(),
    })
}

pub(super) async fn replace_operator_token(place: Place) -> Result<(), Failure> {
    let platform = open(&place).await?;
    let token = operator_token::replace(platform.dir())?;
    platform.close().await;
    print(&format!("{}\n", token.secret))
}
