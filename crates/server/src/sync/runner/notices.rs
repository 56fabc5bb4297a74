//! Telling people: what was stored together with what it tells of is sent afterwards, until somebody
//! has it or a day is over.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::sync::Notify;
use wikigrove_tenant::{Error, Notice, Platform};

use crate::remote::notice::{self, Channel, MailRelay, NotDelivered, Notifier, Retry};
use crate::remote::{Policy, Resolver};
use crate::sync::backoff;
use crate::sync::clock::Dice;

/// How many notices are sent at once.
const BATCH: u32 = 20;
/// After so long a notice is given up.
const GIVEN_UP: time::Duration = time::Duration::DAY;
/// How often to look at least: whoever stores a notice says so, but the clock may be put back.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How people are told.
#[derive(Clone, Debug, Default)]
pub struct Delivery {
    /// Who is told of everything.
    pub channels: Vec<Channel>,
    /// What mails go by.
    pub relay: Option<MailRelay>,
    /// How often one attempt tries.
    pub retry: Retry,
}

/// Sends what waits.
pub(super) struct Outbox {
    platform: Platform,
    /// `None`: nobody is to be told.
    notifier: Option<Notifier>,
    channels: Vec<Channel>,
    /// Of a notice that some have, who hasn't. Lost with the process: then all get it again, under the
    /// same id.
    left: HashMap<i64, Vec<usize>>,
}

impl Outbox {
    pub(super) fn new(
        platform: Platform,
        delivery: Delivery,
        policy: Policy,
        resolver: Arc<dyn Resolver>,
    ) -> Self {
        let Delivery { channels, relay, retry } = delivery;
        let wanted = !channels.is_empty();
        let notifier = wanted.then(|| Notifier::new(policy, relay, retry).with_resolver(resolver));
        Self { platform, notifier, channels, left: HashMap::new() }
    }

    /// Sends what waits, for as long as it isn't dropped. `news` says that there may be more.
    pub(super) async fn run(mut self, news: Arc<Notify>) {
        loop {
            let wait = match self.send_due().await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::warn!(%error, "notices can't be looked at");
                    LOOK_EVERY
                }
            };
            // Too late is as good as told.
            let _ = tokio::time::timeout(wait, news.notified()).await;
        }
    }

    /// How long there is nothing to do afterwards.
    async fn send_due(&mut self) -> Result<Duration, Error> {
        loop {
            let due = self.platform.due_notices(super::now().0, BATCH).await?;
            if due.is_empty() {
                break;
            }
            for notice in due {
                self.send(&notice).await?;
            }
        }
        let next = self.platform.next_notice_at().await?.map(|at| at - super::now().0);
        let wait = next.map(|wait| Duration::from_millis(wait.max(1).unsigned_abs()));
        Ok(wait.unwrap_or(LOOK_EVERY).min(LOOK_EVERY))
    }

    async fn send(&mut self, stored: &Notice) -> Result<(), Error> {
        let slug = match self.platform.slug_of(stored.wiki).await? {
            Some(slug) => slug.to_string(),
            None => return self.platform.settle_notice(stored.id, None).await,
        };
        let Some(notifier) = &self.notifier else {
            return self.platform.settle_notice(stored.id, None).await;
        };
        let all = (0..self.channels.len()).collect();
        let left = self.left.remove(&stored.id).unwrap_or(all);
        let channels: Vec<_> = left.iter().map(|number| self.channels[*number].clone()).collect();
        let answers = notifier.deliver(&worded(stored, &slug), &channels).await;
        let mut later = Vec::new();
        for (number, answer) in left.into_iter().zip(answers) {
            match answer {
                Ok(()) => {}
                Err(NotDelivered::Later(why)) => {
                    tracing::info!(notice = stored.id, why, "a notice has to wait");
                    later.push(number);
                }
                Err(error) => {
                    tracing::warn!(notice = stored.id, %error, "a notice is not delivered")
                }
            }
        }
        let is_old = OffsetDateTime::now_utc() - stored.created > GIVEN_UP;
        if later.is_empty() || is_old {
            return self.platform.settle_notice(stored.id, None).await;
        }
        self.left.insert(stored.id, later);
        let mut dice = Dice::new(super::random());
        let wait = backoff::wait(stored.attempts.saturating_add(3), None, &mut dice);
        let again = (super::now() + wait).0;
        self.platform.settle_notice(stored.id, Some(again)).await
    }
}

/// A notice in words.
fn worded(stored: &Notice, slug: &str) -> notice::Notice {
    let Notice { id, link, kind, detail, created, .. } = stored;
    let said = |name: &str| detail.get(name).and_then(|value| value.as_str()).unwrap_or_default();
    let reason = said("reason").replace('_', " ");
    let text = match kind.as_str() {
        "decision_needed" => format!(
            "The wiki \"{slug}\" and its remote can't go on by themselves ({reason}). Saving goes on; \
             what is saved waits until somebody decides."
        ),
        "paused" => format!(
            "The wiki \"{slug}\" is no longer synchronised with its remote ({reason}). Saving goes on; \
             what is saved waits until that is mended."
        ),
        "peer_down" => format!(
            "The remote of the wiki \"{slug}\" hasn't answered since {}. Saving goes on; what is saved \
             waits{}.",
            said("since"),
            waiting(&detail["queue_length"])
        ),
        "peer_up" => format!(
            "The remote of the wiki \"{slug}\" answers again, after {} seconds. What waited goes \
             there now{}.",
            detail["after_seconds"],
            waiting(&detail["queue_length"])
        ),
        "conflicts" => format!(
            "Wiki and remote of \"{slug}\" both changed the same places of {} pages. Nothing is lost; \
             somebody should look at them.",
            detail["conflicts"]
        ),
        _ => format!("The remote of the wiki \"{slug}\": {kind}."),
    };
    let text = format!("{text}\n\nremote {link} · wiki {slug}\n");
    notice::Notice {
        id: format!("notice-{id}"),
        kind: format!("sync.{kind}"),
        at: *created,
        subject: format!("wiki {slug}: {}", kind.replace('_', " ")),
        text,
        data: json!({ "wiki": slug, "remote": link, "detail": detail }),
    }
}

/// How much waits, in brackets, if it was counted.
fn waiting(queue_length: &Value) -> String {
    queue_length.as_u64().map(|commits| format!(" (commits: {commits})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use wikigrove_tenant::TenantId;

    use super::*;

    #[test]
    fn every_kind_of_notice_has_words() {
        for (kind, detail, word) in [
            ("decision_needed", json!({ "reason": "force_pushed" }), "force pushed"),
            ("paused", json!({ "reason": "auth" }), "(auth)"),
            ("peer_down", json!({ "since": "2026-11-25T10:00:00Z" }), "2026-11-25"),
            ("peer_down", json!({ "since": "then", "queue_length": 5 }), "waits (commits: 5)"),
            ("peer_up", json!({ "after_seconds": 700 }), "700 seconds"),
            ("peer_up", json!({ "after_seconds": 700, "queue_length": 3 }), "(commits: 3)"),
            ("conflicts", json!({ "conflicts": 3 }), "of 3 pages"),
        ] {
            let stored = Notice {
                id: 7,
                link: "a".to_owned(),
                wiki: TenantId::random(),
                kind: kind.to_owned(),
                detail,
                created: OffsetDateTime::UNIX_EPOCH,
                attempts: 0,
            };
            let worded = worded(&stored, "garden");
            assert!(worded.text.contains(word), "{}", worded.text);
            assert_eq!(
                (worded.id.as_str(), worded.data["wiki"].as_str()),
                ("notice-7", Some("garden"))
            );
        }
    }
}
