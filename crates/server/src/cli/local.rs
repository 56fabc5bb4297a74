//! Commands that work on the data directory itself, while no server does.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use wikigrove_tenant::{Error, Platform};

use super::Failure;
use crate::operator_token;

/// Opens the data directory, or says how to get the same done while a server has it open.
pub(super) async fn open(data: &Path) -> Result<Platform, Failure> {
    Platform::open(data).await.map_err(|error| match error {
        Error::InUse { .. } => format!("{error}: use its admin API, or stop it first").into(),
        error => error.into(),
    })
}

pub(super) async fn replace_operator_token(data: PathBuf) -> Result<(), Failure> {
    let platform = open(&data).await?;
    let token = operator_token::replace(platform.dir())?;
    platform.close().await;
    print(&format!("{}\n", token.secret))
}

/// Prints to standard output.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    Ok(out.write_all(text.as_bytes()).and_then(|()| out.flush())?)
}
