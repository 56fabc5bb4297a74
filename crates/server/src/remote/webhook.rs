//! Verifies and parses the webhooks that git hosts send after a push.
//!
//! Pure functions of the headers and the raw body. A delivery is only a hint to run the link: it may come twice, late
//! or never, and its content is never trusted to be the remote's state.

use std::time::{Duration, SystemTime};

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use hmac::{Hmac, KeyInit as _, Mac};
use http::HeaderMap;
use moka::sync::Cache;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use wikigrove_tenant::{Revision, Secret};

/// The largest body, in bytes. The caller checks it before reading the body, too.
pub const MAX_BODY: usize = 1024 * 1024;
/// The shortest secret, in bytes.
pub const MIN_SECRET: usize = 32;
/// The largest difference between a delivery's timestamp and our clock.
const WINDOW: Duration = Duration::from_secs(5 * 60);
/// Maximum number of remembered deliveries.
const MAX_KNOWN: u64 = 10_000;
/// The longest delivery id that is kept, in bytes.
const MAX_ID: usize = 128;

/// The headers with signatures, and GitLab's header with the secret itself.
const SIGNATURES: [&str; 5] = [
    "x-hub-signature-256",
    "x-gitea-signature",
    "x-forgejo-signature",
    "webhook-signature",
    "x-gitlab-token",
];

/// The reason for which a delivery is refused. The sender gets only a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No webhook is set up: there is no secret, or a short one that could be guessed.
    #[error("there is no webhook here")]
    Disabled,
    /// The body exceeds [`MAX_BODY`]. It wasn't parsed.
    #[error("the body is larger than a mebibyte")]
    TooLarge,
    /// The signature is missing, repeated or wrong.
    #[error("the signature is missing or wrong")]
    Signature,
    /// It was signed more than five minutes ago or in the future: possibly a replay.
    #[error("it was signed at another time")]
    Stale,
}

impl Refused {
    /// The status of the response: 404, 413 or 401.
    pub fn status(self) -> http::StatusCode {
        match self {
            Self::Disabled => http::StatusCode::NOT_FOUND,
            Self::TooLarge => http::StatusCode::PAYLOAD_TOO_LARGE,
            Self::Signature | Self::Stale => http::StatusCode::UNAUTHORIZED,
        }
    }
}

/// A delivery with a valid signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The host's own id, for recognising repeated deliveries. Some hosts send none.
    pub id: Option<String>,
    /// The pushed ref, if the host states it.
    pub git_ref: Option<String>,
    /// The ref's new commit, if the host states it. `None` for a deleted ref.
    pub after: Option<Revision>,
}

impl Delivery {
    /// Returns `true` if the delivery is about this branch, or names none.
    pub fn concerns(&self, branch: &str) -> bool {
        match &self.git_ref {
            Some(name) => name.strip_prefix("refs/heads/") == Some(branch),
            None => true,
        }
    }
}

/// The deliveries of the last hour. Lost with the process, which costs at most one more run.
#[derive(Debug, Clone)]
pub struct Deliveries(Cache<(String, String), ()>);

impl Deliveries {
    /// Returns `true` at the first call for this delivery and link, and records it. Of two concurrent calls only one
    /// gets `true`. A delivery without an id is always new, as it may be another one.
    pub fn is_new(&self, link: &str, delivery: &Delivery) -> bool {
        let Some(id) = &delivery.id else { return true };
        self.0.entry((link.to_owned(), id.clone())).or_insert(()).is_fresh()
    }
}

impl Default for Deliveries {
    fn default() -> Self {
        let hour = Duration::from_secs(3600);
        Self(Cache::builder().max_capacity(MAX_KNOWN).time_to_live(hour).build())
    }
}

/// Returns `true` if a delivery has a signature, valid or not. Without one its body needn't be read.
pub fn is_signed(headers: &HeaderMap) -> bool {
    SIGNATURES.iter().any(|name| headers.contains_key(*name))
}

/// Verifies a delivery with the secret of the link that it was sent to, and parses it.
///
/// Supports GitHub (`X-Hub-Signature-256`), Gitea, Forgejo and GitLab (by `X-Gitlab-Token` or by the signature of
/// Standard Webhooks). If any signature is wrong, the delivery is refused.
///
/// # Errors
/// [`Refused`].
pub fn verify(
    secret: Option<&Secret>,
    headers: &HeaderMap,
    body: &[u8],
    now: SystemTime,
) -> Result<Delivery, Refused> {
    let secret = secret.map(Secret::expose).filter(|secret| secret.len() >= MIN_SECRET);
    let secret = secret.ok_or(Refused::Disabled)?;
    if body.len() > MAX_BODY {
        return Err(Refused::TooLarge);
    }
    let mut signed = false;
    if let Some(signature) = only(headers, "x-hub-signature-256")? {
        let hex = signature.strip_prefix("sha256=").ok_or(Refused::Signature)?;
        signed = check_hex(secret, body, hex)?;
    }
    for name in ["x-gitea-signature", "x-forgejo-signature"] {
        if let Some(hex) = only(headers, name)? {
            signed = check_hex(secret, body, hex)?;
        }
    }
    if let Some(signatures) = only(headers, "webhook-signature")? {
        signed = check_standard(secret, headers, body, signatures, now)?;
    }
    if let Some(token) = only(headers, "x-gitlab-token")? {
        // Hashes have equal lengths, so the comparison's time doesn't reveal the secret's length.
        let (given, own) = (Sha256::digest(token.as_bytes()), Sha256::digest(secret.as_bytes()));
        if !bool::from(given.as_slice().ct_eq(own.as_slice())) {
            return Err(Refused::Signature);
        }
        signed = true;
    }
    if !signed {
        return Err(Refused::Signature);
    }
    Ok(read(headers, body))
}

/// The single value of a header. A repeated header is refused, as no host sends one.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Refused> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refused::Signature);
    }
    first.to_str().map(Some).map_err(|_| Refused::Signature)
}

fn check_hex(secret: &str, body: &[u8], hex: &str) -> Result<bool, Refused> {
    let signature = HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).map_err(|_| Refused::Signature)?;
    let mac = keyed(secret.as_bytes()).chain_update(body);
    mac.verify_slice(&signature).map_err(|_| Refused::Signature)?;
    Ok(true)
}

/// Standard Webhooks: `v1,<base64>` over `id.timestamp.body`, with several signatures while a secret is rotated. A
/// secret with the prefix `whsec_` is base64, any other is used as it is.
fn check_standard(
    secret: &str,
    headers: &HeaderMap,
    body: &[u8],
    signatures: &str,
    now: SystemTime,
) -> Result<bool, Refused> {
    let id = only(headers, "webhook-id")?.ok_or(Refused::Signature)?;
    let timestamp = only(headers, "webhook-timestamp")?.ok_or(Refused::Signature)?;
    let decoded =
        secret.strip_prefix("whsec_").and_then(|rest| BASE64.decode(rest.as_bytes()).ok());
    let key = decoded.as_deref().unwrap_or(secret.as_bytes());
    let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
    let is_ours = |signature: &str| {
        let signature = signature.strip_prefix("v1,")?;
        let signature = BASE64.decode(signature.as_bytes()).ok()?;
        let mac = signed.iter().fold(keyed(key), Mac::chain_update);
        mac.verify_slice(&signature).ok()
    };
    // Limited, as hosts send few signatures, and each costs a hash of the body.
    if signatures.split(' ').take(8).find_map(is_ours).is_none() {
        return Err(Refused::Signature);
    }
    let seconds: u64 = timestamp.parse().map_err(|_| Refused::Signature)?;
    let then = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    let then = then.ok_or(Refused::Stale)?;
    let apart = now.duration_since(then).unwrap_or_else(|error| error.duration());
    if apart > WINDOW { Err(Refused::Stale) } else { Ok(true) }
}

/// Signs as Standard Webhooks specifies.
pub(super) fn sign_standard(secret: &Secret, id: &str, timestamp: u64, body: &[u8]) -> String {
    let secret = secret.expose();
    let decoded =
        secret.strip_prefix("whsec_").and_then(|rest| BASE64.decode(rest.as_bytes()).ok());
    let mac = keyed(decoded.as_deref().unwrap_or(secret.as_bytes()))
        .chain_update(format!("{id}.{timestamp}."))
        .chain_update(body);
    format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes()))
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("a key of any length is one")
}

/// The fields that all hosts send.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Push {
    #[serde(rename = "ref")]
    git_ref: Option<String>,
    after: Option<String>,
}

/// Parses the useful fields. Any other body (a ping, a form) gives an empty delivery.
fn read(headers: &HeaderMap, body: &[u8]) -> Delivery {
    let push: Push = serde_json::from_slice(body).unwrap_or_default();
    let ids = [
        "x-github-delivery",
        "x-forgejo-delivery",
        "x-gitea-delivery",
        "webhook-id",
        "idempotency-key",
        "x-gitlab-event-uuid",
    ];
    let is_id = |id: &&str| {
        (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let id = ids.iter().filter_map(|name| headers.get(*name)?.to_str().ok()).find(is_id);
    let after: Option<Revision> = push.after.and_then(|after| after.parse().ok());
    Delivery {
        id: id.map(str::to_owned),
        git_ref: push.git_ref.filter(|name| name.len() <= 256),
        after: after.filter(|after| *after.as_bytes() != [0; 20]),
    }
}

#[cfg(test)]
mod tests;
