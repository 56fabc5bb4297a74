//! Delivery of notices: a signed call to a webhook, or a mail.
//!
//! [`Notifier::deliver`] tries once and returns the result. The caller is responsible for retries.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use wikigrove_tenant::Secret;
use zeroize::Zeroizing;

use super::address::{Blocked, Policy, Resolver, SystemResolver};

mod mail;
mod post;

pub use mail::{InvalidMail, MailRelay, Recipient};
pub use post::{InvalidRoots, WebhookUrl};

/// Deadline of one delivery.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A notice to deliver.
#[derive(Debug, Clone)]
pub struct Notice {
    /// The same in every attempt, so that receivers recognise repeated deliveries. Letters, digits, `-` and `_`.
    pub id: String,
    /// The kind for programs, such as `sync.paused`.
    pub kind: String,
    /// The time of the event.
    pub at: OffsetDateTime,
    /// One line of text.
    pub subject: String,
    /// The full text.
    pub text: String,
    /// The same information as JSON.
    pub data: Value,
}

impl Notice {
    /// The body for webhooks: `{type, timestamp, data}`.
    fn body(&self) -> Vec<u8> {
        let timestamp = self.at.format(&Rfc3339).unwrap_or_default();
        json!({"type": self.kind, "timestamp": timestamp, "data": self.data}).to_string().into()
    }
}

/// A receiver of notices.
#[derive(Debug, Clone)]
pub enum Channel {
    /// A program that takes calls as Standard Webhooks describes them.
    Webhook {
        /// Its URL.
        url: WebhookUrl,
        /// The secret that calls are signed with.
        secret: Secret,
    },
    /// A person.
    Mail(Recipient),
}

/// The reason for which a notice wasn't delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotDelivered {
    /// The address may not be reached. A retry would fail as well.
    #[error(transparent)]
    Blocked(#[from] Blocked),
    /// It was refused permanently.
    #[error("refused: {0}")]
    Refused(String),
    /// The receiver is gone and wants no more notices (410).
    #[error("the receiver wants no more of these")]
    Gone,
    /// No mail relay is configured.
    #[error("no mail relay is set up")]
    NoRelay,
    /// A retry may succeed.
    #[error("not delivered now: {0}")]
    Later(String),
}

impl Channel {
    /// A webhook with a new secret.
    pub fn webhook(url: WebhookUrl) -> Self {
        Self::Webhook { url, secret: Secret::for_webhooks() }
    }

    /// The kind in one word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Webhook { .. } => "webhook",
            Self::Mail(_) => "mail",
        }
    }

    /// The receiver without secret parts: a mail address, or a webhook's origin without its path.
    pub fn shown(&self) -> String {
        match self {
            Self::Webhook { url, .. } => url.place().origin(),
            Self::Mail(recipient) => recipient.to_string(),
        }
    }

    /// The secret parts, to be sealed.
    pub fn to_be_sealed(&self) -> Option<Secret> {
        let Self::Webhook { url, secret } = self else { return None };
        let kept =
            Kept { url: Zeroizing::new(url.text()), secret: secret.expose().to_owned().into() };
        Some(Secret::new(serde_json::to_string(&kept).expect("texts have a JSON form")))
    }

    /// Restores a stored channel; `None` if its kind is unknown here.
    pub fn unsealed(shown: &str, kept: Option<&Secret>) -> Option<Self> {
        let Some(kept) = kept else { return shown.parse().ok().map(Self::Mail) };
        let Kept { url, secret } = serde_json::from_str(kept.expose()).ok()?;
        let secret = Secret::new(secret.as_str().to_owned());
        Some(Self::Webhook { url: url.parse().ok()?, secret })
    }

    /// The id of a channel of the platform: the same at every start, and distinct from the ids of wikis' channels.
    pub(crate) fn platform_id(&self) -> String {
        let who = match self {
            Self::Webhook { url, .. } => format!("webhook {}", url.text()),
            Self::Mail(recipient) => format!("mail {recipient}"),
        };
        format!("platform-{}", HEXLOWER.encode(&Sha256::digest(who)[..16]))
    }
}

/// The sealed form of a webhook.
#[derive(Deserialize, Serialize)]
struct Kept {
    url: Zeroizing<String>,
    secret: Zeroizing<String>,
}

/// Sends notices.
#[derive(Clone)]
pub struct Notifier {
    policy: Policy,
    resolver: Arc<dyn Resolver>,
    /// Created on first use, as most servers never call a webhook.
    tls: Arc<OnceLock<post::Tls>>,
    relay: Option<MailRelay>,
}

impl Notifier {
    /// Creates a notifier that calls webhooks where `policy` allows, and sends mails through `relay`. The system's
    /// trusted certificates are read on first use.
    pub fn new(policy: Policy, relay: Option<MailRelay>) -> Self {
        Self { policy, resolver: Arc::new(SystemResolver), tls: Arc::default(), relay }
    }

    /// Replaces the resolver.
    #[must_use]
    pub fn with_resolver(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.resolver = resolver;
        self
    }

    /// Trusts these authorities (PEM) instead of the system's.
    ///
    /// # Errors
    /// The text holds no certificate.
    pub fn with_roots(mut self, pem: &[u8]) -> Result<Self, InvalidRoots> {
        self.tls = Arc::new(OnceLock::from(post::Tls::of_pem(pem)?));
        Ok(self)
    }

    /// Delivers a notice to one channel, without retries.
    ///
    /// # Errors
    /// [`NotDelivered`]. After [`PATIENCE`] it is unknown if the notice was delivered.
    pub async fn deliver(&self, notice: &Notice, channel: &Channel) -> Result<(), NotDelivered> {
        let sent = async {
            match channel {
                Channel::Webhook { url, secret } => self.post(notice, url, secret).await,
                Channel::Mail(recipient) => {
                    let relay = self.relay.as_ref().ok_or(NotDelivered::NoRelay)?;
                    relay.send(notice, recipient).await
                }
            }
        };
        let late = |_| Err(NotDelivered::Later("it took too long".to_owned()));
        tokio::time::timeout(PATIENCE, sent).await.unwrap_or_else(late)
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Notifier");
        shown.field("policy", &self.policy).field("relay", &self.relay);
        shown.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
