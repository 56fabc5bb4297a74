//! Lists of etags in the syntax of RFC 9110, section 8.8.3.

/// One etag of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Etag<'a> {
    pub(super) weak: bool,
    /// The text between the quotes.
    pub(super) value: &'a str,
}

/// A list element that isn't an etag.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Iterator over a list such as `"a", W/"b"`. A comma may also stand inside the quotes. Ends after the first malformed
/// etag.
pub(super) struct Etags<'a>(pub(super) &'a str);

impl<'a> Iterator for Etags<'a> {
    type Item = Result<Etag<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        // Empty elements must be tolerated (RFC 9110, section 5.6.1.2).
        let rest = self.0.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return None;
        }
        let parsed = first(rest);
        self.0 = parsed.as_ref().map_or("", |(_, rest)| rest);
        Some(parsed.map(|(etag, _)| etag).ok_or(Malformed))
    }
}

/// The first etag of `list`, and the rest after it.
fn first(list: &str) -> Option<(Etag<'_>, &str)> {
    let (weak, quoted) = list.strip_prefix("W/").map_or((false, list), |rest| (true, rest));
    let (value, rest) = quoted.strip_prefix('"')?.split_once('"')?;
    let rest = rest.trim_start_matches([' ', '\t']);
    let clean = value.bytes().all(|b| b > b' ' && b != 0x7f);
    (clean && (rest.is_empty() || rest.starts_with(','))).then_some((Etag { weak, value }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<Vec<(bool, &str)>, Malformed> {
        Etags(text).map(|etag| etag.map(|etag| (etag.weak, etag.value))).collect()
    }

    #[test]
    fn lists_are_read_as_the_standard_writes_them() {
        assert_eq!(list(""), Ok(vec![]));
        assert_eq!(list(r#""a""#), Ok(vec![(false, "a")]));
        assert_eq!(
            list(r#" , "a" ,W/"b,c",, """#),
            Ok(vec![(false, "a"), (true, "b,c"), (false, "")])
        );
    }

    #[test]
    fn what_is_no_etag_ends_the_list() {
        for bad in ["a", "\"a", "a\"", "w/\"a\"", "W/a", "\"a\" \"b\"", "\"a\"b", "\"a b\"", "*"] {
            assert_eq!(list(bad), Err(Malformed), "{bad}");
        }
        assert_eq!(Etags("\"a\", b, \"c\"").count(), 2);
    }
}
