//! The texts of notices.

use serde_json::{Value, json};
use time::OffsetDateTime;
use wikigrove_tenant::Notice;

use super::random;
use crate::remote::notice::{self, Channel, MailRelay};

/// The settings for sending notices.
#[derive(Clone, Debug, Default)]
pub struct Delivery {
    /// The channels for notices of all wikis. Each wiki may have channels of its own.
    pub channels: Vec<Channel>,
    /// The relay for mails.
    pub relay: Option<MailRelay>,
}

/// The text of a notice.
pub(super) fn worded(stored: &Notice, slug: &str) -> notice::Notice {
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

/// The notice that tests a channel.
pub(super) fn trial(slug: &str) -> notice::Notice {
    notice::Notice {
        id: format!("test-{:016x}", random()),
        kind: "test".to_owned(),
        at: OffsetDateTime::now_utc(),
        subject: format!("wiki {slug}: test"),
        text: format!("This is where it is told when a link of the wiki \"{slug}\" waits.\n"),
        data: json!({ "wiki": slug, "remote": null, "detail": {} }),
    }
}

/// The number of waiting commits in brackets, if it is known.
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
