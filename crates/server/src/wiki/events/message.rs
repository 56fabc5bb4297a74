//! Events as text, in the format of Server-Sent Events.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use serde_json::json;
use wikigrove_tenant::{Commit, Link, NewNotice, Revision};

/// What a stream begins with: something at once, so that the client and all proxies between see
/// the headers, and after how many milliseconds to come back when the connection is lost.
pub(super) const GREETING: Bytes = Bytes::from_static(b": wikigrove\nretry: 2000\n\n");
/// What shows that both ends are still there.
pub(super) const KEEP_ALIVE: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// An event, and where in the log whoever has it is.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) at: Option<Revision>,
    pub(super) text: Bytes,
}

/// Messages up to this size, in bytes, are copied together; larger ones are sent as they are, the same bytes
/// to all.
const SMALL: usize = 4 << 10;

/// The texts of messages, small ones joined.
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
    /// A commit.
    pub(super) fn change(commit: &Commit) -> Self {
        // JSON as it is written here has no line breaks, which would end the field.
        let data = serde_json::to_string(commit).expect("a commit has string keys only");
        let revision = commit.revision;
        let text = format!("event: change\nid: {revision}\ndata: {data}\n\n").into();
        Self { at: Some(revision), text }
    }

    /// How a link with a repository elsewhere stands. It has no id: it isn't part of the log, and nobody can
    /// go on from it.
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

    /// The history isn't what it was; the stream goes on from `head`. In an empty wiki there is
    /// nothing to come back to, which an empty id says.
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
