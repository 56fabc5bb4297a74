//! Telling somebody: a signed call to a webhook, a mail.
//!
//! [`Notifier::deliver`] tries a few times and says what came of it. What has to wait for longer
//! waits with whoever calls.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use wikigrove_tenant::Secret;

use super::address::{Blocked, Policy, Resolver, SystemResolver};

mod mail;
mod post;

pub use mail::{InvalidMail, MailRelay, Recipient};
pub use post::{InvalidRoots, WebhookUrl};

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
    /// All tries failed; later ones may not.
    #[error("not delivered now: {0}")]
    Later(String),
}

impl NotDelivered {
    fn is_worth_another_try(&self) -> bool {
        matches!(self, Self::Later(_))
    }
}

/// How often, and after how long.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// All tries, the first included.
    pub tries: u32,
    /// How long at most before the second. Each further one waits up to four times as long.
    pub first: Duration,
    /// How long one try may take.
    pub timeout: Duration,
}

impl Default for Retry {
    /// Three tries, after up to two and up to eight seconds, of ten seconds each.
    fn default() -> Self {
        Self { tries: 3, first: Duration::from_secs(2), timeout: Duration::from_secs(10) }
    }
}

/// Sends notices.
#[derive(Clone)]
pub struct Notifier {
    policy: Policy,
    resolver: Arc<dyn Resolver>,
    tls: post::Tls,
    relay: Option<MailRelay>,
    retry: Retry,
}

impl Notifier {
    /// Webhooks may be where `policy` allows; mails go by `relay`. The certificates that this machine
    /// trusts are read now.
    pub fn new(policy: Policy, relay: Option<MailRelay>, retry: Retry) -> Self {
        Self { policy, resolver: Arc::new(SystemResolver), tls: post::Tls::system(), relay, retry }
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
        self.tls = post::Tls::of_pem(pem)?;
        Ok(self)
    }

    /// Tells all of these, at once. The answers are in the order of the channels.
    pub async fn deliver(
        &self,
        notice: &Notice,
        channels: &[Channel],
    ) -> Vec<Result<(), NotDelivered>> {
        join_all(channels.iter().map(|channel| self.insist(notice, channel))).await
    }

    async fn insist(&self, notice: &Notice, channel: &Channel) -> Result<(), NotDelivered> {
        let mut wait = self.retry.first;
        for _ in 1..self.retry.tries {
            match self.attempt(notice, channel).await {
                Err(error) if error.is_worth_another_try() => {}
                settled => return settled,
            }
            tokio::time::sleep(jittered(wait)).await;
            wait *= 4;
        }
        self.attempt(notice, channel).await
    }

    async fn attempt(&self, notice: &Notice, channel: &Channel) -> Result<(), NotDelivered> {
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
        tokio::time::timeout(self.retry.timeout, sent).await.unwrap_or_else(late)
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Notifier");
        shown.field("policy", &self.policy).field("relay", &self.relay).field("retry", &self.retry);
        shown.finish_non_exhaustive()
    }
}

/// Some part of a wait: those who failed together don't come again together.
fn jittered(wait: Duration) -> Duration {
    let part = f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX);
    wait.mul_f64(part)
}

#[cfg(test)]
mod tests;
