//! Telling somebody: a signed call to a webhook, a mail.
//!
//! [`Notifier::deliver`] tries once and says what came of it. What has to wait waits with whoever calls.

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

/// How long telling somebody may take.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Something that somebody should know.
#[derive(Debug, Clone)]
pub struct Notice {
    /// The same in every try, for receivers to tell repeated ones by. Letters, digits, `-` and `_`.
    pub id: String,
    /// What kind it is, for programs, such as `sync.paused`.
    pub kind: String,
    /// When it happened.
    pub at: OffsetDateTime,
    /// One line, for people.
    pub subject: String,
    /// All of it, for people.
    pub text: String,
    /// All of it, for programs.
    pub data: Value,
}

impl Notice {
    /// As it's sent to webhooks: `{type, timestamp, data}`.
    fn body(&self) -> Vec<u8> {
        let timestamp = self.at.format(&Rfc3339).unwrap_or_default();
        json!({"type": self.kind, "timestamp": timestamp, "data": self.data}).to_string().into()
    }
}

/// Who is told.
#[derive(Debug, Clone)]
pub enum Channel {
    /// A program that takes calls as Standard Webhooks describes them.
    Webhook {
        /// Where it is.
        url: WebhookUrl,
        /// What calls are signed with.
        secret: Secret,
    },
    /// A person.
    Mail(Recipient),
}

/// Why somebody wasn't told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotDelivered {
    /// The place may not be reached. Trying again changes nothing.
    #[error(transparent)]
    Blocked(#[from] Blocked),
    /// It was refused for good.
    #[error("refused: {0}")]
    Refused(String),
    /// The receiver is gone and wants no more (410).
    #[error("the receiver wants no more of these")]
    Gone,
    /// There is no mail relay.
    #[error("no mail relay is set up")]
    NoRelay,
    /// Another try may do better.
    #[error("not delivered now: {0}")]
    Later(String),
}

impl Channel {
    /// A webhook with a new secret.
    pub fn webhook(url: WebhookUrl) -> Self {
        Self::Webhook { url, secret: Secret::for_webhooks() }
    }

    /// What kind it is, in one word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Webhook { .. } => "webhook",
            Self::Mail(_) => "mail",
        }
    }

    /// Who is told, without what may be secret: an address, or where a webhook is without the path.
    pub fn shown(&self) -> String {
        match self {
            Self::Webhook { url, .. } => url.place().origin(),
            Self::Mail(recipient) => recipient.to_string(),
        }
    }

    /// What is secret of it, to be kept sealed.
    pub fn to_be_sealed(&self) -> Option<Secret> {
        let Self::Webhook { url, secret } = self else { return None };
        let kept =
            Kept { url: Zeroizing::new(url.text()), secret: secret.expose().to_owned().into() };
        Some(Secret::new(serde_json::to_string(&kept).expect("texts have a JSON form")))
    }

    /// A channel that was kept; `None` if it was of a kind that isn't known here.
    pub fn unsealed(shown: &str, kept: Option<&Secret>) -> Option<Self> {
        let Some(kept) = kept else { return shown.parse().ok().map(Self::Mail) };
        let Kept { url, secret } = serde_json::from_str(kept.expose()).ok()?;
        let secret = Secret::new(secret.as_str().to_owned());
        Some(Self::Webhook { url: url.parse().ok()?, secret })
    }

    /// What a channel of the platform is called: the same at every start, and never what a wiki's is.
    pub(crate) fn platform_id(&self) -> String {
        let who = match self {
            Self::Webhook { url, .. } => format!("webhook {}", url.text()),
            Self::Mail(recipient) => format!("mail {recipient}"),
        };
        format!("platform-{}", HEXLOWER.encode(&Sha256::digest(who)[..16]))
    }
}

/// A webhook as it is sealed.
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
    /// Made when it is first needed, as most never call anybody.
    tls: Arc<OnceLock<post::Tls>>,
    relay: Option<MailRelay>,
}

impl Notifier {
    /// Webhooks may be where `policy` allows; mails go by `relay`. The certificates that this machine trusts
    /// are read when they are needed.
    pub fn new(policy: Policy, relay: Option<MailRelay>) -> Self {
        Self { policy, resolver: Arc::new(SystemResolver), tls: Arc::default(), relay }
    }

    /// Asks another resolver for addresses.
    #[must_use]
    pub fn with_resolver(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.resolver = resolver;
        self
    }

    /// Trusts these authorities (PEM) in place of the machine's.
    ///
    /// # Errors
    /// There is none among them.
    pub fn with_roots(mut self, pem: &[u8]) -> Result<Self, InvalidRoots> {
        self.tls = Arc::new(OnceLock::from(post::Tls::of_pem(pem)?));
        Ok(self)
    }

    /// Tells one of them, now or not at all.
    ///
    /// # Errors
    /// [`NotDelivered`]. After [`PATIENCE`] nobody knows whether it was.
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
