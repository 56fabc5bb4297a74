//! The newest messages of a hub, for listeners that have caught up.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use wikigrove_tenant::Revision;

use super::PAGE;
use crate::wiki::events::message::Message;

/// Maximum number of messages: listeners that are further behind read the log.
const KEPT: usize = 256;
/// Maximum size of the messages, in bytes; one message is always kept.
const KEPT_BYTES: usize = 256 << 10;
/// Time for which messages are kept. Listeners that have caught up take them within milliseconds.
const KEPT_FOR: Duration = Duration::from_secs(5);

/// The newest messages, each serialised once for all listeners.
#[derive(Debug)]
pub(super) struct Tail {
    at: Option<Revision>,
    messages: VecDeque<(Instant, Message)>,
    bytes: usize,
    /// Number of messages before these.
    before: u64,
}

/// The position of a listener that has caught up.
#[derive(Debug)]
pub(in crate::wiki::events) struct Follower {
    has: u64,
    news: watch::Receiver<()>,
}

impl Follower {
    /// A follower that has all messages of `tail`.
    pub(super) fn new(tail: &Tail, news: watch::Receiver<()>) -> Self {
        Self { has: tail.before + tail.messages.len() as u64, news }
    }

    /// Waits for messages since the last call, or since the follower was made.
    pub(in crate::wiki::events) async fn news(&mut self) {
        // An error means that the hub has ended, which the next `take` reports, too.
        let _ = self.news.changed().await;
    }
}

/// The new messages for a follower.
#[derive(Debug)]
pub(in crate::wiki::events) enum Taken {
    /// At least one message; there may be more.
    Messages(Vec<Message>),
    Nothing,
    /// Messages were dropped already: they must be read from the log.
    Missed,
}

impl Tail {
    pub(super) fn new(head: Option<Revision>) -> Self {
        Self { at: head, messages: VecDeque::new(), bytes: 0, before: 0 }
    }

    pub(super) fn at(&self) -> Option<Revision> {
        self.at
    }

    pub(super) fn push(&mut self, message: Message) {
        self.at = message.at;
        self.bytes += message.text.len();
        self.messages.push_back((Instant::now(), message));
        while self.messages.len() > KEPT || (self.bytes > KEPT_BYTES && self.messages.len() > 1) {
            self.forget_first();
        }
    }

    /// Drops messages older than [`KEPT_FOR`].
    pub(super) fn forget_old(&mut self) {
        while self.messages.front().is_some_and(|(since, _)| since.elapsed() > KEPT_FOR) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, message)) = self.messages.pop_front() {
            self.bytes -= message.text.len();
            self.before += 1;
        }
    }

    pub(super) fn take(&self, follower: &mut Follower) -> Taken {
        let Some(skip) = follower.has.checked_sub(self.before) else { return Taken::Missed };
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let (mut taken, mut bytes) = (Vec::new(), 0);
        for (_, message) in self.messages.iter().skip(skip).take(PAGE.items) {
            bytes += message.text.len();
            if bytes > PAGE.bytes && !taken.is_empty() {
                break;
            }
            taken.push(message.clone());
        }
        follower.has += taken.len() as u64;
        if taken.is_empty() { Taken::Nothing } else { Taken::Messages(taken) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(size: usize) -> Message {
        Message { at: None, text: vec![b'x'; size].into() }
    }

    fn follower(tail: &Tail) -> Follower {
        Follower::new(tail, watch::Sender::new(()).subscribe())
    }

    fn taken(tail: &Tail, follower: &mut Follower) -> Option<usize> {
        match tail.take(follower) {
            Taken::Messages(messages) => Some(messages.len()),
            Taken::Nothing => Some(0),
            Taken::Missed => None,
        }
    }

    #[test]
    fn a_follower_gets_each_message_once_and_not_too_many_at_a_time() {
        let mut tail = Tail::new(None);
        tail.push(message(1));
        let mut follower = follower(&tail);
        assert_eq!(taken(&tail, &mut follower), Some(0));
        (0..150).for_each(|_| tail.push(message(1)));
        assert_eq!(taken(&tail, &mut follower), Some(100));
        assert_eq!(taken(&tail, &mut follower), Some(50));
        (0..3).for_each(|_| tail.push(message(40_000)));
        assert_eq!(taken(&tail, &mut follower), Some(1));
        assert_eq!(taken(&tail, &mut follower), Some(1));
    }

    #[test]
    fn what_is_kept_is_bounded_in_number_and_in_bytes() {
        let mut tail = Tail::new(None);
        let mut slow = follower(&tail);
        (0..300).for_each(|_| tail.push(message(1)));
        assert_eq!((tail.messages.len(), taken(&tail, &mut slow)), (KEPT, None));
        let mut quick = follower(&tail);
        tail.push(message(1_000_000));
        assert_eq!((tail.messages.len(), tail.bytes), (1, 1_000_000));
        assert_eq!(taken(&tail, &mut quick), Some(1));
        tail.push(message(1));
        assert_eq!((tail.messages.len(), tail.bytes), (1, 1));
    }
}
