//! Subjects: the identifiers of users.

/// Maximal length of a subject in bytes.
const LONGEST: usize = 255;
/// The subjects of principals that aren't users.
const TAKEN: [&str; 2] = ["operator", "anonymous"];
/// The prefixes of other subjects: of tokens, and of the addresses that imported drafts were stored under.
const TAKEN_SCHEMES: [&str; 2] = ["token:", "mailto:"];

/// The error for a text that isn't a valid subject of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a subject {0}")]
pub struct InvalidSubject(&'static str);

impl InvalidSubject {
    /// The error for a subject where none is allowed.
    pub(crate) const NOT_HERE: Self = Self("isn't given to a token for the whole platform");
}

/// Checks a user's subject: the stable identifier from the identity provider, such as a DID, or an issuer and its name
/// for the user. Subjects are stored and compared byte by byte.
///
/// # Errors
/// The subject is empty or longer than 255 bytes; it has control characters, or white space at an end; or it could be
/// mistaken for a principal that isn't a user, such as `operator` or `token:…`, in any case.
pub fn check_subject(text: &str) -> Result<(), InvalidSubject> {
    if text.is_empty() || text.len() > LONGEST {
        return Err(InvalidSubject("has 1 to 255 bytes"));
    }
    if text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(InvalidSubject("has no control characters"));
    }
    if text.trim().len() != text.len() {
        return Err(InvalidSubject("neither begins nor ends with white space"));
    }
    let begins = |scheme: &&str| {
        text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    if TAKEN.iter().any(|name| text.eq_ignore_ascii_case(name)) || TAKEN_SCHEMES.iter().any(begins)
    {
        return Err(InvalidSubject(
            "is neither `operator` nor `anonymous`, and begins with neither `token:` nor `mailto:`",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_identity_providers_give_is_a_subject() {
        for subject in [
            "ann",
            "did:plc:ewvi7nxzyoun6zhxrhs64oiz",
            "https://id.example/realm#248289761001",
            "Zoë of Käse",
            "operators",
            "tokens:1",
            "%2F",
        ] {
            assert_eq!(check_subject(subject), Ok(()), "{subject}");
        }
        assert_eq!(check_subject(&"x".repeat(255)), Ok(()));
    }

    #[test]
    fn what_is_ambiguous_is_none() {
        for subject in [
            "",
            " ",
            " ann",
            "ann ",
            "\u{a0}ann",
            "a\nb",
            "a\0",
            "a\u{85}b",
            "a\u{2028}b",
            "operator",
            "Operator",
            "ANONYMOUS",
            "token:0123",
            "Token:",
            "mailto:ann@example.org",
            "MAILTO:x",
        ] {
            assert!(check_subject(subject).is_err(), "{subject:?}");
        }
        assert!(check_subject(&"x".repeat(256)).is_err());
        assert!(check_subject(&"é".repeat(128)).is_err());
    }
}
