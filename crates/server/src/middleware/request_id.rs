//! Request ids, which connect responses with log lines.

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::time::{Instant, SystemTime};

use axum::extract::Request;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tracing::Span;

use crate::metrics::{Asking, Reached};
use crate::serve::Peer;

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Maximum length of a path in the log, in characters.
const SHOWN: usize = 200;

/// The id of a request: the client's own if it is printable, else a new one. Handlers find it in the
/// request's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id given in `headers`, or a new one.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(X_REQUEST_ID).iter();
        match (values.next(), values.next()) {
            (Some(value), None) if is_printable(value.as_bytes()) => Self(value.clone()),
            _ => Self::random(),
        }
    }

    /// A random id; a counter would reveal to one wiki how busy the others are.
    fn random() -> Self {
        let number = SUPPLY.with_borrow_mut(Supply::next);
        let mut digits = [0; 16];
        data_encoding::HEXLOWER.encode_mut(&number.to_be_bytes(), &mut digits);
        Self(HeaderValue::from_bytes(&digits).expect("hexadecimal digits are a valid header"))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().expect("the id was checked to be ASCII")
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

fn is_printable(id: &[u8]) -> bool {
    (1..=64).contains(&id.len()) && id.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
}

thread_local! {
    static SUPPLY: RefCell<Supply> = const { RefCell::new(Supply { numbers: [0; 512], used: 512 }) };
}

/// Random numbers, read from the system in batches: reading them one by one takes longer than finding a
/// page in the cache.
struct Supply {
    numbers: [u8; 512],
    used: usize,
}

impl Supply {
    fn next(&mut self) -> u64 {
        if self.used == self.numbers.len() {
            if getrandom::fill(&mut self.numbers).is_err() {
                return nanoseconds();
            }
            self.used = 0;
        }
        let (next, _) =
            self.numbers[self.used..].split_first_chunk().expect("a multiple of 8 is left");
        self.used += next.len();
        u64::from_ne_bytes(*next)
    }
}

/// A substitute on systems without randomness, good enough to distinguish requests.
fn nanoseconds() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The tracing span of a request. It omits the query, which may contain search terms or a secret.
pub(super) fn span(request: &Request, id: &RequestId) -> Span {
    // At error level, so that errors carry the request id even if little else is logged.
    tracing::error_span!(
        "request",
        request.id = id.as_str(),
        method = request.method().as_str(),
        path = %Shown(request.uri().path()),
        peer = Peer::of(request.extensions()).and_then(Peer::address).map(tracing::field::display),
        // The client's address as reported by a trusted proxy.
        client = tracing::field::Empty,
    )
}

/// Writes one log line per request, and counts it, when dropped. This also covers clients that leave
/// before the response, whose handler is dropped.
pub(super) struct Line {
    started: Instant,
    status: Option<StatusCode>,
    asking: Asking,
}

impl Line {
    pub(super) fn start(asking: Asking) -> Self {
        Self { started: Instant::now(), status: None, asking }
    }

    /// The slot in which the route that answers records itself.
    pub(super) fn reached(&self) -> Reached {
        self.asking.reached()
    }

    pub(super) fn finish(mut self, status: StatusCode) {
        self.status = Some(status);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        self.asking.answered(self.status, took);
        let duration_ms = took.as_secs_f64() * 1000.0;
        match self.status {
            Some(status) => {
                tracing::info!(status = status.as_u16(), duration_ms, "request answered")
            }
            None => tracing::info!(duration_ms, "request abandoned"),
        }
    }
}

/// A client's text, escaped and shortened to fit one log line.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars().take(SHOWN) {
            match c {
                // Non-ASCII includes line separators and characters that reverse the text direction.
                ' '..='~' => f.write_char(c)?,
                _ => write!(f, "{}", c.escape_default())?,
            }
        }
        if self.0.chars().nth(SHOWN).is_some() { f.write_str("…") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&[u8]]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(X_REQUEST_ID, HeaderValue::from_bytes(value).unwrap());
        }
        RequestId::of(&headers).as_str().to_owned()
    }

    #[test]
    fn a_printable_id_is_kept() {
        assert_eq!(of(&[b"a-Z-09"]), "a-Z-09");
        assert_eq!(of(&[&[b'x'; 64]]), "x".repeat(64));
    }

    /// header-038
    #[test]
    fn any_other_is_replaced() {
        let long = [b'x'; 10_000];
        for bad in [&b""[..], b"a b", b"a_b", b"\xff", b"<script>", &long[..], &long[..65]] {
            let made = of(&[bad]);
            assert!(made.len() == 16 && is_printable(made.as_bytes()), "{made}");
        }
        assert_ne!(of(&[b"a", b"b"]), "a");
        assert_ne!(of(&[]), of(&[]));
    }

    #[test]
    fn a_path_cannot_forge_a_line_of_the_log() {
        assert_eq!(
            Shown("/a\r\nb\u{1b}[0m\u{202e}ü").to_string(),
            r"/a\r\nb\u{1b}[0m\u{202e}\u{fc}"
        );
        assert_eq!(Shown(&"x".repeat(10_000)).to_string().chars().count(), SHOWN + 1);
        assert_eq!(Shown("/w/a/%0d%0a").to_string(), "/w/a/%0d%0a");
    }
}
