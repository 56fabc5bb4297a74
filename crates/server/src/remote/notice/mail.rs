//! Sends a mail through the operator's relay.

use std::fmt;
use std::str::FromStr;

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use wikigrove_tenant::Secret;

use super::{NotDelivered, Notice};

/// A relay or an address that can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMail {
    /// The relay's URL.
    #[error(
        "the mail relay has to be smtps://[USER:PASSWORD@]HOST[:PORT] or smtp://…[?tls=required]"
    )]
    Relay,
    /// A mail address.
    #[error("that is no mail address")]
    Address,
}

/// A recipient of mails, such as `Ada <ada@example.org>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient(Mailbox);

impl FromStr for Recipient {
    type Err = InvalidMail;

    fn from_str(text: &str) -> Result<Self, InvalidMail> {
        text.parse().map(Self).map_err(|_| InvalidMail::Address)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The server that relays mails. The operator configures it, so it may be at any address.
#[derive(Clone)]
pub struct MailRelay {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl MailRelay {
    /// Parses `smtps://user:password@host`, `smtp://host?tls=required` (STARTTLS) or, unencrypted, `smtp://localhost`.
    /// Opens no connection yet.
    ///
    /// # Errors
    /// [`InvalidMail`], which contains no part of the URL.
    pub fn new(url: &Secret, from: &str) -> Result<Self, InvalidMail> {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose());
        let transport = transport.map_err(|_| InvalidMail::Relay)?.build();
        Ok(Self { transport, from: from.parse().map_err(|_| InvalidMail::Address)? })
    }

    pub(super) async fn send(&self, notice: &Notice, to: &Recipient) -> Result<(), NotDelivered> {
        let subject: String = notice.subject.chars().filter(|c| !c.is_control()).collect();
        // Keeps automatic responders from answering.
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        let message = Message::builder()
            .from(self.from.clone())
            .to(to.0.clone())
            .subject(subject)
            .message_id(Some(format!("<{}@{}>", notice.id, self.from.email.domain())))
            .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
            .header(ContentType::TEXT_PLAIN)
            .body(notice.text.clone())
            .map_err(|error| NotDelivered::Refused(error.to_string()))?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() => Err(NotDelivered::Refused(error.to_string())),
            Err(error) => Err(NotDelivered::Later(error.to_string())),
        }
    }
}

impl fmt::Debug for MailRelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailRelay").field("from", &self.from).finish_non_exhaustive()
    }
}
