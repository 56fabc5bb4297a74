//! Options for the links with git repositories elsewhere, and for telling people of them.

use std::path::PathBuf;

use clap::Args;
use wikigrove_tenant::Secret;

use crate::cli::Failure;
use crate::remote::notice::{Channel, MailRelay, Recipient, WebhookUrl};
use crate::remote::{Endpoint, SecretFiles};
use crate::sync::runner::{Delivery, Options};

/// How links with git repositories elsewhere are run.
#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct SyncArgs {
    /// Don't run links with git repositories elsewhere. What is saved waits for them.
    #[arg(long, env = "WIKIGROVE_NO_SYNC")]
    no_sync: bool,
    /// Leave the network alone: as --no-sync, but meant to end soon.
    #[arg(long, env = "WIKIGROVE_OFFLINE")]
    offline: bool,
    /// A host that links may reach wherever it is, also with http://; may be repeated. Others must be on
    /// the open internet.
    #[arg(
        long,
        value_name = "HOST[:PORT]",
        env = "WIKIGROVE_SYNC_ALLOW",
        value_delimiter = ',',
        value_parser = endpoint
    )]
    sync_allow: Vec<Endpoint>,
    /// The only hosts that wikis may be linked with, besides those of --sync-allow; may be repeated
    /// [default: all on the open internet].
    #[arg(
        long,
        value_name = "HOST[:PORT]",
        env = "WIKIGROVE_SYNC_HOSTS",
        value_delimiter = ',',
        value_parser = endpoint
    )]
    sync_hosts: Vec<Endpoint>,
    /// The directory with mounted secrets that links may name files of.
    #[arg(long, value_name = "DIR", env = "WIKIGROVE_SYNC_SECRETS")]
    sync_secrets: Option<PathBuf>,
    /// Where to say that a link waits for somebody: a URL that takes Standard Webhooks.
    #[arg(long, value_name = "URL", env = "WIKIGROVE_NOTIFY_WEBHOOK", requires = "notify_secret")]
    notify_webhook: Option<String>,
    /// What those calls are signed with; better set in the environment.
    #[arg(long, value_name = "SECRET", env = "WIKIGROVE_NOTIFY_SECRET", hide_env_values = true)]
    notify_secret: Option<String>,
    /// Who gets mail when a link waits for somebody; may be repeated.
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
    /// Who those mails are from.
    #[arg(long, value_name = "ADDRESS", env = "WIKIGROVE_MAIL_FROM")]
    mail_from: Option<String>,
}

impl SyncArgs {
    pub(in crate::cli) fn options(&self) -> Result<Options, Failure> {
        let mut options = Options {
            enabled: !self.no_sync,
            offline: self.offline,
            secret_files: SecretFiles::new(self.sync_secrets.clone()),
            delivery: Some(self.delivery()?),
            ..Options::default()
        };
        options.policy.admitted = self.sync_allow.clone();
        options.policy.only = Some(self.sync_hosts.clone()).filter(|hosts| !hosts.is_empty());
        Ok(options)
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

fn endpoint(text: &str) -> Result<Endpoint, String> {
    text.parse().map_err(|error| format!("{error}"))
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

    #[test]
    fn hosts_are_named_with_or_without_a_port() {
        let line = ["x", "--sync-allow", "git.lan", "--sync-allow", "10.0.0.1:3000"];
        let options = Line::parse_from(line).sync.options().unwrap();
        let named: Vec<_> = options.policy.admitted.iter().map(ToString::to_string).collect();
        assert_eq!(named, ["git.lan", "10.0.0.1:3000"]);
        assert!(options.enabled && !options.offline && options.policy.only.is_none());
        assert!(Line::try_parse_from(["x", "--sync-allow", "https://git.lan/"]).is_err());
        // Mail without a server to send it by would never arrive.
        assert!(Line::try_parse_from(["x", "--notify-mail", "a@example.org"]).is_err());
    }
}
