//! Events as text, in the format of Server-Sent Events.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use serde_json::json;
use wikigrove_tenant::{Commit, Link, NewNotice, Revision};

/// The beginning of a stream: sends the headers at once through all proxies, and sets the client's delay before it
/// reconnects, in milliseconds.
pub(super) const GREETING: Bytes = Bytes::from_static(b": wikigrove\nretry: 2000\n\n");
/// A comment that keeps idle connections open.
pub(super) const KEEP_ALIVE: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// An event and its position in the log.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) at: Option<Revision>,
    pub(super) text: Bytes,
}

/// Messages up to this size, in bytes, are copied into one piece; larger ones are shared by all listeners.
const SMALL: usize = 4 << 10;

/// The texts of messages, with small ones joined.
pub(super) fn joined(messages: impl IntoIterator<Item = Bytes>) -> VecDeque<Bytes> {
    let (mut pieces, mut small) = (VecDeque::new(), BytesMut::new());
    for text in messages {
        if text.len() <= SMALL {
            small.extend_from_slice(&text);
            continue;
        }
        if !small.is_empty() {
            pieces.push_back(small.split().freeze());
        }
        pieces.push_back(text);
    }
    if !small.is_empty() {
        pieces.push_back(small.freeze());
    }
    pieces
}

impl Message {
    /// The event for a commit.
    pub(super) fn change(commit: &Commit) -> Self {
        // `serde_json::to_string` writes no line breaks, which would end the field.
        let data = serde_json::to_string(commit).expect("a commit has string keys only");
        let revision = commit.revision;
        let text = format!("event: change\nid: {revision}\ndata: {data}\n\n").into();
        Self { at: Some(revision), text }
    }

    /// The event for the state of a remote. It has no id, because it isn't part of the log and a stream can't resume
    /// from it.
    pub(super) fn remote(at: Option<Revision>, link: &Link, notices: &[NewNotice]) -> Self {
        let state = &link.progress;
        let told = |notice: &NewNotice| json!({ "kind": notice.kind, "detail": notice.detail });
        let notices: Vec<_> = notices.iter().map(told).collect();
        let data = json!({
            "remote": link.id,
            "state": state.word,
            "reason": state.reason,
            "notices": notices,
        });
        Self { at, text: format!("event: remote\ndata: {data}\n\n").into() }
    }

    /// The event for a replaced history; the stream resumes from `head`. An empty wiki has no revision to resume from,
    /// so the id is empty.
    pub(super) fn reset(head: Option<Revision>) -> Self {
        let id = head.map(|head| head.to_string()).unwrap_or_default();
        let data = json!({ "revision": head });
        Self { at: head, text: format!("event: reset\nid: {id}\ndata: {data}\n\n").into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_messages_are_joined_and_large_ones_are_not_copied() {
        let large = Bytes::from(vec![b'x'; SMALL + 1]);
        let all = [
            Bytes::from_static(b"a"),
            Bytes::from_static(b"b"),
            large.clone(),
            Bytes::from_static(b"c"),
        ];
        let pieces = joined(all);
        assert_eq!(pieces, ["ab".as_bytes(), &large, b"c"]);
        assert_eq!(pieces[1].as_ptr(), large.as_ptr());
    }

    #[test]
    fn a_reset_names_where_the_stream_goes_on() {
        let head = Revision::from_bytes([1; 20]);
        let text = format!("event: reset\nid: {head}\ndata: {{\"revision\":\"{head}\"}}\n\n");
        assert_eq!(Message::reset(Some(head)).text, text);
        assert_eq!(Message::reset(None).text, "event: reset\nid: \ndata: {\"revision\":null}\n\n");
    }
}
