//! The HTTP headers from git's trace. git's own output has only the last status, without `Retry-After` and `Location`.

use std::time::{Duration, SystemTime};

use super::{clean, without_userinfo};

/// The longest wait that a remote can ask for.
const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);
/// The last HTTP response, and if a request with a body was sent.
#[derive(Debug, Default)]
pub(in super::super) struct HttpTrace {
    posted: bool,
    status: Option<u16>,
    retry_after: Option<String>,
    location: Option<String>,
}

impl HttpTrace {
    /// Parses a trace of headers.
    pub(in super::super) fn read(trace: &str) -> Self {
        let mut read = Self::default();
        for line in trace.lines() {
            if let Some((_, header)) = line.split_once("=> Send header: ") {
                read.posted |= header.starts_with("POST ");
            } else if let Some((_, header)) = line.split_once("<= Recv header: ") {
                read.hear(header.trim_end());
            }
        }
        read
    }

    fn hear(&mut self, header: &str) {
        if header.starts_with("HTTP/") {
            let status = header.split(' ').nth(1).and_then(|status| status.parse().ok());
            (self.status, self.retry_after, self.location) = (status, None, None);
            return;
        }
        let Some((name, value)) = header.split_once(':') else { return };
        match name.to_ascii_lowercase().as_str() {
            "retry-after" => self.retry_after = Some(value.trim().to_owned()),
            "location" => self.location = Some(value.trim().to_owned()),
            _ => {}
        }
    }

    /// The status of the last response.
    pub(super) fn status(&self) -> Option<u16> {
        self.status
    }

    /// Returns `true` if a request with a body was sent.
    pub(super) fn posted(&self) -> bool {
        self.posted
    }

    /// The redirect target of the last response, without credentials.
    pub(super) fn location(&self) -> Option<String> {
        self.location.as_ref().map(|location| clean(&without_userinfo(location)))
    }

    /// The wait that the last response asks for.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let value = self.retry_after.as_ref()?;
        let wait = match value.parse() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => {
                let then = httpdate::parse_http_date(value).ok()?;
                then.duration_since(SystemTime::now()).unwrap_or_default()
            }
        };
        Some(wait.min(MAX_WAIT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_answer_counts() {
        let trace = HttpTrace::read(
            "14:01:02.123456 http.c:845 => Send header: GET /x HTTP/1.1\n\
             14:01:02.123456 http.c:845 <= Recv header: HTTP/1.1 200 OK\n\
             14:01:02.123456 http.c:845 <= Recv header: Retry-After: 7\n\
             14:01:02.123456 http.c:845 => Send header: POST /x HTTP/1.1\n\
             14:01:02.123456 http.c:845 <= Recv header: HTTP/2 429 \n\
             14:01:02.123456 http.c:845 <= Recv header: retry-after: 120\n\
             14:01:02.123456 http.c:845 <= Recv header: Location: https://a:b@example.org/\n",
        );
        assert_eq!((trace.status(), trace.posted()), (Some(429), true));
        assert_eq!(trace.retry_after(), Some(Duration::from_secs(120)));
        assert_eq!(trace.location().unwrap(), "https://example.org/");
        assert_eq!(HttpTrace::read("").status(), None);
    }

    #[test]
    fn a_wait_is_a_number_or_a_date_and_has_an_end() {
        let wait = |value: &str| {
            HttpTrace { retry_after: Some(value.to_owned()), ..HttpTrace::default() }.retry_after()
        };
        assert_eq!(wait("99999999"), Some(MAX_WAIT));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("Fri, 06 Nov 2893 08:49:37 GMT"), Some(MAX_WAIT));
        assert_eq!(wait("-1"), None);
        assert_eq!(wait("soon"), None);
    }
}
