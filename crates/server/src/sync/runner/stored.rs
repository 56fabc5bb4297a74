//! Conversion between the rows of links and the machine's types.

use std::str::FromStr;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use wikigrove_tenant::{Link, LinkProgress, LinkSettings, LinkStep, NewNotice};

use super::{now, random};
use crate::remote::RemoteUrl;
use crate::sync::{Effect, Event, LinkState, Moment, Notice, Phase, Settings, step};

/// A link in memory, with its row as last stored.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    pub(super) link: Link,
    pub(super) state: LinkState,
}

impl Loaded {
    pub(super) fn new(link: Link) -> Self {
        Self { state: state_of(&link), link }
    }

    pub(super) fn settings(&self) -> Settings {
        let renews = matches!(self.link.credential.as_str(), "token_file" | "key_file");
        Settings { renews, ..settings(&self.link.settings) }
    }

    /// The host that the scheduler counts this link for.
    pub(super) fn host(&self) -> String {
        let url = self.link.settings.url.parse::<RemoteUrl>();
        url.map(|url| format!("{}:{}", url.host(), url.port())).unwrap_or_default()
    }

    /// The progress to store, unless it is stored already.
    pub(super) fn unsaved(&self) -> Option<LinkProgress> {
        Some(progress(&self.state)).filter(|progress| *progress != self.link.progress)
    }
}

/// The state of a link as last stored.
///
/// A state that can't be read, for example one of a newer version, is replaced by the default: the next run looks at
/// both ends, and only decisions and sent notices are forgotten.
pub(crate) fn state_of(link: &Link) -> LinkState {
    serde_json::from_str(&link.progress.state).unwrap_or_else(|error| {
        tracing::warn!(link = link.id, %error, "a link's state can't be read and is begun anew");
        LinkState::default()
    })
}

/// The step to store, if there is anything new.
pub(super) fn to_store(
    loaded: &Loaded,
    effects: &[Effect],
    waiting: Option<usize>,
) -> Option<LinkStep> {
    let notices: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Notify(told) => Some(notice(told, waiting)),
            _ => None,
        })
        .collect();
    let progress = loaded.unsaved();
    if progress.is_none() && notices.is_empty() {
        return None;
    }
    let progress = progress.unwrap_or_else(|| loaded.link.progress.clone());
    Some(LinkStep { link: loaded.link.id.clone(), progress, notices })
}

/// The stored form of a state.
pub(crate) fn progress(state: &LinkState) -> LinkProgress {
    LinkProgress {
        state: serde_json::to_string(state).expect("a state has string keys only"),
        word: state.state().as_str().to_owned(),
        reason: state.reason().map(str::to_owned),
        next_at: state.next_at.map(|time| time.0),
    }
}

/// The progress to store together with a change of a link's settings, so that nothing recorded before is taken for
/// current. If the process ends before it can [tell](super::Remotes::tell) the link of the change, the link runs at
/// once, if it may.
pub(crate) fn changed(
    state: LinkState,
    stored: &LinkSettings,
    remote: bool,
    unused_key: bool,
) -> LinkProgress {
    let event = Event::Changed { remote, unused_key };
    let moment = Moment { now: now(), random: random() };
    let (mut state, _) = step(&settings(stored), state, &event, moment);
    if state.phase == Phase::Due {
        (state.phase, state.look_at, state.next_at) =
            (Phase::Idle, Some(moment.now), Some(moment.now));
    }
    progress(&state)
}

/// The settings that the machine uses.
pub(super) fn settings(stored: &LinkSettings) -> Settings {
    Settings {
        mode: word(&stored.mode),
        winner: word(&stored.winner),
        first_run: word(&stored.first_run),
        on_rewrite: word(&stored.on_rewrite),
        interval: stored.interval,
        cooldown: stored.cooldown,
        renews: false,
    }
}

/// Parses a stored word. Words are checked before they are stored; a word of a newer version counts as the default.
fn word<T: FromStr + Default>(text: &str) -> T {
    text.parse().unwrap_or_default()
}

/// The stored form of a notice. `waiting` is the number of commits that the remote lacks, if it was counted.
pub(super) fn notice(notice: &Notice, waiting: Option<usize>) -> NewNotice {
    let (kind, detail) = match notice {
        Notice::DecisionNeeded { reason, tip } => {
            ("decision_needed", serde_json::json!({ "reason": reason, "revision": tip }))
        }
        Notice::Paused { reason } => ("paused", serde_json::json!({ "reason": reason })),
        Notice::PeerDown { since } => {
            let since = since.at();
            ("peer_down", serde_json::json!({ "since": rfc3339(since), "queue_length": waiting }))
        }
        Notice::PeerUp { after } => {
            let seconds = after.as_secs();
            ("peer_up", serde_json::json!({ "after_seconds": seconds, "queue_length": waiting }))
        }
    };
    NewNotice { kind: kind.to_owned(), once: None, detail }
}

fn rfc3339(time: Option<OffsetDateTime>) -> Option<String> {
    time.and_then(|time| time.format(&Rfc3339).ok())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sync::{Mode, Phase, Time, Winner};

    #[test]
    fn a_state_is_read_back_as_it_was_stored() {
        let state =
            LinkState { phase: Phase::Backoff, next_at: Some(Time(7)), ..LinkState::default() };
        let stored = progress(&state);
        assert_eq!((stored.word.as_str(), stored.next_at), ("backoff", Some(7)));
        assert_eq!(serde_json::from_str::<LinkState>(&stored.state).unwrap(), state);
    }

    #[test]
    fn a_peer_that_is_back_is_told_with_how_long_it_was_away_and_what_waited() {
        let after = Duration::from_secs(700);
        let told = notice(&Notice::PeerUp { after }, Some(3));
        assert_eq!(told.detail, serde_json::json!({ "after_seconds": 700, "queue_length": 3 }));
        let told = notice(&Notice::PeerDown { since: Time(1_999) }, None);
        let detail = serde_json::json!({ "since": "1970-01-01T00:00:01Z", "queue_length": null });
        assert_eq!(told.detail, detail);
    }

    #[test]
    fn a_word_from_the_future_counts_as_the_default() {
        assert_eq!(word::<Mode>("pull"), Mode::Pull);
        assert_eq!(word::<Winner>("dice"), Winner::Wiki);
    }
}
