//! A client of Server-Sent Events, which reads them as a browser's `EventSource` does.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::response::Parts;
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use serde_json::Value;

use crate::user::BoxedError;

/// How long to wait for an event that must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its type: `message` if it says nothing else.
    pub kind: String,
    /// The id of the last event that had one, this one included.
    pub id: String,
    /// Its data.
    pub data: String,
}

impl Event {
    /// The data as JSON.
    ///
    /// # Panics
    /// It is something else.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A stream of events that is being read.
pub struct Events {
    head: Parts,
    body: UnsyncBoxBody<Bytes, BoxedError>,
    unread: Vec<u8>,
    last_id: String,
    /// What the server said last about coming back, in milliseconds.
    pub retry: Option<u64>,
    /// How many comments there were.
    pub comments: usize,
}

impl Events {
    pub(crate) fn new(answer: http::Response<UnsyncBoxBody<Bytes, BoxedError>>) -> Self {
        let (head, body) = answer.into_parts();
        assert_eq!(head.status, 200, "no events: {head:?}");
        let (unread, last_id) = (Vec::new(), String::new());
        Self { head, body, unread, last_id, retry: None, comments: 0 }
    }

    /// The headers of the answer.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// Waits until people are told this of a link; returns the details.
    ///
    /// # Panics
    /// They aren't, or the stream ends.
    pub async fn notice(&mut self, kind: &str) -> Value {
        loop {
            let event = self.next().await.expect("a notice, and not the end");
            if event.kind != "remote" {
                continue;
            }
            let said = event.json();
            let mut notices = said["notices"].as_array().expect("a list").iter();
            if let Some(notice) = notices.find(|notice| notice["kind"] == kind) {
                return notice["detail"].clone();
            }
        }
    }

    /// The next event; `None` at the end of the stream.
    ///
    /// # Panics
    /// There is neither for a long time.
    pub async fn next(&mut self) -> Option<Event> {
        tokio::time::timeout(PATIENCE, self.event()).await.expect("an event, or the end")
    }

    /// So many events.
    ///
    /// # Panics
    /// They don't come.
    pub async fn take(&mut self, count: usize) -> Vec<Event> {
        let mut events = Vec::with_capacity(count);
        while events.len() < count {
            let had = events.len();
            events.push(self.next().await.unwrap_or_else(|| panic!("ended after {had} events")));
        }
        events
    }

    /// Waits for the next comment that isn't in what was read so far.
    ///
    /// # Panics
    /// An event comes first, or the end.
    pub async fn comment(&mut self) {
        let before = self.comments;
        while self.comments == before {
            match self.line().await.as_deref().map(|line| self.field(line, &mut None)) {
                Some(false) => {}
                _ => panic!("not a comment"),
            }
        }
    }

    async fn event(&mut self) -> Option<Event> {
        let mut event = None;
        loop {
            let line = self.line().await?;
            if self.field(&line, &mut event) {
                return event;
            }
        }
    }

    /// Reads a line into the event that is being read; whether that is complete.
    fn field(&mut self, line: &str, event: &mut Option<Event>) -> bool {
        if line.is_empty() {
            return match event {
                // Without data it is no event, but its id counts.
                Some(Event { data, .. }) if data.is_empty() => {
                    *event = None;
                    false
                }
                Some(event) => {
                    event.data.pop();
                    event.id.clone_from(&self.last_id);
                    true
                }
                None => false,
            };
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        let new = || Event { kind: "message".to_owned(), id: String::new(), data: String::new() };
        match name {
            "" => self.comments += 1,
            "event" => value.clone_into(&mut event.get_or_insert_with(new).kind),
            "data" => {
                let data = &mut event.get_or_insert_with(new).data;
                data.push_str(value);
                data.push('\n');
            }
            "id" => value.clone_into(&mut self.last_id),
            "retry" => self.retry = value.parse().ok(),
            _ => panic!("there is no field {name}"),
        }
        false
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                let line = String::from_utf8(line).unwrap();
                return Some(line.trim_end_matches(['\r', '\n']).to_owned());
            }
            // A connection that was cut ends the stream as well.
            let chunk = self.body.frame().await?.ok()?.into_data().ok()?;
            self.unread.extend_from_slice(&chunk);
        }
    }
}
