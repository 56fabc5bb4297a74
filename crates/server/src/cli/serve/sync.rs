//! Options for synchronisation with remotes, and for notifications about them.

use clap::Args;
use wikigrove_tenant::Secret;

use crate::cli::Failure;
use crate::cli::reach::ReachArgs;
use crate::remote::notice::{Channel, MailRelay, Recipient, WebhookUrl};
use crate::sync::runner::{Delivery, Options};

/// Synchronisation and notifications.
#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct SyncArgs {
    #[command(flatten)]
    reach: ReachArgs,
    /// A URL that accepts Standard Webhooks, called when a remote needs attention.
    #[arg(long, value_name = "URL", env = "WIKIGROVE_NOTIFY_WEBHOOK", requires = "notify_secret")]
    notify_webhook: Option<String>,
    /// The key that signs these calls; better set in the environment.
    #[arg(long, value_name = "SECRET", env = "WIKIGROVE_NOTIFY_SECRET", hide_env_values = true)]
    notify_secret: Option<String>,
    /// An e-mail address that is notified when a remote needs attention; may be repeated.
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "WIKIGROVE_NOTIFY_MAIL",
        value_delimiter = ',',
        requires = "smtp"
    )]
    notify_mail: Vec<String>,
    /// The mail server, such as smtps://user:password@host; better set in the environment.
    #[arg(
        long,
        value_name = "URL",
        env = "WIKIGROVE_SMTP",
        hide_env_values = true,
        requires = "mail_from"
    )]
    smtp: Option<String>,
    /// The sender of the e-mails.
    #[arg(long, value_name = "ADDRESS", env = "WIKIGROVE_MAIL_FROM")]
    mail_from: Option<String>,
}

impl SyncArgs {
    pub(in crate::cli) fn options(&self) -> Result<Options, Failure> {
        let (delivery, options) = (self.delivery()?, self.reach.options());
        for channel in &delivery.channels {
            if let Channel::Webhook { url, .. } = channel {
                let checked = options.policy.check(url.place());
                checked.map_err(|error| format!("--notify-webhook: {error}"))?;
            }
        }
        Ok(Options { delivery: Some(delivery), ..options })
    }

    fn delivery(&self) -> Result<Delivery, Failure> {
        let mut delivery = Delivery::default();
        if let (Some(url), Some(secret)) = (&self.notify_webhook, &self.notify_secret) {
            let url: WebhookUrl =
                url.parse().map_err(|error| format!("--notify-webhook: {error}"))?;
            let secret = Secret::new(secret.clone());
            delivery.channels.push(Channel::Webhook { url, secret });
        }
        for address in &self.notify_mail {
            let recipient: Recipient =
                address.parse().map_err(|error| format!("--notify-mail: {error}"))?;
            delivery.channels.push(Channel::Mail(recipient));
        }
        if let (Some(url), Some(from)) = (&self.smtp, &self.mail_from) {
            let relay = MailRelay::new(&Secret::new(url.clone()), from);
            delivery.relay = Some(relay.map_err(|error| format!("--smtp: {error}"))?);
        }
        Ok(delivery)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        sync: SyncArgs,
    }

    /// Without a mail server, notifications could never be sent.
    #[test]
    fn mail_needs_a_server() {
        assert!(Line::try_parse_from(["x", "--notify-mail", "a@example.org"]).is_err());
    }
}
