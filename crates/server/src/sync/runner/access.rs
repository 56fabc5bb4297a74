//! Opens the remote of a link: address, credential and host keys from its row.

use wikigrove_tenant::{Error, Link, LinkCredential, Secret};

use super::outcome::of_ours;
use super::{Remotes, Shared};
use crate::remote::{Credential, HostKey, Remote, StoredCredential};
use crate::sync::{Failure, Outcome};

/// Opens the remote of a link for a single call. The error is the reason as text.
pub(crate) async fn remote(remotes: &Remotes, link: &Link) -> Result<Remote, String> {
    match opened(&remotes.0.shared, link).await {
        Ok(remote) => Ok(remote),
        Err(Outcome::Failed { text, .. }) => Err(text),
        Err(_) => Err("the remote can't be used".to_owned()),
    }
}

/// Opens the remote of a link with its credential.
pub(super) async fn opened(shared: &Shared, link: &Link) -> Result<Remote, Outcome> {
    let url = link.settings.url.parse().map_err(|error| of_ours(&error))?;
    let kept = shared.platform.link_credential(link).await;
    let kept = kept.map_err(|error: Error| of_ours(&error.problem().detail()))?;
    let credential = match &kept {
        None => Credential::None,
        Some(kept) => {
            let stored = StoredCredential::unsealed(&kept.secret)
                .ok_or_else(|| of_ours(&"the credential that is kept can't be read"))?;
            let files = shared.options.secret_files.clone();
            let opened = wikigrove_tenant::spawn_blocking(move || stored.open(&files)).await;
            let opened = opened.map_err(|error| of_ours(&error))?;
            opened.map_err(|error| match error.is_ours() {
                true => of_ours(&error),
                false => Outcome::Failed { failure: Failure::Auth, text: error.to_string() },
            })?
        }
    };
    let host_keys = host_keys(&link.known_hosts);
    Ok(Remote { url, credential, host_keys })
}

/// Parses the confirmed host keys, one per line.
pub(crate) fn host_keys(known: &str) -> Vec<HostKey> {
    known.lines().filter_map(|line| line.parse().ok()).collect()
}

/// Converts a credential to its stored form.
pub(crate) fn kept(credential: &StoredCredential) -> LinkCredential {
    let (kind, public_key) = match credential {
        StoredCredential::Token(_) => ("token", None),
        StoredCredential::TokenFile { .. } => ("token_file", None),
        StoredCredential::Key(key) => ("deploy_key", Some(key.public().to_owned())),
        StoredCredential::KeyFile { .. } => ("key_file", None),
    };
    let secret: Secret = credential.to_be_sealed();
    LinkCredential { kind: kind.to_owned(), public_key, secret }
}
