//! The name of a request, by which an answer and the log find each other.

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::time::{Instant, SystemTime};

use axum::extract::Request;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tracing::Span;

use crate::metrics::{Asking, Reached};
use crate::serve::Peer;

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How much of a path the log repeats, in characters.
const SHOWN: usize = 200;

/// The id of a request: the client's own, if it is fit to be printed, or one made here. Handlers
/// find it in the request's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id that `headers` asks for, or a new one.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(X_REQUEST_ID).iter();
        match (values.next(), values.next()) {
            (Some(value), None) if is_printable(value.as_bytes()) => Self(value.clone()),
            _ => Self::random(),
        }
    }

    /// Random and not counted: a counter would tell one wiki how busy the others are.
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

/// Random numbers, fetched from the system many at a time: one by one they cost more than finding
/// a page in the cache.
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

/// Good enough to tell two requests apart on a system that has no randomness.
fn nanoseconds() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The span that everything about a request is logged in. The query isn't in it: it may hold
/// what was searched for, or a secret.
pub(super) fn span(request: &Request, id: &RequestId) -> Span {
    // At the level of errors, so that an error names its request however little else is logged.
    tracing::error_span!(
        "request",
        request.id = id.as_str(),
        method = request.method().as_str(),
        path = %Shown(request.uri().path()),
        peer = Peer::of(request.extensions()).and_then(Peer::address).map(tracing::field::display),
        // Where a trusted proxy says that the request comes from.
        client = tracing::field::Empty,
    )
}

/// The one line per request, written and counted when this is dropped: also when the client leaves
/// before it has an answer, and the handler is dropped with it.
pub(super) struct Line {
    started: Instant,
    status: Option<StatusCode>,
    asking: Asking,
}

impl Line {
    pub(super) fn start(asking: Asking) -> Self {
        Self { started: Instant::now(), status: None, asking }
    }

    /// Where the route that answers marks itself.
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

/// A client's text on one line of the log, and not too much of it.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars().take(SHOWN) {
            match c {
                // Beyond ASCII there are line separators and marks that reverse the line.
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
