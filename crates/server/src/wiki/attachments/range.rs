//! The range of an attachment that a request asks for.

use http::header::{IF_RANGE, RANGE};
use http::{HeaderMap, HeaderName};
use http_range_header::{EndPosition, RangeUnsatisfiableError, StartPosition, parse_range_header};

/// The part of an attachment to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Whole,
    /// The first and the last byte of the range, counted from 0.
    Part(u64, u64),
    /// No byte of the range exists.
    Unsatisfiable,
}

/// Determines the part of an attachment of `size` bytes with this etag to send. Several ranges and malformed ones mean
/// the whole, as RFC 9110, section 14.2 allows: a thousand ranges would cost a thousand times the work of one.
pub(super) fn wanted(headers: &HeaderMap, etag: &str, size: u64) -> Wanted {
    let Some(range) = single(headers, &RANGE) else { return Wanted::Whole };
    if headers.contains_key(IF_RANGE) {
        // Only a strong etag proves that the parts are of the same version. Dates aren't sent.
        let is_same = single(headers, &IF_RANGE)
            .and_then(|value| value.strip_prefix('"')?.strip_suffix('"'))
            .is_some_and(|version| version == etag);
        if !is_same {
            return Wanted::Whole;
        }
    }
    if range.contains(',') {
        return Wanted::Whole;
    }
    match parse_range_header(range) {
        Ok(parsed) => match parsed.ranges.as_slice() {
            [range] => within(range.start, range.end, size),
            _ => Wanted::Whole,
        },
        Err(RangeUnsatisfiableError::ZeroSuffix) => Wanted::Unsatisfiable,
        Err(_) => Wanted::Whole,
    }
}

fn within(start: StartPosition, end: EndPosition, size: u64) -> Wanted {
    let first = match start {
        StartPosition::Index(first) => first,
        StartPosition::FromLast(length) => size.saturating_sub(length),
    };
    match end {
        EndPosition::Index(last) if last < first => Wanted::Whole,
        _ if first >= size => Wanted::Unsatisfiable,
        EndPosition::Index(last) => Wanted::Part(first, last.min(size - 1)),
        EndPosition::LastByte => Wanted::Part(first, size - 1),
    }
}

/// The value of a header that occurs exactly once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::Wanted::{Part, Unsatisfiable, Whole};
    use super::*;

    fn of(range: &str, size: u64) -> Wanted {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, HeaderValue::from_str(range).unwrap());
        wanted(&headers, "v", size)
    }

    #[test]
    fn one_range_is_a_part() {
        assert_eq!(of("bytes=0-0", 10), Part(0, 0));
        assert_eq!(of("bytes=2-5", 10), Part(2, 5));
        assert_eq!(of("bytes=2-", 10), Part(2, 9));
        assert_eq!(of("bytes=2-99", 10), Part(2, 9));
        assert_eq!(of("bytes=-3", 10), Part(7, 9));
        assert_eq!(of("bytes=-99", 10), Part(0, 9));
        assert_eq!(of("bytes=0-18446744073709551615", 10), Part(0, 9));
    }

    #[test]
    fn what_is_not_there_cannot_be_sent() {
        for (range, size) in [
            ("bytes=10-", 10),
            ("bytes=10-20", 10),
            ("bytes=-0", 10),
            ("bytes=0-", 0),
            ("bytes=-1", 0),
        ] {
            assert_eq!(of(range, size), Unsatisfiable, "{range}");
        }
    }

    #[test]
    fn several_ranges_and_garbage_come_to_the_whole() {
        let many = format!("bytes={}", vec!["0-0"; 10_000].join(","));
        for range in [
            "bytes=0-0,2-3",
            &many,
            "bytes=5-2",
            "bytes=",
            "bytes=a-b",
            "lines=1-2",
            "bytes",
            "bytes=--1",
            "bytes=0-0x",
            "bytes=18446744073709551616-",
        ] {
            assert_eq!(of(range, 10), Whole, "{range}");
        }
        let mut twice = HeaderMap::new();
        twice.append(RANGE, HeaderValue::from_static("bytes=0-1"));
        twice.append(RANGE, HeaderValue::from_static("bytes=0-1"));
        assert_eq!(wanted(&twice, "v", 10), Whole);
        assert_eq!(wanted(&HeaderMap::new(), "v", 10), Whole);
    }

    #[test]
    fn a_part_is_sent_only_of_the_version_that_the_client_has() {
        for (version, expected) in [
            ("\"v\"", Part(0, 1)),
            ("\"x\"", Whole),
            ("W/\"v\"", Whole),
            ("v", Whole),
            ("Sat, 29 Oct 1994 19:43:31 GMT", Whole),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, HeaderValue::from_static("bytes=0-1"));
            headers.insert(IF_RANGE, HeaderValue::from_static(version));
            assert_eq!(wanted(&headers, "v", 10), expected, "{version}");
        }
    }
}
